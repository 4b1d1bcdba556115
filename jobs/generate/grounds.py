"""What a night knows of a user and may therefore be told: the evidence of a summary and of an explanation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from jobs.generate.checks import Evidence
from jobs.generate.context import Candidate, Context, Event
from jobs.prompts import in_place


def of_summary(user: Context, noun: str) -> Evidence:
    """What the facts tell of the user, but for their latest titles; a text about them names something that they like."""
    likes, favourites, makers = _labels(user, "likes_tag"), _labels(user, "favourite"), _labels(user, "likes_creator")
    dislikes, disliked = _labels(user, "dislikes_tag"), _labels(user, "disliked")
    return Evidence(
        liked=(*likes, *favourites),
        disliked=(*dislikes, *disliked),
        needed=((*likes, *favourites, *makers),),
        tags=(*likes, *dislikes),
        makers=makers,
        unliked_makers=_labels(user, "dislikes_creator"),
        eras=_labels(user, "era"),
        more=_labels(user, "more_lately"),
        less=_labels(user, "less_lately"),
        rhythms=_labels(user, "rhythm"),
        noun=noun,
        user=user.user_id,
        **_about(event for event in user.history if in_place(event.title) in {*favourites, *disliked}),
    )


def of_explanation(user: Context, item: Candidate, named: Sequence[Event], noun: str) -> Evidence:
    """The recommended item, what of it is liked and what is new, and events behind it; a text names it and one of them."""
    had = tuple(dict.fromkeys(in_place(event.title) for event in named))
    behind = {tag for event in named for tag in event.tags}
    made = {in_place(creator) for creators in (item.creators, *[event.creators for event in named]) for creator in creators}
    not_liked = {event.title for event in user.history if event.negative} | {each.title for each in named if not each.positive}
    not_liked |= set() if user.opinionated else {each.title for each in named}
    return Evidence(
        liked=tuple(in_place(event.title) for event in named if event.title not in not_liked),
        others=(in_place(item.title), *had),
        needed=((in_place(item.title),), had),
        new=in_place(item.title),
        tags=tuple(map(in_place, (*item.tags, *sorted(behind - {*item.tags})))),
        makers=tuple(maker for maker in _labels(user, "likes_creator") if maker in made),
        unseen=tuple(map(in_place, user.new(item))),
        common=tuple(in_place(tag) for tag in item.tags if named and all(tag in event.tags for event in named)),
        noun=noun,
        user=user.user_id,
        **_about((*named, item)),
    )


def _labels(user: Context, kind: str) -> tuple[str, ...]:
    return tuple(in_place(fact.label) for fact in user.facts if fact.kind == kind)


def _about(items: Iterable[Event | Candidate]) -> dict[str, Any]:
    """Tags, years and creators by title; of titles that two items have, year and creators only where they are the same."""
    traits: dict[str, tuple[str, ...]] = {}
    years: dict[str, set[int | None]] = {}
    creators: dict[str, set[tuple[str, ...]]] = {}
    for item in items:
        title = in_place(item.title)
        traits[title] = (*traits.get(title, ()), *map(in_place, item.tags))
        years.setdefault(title, set()).add(item.year)
        creators.setdefault(title, set()).add(tuple(map(in_place, item.creators)))
    known = {title: year for title, found in years.items() if len(found) == 1 and (year := min(found, key=str)) is not None}
    makers = {title: next(iter(found)) for title, found in creators.items() if len(found) == 1 and any(found)}
    return {"traits": traits, "years": known, "creators": makers}
