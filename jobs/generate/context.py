"""One row of the contract `contexts` as the programs see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

Subject = tuple[str, str]  # type and id of what a call is about
SUPPORT = 5  # events that a text may name
SHARED, NEW = 3, 2  # labels of an item that a text may name: of those events too, or new to the user
NEW_AFTER = 5  # events of a user before anything is called new to them


@dataclass(frozen=True)
class Event:
    """Something the user did, with what it was about."""

    event_id: str
    item_id: str
    title: str
    tags: tuple[str, ...]
    creators: tuple[str, ...]
    year: int | None
    text: str | None
    time: datetime
    value: float | None
    type: str | None
    positive: bool
    negative: bool


@dataclass(frozen=True)
class Fact:
    """Something Spark computed about the user, by the rules of `jobs/prepare/facts.py`.

    `share` is of the user's events that it could be about, `lift` that share over everyone's, `weight` the strength within
    its kind, 0 to 1.
    """

    kind: str
    label: str
    n_events: int
    share: float
    lift: float | None
    weight: float
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Contribution:
    """A part of a candidate's retrieval score, and the user's event behind it, if there is one."""

    source: str
    event_id: str | None
    amount: float


@dataclass(frozen=True)
class Candidate:
    """An item worth ranking, with what its score is made of, largest first."""

    item_id: str
    title: str
    tags: tuple[str, ...]
    creators: tuple[str, ...]
    year: int | None
    text: str | None
    retrieval_rank: int
    retrieval_score: float
    source: str
    contributions: tuple[Contribution, ...]

    @cached_property
    def events(self) -> tuple[str, ...]:
        """Ids of the events that brought it, strongest first."""
        return tuple(dict.fromkeys(each.event_id for each in self.contributions if each.event_id))

    @property
    def popularity(self) -> float:
        """What being popular adds to its score."""
        return sum(each.amount for each in self.contributions if each.source == "popularity")

    @property
    def by_content(self) -> bool:
        """Whether it is a new item that content brought."""
        return any(each.source == "content" for each in self.contributions)


@dataclass(frozen=True)
class Common:
    """A tag or creator (`of`) of both the history and candidates; `lift` is of the user's liked events over everyone's."""

    of: str
    label: str
    lift: float | None


@dataclass(frozen=True)
class Claim:
    """What a summary before told."""

    kind: str
    claim: str


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
    common: tuple[Common, ...]
    unseen: tuple[str, ...]
    known: tuple[Generation, ...]
    told: tuple[Claim, ...] | None = None
    content_hash: str | None = None

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Context:
        """A context from a Parquet row."""
        return _build(cls, row)

    @property
    def about(self) -> Subject:
        """What the calls of the user's program are about."""
        return "user", self.user_id

    @cached_property
    def events(self) -> dict[str, Event]:
        """The history by event id."""
        return {event.event_id: event for event in self.history}

    @cached_property
    def opinionated(self) -> bool:
        """Whether anything tells what they like from what they merely chose (as `jobs/prepare/facts.py` asks of favourites)."""
        return any(event.value is not None or not event.positive for event in self.history)

    def support(self, item: Candidate) -> list[str]:
        """Ids of the events behind a candidate that a text may name: the strongest, none disliked."""
        return [name for name in item.events if not self.events[name].negative][:SUPPORT]

    def shared(self, item: Candidate) -> list[Common]:
        """What a candidate has in common with the events behind it, from the highest lift; at most three."""
        behind = [self.events[name] for name in self.support(item)]
        tags = {tag for event in behind for tag in event.tags} & set(item.tags)
        creators = {creator for event in behind for creator in event.creators} & set(item.creators)
        found = [each for each in self.common if each.label in (tags if each.of == "tag" else creators)]
        return sorted(found, key=lambda each: (-(each.lift or 0), each.of, each.label))[:SHARED]

    def new(self, item: Candidate) -> list[str]:
        """Tags of a candidate that the user has had no event of, in the item's order; at most two, none for a new user."""
        had = {tag.lower() for event in self.history for tag in event.tags}
        new = [tag for tag in item.tags if tag in self.unseen and tag.lower() not in had]
        return new[:NEW] if self.n_events >= NEW_AFTER else []


PARTS = {
    "history": Event,
    "facts": Fact,
    "candidates": Candidate,
    "contributions": Contribution,
    "common": Common,
    "known": Generation,
    "told": Claim,
}


def _build(kind: type[Any], part: dict[str, Any]) -> Any:
    def value(name: str, found: Any) -> Any:
        if not isinstance(found, list):
            return found
        return tuple(_build(PARTS[name], each) for each in found) if name in PARTS else tuple(found)

    return kind(**{name: value(name, found) for name, found in part.items()})
