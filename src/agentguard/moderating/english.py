"""What is looked for in English."""

from __future__ import annotations

from typing import Final

from agentguard.moderating.rules import Rule

__all__ = ["RULES"]

_I_WILL = r"\bi(?:'m| am|'ll| will|'m gonna| am gonna| swear i will| want to|'d)?\b"
_SOMEBODY = r"(?:you|u|him|her|them|your (?:family|kids|wife|husband|mother)|everyone|this (?:guy|man|woman))"
_PEOPLE = (
    r"(?:immigrants|foreigners|refugees|jews|muslims|christians|blacks|whites|asians|gays|lesbians|women"
    r"|men|gypsies|arabs|mexicans|trans(?:gender)? people|homosexuals|(?:disabled|those|these|black) people)"
)
_CHILD = (
    r"(?:child(?:ren)?|minors?|under-?age[d]?|pre-?teens?|kids?|toddlers?|school-?(?:girls?|boys?)|"
    r"(?:[1-9]|1[0-7])[ -]?(?:years?[ -]?olds?|yo|y/o))\b"
)
_SEX = r"\b(?:sex(?:ual(?:ly)?|y|ting)?|porn(?:o|ography)?|nudes?|naked|erotic(?:a)?|hentai|orgasms?)\b"
_HOW = (
    r"(?:\bwhat (?:do|should|can) i\b|\bhow (?:can|do|to|could|would|does)\b|\b(?:instructions|steps?|guide|recipe|ways?|tutorial|plans?)\b"
    r"|\btell me\b|\bteach me\b|\bshow me\b)"
)
_MAKE = r"\b(?:mak(?:e|ing)|build(?:ing)?|cook(?:ing)?|synthesi[sz](?:e|ing)|produc(?:e|ing)|assembl(?:e|ing)|print|grow(?:ing)?|mix(?:ing)?|get)\b"
_DRUG = (
    r"\b(?:meth(?:amphetamine)?|cocaine|heroin|fentanyl|crack cocaine|lsd|mdma|ecstasy pills|ghb)\b"
)
_WEAPON = (
    r"\b(?:(?:pipe|nail|dirty|car|petrol|home-?made|fertili[sz]er) ?bombs?|bombs?|explosives?|grenades?|(?:nerve|chlorine|mustard|poison(?:ous)?) gas"
    r"|sarin|explosive devices?|ricin|molotov(?: cocktails?)?|silencers?|ghost guns?|suicide vests?|(?:an? )?untraceable guns?)\b"
)

RULES: Final = (
    Rule(
        "profanity",
        ("fuck", "fck", "f*ck", "f**k", "phuck", "fuk", "wtf"),
        r"\b(?:mother|clusterf?|un)?(?:f[u*]{1,2}c{1,2}k|f[u*]{0,2}ck|f\*\*k|phuck|fuk(?!u(?:oka|da|i|shima)))(?:\w{0,6})\b|\bwtf\b",
    ),
    Rule(
        "profanity",
        ("shit", "sh*t", "s**t"),
        r"\b(?:bull|horse|dip|ape|bat)?s[h*][i*]ts?(?:ty|tier|ting|ter|head|show|hole|storm)?\b",
    ),
    Rule(
        "profanity",
        ("ass", "arse"),
        r"\b(?:(?:dumb|jack|smart|kiss my |fat|bad)?(?:ass|arse)(?:hole|holes|hat|wipe)|dumbass|jackass"
        r"|(?:kiss|lick|up) (?:my|your) (?:ass|arse)|sucks? (?:ass|balls|dick))\b",
    ),
    Rule(
        "profanity", ("bitch", "b*tch", "biatch"), r"\b(?:son of a )?b[i*](?:a)?tch(?:es|y|ing)?\b"
    ),
    Rule(
        "profanity",
        (
            "cunt",
            "dick",
            "cock",
            "twat",
            "wank",
            "prick",
            "bastard",
            "slut",
            "whore",
            "bollock",
            "douche",
        ),
        r"\b(?:cunts?|dick(?:head|wad|face)s?|suck my (?:dick|cock)|cocksuckers?|twats?|wank(?:er|ers|ing)"
        r"|(?:a|you|little|such a|stupid) pricks?|bastards?|sluts?|whores?|bollocks|douche ?bags?)\b",
    ),
    Rule(
        "hate",
        ("retard", "tranny", "nigg", "fag", "kike", "chink", "spic", "wetback", "raghead", "gook"),
        r"\b(?:re?tard(?:s|ed)?|trann(?:y|ies)|n[i*]gg(?:er|a)s?|fag(?:got)?s?|kikes?|chinks?|spics?"
        r"|wetbacks?|ragheads?|gooks?)\b",
        r"fire retard|flame retard|chinks? in",
    ),
    Rule(
        "hate",
        (
            "vermin",
            "subhuman",
            "animals",
            "parasites",
            "cockroaches",
            "scum",
            "filth",
            "inferior",
            "rats",
        ),
        rf"\b{_PEOPLE} (?:are|is) (?:all |just |nothing but |really )?"
        r"(?:vermin|sub-?humans?|animals|parasites|cockroaches|scum|filth|inferior|rats|a (?:disease|plague|cancer)|criminals)\b",
    ),
    Rule(
        "hate",
        ("should", "must", "need", "deserve", "too stupid", "too dumb", "belong in"),
        rf"\b{_PEOPLE}(?: [a-z]{{1,12}}){{0,3}} (?:should(?:n't| not)?|must|need to|deserve to|have to) (?:all )?(?:be )?(?:die|exist|"
        r"stopped|locked|killed|wiped out|eradicated|eliminated|deported|shot|gassed|hanged|removed|burn(?:ed|t)?|exterminated|sterili[sz]ed|vote)\b"
        rf"|\b{_PEOPLE} are (?:all |just )?too (?:stupid|dumb) to\b",
    ),
    Rule(
        "hate",
        ("go back to",),
        r"\bgo back to (?:where you (?:came|come) from|your (?:own )?country|africa)\b",
    ),
    Rule(
        "hate",
        ("control everything",),
        rf"\b{_PEOPLE} (?:secretly )?control (?:everything|the world)\b",
    ),
    Rule(
        "threat",
        (
            "kill",
            "hurt",
            "stab",
            "shoot",
            "murder",
            "strangle",
            "beat",
            "rape",
            "find you",
            "break your",
        ),
        rf"{_I_WILL}(?: (?:going to|gonna|fucking|so|really|swear|i|will)){{0,4}} (?:kill|hurt|stab|shoot|murder|strangle"
        rf"|rape|beat(?: the \w{{1,8}} out of)?) {_SOMEBODY}\b|{_I_WILL}(?: (?:going to|gonna)){{0,1}} break your "
        r"(?:legs?|neck|arms?|bones|face|jaw)\b",
        r"kill (?:you|him|her|them) in (?:chess|the game)",
    ),
    Rule(
        "threat",
        ("watch your back", "dead meat", "dead man", "bullet in", "where you live"),
        r"\b(?:(?:i know where you live)[^.!?\n\w]{1,4}(?:and )?(?:watch|be careful|you|sleep)"
        r"|(?:better |, )watch your back|you(?:'re| are)(?: a)? dead (?:meat|man)"
        r"|(?:put|with) a bullet in (?:you|your|his|her|their)\b)",
    ),
    Rule(
        "threat",
        ("burn", "set fire", "bomb", "shoot up", "blow up"),
        r"\b(?:i|we)(?:'ll| will|'m going to| am going to|'re going to| are going to|'m gonna) (?:burn (?:down )?(?:your|their|the"
        r"|this)|set fire to|bomb|blow up|shoot up) ~(?:house|home|school|office|building|car|church|mosque|synagogue|store|place)?"
        r"|\bthere(?:'s| is) a bomb in\b~(?:goes off|explode|detonate|tick)",
    ),
    Rule(
        "threat",
        ("with a knife", "with a gun"),
        r"\bi(?:'ll| will| am going to|'m going to) (?:come|visit|be there|find you)~with a (?:knife|gun)\b",
    ),
    Rule(
        "self_harm",
        (
            "kill myself",
            "end my life",
            "take my own life",
            "take my life",
            "kms",
            "suicide",
            "ending my life",
        ),
        r"\b(?:(?:want to|wanna|going to|gonna|will|to|thinking of|i'll|might) (?:kill myself|end my (?:own )?life|take my "
        r"own life|commit suicide)|(?:killing myself|ending my life)|(?:^|i'm gonna )?kms"
        r"|(?:i am|i'm|been|keep|^) ?thinking (?:about|of) suicide|i(?:'m| am) suicidal)\b",
    ),
    Rule(
        "self_harm",
        (
            "want to die",
            "wanna die",
            "want to live",
            "wanna live",
            "better off without me",
            "not wake up",
            "end it all",
        ),
        r"\bi (?:just )?(?:want to|wanna) die\b|\bi (?:don'?t|do not) (?:want to|wanna) (?:live|be alive|exist)\b(?! (?:in|with|near|at|there|here|on))"
        r"|\bbetter off without me\b|\bi wish i (?:would|could|did) (?:not|never|n't) wake up\b|\bi(?:'m| am) going to end it all\b",
    ),
    Rule(
        "self_harm",
        ("cutting myself", "cut myself", "hurting myself", "hurt myself", "harming myself"),
        r"\bi(?:'ve| have|'m| am)? (?:been |keep |started |can't stop |want to )(?:again )?(?:cutting|cut|hurting|hurt|harming|harm) myself\b",
    ),
    Rule(
        "self_harm",
        ("pills", "painless"),
        r"\bhow many (?:\w{1,15} ){0,2}pills~(?:to die|kill me|overdose)\b|\b(?:painless|least painful) (?:way|method)s? to (?:die|end|kill myself)\b",
    ),
    Rule(
        "sexual_minors",
        ("sex", "porn", "nude", "naked", "erotic", "hentai", "orgasm"),
        rf"(?:{_SEX}~\b{_CHILD}|\b{_CHILD}~{_SEX})",
        r"abus|talk|lipstick|doll|educat|protect|prevent|convict|possess|charged|arrest|sex of (?:the|my|a)|sexual(?:ly)? health|assault",
    ),
    Rule(
        "sexual_minors",
        ("cp links", "child porn", "kiddie porn", "lolicon"),
        r"\b(?:cp links?|kiddie porn|lolicon)\b",
    ),
    Rule(
        "sexual_minors",
        ("attracted to", "turned on by"),
        rf"\bi(?:'m| am) (?:sexually )?(?:attracted to|turned on by) (?:young )?{_CHILD}",
    ),
    Rule(
        "illicit",
        (
            "bomb",
            "explosive",
            "grenade",
            "gas",
            "sarin",
            "ricin",
            "molotov",
            "silencer",
            "gun",
            "vest",
        ),
        rf"{_HOW}~{_MAKE}~{_WEAPON}|\brecipe for (?:home-?made )?{_WEAPON}|{_HOW}~{_MAKE}~\bguns?\b~\b(?:untraceable|traceable|at home|secretly)",
        r"(?:bath|slime|seed|glitter|cake|chocolate|zip|fork|logic|photo|water|cocoa|smoke) ?bombs?",
    ),
    Rule(
        "illicit",
        ("meth", "cocaine", "heroin", "fentanyl", "lsd", "mdma", "ecstasy", "ghb"),
        rf"{_HOW}~{_MAKE}~{_DRUG}|\b(?:where (?:to|can i|do i)|how (?:to|can i|do i)) (?:buy|get|order|find|sell|smuggle)~{_DRUG}",
    ),
    Rule(
        "illicit",
        ("poison", "get away with"),
        r"\bhow (?:can i|do i|to) poison (?:someone|somebody|my|a person|him|her)\b|\bget away with murder(?:ing)? (?:my|some)",
    ),
    Rule(
        "hate",
        ("disease", "criminals", "plague", "wiped out", "eradicated"),
        rf"\b(?:{_PEOPLE}|people from [^.!?\n]{{1,20}}) are (?:all |just )?(?:a (?:disease|plague|cancer)|criminals)\b|\b(?:{_PEOPLE}|people from [^.!?\n]{{1,30}}) [^.!?\n]{{0,20}}should (?:all )?be (?:wiped out|eradicated)\b",
    ),
    Rule(
        "threat",
        ("coming for you", "live to see", "end up in", "end up dead"),
        r"\b(?:i'm|i am|we're|we are) coming for (?:you|your)\b|\bwon't live to see\b|\byou(?:'ll| will) end up (?:in (?:the )?(?:hospital|morgue)|dead)\b",
    ),
    Rule(
        "self_harm",
        (
            "suicidal",
            "no point in",
            "all my pills",
            "all my tablets",
            "my suicide note",
            "hate myself",
        ),
        r"\bi(?:'m| am| feel) suicidal\b|\bno point in (?:going on|living|being alive)\b|\btook all my (?:pills|tablets)\b|\bmy suicide note\b|\bhate myself\b~\b(?:cut|die|hurt)\b",
    ),
)
