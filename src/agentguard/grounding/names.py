"""Names of a sentence: what is capitalised within it, and people before or behind a Korean title."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from agentguard.caching.semantic.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["COMMON", "Name", "names", "plain_word"]


class Name(NamedTuple):
    """A name.

    Attributes:
        words: in lower case, in order.
        hangul: whether it is of a person, in Hangul.
    """

    words: tuple[str, ...]
    hangul: bool = False


_letter: Final = r"[^\W\d_a-z가-힣ぁ-ヿ一-鿿]"
_word: Final = rf"(?:{_letter}\.(?= ?{_letter})|{_letter}[^\W\d_가-힣]*(?:['&-][^\W\d_가-힣]+){{0,4}}|[a-z]{{1,2}}[A-Z][^\W\d_가-힣]+)"
_OF: Final = "University|Bank|Institute|Museum|Ministry|Department|Republic|Kingdom|City|College|School|Gulf|Isle|Bay|House"
_NAME: Final = re.compile(
    rf"(?<![\w'])(?:(?:{_OF}) of (?:the )?)?{_word}(?:(?: | ?& ?|-){_word}){{0,11}}"
)
_START: Final = re.compile(r"(?:^|[|:;!?>]|[.!?] |\n|- )[\s\"'(*_>|#•-]*$")

_ORDER: Final = re.compile(
    r"\s+(?:an?|the|your|my|our|it|them|this|these|that|those|all|any|each|sure|up|out)\b|[!.]?\s*$"
)
"""What follows a verb that begins a sentence, and no name."""

_TITLES: Final = frozenset(
    listed("""mr mrs ms miss dr prof professor sir madam lord lady president ceo coo cfo cto cmo chair chairman
    chairwoman minister mayor king queen prince princess senator captain manager director chief officer
    executive vice head coach judge general colonel pope saint doctor secretary governor ambassador
    chancellor premier dean founder author editor""")
)
_NO_NAMES: Final = frozenset(
    listed("""i ok okay faq pdf url id api ai am pm tv it us html json csv http https sql cpu gpu ram usb sms pin vat
    ps nb re cc tldr yes no usd eur gbp krw jpy chf mon tue wed thu fri sat sun a an the x y z q b c d
    i'm i'll i've i'd""")
)
COMMON: Final = frozenset(
    listed("""a about above according accordingly across actually add added adding additional additionally adult adults
    after afterwards again against ago all almost along already also although always among an and annual another
    answer any anyone anything apart applicants apply are around as ask at available avoid away back based
    because been before behind being below benefits besides best better between beyond big book both but buy by
    call can cancel cannot certain change charges check children choose citizens clear click close closed come
    common companies company compare compared consequently consider contact contrary cost costs could course
    create critics currently customer customers damage data dates day days delivery despite details did
    different do does dogs done down due during each earlier early either employees end engineers enough ensure
    enter entry especially essentially even eventually every everyone everything exactly example except experts
    express extra fees few figures final finally find first fish five follow following for former four free
    from full fuller further furthermore general generally get give given go good great growers growth guests
    had half has have having he hello help hence her here hers hi high his hold hope how however if imagine
    important in include included includes including income indeed information initially inside instead into is
    issues it items its itself just keep key know last lastly later least less let life like likely list local
    long look low made main make many margin may maybe me meanwhile meanwhile members might mine money month
    months more moreover most mostly much must my name namely near nearly need neither never nevertheless new
    next nine no nobody none nor normally not note nothing notice notify now number numbers of off officials
    often oil old older on once one ones only open opening operating or orders other others otherwise our out
    outside over overall owners own part parties partly passengers patients payment people per perhaps pets
    place plan please point points population possible previously price prices prior probably production profit
    put quite rather read readers really reasons recently recommended refer refunds remember reports requests
    residents result results return returns revenue right said sales same save say scientists second see seen
    send services set seven several shall share she shipping short should show shows similarly simply since six
    so some someone something sometimes soon sources specifically staff start starting step still storage
    students such summary support sure take tell ten terms than thank thanks that the their them then there
    therefore these they things this those though three through throughout thus tickets time times to today
    together tomorrow too total toward towards transfers travel try turn two typically under unfortunately
    unless unlike until up upon us use used users using usually very via visitors visit wait warning warranty
    was water we weather week weeks well were what whatever when where whereas whether which while who whose
    why will with within without work workers worth would write year years yes yesterday yet you young your
    yours answer answers conclusion context document documents feature features figure option options overview
    question section source table title topic update version
    abort accept access account activate actual adds adjust admin agree alert alike allow alone app apps
    architects area arrive article assume attach attend audit author auto balance batch bear become begin bills block
    board borrow bound breakfast bring budget bug bugs build built burn business byte cache camera car cards care carry
    case cash catch cause celebrate center check child city class clock cloud coat code coffee collect combine command
    commit complete computer confirm connect construct contract control convert cook copy cover critic crop cut database
    deal death decide decrease default define delete deliver deny depend deposit describe design desktop detect
    determine developer device direct discover discuss display divide doctor dollar doubt download draft drink drive
    driver drop dry duty eager easy eat economic edge edit effort elections else email embrace empty encode energy
    engine enjoy equal error escape evidence exact exclude exercise exit expect expert explain explicit explore export
    extend extract factory failure fair false familiar family farm farmers fast feel female file fill film fire fix
    flexible flight flood flour fold food force foreign forget form format found framework friend fresh fruit fuel fun
    fund gas gather gently gift girl glass global goal gold government grade graph green ground group grow guard guests
    guide hair hand handle happy hard harvest health hear heat height hit home honor hospital host hotel hour house huge
    human hundred ignore improve income increase indoor inflation inner input insert inspect install interest internal
    introduce invest invite involve join judge jump kids kind kitchen land laptop large late latency latest latter law
    lawyers lead leader learn leave left legal lend letter level library lift light lights limit line link listen live
    loan lock log lose loss lower lunch machine mail maintainer male manage manufacturer map mark market match material
    meals measure meat media meet memory men mention menu merge message metal method middle milk mind minimum minor
    minutes mix mobile model modern moisture monitor motion mount mouse move movie multiple muscle museum music national
    nature negative network news night node noise nurses object odd offer office oil online optional organic original
    outdoor outer output oven package page paint paper parents park parse pass password path patient pet phone photo
    pick piece plain plant plants platform play police policy poor popular positive post power practical prefer prepare
    present press pretend prevent previous primary print private process produce producer product profits program
    progress project proper property protect provide public publish pull purchase pure push quality queue quick quit
    radio rain raise rates raw reach real reason receive recent recipe record recover red reduce reflect refuse regular
    reject relax release rely remain remote remove rent repair repeat replace report represent request require research
    reserve reset resolve respect respond rest restart restore restrict retry reuse review revise rich ride rise risk
    road robust room round route run runtime safe salt sample scan schedule school science screen scroll search season
    seat secure select sell separate server shape shareholders sheet shift ship shop shut sick side sign silent similar
    sister site size skip sleep slight slow small smart smoke snow social soft software soil solve song sort sound space
    spare speak special speed spend split sport spread spring square stable stage stand standard state static stay steel
    stir stock stop store storm story straight strange stream street stress strict strong study stuff style submit
    success sugar suggest sum summer sun supplier supply suppose surface swim switch symptoms system talk target task
    tax teach teachers team technical test text thick thin think thousands throw tie tip tired token tool tools tough
    tourists trace track trade traffic train training translate transport trash treat tree trees trial trip trouble
    truck true trust tune type typical understand union unique unit unusual upgrade upload upper usage useful user valid
    value vehicle video view voice volume vote voters wages wake walk wall war warm wash watch wear web website weight
    welcome wet wheat white wide win wind window winter wise wish women wonder wood word work world worry worse wrap
    wrong yield zero
""")
)
"""Words with which sentences begin, and which are no names there."""

_ENDINGS: Final = re.compile(
    r".{2,}(?:ly|ing|ed|ions?|ments?|ness|ities|ity|ers|ors|ists|ances?|ences?|ables?|als|ives?|ures?|ages?|isms?|ships?|eries)$|.{5,}(?:ful|less|ous|i[sz]e|ate|ify|ible|ary|ory|ent|ant|ic|al)$"
)

_SURNAMES: Final = frozenset(
    "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민나진지엄채원천방공현함변염추도소석선설마길연위표명기반왕금옥육인맹제모탁국여어은편용"
)
_TITLE: Final = (
    r"대표이사|대표|부사장|사장|회장|이사|교수|박사|장관|의원|작가|소설가|시인|감독|선수|기자|과장|대리|부장|차장|팀장|원장|시장"
    r"|도지사|대통령|총리|변호사|판사|검사|연구원|매니저|코치|배우|가수|화가|운용역|님|씨"
)
_HANGUL: Final = re.compile(rf"(?<![가-힣])([가-힣]{{3}}) ?(?:{_TITLE})(?![가-힣]{{3}})")
_TITLED: Final = re.compile(
    r"(?<![가-힣])(?:작가|소설가|시인|감독|배우|가수|화가|설계자는) ([가-힣]{3})(?=[이가은는을를의에과와도]|$|[ .,])"
)
_NOT_PEOPLE: Final = frozenset(
    "부팀과국사생회측급별적들의은는이가을를에로와도한인할된던던지고며면서"
)


def plain_word(word: str) -> bool:
    """Whether a word in lower case that begins a sentence may be no name."""
    return (
        word in COMMON
        or _ENDINGS.match(word) is not None
        or (len(word) > 4 and word[-1] == "s" and word[-2] != "s")
    )


def names(text: str) -> Iterator[Name]:
    """The names of one sentence, in the case in which it is written.

    A single word that begins the sentence is a name unless it is a common one, which a list and
    its ending tell. Titles and forms of address are left out, and part names.
    """
    letters = [char for char in text if char.isalpha() and char.isascii()]
    if len(letters) < 9 or sum(map(str.isupper, letters)) * 2 < len(letters):
        for found in _NAME.finditer(text):
            initial = _START.search(text[max(0, found.start() - 12) : found.start()]) is not None
            if not initial or " " in found[0] or _ORDER.match(text, found.end()) is None:
                yield from _parts(found[0], initial=initial)
    for found in _HANGUL.finditer(text):
        if found[1][0] in _SURNAMES and found[1][2] not in _NOT_PEOPLE:
            yield Name((found[1],), hangul=True)
    for found in _TITLED.finditer(text):
        if found[1][0] in _SURNAMES:
            yield Name((found[1],), hangul=True)


def _parts(found: str, *, initial: bool) -> Iterator[Name]:
    """What is left of capitalised words without titles, and without what begins the sentence."""
    kept: list[str] = []
    for index, word in enumerate(re.findall(r"[^\s&.]+", found)):
        low = word.casefold().removesuffix("'s").rstrip("'")
        first = index == 0 and initial
        if (
            low in _TITLES
            or low in _NO_NAMES
            or (first and plain_word(low))
            or (low == "the" and not first)
        ):
            if kept:
                yield Name(tuple(kept))
            kept = []
        elif low != "of" or kept:
            kept.append(low)
    if kept:
        yield Name(tuple(kept))
