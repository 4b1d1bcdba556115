"""The numbers that a model cites are those of the facts that its text tells."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from jobs.generate.checks.evidence import fold
from jobs.generate.checks.reading import Token
from jobs.generate.checks.times import tags_lately, told_rhythms
from jobs.generate.told import Told
from jobs.prompts import in_place

NAMES = ("title", "tag", "creator", "era")
TIMED = ("rhythm", "more_lately", "less_lately")


def cited(tokens: list[Token], numbers: Collection[int], facts: Sequence[Told]) -> list[Told]:
    """The facts that are cited, by their number from 1, and told in the text of these tokens."""
    return [fact for number, fact in enumerate(facts, 1) if number in numbers and _is_told(fact, tokens)]


def miscited(tokens: list[Token], numbers: Collection[int], facts: Sequence[Told]) -> list[str]:
    """What is cited and is no fact, and what is told of which no fact is cited."""
    numbered = list(enumerate(facts, 1))
    known = {_name(fact) for number, fact in numbered if number in numbers}
    of = {_name(fact): number for number, fact in reversed(numbered)}
    named = {token.name: token.text for token in tokens if token.kind in NAMES and token.name not in known}
    timed = {fact.label: number for number, fact in numbered if fact.kind in TIMED and number not in numbers}
    told = {fact.label for fact in facts if fact.kind in TIMED and _is_told(fact, tokens) and _name(fact) not in named}
    found = [f"there is no fact {number}" for number in numbers if not 1 <= number <= len(facts)]
    found += [f"{name} is of {f'fact {of[folded]}' if folded in of else 'none'}" for folded, name in named.items()]
    found += [f"{label} is of fact {number}" for label, number in timed.items() if label in told]
    return [f"cited: {each}" for each in found]


def _is_told(fact: Told, tokens: list[Token]) -> bool:
    if fact.kind == "rhythm":
        return fact.label in told_rhythms(tokens)
    return _name(fact) in (tags_lately(tokens) if fact.kind in TIMED else {token.name for token in tokens})


def _name(fact: Told) -> str:
    return fold(in_place(fact.label))
