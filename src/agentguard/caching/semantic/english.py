"""English words: what carries no meaning in a question, what means the same, and how words inflect."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from agentguard.caching.semantic.words import listed

__all__ = ["FRAME", "NEGATIONS", "ROLES", "SOFT", "canonical", "plain"]

NEGATIONS: Final = frozenset(
    listed(
        """
not no never without cannot nor none neither nobody nothing nowhere
"""
    )
)

ROLES: Final = frozenset(
    listed(
        """
about after against as at before below beneath between behind by during except for from in
inside into of on onto outside over per since than through till to toward towards under until
upon versus via with within
"""
    )
)
"""Words that give the next one its part in the question: exchanged, it is another question."""

FRAME: Final = frozenset(
    listed(
        """
a an the this that these those there here it its itself one ones i im ive id ill my mine myself
you your yours we our their his her someone somebody anyone anybody people am is are
was were be been being do does did doing done has have had having will would shall should could
might ought get gets got getting gotten go goes going gonna let lets what which how whose whats
hows and or but so if then also too just really very quite please pls plz kindly hi hey hello
thanks thank tell give explain describe know knowing wonder wondering whether ask question
answer like want wanna need wish try trying trouble about of for in on at to from into by with
as it's way ways method methods process procedure step steps thing things some any each every
such own now anything something actually exactly ok okay make makes making take takes taking etc
per regarding concerning mean means meaning s t re ve ll d m per
"""
    )
)
"""Left out, unless written as a name is: what asks, and not what is asked."""

SOFT: Final = (ROLES - FRAME) | frozenset(
    listed(
        """
must can much many long best now already still ever usually normally typical currently right
happen happens help create item degree receive use available recipe until till time come find
possible safe easy work list recommend legal
"""
    )
)
"""May be missing in one of two questions, where the other has nothing in its place."""

_GROUPS: Final = """
delete remove erase uninstall
freeze frozen
screen display monitor
contact reach
customer client
support service helpdesk
fix repair mend solve resolve troubleshoot
crash crashes
open launch start begin
cancel cancellation terminate end
package parcel
arrive arrival here
buy purchase bought
refund reimburse reimbursement
broken damaged damage defective faulty break broke
cheap inexpensive affordable
near close nearby
send transfer wire
steal stolen stole
different another other
current present presently currently
mortgage mortgages
lower reduce decrease lessen
raise increase
find search locate seek
create new setup establish
duplicate duplicates
item items element product
employee worker staff
pay paid payment payday salary wage
apply application request
remote remotely telework
cold chilly
good great best better well
cause causes why reason
large big
tall height high
long length duration time
deep depth
wide width
heavy weight weigh
old age
fast quick quickly rapid speed
expensive costly
price cost fee charge
substitute instead replacement
begin beginning
update renew
change modify alter edit
choose pick select
email mail
phone telephone cellphone smartphone mobile
laptop notebook
picture photo image photograph
movie film
car automobile
doctor physician
shop store
house home
apartment flat
job work working
company firm
holiday vacation
trip journey
airplane plane aircraft
attraction sight sights
see visit
use using utilize
required require need necessary must obligatory mandatory
can may possible able allowed allow permitted permit permissible
difference differ differences vs versus distinguish
write wrote written author compose draft
population inhabitant
year annual annually yearly
day daily
month monthly
week weekly
when date deadline due
much many amount quantity number
contain contains include included
rich lot plenty
symptom sign
ache pain hurt hurts painful sore
lose lost
own possess
explain explanation
correct right
wrong incorrect mistake error
check verify examine
summary summarize summarise
translate translation say
bug defect
function method
directory folder
run execute
show display
kid child toddler
join merge combine
boost improve enhance
world earth globe
invent inventor invention
travel commute
notice warning
stuck jammed
sofa couch
trash garbage rubbish
bin trash
toilet restroom bathroom lavatory
elevator lift
petrol gasoline fuel
bicycle bike cycle
subway metro underground
luggage baggage suitcase
passenger traveler traveller
ticket fare
reserve book reservation booking
hotel accommodation lodging
restaurant diner eatery
coupon voucher promo
discount rebate
rich wealthy
poor needy
cash money
medicine medication drug
physician doctor
hospital clinic
injury wound
allergic allergy
vaccine vaccination shot
pregnant pregnancy
exercise workout
diet nutrition
sleep asleep
tired exhausted
happy glad
sad unhappy
angry mad
smart clever intelligent
stupid dumb
beautiful pretty
strange odd weird
simple easy
hard difficult tough
important crucial essential
entire whole complete
finish complete
continue proceed
connect link attach
separate split
turn rotate
array list
string text
loop iterate
folder directory
crash crashed
error errors exception
debug troubleshoot
deploy release
server host
database db
developer programmer
engineer engineering
boss manager supervisor
colleague coworker
meeting appointment
schedule timetable calendar
benefit advantage
drawback disadvantage downside
contract agreement
court tribunal
sue litigate
crime offense offence
police cops
rule regulation law
rent rental
tenant renter
landlord
storm thunderstorm
forecast prediction
sunny clear
rain rainy raining
snow snowy snowing
windy wind
humid humidity
cook prepare
oven stove
fridge refrigerator
soup broth
dish meal
vegetable veggie
ingredient component
clean wash
city town
country nation
river stream
mountain mount peak
sea ocean
speak spoken
language tongue
end finish
answer reply respond response
shorten abbreviate condense
long lengthy
short brief
title headline
paragraph passage
sentence phrase
speed velocity
until till
physician doctor
invoice bill
ship shipping shipment deliver delivery
checkout
colour color
program programme
centre center
license licence
favourite favorite
grey gray
build construct built constructed
movie film
quit resign
hire recruit
fire dismiss
tax taxes
illegal unlawful
legal legally lawful
lawyer attorney
enough sufficient
food foods meal
normal usual typical
temperature temp
nyc newyorkcity
password passcode
login signin
register signup
logout signout
enable activate
disable deactivate
inform notify
exchange swap
recipe recipes
information info
document doc documents
minimum min
maximum max
kg kilogram kilo kilograms
g gram grams
lb pound pounds
km kilometer kilometre
m meter metre
cm centimeter centimetre
mm millimeter millimetre
ml milliliter millilitre
l liter litre
mb megabyte
gb gigabyte
second sec
minute min
hour hr
dollar usd
euro eur
yen jpy
won krw
gbp sterling
website site webpage homepage
fail fails failure
friend buddy
teacher instructor
student pupil
auto automatic automatically
permission authorization
account profile
baby infant
illness disease sickness
medicine medication drug
storage space
celsius c
fahrenheit f
percent percentage
"""

_IRREGULAR: Final[dict[str, str]] = {}
for _line in listed(
    """
bought:buy paid:pay sent:send stolen:steal stole:steal lost:lose broke:break broken:break
forgot:forget forgotten:forget wrote:write written:write built:build came:come coming:come
left:leave found:find kept:keep sold:sell told:tell children:child men:man women:woman feet:foot
teeth:tooth mice:mouse better:good best:good worse:bad worst:bad ran:run won:win taken:take
took:take gave:give given:give said:say saw:see seen:see went:go gone:go began:begin begun:begin
chose:choose chosen:choose drove:drive eaten:eat ate:eat drank:drink drunk:drink spoke:speak
spoken:speak froze:freeze frozen:freeze knew:know known:know made:make met:meet slept:sleep
spent:spend taught:teach thought:think understood:understand whom:who whenever:when
wherever:where cant:cannot
"""
):
    _form, _, _base = _line.partition(":")
    _IRREGULAR[_form] = _base

_PHRASES: Final = [
    (re.compile(pattern), by)
    for pattern, by in (
        (r"\b(?:turn|switch)(?:ed|ing|s)?\b([^.?!]{0,40}?)\bon\b", r"enable \1"),
        (r"\b(?:turn|switch|shut)(?:ed|ing|s)?\b([^.?!]{0,40}?)\boff\b", r"disable \1"),
        (r"\b(?:log|sign)(?:ged|ging|ing|s)?[ -](?:in to|into|in|on)\b", "login"),
        (r"\b(?:log|sign)(?:ged|ging|ing|s)?[ -](?:out|off)\b", "logout"),
        (r"\bsign(?:ing)?[ -]up\b", "register"),
        (r"\bset(?:ting)?[ -]up\b", "create"),
        (r"\bcheck[ -](in|out)\b", r"check\1"),
        (r"\bget(?:ting)? rid of\b", "remove"),
        (r"\b(?:look|search)(?:ing)? for\b", "find"),
        (r"\b(?:work)(?:ing)? (?:from home|remotely)\b", "remote work"),
        (r"\bremote work\b", "remote work"),
        (r"\ba lot of\b", "plenty"),
        (r"\bright now\b|\bat the moment\b", "currently"),
        (r"\b(?:how do you say|how to say)\b", "translate"),
        (r"\bhow much (?:is|are|does|do|will|would|did)\b", "price"),
        (
            r"\b(?:the )?(?:best|easiest|simplest|quickest|right|proper|correct) (?:way|method)\b",
            " ",
        ),
        (r"\b(?:have|has|had|need|needs) to\b", "must"),
        (r"\bdo (?:i|we|you) need\b", "must"),
        (r"\b(?:get|give) my money back\b", "refund"),
        (r"\bwhat time\b|\b(?:on|by|at) (?:what|which) (?:date|day|time)\b|\bby when\b", "when"),
        (r"\bin (?:what|which) year\b", "when"),
        (r"\b(?:tell|give|let|send|help|teach|remind) me\b", "tell"),
        (r"\bwhat makes\b", "why"),
        (r"\be-mail", "email"),
        (r"\b(?:show|hand|bring|pass) (?:me|us)\b", "tell"),
        (r"\b(?:two|2) times\b|\btwice\b", "2"),
        (r"\b(?:least|less) expensive\b|\bcosts? (?:less|least)\b", "cheap"),
        (r"\b(?:for|to|with) (?:me|us)\b", " "),
        (r"\bwhether or not\b", "whether"),
        (r"\bforg(?:e|o)t(?:ten|s|ting)?\b", "not remember"),
        (r"\bunable to\b|\bfail(?:s|ed|ing)? to\b", "not"),
        (r"\b(?:get|gets|getting) (?:here|there)\b", "arrive"),
        (r"\bnew york city\b", "nyc"),
        (r"(?<=\d) ?([ap])\.?m\b\.?", r" \1mtime"),
        (r"\b(?:home|house) loans?\b", "mortgage"),
        (r"\bn[o']t only\b", "also"),
    )
]

_ADJECTIVES: Final = frozenset(
    listed(
        """
cheap fast slow large big small cold warm hot tall high low long short old new young near close
late early easy hard strong light dark deep wide near safe rich few great few hard
"""
    )
)


_APOSTROPHE: Final = re.compile(
    r"\b(ca|wo|do|does|did|is|are|was|were|would|should|could|have|has|had)nt\b"
)


def plain(text: str) -> str:
    """Lower-case text with phrases of several words made one."""
    text = text.replace("\u2019", "'").lower()
    text = _APOSTROPHE.sub(r"\1n't", text)
    text = re.sub(r"\b(?:can't|cannot|can not)\b", "not can", text)
    text = re.sub(r"\bwon't\b", "not", text)
    text = re.sub(r"(\w)n't\b", r"\1 not", text)
    text = re.sub(r"'(?:s|re|ve|ll|d|m)\b", " ", text)
    for pattern, by in _PHRASES:
        text = pattern.sub(by, text)
    return text


@lru_cache(maxsize=4096)
def canonical(word: str) -> str:
    """What stands for a word and all that mean the same."""
    stem = _stem(word)
    return _CLASSES.get(stem, stem)


def _stem(word: str) -> str:
    word = _singular(_positive(_IRREGULAR.get(word, word)))
    if len(word) > 5 and word.endswith("ing"):
        word = _undouble(word[:-3])
    elif len(word) > 4 and word.endswith("ied"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith("ed"):
        word = _undouble(word[:-2])
    if len(word) > 5 and word.endswith("ly"):
        word = word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _positive(word: str) -> str:
    """Cheap for cheaper and cheapest."""
    for ending in ("er", "est"):
        root = word.removesuffix(ending)
        if root == word or len(root) < 2:
            continue
        for base in (root, root + "e", root[:-1], root[:-1] + "y"):
            if base in _ADJECTIVES:
                return base
    return word


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _undouble(stem: str) -> str:
    return stem[:-1] if stem[-1:] == stem[-2:-1] and stem[-1:] not in "lsz" else stem


_CLASSES: Final[dict[str, str]] = {}
for _line in _GROUPS.split("\n"):
    _first = _line.split(" ", 1)[0]
    for _word in _line.split():
        _CLASSES.setdefault(_stem(_word), _CLASSES.get(_stem(_first), _stem(_first)))
