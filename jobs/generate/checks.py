"""Mechanical checks of words against the facts they were made from. What does not pass is replaced by a template.

Each check returns the reason it objects, or nothing. Names, quotes and numbers count as claims: each must be in the
evidence that the prompt gave.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

MARKUP = re.compile(r"[<>{}\[\]`|\\]|https?:|www\.|\*\*|__")
QUOTED = re.compile(r"[\"“]([^\"“”]+)[\"”]")
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
MARK = re.compile("\ue000\\d+\ue001")  # private use characters: stands for a name we gave
REJECTION = re.compile(r"\b(dislike[sd]?|avoid(?:s|ing)?|away|clear|not|never|less|hates?|except|rather than)\b", re.I)
HAD = re.compile(r"\b(history|seen|knows?|known|had|like[sd]?|love[sd]|enjoy(?:s|ed)|prefers?|favou?rites?)\b", re.I)
OFFER = re.compile(r"\b(fits?|next|try|worth)\b", re.I)
# Words that claim nothing by themselves. Any other word must come from the evidence: "a story of two brothers" is a claim.
NEUTRAL_WORDS = """
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
    best chose choose chosen given enough very particular natural step look suit suits count counts
    well dislike dislikes disliked avoid avoids avoiding away not never less tend tends steer steers clear stay stays
"""
NEUTRAL = frozenset(NEUTRAL_WORDS.split())


@dataclass(frozen=True)
class Evidence:
    """What a text may claim: `liked` and `disliked` names, and further `others` it may mention; it must name `needed`."""

    liked: tuple[str, ...] = ()
    disliked: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    needed: tuple[tuple[str, ...], ...] = ()  # of each group at least one
    new: str | None = None  # what is recommended: never told as something the user already has

    @cached_property
    def names(self) -> dict[str, str]:
        """Every name by its folded form, longest first; names that differ only in case or spaces are one."""
        folded = {fold(name): name for name in self.liked + self.disliked + self.others if fold(name)}
        return dict(sorted(folded.items(), key=lambda item: (-len(item[0]), item[0])))

    def mark(self, text: str) -> str:
        """`text` with each name that stands in it as a whole replaced by its number between marks, the longest that fits."""
        if not self.names:
            return text
        pattern = "|".join(f"({_pattern(name)})" for name in self.names.values())
        return re.sub(pattern, lambda match: f"\ue000{(match.lastindex or 1) - 1}\ue001", text, flags=re.IGNORECASE)

    def numbers(self, names: Iterable[str]) -> set[int]:
        """What stands for these names in a marked text."""
        folded = {fold(name) for name in names}
        return {number for number, name in enumerate(self.names) if name in folded}


def fold(name: str) -> str:
    """A name as it is compared: in small letters, one space between words."""
    return " ".join(name.lower().split())


def _pattern(name: str) -> str:
    """A whole name, its plural too outside quotes; one of neutral words only ("Big", "Her") is meant where it is quoted."""
    words = r"\s+".join(map(re.escape, name.split()))
    if all(word in NEUTRAL for word in WORD.findall(name.lower())):
        return rf"(?<=[\"“]){words}(?=[\"”])"
    plural = rf"|{words[:-1]}ies" if name.endswith("y") else rf"|{words}e?s"
    return rf"(?<!\w)(?:{words}(?!\w){plural}(?![\w\"”]))"


def objections(text: str, finish_reason: str | None, evidence: Evidence) -> list[str]:
    """Every reason not to publish `text`; empty where it may stand."""
    found = [] if finish_reason == "stop" else [f"unfinished: {finish_reason}"]
    marked = evidence.mark(re.sub("[\ue000\ue001]", "�", text))
    return found + [reason for check in CHECKS if (reason := check(marked, evidence))]


# Each check reads a text whose known names are marks. `_bare` takes them out where only the rest counts.


def _bare(marked: str) -> str:
    return MARK.sub(" ", marked)


def _spelled(marked: str, evidence: Evidence) -> str:
    names = list(evidence.names)
    return MARK.sub(lambda match: names[int(match.group()[1:-1])], marked)


def _marks(marked: str) -> set[int]:
    return {int(mark[1:-1]) for mark in MARK.findall(marked)}


def _markup(marked: str, evidence: Evidence) -> str | None:
    return f"markup: {match.group()}" if (match := MARKUP.search(_bare(marked))) else None


def _sentence(marked: str, evidence: Evidence) -> str | None:
    return None if re.search(r"[.!?][\"”]?$", _spelled(marked, evidence)) else "sentence: does not end"


def _quotes(marked: str, evidence: Evidence) -> str | None:
    """Every quoted string is a name we gave."""
    unknown = [quote for quote in QUOTED.findall(_bare(marked)) if WORD.search(quote)]
    return f"quotes: {unknown[0]}" if unknown else None


def _names(marked: str, evidence: Evidence) -> str | None:
    """Every capitalized word that does not begin a sentence is part of a name we gave."""
    known = {word for name in evidence.names for word in WORD.findall(name)} | NEUTRAL
    for sentence in re.split(r"(?<=[.!?])\s+", _bare(marked)):
        for word in WORD.findall(sentence)[1:]:
            if word[0].isupper() and word.lower() not in known:
                return f"names: {word}"
    return None


def _words(marked: str, evidence: Evidence) -> str | None:
    """Every word is neutral or part of a name we gave, in singular or plural."""
    known = NEUTRAL | {_stem(word) for name in evidence.names for word in WORD.findall(name)}
    for word in WORD.findall(_bare(marked).lower()):
        if word not in known and _stem(word) not in known:
            return f"words: {word}"
    return None


def _stem(word: str) -> str:
    return re.sub(r"(?:['’]s|s['’]?)$", "", re.sub(r"ies$", "y", word)) if len(word) > 3 else word


def _numbers(marked: str, evidence: Evidence) -> str | None:
    unknown = re.findall(r"\d+", _bare(marked))
    return f"numbers: {unknown[0]}" if unknown else None


def _needed(marked: str, evidence: Evidence) -> str | None:
    for group in evidence.needed:
        if not _marks(marked) & evidence.numbers(group):
            return f"needed: none of {', '.join(group)[:80]}"
    return None


def _polarity(marked: str, evidence: Evidence) -> str | None:
    """Disliked names stand behind a word of rejection, liked ones do not."""
    match = REJECTION.search(marked)
    border = match.start() if match else len(marked)
    for name in evidence.disliked:
        if _marks(marked[:border]) & evidence.numbers([name]):
            return f"polarity: {name} told as liked"
    for name in evidence.liked:
        if _marks(marked[border:]) & evidence.numbers([name]):
            return f"polarity: {name} told as disliked"
    return None


def _seen(marked: str, evidence: Evidence) -> str | None:
    """The recommended name stands in no clause about what the user already has, and what they have is not offered."""
    if evidence.new is None:
        return None
    new = evidence.numbers([evidence.new])
    had = evidence.numbers(chain.from_iterable(evidence.needed)) - new
    for clause in re.split(r"[,;:.]", marked):
        if new & _marks(clause) and HAD.search(clause):
            return "seen: told as already in the history"
        if had & _marks(clause) and not new & _marks(clause) and OFFER.search(clause):
            return "seen: offered though in the history"
    return None


def _repetition(marked: str, evidence: Evidence) -> str | None:
    """No four words in a row come twice, a name counting as one; no name is quoted twice."""
    words = re.findall(f"{MARK.pattern}|{WORD.pattern}", marked.lower())
    runs = [tuple(words[place : place + 4]) for place in range(len(words) - 3)]
    quoted = re.findall(f'["“]({MARK.pattern})["”]', marked)
    again = [" ".join(run) for run in runs if runs.count(run) > 1] + [name for name in quoted if quoted.count(name) > 1]
    return f"repetition: {_spelled(again[0], evidence)}" if again else None


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
