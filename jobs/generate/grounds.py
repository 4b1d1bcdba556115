"""What a night knows of a user and may therefore be told: the evidence of a summary and of an explanation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from jobs.generate.checks import Evidence
from jobs.generate.context import Candidate, Context, Event
from jobs.prompts import in_place


def of_summary(user: Context, noun: str) -> Evidence:
    """Tags and titles the user likes and dislikes, by the facts; a text about them names one that they like."""
    likes, favourites = _labels(user, "likes_tag"), _labels(user, "favourite")
    dislikes, disliked = _labels(user, "dislikes_tag"), _labels(user, "disliked")
    return Evidence(
        liked=(*likes, *favourites),
        disliked=(*dislikes, *disliked),
        needed=((*likes, *favourites),),
        tags=(*likes, *dislikes),
        counts={in_place(fact.label): fact.n_events for fact in user.facts if fact.kind == "likes_tag"},
        events=user.n_events,
        noun=noun,
        user=user.user_id,
        **_about(event for event in user.history if in_place(event.title) in {*favourites, *disliked}),
    )


def of_explanation(user: Context, item: Candidate, named: Sequence[Event], noun: str) -> Evidence:
    """The recommended item and the events behind it; a text about them names it and one of them."""
    had = tuple(dict.fromkeys(in_place(event.title) for event in named))
    behind = {tag for event in named for tag in event.tags}
    not_liked = {event.title for event in user.history if event.negative} | {each.title for each in named if not each.positive}
    return Evidence(
        liked=tuple(in_place(event.title) for event in named if event.title not in not_liked),
        others=(in_place(item.title), *had),
        needed=((in_place(item.title),), had),
        new=in_place(item.title),
        tags=tuple(map(in_place, (*item.tags, *sorted(behind - {*item.tags})))),
        common=tuple(in_place(tag) for tag in item.tags if named and all(tag in event.tags for event in named)),
        noun=noun,
        user=user.user_id,
        **_about((*named, item)),
    )


def _labels(user: Context, kind: str) -> tuple[str, ...]:
    return tuple(in_place(fact.label) for fact in user.facts if fact.kind == kind)


def _about(items: Iterable[Event | Candidate]) -> dict[str, Any]:
    """Tags, years and creators by title; of titles that two items have, the year only where it is the same."""
    traits: dict[str, tuple[str, ...]] = {}
    years: dict[str, set[int | None]] = {}
    creators: dict[str, tuple[str, ...]] = {}
    for item in items:
        title = in_place(item.title)
        traits[title] = (*traits.get(title, ()), *map(in_place, item.tags))
        years.setdefault(title, set()).add(item.year)
        if isinstance(item, Candidate) and item.creators:
            creators[title] = tuple(map(in_place, item.creators))
    known = {title: year for title, found in years.items() if len(found) == 1 and (year := min(found, key=str)) is not None}
    return {"traits": traits, "years": known, "creators": creators}
