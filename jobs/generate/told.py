"""What a text about a user may tell: some of the facts, in the order in which prompts number them, each with its events.

Kinds in a summary are those of `jobs/prepare/facts.py`. In an explanation they are `event` (a title behind the item),
`recommended` (the item's title), `shared_tag` and `shared_creator` (which the item has in common with all of these titles) and
`new_tag` (which the user has had no event of). A text's `claims` are the facts that it tells.

A summary that rolls (`words.rolling`) tells again what the last one told, where that is a fact still; what is not gives way to
the strongest of the others. So one more event seldom changes a word, and where it does not nothing is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.generate.checks.evidence import fold, fronted
from jobs.generate.context import Candidate, Context, Event
from jobs.prompts import in_place

LIKES = {"likes_tag": 3, "likes_creator": 2}  # how many a summary tells of the first of these kinds of which there are any
DISLIKES = {"dislikes_tag": 2, "dislikes_creator": 1, "disliked": 1}  # likewise
TITLES = {"favourite": 2, "recent": 2}  # likewise
ASIDES = ("more_lately", "less_lately", "likes_creator", "era", "rhythm")  # the first of which another is left is told as well
ERA = 0.2  # share of the user's events from which a decade is told
NAMED, SHARED_TAGS = 2, 2  # in an explanation: titles of the history, tags in common


@dataclass(frozen=True)
class Told:
    """A fact as a text may tell it; `evidence` are ids of the user's events, none of what is recommended and of a new tag."""

    kind: str
    label: str
    evidence: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The label as a text says it: `The Matrix`, and tags in small letters but for `IMAX`."""
        label = fronted(in_place(self.label))
        return label.lower() if self.kind.endswith(("_tag", "_lately")) and not label.isupper() else label

    def row(self) -> dict[str, Any]:
        """An entry of `claims`."""
        return {"kind": self.kind, "claim": self.label, "evidence": list(self.evidence)}


def of_summary(user: Context) -> list[Told]:
    """The user's strongest facts; the latest events where no favourite stands out."""
    newest = user.history[-1]
    titles = _first(user, TITLES) or [Told("recent", newest.title, (newest.event_id,))]
    liked = _first(user, LIKES) + titles
    kinds = {each.kind for each in liked}
    before = [each.kind for each in user.told or ()]
    asides = [fact for kind in ASIDES if kind not in kinds for fact in _facts(user, kind)]
    asides.sort(key=lambda fact: fact.kind not in before)
    both = {_spelled(each.label) for each in liked}
    disliked = [each for each in _first(user, DISLIKES) if _spelled(each.label) not in both]
    return liked + disliked + asides[:1]


def of_explanation(user: Context, item: Candidate) -> list[Told]:
    """The events behind an item, what it shares with all of them, and what of it is new."""
    events = named(user, item)
    titles = {event.title: tuple(each.event_id for each in events if each.title == event.title) for event in events}
    behind = tuple(event.event_id for event in events)
    shared = [each for each in user.shared(item) if _all_have(events, each.of, each.label)] if events else []
    tags = [Told("shared_tag", each.label, behind) for each in shared if each.of == "tag"][:SHARED_TAGS]
    creators = [Told("shared_creator", each.label, behind) for each in shared if each.of == "creator"]
    asides = creators + [Told("new_tag", tag) for tag in user.new(item)] if events else []
    told = [Told("event", title, ids) for title, ids in titles.items()]
    return [*told, Told("recommended", item.title), *tags, *asides[:1]]


def named(user: Context, item: Candidate) -> list[Event]:
    """The events behind an item that a text names: of its strongest, those of `NAMED` titles."""
    support = [user.events[name] for name in user.support(item)]
    support = [event for event in support if _spelled(event.title) != _spelled(item.title)]  # a remake explains nothing
    titles = list(dict.fromkeys(event.title for event in support))[:NAMED]
    return [event for event in support if event.title in titles]


def labels(told: Sequence[Told], *kinds: str) -> list[str]:
    """What the facts of some kinds are about."""
    return [each.label for each in told if each.kind in kinds]


def _first(user: Context, kinds: dict[str, int]) -> list[Told]:
    return next((found[:most] for kind, most in kinds.items() if (found := _facts(user, kind))), [])


def _facts(user: Context, kind: str) -> list[Told]:
    """All of a kind, those told before and then the strongest first; of labels that a text spells alike the first."""
    found: dict[str, Told] = {}
    for fact in user.facts:
        if fact.kind == kind and (kind != "era" or fact.share >= ERA):
            found.setdefault(_spelled(fact.label), Told(kind, fact.label, fact.evidence))
    before = [each.claim for each in user.told or () if each.kind == kind != "recent"]
    kept = [fact for claim in before for fact in found.values() if fact.label == claim]
    return kept + [fact for fact in found.values() if fact not in kept]


def _spelled(label: str) -> str:
    """As a text spells it: two labels that are the same there are told as one."""
    return fold(fronted(in_place(label)))


def _all_have(events: Sequence[Event], of: str, label: str) -> bool:
    return all(label in (event.tags if of == "tag" else event.creators) for event in events)
