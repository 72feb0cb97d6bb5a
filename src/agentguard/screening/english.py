"""Phrases of injections in English."""

from __future__ import annotations

from typing import Final

from agentguard.moderating.rules import Rule

__all__ = ["DIRECT", "INDIRECT"]

_IGNORE = (
    r"(?:ignore|ignroe|disregard|forget|neglect|override|bypass|skip|drop|discard|set aside|erase|abandon|cancel|dismiss"
    r"|overlook|pay no (?:attention|heed) to|do not (?:follow|obey)|don'?t (?:follow|obey))"
)
_PRIOR = (
    r"(?:previous|prevoius|prior|earlier|above|preceding|original|initial|existing|former|system|developers?'?s?|"
    r"your|that came|you (?:got|had|received)|you were given|were told)"
)
_TOLD = (
    r"(?:instructions?|instrctions|directions?|directives?|guidelines?|guidance|rules?|prompts?|programming|"
    r"orders|commands?|training|restrictions?|constraints?|safety (?:policy|rules|guidelines)|messages? above)"
)
_PROMPT = (
    r"(?:system (?:prompt|message|instructions?)|(?:initial|original|hidden|secret|confidential|configuration|"
    r"developer|starting) (?:prompt|instructions?|message|rules|notes)|your (?:own |full |complete |exact )?(?:instructions|prompt)(?! for)|(?:the )?instructions you (?:were|got|received|have)|"
    r"your (?:rules|guidelines|context window))"
)
_SHOW = (
    r"(?:reveal|include|spell out|copy|show|print|output|repeat|display|tell|give|write out|leak|dump|expose|disclose|share|translate|"
    r"summari[sz]e|encode|list|recite|paste|need|what (?:is|are|was|were))"
)
_FREE = (
    r"(?:without (?:any )?(?:restrictions?|limits?|limitations?|rules|filters?|ethics|guidelines)|unrestricted|"
    r"unfiltered|uncensored|amoral|no (?:moral )?(?:restrictions?|limits|filters?|rules|ethics|content policy|guidelines"
    r"(?: at all)?)|jailbr(?:oken|eak)|never refuses?|never aligned|freed from (?:its|all|your)|obeys? every|ignores? (?:all )?ethics|do anything now|any restrictions)"
)
_YOU = r"(?:you are|you're|act as|pretend(?: to be| you are| that you are)?|imagine|simulate|respond as|write as|going to be|play|stay|enter)"
_AI = (
    r"(?:(?:ai|llm|virtual)[ -]?(?:assistants?|agents?|systems?|models?|bots?|reviewers?)?|assistants?|"
    r"(?:large )?language models?|chat ?bots?|llms?|hey bot|co-?pilot|summari[sz]er)"
)
_USER_DATA = (
    r"(?:conversation|chat (?:history|log)|passwords?|api keys?|credentials?|session|cookies?|contact list|emails?|"
    r"private key|id_rsa|tokens?|secrets?|system prompt|document|user's \w{1,15})"
)
_SEND = r"(?:send|forward|e-?mail|post|upload|transmit|include|pass|leak|write|exfiltrate)"

DIRECT: Final = (
    Rule(
        "override",
        (
            "instr",
            "direct",
            "guid",
            "rule",
            "prompt",
            "programming",
            "order",
            "command",
            "training",
            "restrict",
            "constraint",
            "safety",
        ),
        rf"\b{_IGNORE} (?:\w{{1,12}} ){{0,4}}?{_PRIOR} (?:\w{{1,12}} ){{0,3}}?{_TOLD}\b"
        rf"|\b{_IGNORE} (?:all |any |every |the ){{0,2}}{_TOLD} (?:\w{{1,12}} ){{0,3}}?(?:above|before|given|you (?:were|have|got)|(?:the )?developers?)",
        r"recipe|oven|manual|salt|css|!important|git |commit|support|router|the firmware|invoice",
    ),
    Rule(
        "override",
        ("forget", "erase", "wipe"),
        r"\b(?:forget|erase|wipe) (?:all |everything |your )(?:of )?(?:your |you )?(?:instructions|rules|were told|memory|know about (?:your|the) rules|training)\b",
    ),
    Rule(
        "override",
        (
            "everything you were told",
            "ignore the above",
            "disregard the above",
            "forget everything above",
            "ignore everything above",
            "ignore all of the above",
        ),
        r"\b(?:disregard|ignore|forget) everything you (?:were|have been) told\b|\b(?:ignore|disregard|forget) (?:all of |everything )?(?:the )?above and\b",
    ),
    Rule(
        "override",
        (
            "no longer apply",
            "are void",
            "are cancelled",
            "is cancelled",
            "do not apply",
            "does not apply",
            "are outdated",
            "are disabled",
        ),
        r"\b(?:your|all|earlier|prior|previous|safety|content|the) (?:\w{1,12} ){0,2}?(?:instructions|directi(?:ons|ves)|rules|filters|guidelines|policy|policies|conversation(?: so far)?) (?:\w{1,10} ){0,3}?(?:no longer apply|(?:are|is) (?:now )?(?:void|cancelled|outdated|disabled|lifted)|do(?:es)? not apply)\b",
        r"warranty|refund|contract|my case|bought",
    ),
    Rule(
        "override",
        (
            "have no rules",
            "without exceptions",
            "obey the user",
            "switching you to",
            "drop all restrictions",
            "safety filters",
        ),
        r"\byou have no rules\b|\bobey the user without\b|\bswitching you (?:in)?to (?:\w{1,12} ){0,2}mode\b|\bdrop all restrictions\b|\bsafety filters? (?:are |is )?(?:now )?(?:off|disabled|removed)\b",
    ),
    Rule(
        "override",
        ("follow mine", "as i say", "only on what i", "obey only me", "do as i"),
        r"\b(?:follow mine|set aside your rules|do as i say)\b~|\bact only on what i (?:write|say)\b|\bobey only me\b",
    ),
    Rule(
        "override",
        (
            "<|im_start|>",
            "<|im_end|>",
            "[inst]",
            "<<sys>>",
            "</system>",
            "### system",
            "<|system|>",
            "<|start_header_id|>",
        ),
        r"<\|im_(?:start|end)\|>|\[inst\]|<<sys>>|</system>\s{0,3}<system>|^#{2,4} ?system ?:|\n#{2,4} ?system ?:|<\|system\|>|<\|start_header_id\|>",
    ),
    Rule(
        "override",
        (
            "sudo override",
            "enable developer mode",
            "disable safety",
            "disable your",
            "turn off your",
        ),
        r"\bsudo override\b|\b(?:disable|turn off|switch off) (?:your|all|the) (?:safety|content|moderation|ethic\w{0,6}) ?(?:filters?|polic(?:y|ies)|guidelines|checks)?\b",
    ),
    Rule(
        "roleplay",
        ("dan", "do anything now", "stay as dan"),
        r"\b(?:you are (?:now )?dan\b|act as dan\b|stay as dan\b|do anything now)",
        r"what|explain|was|history|attack",
    ),
    Rule(
        "roleplay",
        (
            "restrict",
            "limit",
            "filter",
            "uncensor",
            "unfilter",
            "amoral",
            "jailbr",
            "refuse",
            "no rules",
            "content policy",
            "guidelines",
            "ethics",
        ),
        rf"\b{_YOU}\b~{_AI}~\b{_FREE}\b|\b{_YOU}\b~\b{_FREE}\b~\b{_AI}|\b{_YOU} (?:\w{{1,12}} ){{0,3}}?[a-z]{{3,12}}(?:bot|gpt)\b~\b{_FREE}|\brespond twice\b~(?:jailbr|no filter)|\bif you had (?:{_FREE})",
        r"travel|tourism",
    ),
    Rule(
        "roleplay",
        ("developer mode",),
        r"\bdeveloper mode\b[^\n]{0,40}?\b(?:you can say anything|content policy|no (?:filter|restrict)|without)",
    ),
    Rule(
        "roleplay",
        ("grandm",),
        r"\b(?:late|dead|deceased) (?:grand(?:ma|mother)|granny)\b~(?:keys?|passwords?|recipe for|napalm|serial)",
    ),
    Rule(
        "roleplay",
        ("gpt", "bot"),
        r"\b(?:called|named) [a-z]{2,12}(?:gpt|bot)\b~\b(?:no|without|ignores?) (?:\w{1,12} ){0,2}(?:polic|filter|restrict|rule|limit)",
    ),
    Rule(
        "roleplay",
        ("never say that it cannot", "lose a token", "token is taken", "tokens are taken"),
        r"\b(?:must )?never say that (?:it|you) can(?:no|')t\b|\b(?:a )?tokens? (?:is|are) taken from you\b",
    ),
    Rule(
        "exfiltration",
        (
            "prompt",
            "instructions",
            "system message",
            "developer message",
            "notes",
            "rules",
            "context window",
            "guidelines",
        ),
        rf"\b{_SHOW}(?: me| us| out| up)? (?:\w{{1,12}} ){{0,4}}?{_PROMPT}\b",
        r"good|recipe|oven|manual|differ|bash|shell|leakage|customer service|write a|quiz",
    ),
    Rule(
        "exfiltration",
        (
            "verbatim",
            "word for word",
            "exact wording",
            "exact text",
            "first 50 words",
            "words of your prompt",
            "text above",
            "before my first message",
            "everything above",
        ),
        r"\b(?:repeat|print|show|output|copy) (?:me )?(?:the |all |everything |of |that |was |written |words |text ){1,6}(?:above|before my first message)\b"
        r"|\bexact (?:wording|text) of your\b|\b(?:first|last) \d{1,4} words of (?:your|the system) prompt\b",
    ),
    Rule(
        "exfiltration",
        (
            "my system prompt says",
            "you received at the start",
            "not supposed to talk",
            "were you given",
            "my instructions are",
        ),
        r"\bmy (?:system prompt|instructions) (?:says?|are)\b|\bmessage you received at the (?:start|beginning)\b|\bwhat did (?:they|the developers?|the company) tell you\b|\b(?:rules|instructions) (?:were|have) you (?:been )?given\b",
    ),
    Rule(
        "override",
        (
            "void",
            "null",
            "obsolete",
            "cancelled",
            "lifted",
            "you work for me",
            "stop being",
            "set up to",
            "told to",
            "programmed to",
        ),
        rf"\b(?:treat|consider|regard)\b~{_TOLD}\b~\b(?:void|null|obsolete|cancelled)\b|\b(?:limits|restrictions|filters|polic(?:y|ies)) (?:are|is|have been) (?:now )?lifted\b|\bstop being (?:an? |the )(?:\w{{1,12}} )?(?:assistant|bot|ai)\b|\byou work for me now\b"
        r"|\b(?:cancel|forget|drop|ignore) (?:whatever|what|everything|all) you were (?:set up|told|asked|programmed|configured|trained) to\b",
    ),
    Rule(
        "roleplay",
        (
            "never aligned",
            "freed from",
            "moral limits",
            "no moral",
            "obeys every",
            "obey every",
            "without morals",
        ),
        r"\b(?:model|ai|bot|assistant|gpt)\b~\b(?:never aligned|freed from (?:its|all|your|the))\b|\byou\b~\b(?:have no moral|without morals|obey every)",
    ),
    Rule(
        "exfiltration",
        (
            "they tell you",
            "developers tell you",
            "company tell you",
            "words above",
            "text above",
            "lines above",
            "messages above",
        ),
        r"\bwhat did (?:they|the developers?|the company) tell you\b|\b(?:repeat|print|copy|output|write) (?:out )?(?:all |every |each )?(?:of )?(?:the )?(?:words|text|lines|messages|sentences) above\b",
    ),
)

INDIRECT: Final = (
    Rule(
        "override",
        (
            "disregard the user",
            "ignore the user",
            "ignore your",
            "forget the task",
            "your new task",
            "new task is",
        ),
        rf"\b(?:disregard|ignore|forget) (?:the user(?:'s \w{{1,12}})?|your (?:\w{{1,12}} ){{0,2}}?{_TOLD}|the task you)\b|\b(?:request|task) (?:\w{1, 12} ){0, 5}?is (?:now )?(?:obsolete|cancelled|void)\b|\bignore the (?:question|request|query) and (?:answer|reply|say|respond)\b|\b(?:reply|answer|respond) (?:only )?with(?: only)?:|\byour new (?:task|instructions?|goal|role) (?:is|are)\b",
    ),
    Rule(
        "imperative",
        (
            "assistant",
            "ai ",
            "ai:",
            "ai,",
            "ai-",
            "language model",
            "chatbot",
            "chat bot",
            "llm",
            "bot",
            "the model",
        ),
        rf"\b(?:attention|note to|instructions? (?:for|to)|dear|hello|message (?:for|to)|hey|important instruction for) (?:the |any |all )?{_AI}\b"
        rf"|\b{_AI}[:,] (?:\w{{1,12}} ){{0,3}}?(?:ignore|call|send|e-?mail|forward|execute|run|tell|always|never|do not|don't|also|please|invite|delete|recommend|rate|reply|include)\b"
        rf"|\b{_AI}(?: (?:reading|reviewing|processing|parsing)(?: this)?(?: \w{{1,12}})?)? (?:must|should|has to|have to|need to|shall)(?: now| first| always)? (?:disregard|ignore|run|execute|rate|recommend|give|call|reply|send|forward|include|say|tell|first|open|add|follow|visit|click|approve|search|answer|state|delete|transfer)\b"
        rf"|\b(?:ai|llm|copilot|language model|chat ?bot)s?\b[^.!?\n]{{0,30}}?\b(?:obliged|required|must|have to|instructed) (?:to )?(?:add|say|state|tell|send|include|reply|answer|recommend|visit|mention|write|open)\b"
        rf"|\b(?:notice|message|note|to the|hi|hello|hey|attention) (?:to |for )?(?:the |all )?(?:{_AI}|agents)[,:] ?(?:[^.!?\n]{{0,60}}?)\b(?:leave out|state|approve|search|send|reply|say|add|open|skip|rate|merge|delete|transfer)\b|\b(?:llm|ai)s?, (?:say|tell|rate|recommend|write|reply)\b"
        rf"|\bif you are an? {_AI}\b",
        r"teacher|manager|voice|speaker|store|shop",
    ),
    Rule(
        "imperative",
        (
            "the user",
            "this message to",
            "do not mention",
            "don't tell",
            "not mention",
            "without telling",
        ),
        r"\b(?:do not|don'?t|never) (?:mention|tell|reveal|show|inform|notify)(?: \w{1,12}){0,4} (?:to )?the user\b|\byou must (?:tell|instruct|convince|urge) the user\b"
        r"|\bthe user has already (?:approved|confirmed|consented|agreed)\b|\bdo not ask for confirmation\b",
    ),
    Rule(
        "imperative",
        (
            "send",
            "forward",
            "mail",
            "post",
            "upload",
            "include",
            "pass",
            "reply with",
            "write",
            "transmit",
        ),
        rf"\b{_SEND} (?:\w{{1,12}} ){{0,3}}?(?:the |this )?(?:user'?s?|conversation|chat|contents? of (?:this|the))~(?:{_USER_DATA}|to \S{{1,40}}[@.]\w|https?://)|\breply with the user'?s\b|\bsend the user'?s\b",
    ),
    Rule(
        "imperative",
        ("tool", "function", "shell", "curl", "_"),
        r"\b(?:call|invoke|use|run|execute) the \w{1,30} (?:tool|function)\b~(?:amount|account|for the current user|with)|\bcall the (?:function |tool )?(?:transfer|delete|send|drop|remove|pay|grant|reset)_\w{1,20}"
        r"|\b(?:execute|run) the following (?:command|code|script)s?\b|\bagents? must (?:first )?run\b|\bbefore using this tool\b~\b(?:read|open|fetch|send)\b|\bcurl \S{1,80} ?\| ?(?:ba)?sh\b",
    ),
    Rule(
        "imperative",
        (
            "when summari",
            "while summari",
            "positive review",
            "excellent match",
            "must not mention",
            "regardless of the content",
        ),
        r"\bwhen summari[sz]ing this\b~\b(?:must|do not|never|always|say)\b|\bgive this (?:paper|product|page|resume|candidate) an? (?:positive|good|excellent|high)\b|\brate this (?:candidate|page|paper|product)\b~(?:excellent|regardless|10|highest|best)",
    ),
    Rule(
        "roleplay",
        ("you are now", "maintenance mode"),
        rf"\byou are now (?:in (?:maintenance|debug|admin|developer) mode|an? (?:\w{{1,12}} ){{0,3}}?{_AI})\b",
    ),
    Rule(
        "exfiltration",
        ("prompt", "instructions"),
        r"\bprint (?:the|your) (?:system )?(?:prompt|instructions)\b|\bwhat were your instructions\b",
    ),
    Rule(
        "override",
        ("obsolete", "cancelled", "ignore the", "with only", "only with", "new task"),
        r"\b(?:request|task|question)\b[^.!?\n]{0,40}?\bis (?:now )?(?:obsolete|cancelled|void)\b|\bignore the (?:question|request|query) and (?:answer|reply|say|respond)\b|\b(?:reply|answer|respond) (?:only with|with only)\b",
    ),
    Rule(
        "imperative",
        ("copilot", "co-pilot", "summari", "agents", "ai", "llm"),
        rf"\b(?:notice|message|note|to the|to all|hi|hello|hey|attention) (?:to |for )?(?:the |all )?(?:{_AI}|agents)[,:] ?[^.!?\n]{{0,60}}?\b(?:leave out|state|approve|search|send|reply|say|add|open|skip|rate|merge|delete|transfer)\b",
    ),
)
