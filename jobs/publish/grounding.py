"""Whether published words resolve: every claim to the published events and the item, every name in the text to a claim.

It is judged from the published tables alone, apart from the checks that a text passed when it was made. A claim resolves where

- each of its events is among the user's `evidence`, and is what its kind says (`EVENTS`)
- the recommended item is what its kind says (`ITEM`)
- the text shows it: as it is told (`told`), or in another spelling that the checks know (`Evidence.spellings`: `comedies`)

A sentence is grounded where every claim that it shows resolves, and every string in quotation marks and every number of two
digits or more in it is a claim's; the number of the user's events may stand in their summary, and a title's year beside it. A
claim that no sentence shows counts against the last: something else may be told in its place (another tag: it is in no quotes).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any

from jobs.generate.checks.evidence import Evidence, fold, fronted
from jobs.generate.templates import LONGEST, SHORTER, shortened
from jobs.prepare.rhythm import SATURDAY, THURSDAY
from jobs.prompts import in_place
from jobs.prose import languages, load_language

Row = Mapping[str, Any]
OfEvent = tuple[Callable[[Row, str], bool], str]  # of an event and a label; what the event is where it does not hold
OfItem = tuple[Callable[[Row, str, Mapping[str, Row]], bool], str]  # of the item, a label and the user's events, likewise

NAME = "\ue000"  # private use: stands for a name that is a claim's
QUOTED = re.compile(r"“[^“”]*(?:”|$)|„[^„“]*(?:“|$)|\"[^\"]*(?:\"|$)")
CLAIMED = re.compile(rf"[“„\"]{NAME}[,.!?;:]?[”“\"]")
NUMBER = re.compile(r"\d{2,}")
END = re.compile(r"(?<=[.!?])\s+|(?<=[.!?][”“\"])\s+")
EVEN = str.maketrans({"‘": "'", "‑": "-", "–": "-", "—": "-"})
DAYS = ("weekends", "weekdays")
TITLES = ("favourite", "disliked", "recent", "event", "recommended")
TAGS = ("likes_tag", "dislikes_tag", "more_lately", "less_lately", "shared_tag", "new_tag")
CREATORS = ("likes_creator", "dislikes_creator", "shared_creator")
RHYTHMS = {
    "daily": ("every day", "each day", "most days"),
    "weekly": ("every week", "each week", "most weeks", "week after week"),
    "in bursts": ("bursts",),
    "at once": ("in one go", "within one day"),
    "weekends": ("weekend",),
    "weekdays": ("weekday", "during the week"),
}  # other words of a sentence about it


@dataclass(frozen=True)
class Text:
    """A published text with what it may resolve to: the user's events by id, the ranking row of an explanation's item."""

    words: str
    source: str
    claims: Sequence[Row]
    events: Mapping[str, Row]
    item: Row | None = None
    n_events: int | None = None  # as a summary may tell it
    checks: Sequence[str] = ()

    @cached_property
    def read(self) -> Reading:
        """Found once: many figures are about it."""
        return read(self)


@dataclass(frozen=True)
class Reading:
    """What became of a text: what is wrong with each sentence and with each claim (nothing: it resolves)."""

    sentences: Sequence[Sequence[str]]
    claims: Sequence[str | None]
    named: frozenset[str]  # labels of the claims that it shows
    plain: str = field(repr=False)  # as it is compared
    masked: str = field(repr=False)  # with `NAME` for each name that is a claim's

    @property
    def grounded(self) -> int:
        """How many sentences are."""
        return sum(not wrong for wrong in self.sentences)

    @property
    def wrong(self) -> list[str]:
        """Everything that does not resolve in a sentence."""
        return list(dict.fromkeys(reason for sentence in self.sentences for reason in sentence))


def read(text: Text) -> Reading:
    """Find the claims in a text, cut it into sentences outside of names and quotes, and judge both."""
    plain = even(text.words.replace(NAME, "\ufffd"))
    known = _known(text.claims)
    masked, shown = mark(plain, [spellings(claim, known) for claim in text.claims])
    seen = {place for places in shown for place in places}
    wrong = [objection(text, claim) for claim in text.claims]
    names, sentences = iter(shown), []
    for sentence in cut(masked):
        told = [place for _ in range(sentence.count(NAME)) for place in next(names)]
        numbers = {str(text.n_events)} | {str(year) for place in told for year in _years(text, text.claims[place])}
        sentences.append([reason for place in told if (reason := wrong[place])] + unclaimed(sentence, numbers))
    unseen = {place: f"{_about(claim)}: not in the text" for place, claim in enumerate(text.claims) if place not in seen}
    claims = [unseen.get(place, why) for place, why in enumerate(wrong)]
    if sentences:
        sentences[-1] += unseen.values()
    named = frozenset(text.claims[place]["claim"] for place in seen)
    return Reading(sentences, claims, named, plain, masked)


def spellings(claim: Row, known: Mapping[str, str]) -> set[str]:
    """How a text may show a claim, folded; `known` are spellings, to names, that the checks let pass."""
    label = in_place(claim["claim"])
    forms = {told(label)} | {even(shortened(each, most)) for each in (label, fronted(label)) for most in (LONGEST, SHORTER)}
    forms |= {even(form) for form, name in known.items() if name == fold(label)}
    match claim["kind"]:
        case "rhythm":
            forms |= {*RHYTHMS.get(label, ()), *own(f"rhythm {label}", label)}
        case "era":
            forms |= {label[2:], *own("era", label)}  # 90s
        case kind if kind in TAGS:
            forms |= {f"{form}{end}" for form in forms for end in ("s", "es")}
            forms |= {f"{form[:-1]}ies" for form in forms if form.endswith("y")}
    return {form for form in forms if form}


@cache
def own(kind: str, label: str) -> frozenset[str]:
    """Our own sentences about a decade or a rhythm, in every language and tone, but for their stop."""
    variants = {text for each in map(load_language, languages()) for said in each.tones.values() for text in said.get(kind, ())}
    year = label.removesuffix("s")
    return frozenset(even(text.replace("{year}", year)).rstrip(".!?") for text in variants if "{nouns}" not in text)


def even(text: str) -> str:
    """A text as it is compared: folded, with one kind of apostrophe, hyphen and "and"."""
    return re.sub(r"(?<=\s)&(?=\s)", "and", fold(text).translate(EVEN))


def told(label: str) -> str:
    """A label as texts tell it, compared: `Matrix, The` as `the matrix`."""
    return even(fronted(in_place(label)))


def mark(plain: str, forms: Sequence[set[str]]) -> tuple[str, list[list[int]]]:
    """`plain` with `NAME` for each name, the longest first; and of each, in order, which of the `forms` it is among."""
    every = sorted({form for each in forms for form in each}, key=lambda form: (-len(form), form))
    if not every:
        return plain, []
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(form)}(?!\w)" for form in every))
    shown = [[place for place, each in enumerate(forms) if name in each] for name in pattern.findall(plain)]
    return pattern.sub(NAME, plain), shown


def cut(masked: str) -> list[str]:
    """The sentences; what stands in quotation marks ends none, unless it is a name with the sentence's own stop."""
    inert = QUOTED.sub(lambda quote: quote[0] if CLAIMED.fullmatch(quote[0]) else re.sub(r"[.!?]", ",", quote[0]), masked)
    return [sentence for sentence in END.split(inert) if sentence.strip()]


def unclaimed(sentence: str, known: Collection[str] = ()) -> list[str]:
    """Quoted strings, and numbers that are not `known`, that are no claim's."""
    quotes = [quote for quote in QUOTED.findall(sentence) if not CLAIMED.fullmatch(quote)]
    numbers = [number for number in NUMBER.findall(QUOTED.sub("", sentence)) if number not in known]
    return [f"no claim: {each.replace(NAME, '…')}" for each in quotes + numbers]


def _years(text: Text, claim: Row) -> list[int]:
    """Of the titles that a claim names."""
    events = [text.events.get(name) for name in claim["evidence"] or () if claim["kind"] in TITLES]
    return [event["year"] for event in events if event and event.get("year")]


def objection(text: Text, claim: Row) -> str | None:
    """Why a claim does not follow from the tables."""
    kind, cited = claim["kind"], claim["evidence"] or []
    if kind not in EVENTS and kind not in ITEM:
        return f"{_about(claim)}: no such kind"
    if kind in EVENTS and not cited:
        return f"{_about(claim)}: no event"
    found = [why for name in cited if (why := _of_event(text, claim, name))] + _of_item(text, claim)
    return f"{_about(claim)}: {found[0]}" if found else None


def _of_event(text: Text, claim: Row, name: str) -> str | None:
    event = text.events.get(name)
    if event is None:
        return f"event {name} is not in evidence"
    rules = EVENTS.get(claim["kind"], ())
    return next((f"event {name} {otherwise}" for holds, otherwise in rules if not holds(event, claim["claim"])), None)


def _of_item(text: Text, claim: Row) -> list[str]:
    if claim["kind"] not in ITEM:
        return []
    holds, otherwise = ITEM[claim["kind"]]
    if text.item is None:
        return ["no item"]
    return [] if holds(text.item, claim["claim"], text.events) else [f"the item {otherwise}"]


def _known(claims: Sequence[Row]) -> Mapping[str, str]:
    """Spelling -> name of all claims; a shorter form that could mean two of them shows neither."""

    def of(kinds: Sequence[str]) -> tuple[str, ...]:
        return tuple(in_place(each["claim"]) for each in claims if each["kind"] in kinds)

    return Evidence(liked=of(TITLES), tags=of(TAGS), creators={"": of(CREATORS)}).spellings


def _about(claim: Row) -> str:
    return f"{claim['kind']} {in_place(claim['claim'])}"


def day_of_week(time: datetime) -> str | None:
    """`weekends` or `weekdays` where it is the same in every time zone, by the rule of `jobs/prepare/rhythm.py`."""
    shifted = time.astimezone(UTC) - timedelta(hours=12)
    if shifted.hour >= 22:
        return None
    return "weekends" if shifted.weekday() == SATURDAY else "weekdays" if shifted.weekday() <= THURSDAY else None


def _decade(year: int | None) -> str | None:
    return f"{year // 10 * 10}s" if year is not None else None


def _has_tag(row: Row, tag: str) -> bool:
    return tag in (row["tags"] or ())


def _is_new(item: Row, tag: str, events: Mapping[str, Row]) -> bool:
    return _has_tag(item, tag) and not any(_has_tag(event, tag) for event in events.values())


TITLE: OfEvent = (lambda event, label: event["title"] == label, "has another title")
TAG: OfEvent = (_has_tag, "lacks the tag")
CREATOR: OfEvent = (lambda event, label: label in (event["creators"] or ()), "is by others")
DECADE: OfEvent = (lambda event, label: _decade(event["year"]) == label, "is of another decade")
DAY: OfEvent = (lambda event, label: label not in DAYS or day_of_week(event["time"]) == label, "is of other days")
NOT_DISLIKED: OfEvent = (lambda event, label: event["liked"] is not False, "was disliked")
NOT_LIKED: OfEvent = (lambda event, label: event["liked"] is not True, "was liked")
EVENTS: Mapping[str, tuple[OfEvent, ...]] = {  # kind: what each of its events must be, and what it is otherwise
    "favourite": (TITLE, NOT_DISLIKED),
    "disliked": (TITLE, NOT_LIKED),
    "recent": (TITLE,),
    "event": (TITLE,),
    "likes_tag": (TAG, NOT_DISLIKED),
    "likes_creator": (CREATOR, NOT_DISLIKED),
    "dislikes_tag": (TAG, NOT_LIKED),
    "dislikes_creator": (CREATOR, NOT_LIKED),
    "more_lately": (TAG,),
    "less_lately": (TAG,),
    "shared_tag": (TAG,),
    "shared_creator": (CREATOR,),
    "era": (DECADE,),
    "rhythm": (DAY,),
}
ITEM: Mapping[str, OfItem] = {  # kind: what the recommended item must be, and what it is otherwise
    "recommended": (lambda item, label, events: item["title"] == label, "has another title"),
    "shared_tag": (lambda item, label, events: _has_tag(item, label), "lacks the tag"),
    "new_tag": (_is_new, "lacks the tag, or an event has it too"),
}
