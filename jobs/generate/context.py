"""One row of the contract `contexts` as the programs see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something the user did, with what it was about."""

    event_id: str
    item_id: str
    title: str
    tags: tuple[str, ...]
    year: int | None
    text: str | None
    time: datetime
    value: float | None
    type: str | None
    positive: bool
    negative: bool


@dataclass(frozen=True)
class Fact:
    """Something Spark computed about the user; `weight` is its strength within its kind, 0 to 1."""

    kind: str
    label: str
    n_events: int
    weight: float
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """An item worth ranking, with the ids of the events that brought it."""

    item_id: str
    title: str
    tags: tuple[str, ...]
    year: int | None
    text: str | None
    retrieval_rank: int
    retrieval_score: float
    source: str
    support: tuple[str, ...]


@dataclass(frozen=True)
class Generation:
    """A call and its answer: a row of `generations` without run_id and run_date."""

    generation_id: str
    kind: str
    subject: str
    subject_type: str
    prompt_name: str
    prompt_version: int
    model: str
    status: str
    finish_reason: str | None
    output: str | None
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Context:
    """All that a worker may know about one user."""

    user_id: str
    context_hash: str
    cold: bool
    n_events: int
    experiment_group: str
    history: tuple[Event, ...]
    facts: tuple[Fact, ...]
    candidates: tuple[Candidate, ...]
    known: tuple[Generation, ...]

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Context:
        """A context from a Parquet row."""
        parts = {"history": Event, "facts": Fact, "candidates": Candidate, "known": Generation}
        nested = {name: tuple(_build(kind, part) for part in row[name]) for name, kind in parts.items()}
        return cls(**(row | nested))

    @cached_property
    def events(self) -> dict[str, Event]:
        """The history by event id."""
        return {event.event_id: event for event in self.history}

    def labels(self, kind: str, most: int) -> list[str]:
        """Labels of the strongest facts of one kind."""
        return [fact.label for fact in self.facts if fact.kind == kind][:most]


def _build(kind: type[Any], part: dict[str, Any]) -> Any:
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in part.items()})
