"""What a summary is worth: how likely a held-out title is by the user's own summary, by a stranger's, and by none.

Nats are the model's log-likelihood of the whole title, by `prompts/next_by_summary.md` and, by no summary, `prompts/prior.md`.
Any summary makes titles of its sort likelier than none does; what tells this user from others is the difference to a stranger.
A stranger is another user with

- a held-out item that is another one, and whose number of events is the nearest to that of the user's
- no event of the user's held-out item: a summary that names it would give it away, and the user's own cannot

Users without a stranger, or without a usable answer to one of the three calls, are in no figure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.evaluate.metrics import compared
from jobs.prompts import in_place
from jobs.storage import parquet

OWN, STRANGER, NONE = "summary", "stranger", "none"  # methods; OWN is also a scorer of the contract `scores`
PRIOR = "prior"  # the scorer of no summary
FOLDER = "summaries"  # of an evaluation's work

Row = dict[str, Any]
Nats = Mapping[tuple[str, str], float]  # by scorer and item


@dataclass(frozen=True)
class Target:
    """A user's held-out item; `n_events` there are of it to learn from, `had` are the items the user's summary may be about."""

    user_id: str
    item_id: str
    title: str
    n_events: int
    had: frozenset[str]


def read_targets(work: str) -> list[Target]:
    """What the first stage left; nothing where it chose nobody."""
    try:
        rows = parquet(f"{work}/{FOLDER}/targets").to_table().to_pylist()
    except FileNotFoundError:
        return []
    return [Target(**row | {"title": in_place(row["title"]), "had": frozenset(row["had"])}) for row in rows]


def strangers(targets: Sequence[Target]) -> dict[str, str]:
    """User -> stranger, always the same; of several that are as near, a hash of both names one."""

    def one(user: Target) -> str | None:
        fit = [each for each in targets if each.item_id != user.item_id and user.item_id not in each.had]
        apart = min((abs(each.n_events - user.n_events) for each in fit), default=0)
        nearest = [each.user_id for each in fit if abs(each.n_events - user.n_events) == apart]
        return min(nearest, key=lambda name: hashlib.sha256(f"{user.user_id}\n{name}".encode()).digest(), default=None)

    return {user.user_id: name for user in targets if (name := one(user)) is not None}


def titles_asked(targets: Sequence[Target]) -> dict[str, dict[str, str]]:
    """User -> item -> title that their summary is to make likely: their own, and those of users whose stranger they are."""
    asked = {each.user_id: {each.item_id: each.title} for each in targets}
    by_user = {each.user_id: each for each in targets}
    for user, stranger in strangers(targets).items():
        asked[stranger][by_user[user].item_id] = by_user[user].title
    return asked


def figures(targets: Sequence[Target], said: Iterable[Row], settings: Row) -> list[Row]:
    """Rows of `evaluations`: nats by each summary, paired differences, and `beats_stranger`, the share of users whose own
    summary makes their item likelier than the stranger's does; of equals half. `said` are rows of the contract `scores`."""
    paired = strangers(targets)
    nats = {row["user_id"]: {(each["scorer"], each["item_id"]): each["nats"] for each in row["scores"]} for row in said}
    told = [_nats(each, nats.get(each.user_id, {}), nats.get(paired.get(each.user_id, ""), {})) for each in targets]
    found = np.array([three for three in told if None not in three], float)
    if not len(found):
        return []
    values = {method: {"nats": each} for method, each in zip((OWN, STRANGER, NONE), found.T, strict=True)}
    won = {OWN: {"beats_stranger": (1 + np.sign(found[:, 0] - found[:, 1])) / 2}}
    about, chosen = {"segment": "all"}, dict.fromkeys(values, settings)
    return compared(values, [(OWN, STRANGER), (OWN, NONE)], about, chosen) + compared(won, [], about, chosen)


def _nats(user: Target, own: Nats, stranger: Nats) -> tuple[float | None, float | None, float | None]:
    name = user.item_id
    return own.get((OWN, name)), stranger.get((OWN, name)), own.get((PRIOR, name))
