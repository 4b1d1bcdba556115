"""The numbers of retrieval: how much of what a score is, and how far it looks.

They were chosen on validation events of MovieLens. `infra/bench blend` tries others in the place of each with the night's own
code: of 34 none gains more there than chance gives one of so many (README).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Blend:
    """Symbols as in the formulas of the modules that use them."""

    # candidates: what a user's latest events say
    query: int = 30  # events of a user that lead anywhere, the latest
    half_life: float = 2.0  # in events
    tail: float = 0.05  # for what a user liked before the last few events
    tail_half_life: float = 20.0
    disliked: float = 0.5  # a negative event tells what goes with what all the same; no text names it
    popular: float = 0.1
    popular_days: float = 180.0  # half-life
    # cooccurrence
    window: int = 20  # of events of a history, in both directions
    gap_decay: float = 0.95
    popularity: float = 0.45
    own: float = 0.15  # what goes with much, and so with everything a little, says less
    neighbours: int = 500  # kept an item, the heaviest
    # content
    like: int = 5  # items that a new one stands in for
    years_half: float = 5.0
    reach: int = 30  # neighbours of an item that a new one stands in for
    to_new: float = 1.0
    from_new: float = 0.5


BLEND = Blend()
