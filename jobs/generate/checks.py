"""Mechanical checks of words against the facts they were made from. What does not pass is replaced by a template.

Each check returns the reason it objects, or nothing. Names, quotes and numbers count as claims: each must be in the
evidence that the prompt gave.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MARKUP = re.compile(r"[<>{}\[\]`|\\]|https?:|www\.|\*\*|__")
QUOTED = re.compile(r"[\"“]([^\"“”]+)[\"”]")
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
REJECTION = re.compile(
    r"\b(dislike[sd]?|avoids?|away from|not|never|less|hates?|except|rather than|stays? clear)\b", re.I
)
HAD = re.compile(r"\b(history|seen|know|known|had|liked|loved|enjoyed|like)\b", re.I)
# Words that claim nothing by themselves. Any other word must come from the evidence: "a story of two brothers" is a claim.
NEUTRAL = frozenset(
    """
    a an the and or but of in on to for with by from at as into than then so too also just both all any each another other
    others such same more most much many some few one two first last next new again often always especially
    i you your yours this that these those it its they them their theirs he she his her who which what whose
    is are was were be been being has have had having do does did can could may might will would should
    if since because when where while like likes liked liking love loves loved enjoy enjoys enjoyed enjoying
    prefer prefers favour favours appreciate appreciates fan fond drawn interest interested interests taste tastes
    favourite favourites favorite favorites among stand stands out up seen know knows known
    person user someone people history list title titles item items choice choices pick picks option options
    kind kinds type types mix mixes mixed blend blends combine combines combination share shares shared common
    worth time try trying see seeing good great similar fit fits match matches alongside together along next
    well dislike dislikes disliked avoid avoids avoiding away not never less tend tends steer steers clear stay stays
    """.split()
)


@dataclass(frozen=True)
class Evidence:
    """What a text may claim: `liked` and `disliked` names, and further `others` it may mention; it must name `needed`."""

    liked: tuple[str, ...] = ()
    disliked: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    needed: tuple[tuple[str, ...], ...] = ()  # of each group at least one
    new: str | None = None  # what is recommended: never told as something the user already has

    @property
    def names(self) -> tuple[str, ...]:
        return self.liked + self.disliked + self.others


def objections(text: str, finish_reason: str | None, evidence: Evidence) -> list[str]:
    """Every reason not to publish `text`; empty where it may stand."""
    found = [] if finish_reason == "stop" else [f"unfinished: {finish_reason}"]
    return found + [reason for check in CHECKS if (reason := check(text, evidence))]


def _markup(text: str, evidence: Evidence) -> str | None:
    bare = _without_names(text, evidence)
    return f"markup: {match.group()}" if (match := MARKUP.search(bare)) else None


def _sentence(text: str, evidence: Evidence) -> str | None:
    return None if re.search(r"[.!?][\"”]?$", text) else "sentence: does not end"


def _quotes(text: str, evidence: Evidence) -> str | None:
    """Every quoted string is a name we gave."""
    bare = _without_names(text, evidence)
    unknown = [quote for quote in QUOTED.findall(bare) if WORD.search(quote)]
    return f"quotes: {unknown[0]}" if unknown else None


def _names(text: str, evidence: Evidence) -> str | None:
    """Every capitalized word that does not begin a sentence is part of a name we gave."""
    known = {word.lower() for name in evidence.names for word in WORD.findall(name)} | NEUTRAL
    for sentence in re.split(r"(?<=[.!?])\s+", _without_names(text, evidence)):
        for word in WORD.findall(sentence)[1:]:
            if word[0].isupper() and word.lower() not in known:
                return f"names: {word}"
    return None


def _words(text: str, evidence: Evidence) -> str | None:
    """Every word is neutral or part of a name we gave, in singular or plural."""
    known = NEUTRAL | {_stem(word) for name in evidence.names for word in WORD.findall(name.lower())}
    for word in WORD.findall(_without_names(text, evidence).lower()):
        if word not in known and _stem(word) not in known:
            return f"words: {word}"
    return None


def _stem(word: str) -> str:
    return re.sub(r"(?:['’]s|s['’]?)$", "", word) if len(word) > 3 else word


def _numbers(text: str, evidence: Evidence) -> str | None:
    unknown = re.findall(r"\d+", _without_names(text, evidence))
    return f"numbers: {unknown[0]}" if unknown else None


def _needed(text: str, evidence: Evidence) -> str | None:
    lowered = text.lower()
    for group in evidence.needed:
        if not any(name.lower() in lowered for name in group):
            return f"needed: none of {', '.join(group)[:80]}"
    return None


def _polarity(text: str, evidence: Evidence) -> str | None:
    """Disliked names stand behind a word of rejection, liked ones do not."""
    match = REJECTION.search(text)
    border = match.start() if match else len(text)
    told_liked, told_disliked = text[:border].lower(), text[border:].lower()
    for name in evidence.disliked:
        if _mentions(told_liked, name):
            return f"polarity: {name} told as liked"
    for name in evidence.liked:
        if _mentions(told_disliked, name):
            return f"polarity: {name} told as disliked"
    return None


def _seen(text: str, evidence: Evidence) -> str | None:
    """The recommended name stands in no clause about what the user already has, and what they have is not offered."""
    if evidence.new is None:
        return None
    marks = {name: f"\ue000{place}\ue001" for place, name in enumerate(evidence.names)}
    for name in sorted(marks, key=len, reverse=True):
        text = re.sub(re.escape(name), marks[name], text, flags=re.IGNORECASE)
    own = marks[evidence.new]
    told = [clause for clause in re.split(r"[,;:.]", text) if own in clause]
    return "seen: told as already in the history" if any(HAD.search(clause) for clause in told) else None


def _repetition(text: str, evidence: Evidence) -> str | None:
    words = [word.lower() for word in WORD.findall(text)]
    runs = [tuple(words[place : place + 4]) for place in range(len(words) - 3)]
    names = [name.lower() for name in evidence.names]
    again = [run for run in runs if runs.count(run) > 1]
    mentions = [name for name in names if len(name) > 3 and text.lower().count(f'"{name}"') > 1]
    return f"repetition: {' '.join(again[0])}" if again else f"repetition: {mentions[0]}" if mentions else None


CHECKS: tuple[Callable[[str, Evidence], str | None], ...] = (
    _markup,
    _sentence,
    _quotes,
    _names,
    _words,
    _numbers,
    _needed,
    _polarity,
    _seen,
    _repetition,
)


def _without_names(text: str, evidence: Evidence) -> str:
    """`text` with every name we gave taken out, longest first."""
    for name in sorted(evidence.names, key=len, reverse=True):
        text = re.sub(re.escape(name), " ", text, flags=re.IGNORECASE)
    return text


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", text) is not None
