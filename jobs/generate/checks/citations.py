"""The numbers a model cites are those of the facts that its text tells."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from jobs.generate.checks.evidence import Evidence, fold
from jobs.generate.checks.reading import read
from jobs.generate.told import Told
from jobs.prompts import in_place


def cited(text: str, numbers: Collection[int], facts: Sequence[Told], evidence: Evidence) -> list[Told]:
    """The facts that are cited, by their number from 1, and named in the text."""
    names = {token.name for token in read(text, evidence)}
    return [fact for number, fact in enumerate(facts, 1) if number in numbers and _name(fact) in names]


def miscited(text: str, numbers: Collection[int], facts: Sequence[Told], evidence: Evidence) -> list[str]:
    """What is cited and is no fact, and what is named of which no fact is cited."""
    told = {_name(fact) for number, fact in enumerate(facts, 1) if number in numbers}
    unknown = [f"cited: there is no fact {number}" for number in numbers if not 1 <= number <= len(facts)]
    names = {token.name: token.text for token in read(text, evidence)}
    of = {_name(fact): number for number, fact in enumerate(facts, 1)}
    return unknown + [f"cited: {names[name]} is of fact {of[name]}" for name in of if name in names and name not in told]


def _name(fact: Told) -> str:
    return fold(in_place(fact.label))
