"""Phrasings of the shape of facts, written by the model once and filled in for every user whose facts have that shape.

The facts of thousands of users differ in names only. With a placeholder for each name ({A} and {B} titles the user had, {X} the
recommended one, {T} tags in common, {L} and {D} what is liked and disliked) few shapes are left: a `Pattern` each. The model
is asked for some phrasings of each (`phrasing`); a night fills in names, so that its cost does not grow with its users and no
name can be invented.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from jobs.generate.checks import Evidence, objections
from jobs.generate.context import Subject
from jobs.generate.slots import misplaced
from jobs.profile import Words

PLACEHOLDER = re.compile(r"\{([A-Z])\}")
STAND_INS = {"A": "“Casablanca”", "B": "“Vertigo”", "X": "“Notorious”", "T": "romance"} | {
    "L": "comedy and romance films",
    "D": "war films",
}


@dataclass(frozen=True)
class Pattern:
    """The shape of the facts of one text, `summary` or `explanation`: `slots` are its placeholders, by the alphabet; `liked`
    says of an explanation that the user liked all titles named."""

    kind: str
    slots: str
    liked: bool = False

    @classmethod
    def of(cls, kind: str, names: Mapping[str, str], liked: bool = False) -> Pattern:
        """The pattern of facts with these names, an empty one being none."""
        return cls(kind, "".join(sorted(slot for slot, name in names.items() if name)), liked)

    @property
    def about(self) -> Subject:
        """What the calls about it are about."""
        return "pattern", f"{self.kind} {self.slots}{' liked' if self.liked else ''}"

    @property
    def titles(self) -> str:
        """Those the user had, as a text says them."""
        return " and ".join(f"{{{slot}}}" for slot in self.slots if slot in "AB")

    def variables(self) -> dict[str, Any]:
        """What the prompt shows of it."""
        named = {"tags": "T", "likes": "L", "dislikes": "D"}
        shown = {name: f"{{{slot}}}" if slot in self.slots else "" for name, slot in named.items()}
        history = "Liked by the reader" if self.liked else "In the reader's history"
        return {"titles": self.titles, "several": "B" in self.slots, "liked": self.liked, "history": history} | shown

    def evidence(self) -> Evidence:
        """What a text with `STAND_INS` may say."""
        had = tuple(STAND_INS[slot].strip("“”") for slot in self.slots if slot in "AB")
        words = {slot: STAND_INS[slot].removesuffix(" films").split(" and ") for slot in self.slots}
        tags, likes, dislikes = (tuple(words.get(slot, ())) for slot in "TLD")
        if self.kind == "summary":
            return Evidence(liked=(*likes, *had), disliked=dislikes, needed=(had,), tags=(*likes, *dislikes), noun="film")
        new = STAND_INS["X"].strip("“”")
        names, traits = (new, *had), dict.fromkeys((new, *had), tags)
        liked = had if self.liked else ()
        return Evidence(liked=liked, others=names, needed=((new,), had), new=new, tags=tags, common=tags, traits=traits)

    def plain(self) -> str:
        """Our own sentence of it: what phrasings are compared with."""
        if self.kind == "summary":
            likes = f"enjoys {{L}}, with {self.titles}" if "L" in self.slots else f"counts {self.titles}"
            return f"This person {likes} among their favourites{', and tends to avoid {D}' if 'D' in self.slots else ''}."
        verb, shared = "are" if "B" in self.slots else "is", ": they share {T}" if "T" in self.slots else ""
        return f"Because {self.titles} {verb} in your history, {{X}} is worth a look{shared}."


@dataclass(frozen=True)
class Phrasing:
    """A sentence with placeholders; it is used where nothing objects to it."""

    text: str
    generation_id: str | None  # None: written by hand
    objections: tuple[str, ...] = ()


@dataclass(frozen=True)
class Phrasebook:
    """All phrasings by pattern; `unanswered` are the patterns of which a call was left without an answer."""

    phrasings: Mapping[Pattern, Sequence[Phrasing]] = field(default_factory=dict)
    unanswered: frozenset[Pattern] = frozenset()

    def pick(self, pattern: Pattern, key: str) -> Phrasing | None:
        """One that is used, the same for the same key; None where there is none. What may be told of any history may be told of
        titles that were liked."""
        own = self.phrasings.get(pattern, ())
        refused = {each.text for each in own if each.objections}
        others = self.phrasings.get(replace(pattern, liked=False), ())
        found = [*own, *(each for each in others if each.text not in refused)]
        good = list({each.text: each for each in found if not each.objections}.values())
        return good[hashlib.sha256(key.encode()).digest()[0] % len(good)] if good else None

    def rows(self) -> list[dict[str, Any]]:
        """Rows of the contract `phrasings` but for the run."""
        return [
            {"pattern": pattern.about[1], "text": each.text, "use": not each.objections}
            | {"checks": list(each.objections), "generation_id": each.generation_id}
            for pattern, phrasings in self.phrasings.items()
            for each in phrasings
        ]

    def describe(self) -> str:
        """The progress line."""
        all_of_them = [each for found in self.phrasings.values() for each in found]
        used = sum(not each.objections for each in all_of_them)
        return f"{used} of {len(all_of_them)} phrasings of {len(self.phrasings)} patterns are used" if self.phrasings else ""


def every_pattern() -> Iterator[Pattern]:
    """All that there are."""
    for had, dislikes, likes in product(("A", "AB"), ("", "D"), ("", "L")):
        yield Pattern("summary", had + dislikes + likes)
    for had, tags, liked in product(("A", "AB"), ("", "T"), (False, True)):
        yield Pattern("explanation", had + tags + "X", liked)


def patterns(words: Words) -> list[Pattern]:
    """Those that texts of a night may have."""
    ways = {"summary": words.summary, "explanation": words.explanation}
    return [pattern for pattern in every_pattern() if ways[pattern.kind] == "phrasebook"]


def faults(pattern: Pattern, text: str, finish_reason: str | None = "stop") -> list[str]:
    """What speaks against a phrasing, as far as no model is needed to see it."""
    against = misplaced(text) if slots_of(text) == pattern.slots else None
    return [against] if against else unusable(pattern, text, finish_reason)


def unusable(pattern: Pattern, text: str, finish_reason: str | None = "stop") -> list[str]:
    """Why no text could be made of a phrasing that passes the checks."""
    if (slots := slots_of(text)) != pattern.slots:
        return [f"slots: {slots or 'none'} in place of {pattern.slots}"]
    return objections(fill(text, STAND_INS), finish_reason, pattern.evidence())


def slots_of(text: str) -> str:
    """Its placeholders, by the alphabet."""
    return "".join(sorted(PLACEHOLDER.findall(text)))


def fill(text: str, names: Mapping[str, str]) -> str:
    """A phrasing with its names."""
    return PLACEHOLDER.sub(lambda match: names[match.group(1)], text)
