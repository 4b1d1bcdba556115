"""What the model says of a user's candidates: two methods, both item -> nats, the higher the better.

- `likelihood`: log p(title | history) - log p(title), so that a title that is likely for everybody gains nothing
- `labels`: log p(letter | history, the items in a list with letters), mean over `permutations` orders of the list: a model
  prefers places as well as items, and over rotated orders each item has had places all over the list

An item whose calls have no usable answer is left out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from statistics import fmean

from jobs.generate.context import Candidate, Context
from jobs.generate.session import USABLE, Session

RECENT = 15  # titles of the history that the prompts show
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")  # a token each; `labels` takes no more items
Scores = dict[str, float]
Method = Callable[[Context, Session, Sequence[Candidate], int], Awaitable[Scores]]


async def likelihood(user: Context, ask: Session, items: Sequence[Candidate], permutations: int = 1) -> Scores:
    """See the module; two calls an item, that without history once for all users."""
    history = user.history[-RECENT:]

    async def one(item: Candidate) -> tuple[str, float | None]:
        given, alone = await asyncio.gather(
            ask.score("next", item.title, history=history), ask.score("prior", item.title, about=("item", item.item_id))
        )
        usable = given.status in USABLE and alone.status in USABLE
        return item.item_id, float(given.output or 0) - float(alone.output or 0) if usable else None

    scores = await asyncio.gather(*map(one, items))
    return {name: nats for name, nats in scores if nats is not None}


async def labels(user: Context, ask: Session, items: Sequence[Candidate], permutations: int = 1) -> Scores:
    """See the module; a call an order."""
    told = await label_runs(user, ask, items, permutations)
    return {item.item_id: fmean(run[item.item_id] for run in told) for item in items[: len(LETTERS)]} if told else {}


async def label_runs(user: Context, ask: Session, items: Sequence[Candidate], permutations: int) -> list[Scores]:
    """What each order of the list gives, its items as they stood there; orders without a usable answer are left out."""
    history = user.history[-RECENT:]

    async def one(offered: list[Candidate]) -> Scores | None:
        letters = LETTERS[: len(offered)]
        answer = await ask.choose("pick", letters, history=history, offered=offered, letters=letters)
        told = json.loads(answer.output or "{}") if answer.status in USABLE else {}
        return {item.item_id: told[letter] for item, letter in zip(offered, letters, strict=True)} if told else None

    made = await asyncio.gather(*map(one, orders(user.user_id, items[: len(LETTERS)], permutations)))
    return [each for each in made if each]


def orders(seed: str, items: Sequence[Candidate], permutations: int) -> list[list[Candidate]]:
    """So many rotations, as even as they can be, of one random order; the same for the same seed."""
    first = Random(seed).sample(list(items), len(items))
    steps = [round(turn * len(items) / permutations) for turn in range(permutations)] if len(items) > 1 else []
    return [first[step:] + first[:step] for step in dict.fromkeys(step % len(items) for step in steps)]


METHODS: dict[str, Method] = {"likelihood": likelihood, "labels": labels}
