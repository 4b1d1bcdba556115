"""The best candidates of each user: what their events bring is added up, in NumPy, some users at a time.

As rows that Spark adds up, ten million events are some billion contributions with strings each; as arrays an event of a user is
one row, the items it leads to are numbers, and only those of the best candidates get their event's id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SUMMANDS = 3_000_000  # that a worker has at a time, seldom twice as many: some 150 bytes each
WIDE = 300  # which a row seldom has more of
BILLIONTHS = 1e9  # amounts are added as whole ones: the same in whatever order they come
SOURCES = pa.array(["alike", "content", "cooccurrence", "popularity"])
CONTENT, POPULARITY = 1, 3
BEST = """user_id string, retrieval_rank int, number int, retrieval_score double, source string,
    contributions array<struct<source: string, event_id: string, amount: double>>"""
SUMMAND = np.dtype([("user", "i8"), ("number", "i8"), ("source", "i1"), ("row", "i8"), ("amount", "i8")])


class Shelf(NamedTuple):
    """What everyone is offered: numbers of items and the summand of each, in billionths."""

    numbers: np.ndarray
    amounts: np.ndarray


def best(batches: Iterable[pa.RecordBatch], shelf: Shelf, most: int, new_places: int) -> Iterator[pa.RecordBatch]:
    """Rows of BEST: the best `most` of each user, `new_places` of them by content if there are so many.

    `batches` have user_id, first, event_id, recency, source, numbers and weights, user by user. The first row of each user
    (`first`) has in `numbers` what may not come; the others have an event each, its recency r(e), and the items b that it leads
    to with w(item(e), b).
    """
    for piece in pieces(batches, SUMMANDS // max(WIDE, len(shelf.numbers))):
        parts = _summands(piece, shelf)
        parts = parts[np.argsort(parts["user"] << 32 | parts["number"], kind="stable")]
        start = starts(parts["user"], parts["number"])  # of the summands of one score
        user, number = parts["user"][start], parts["number"][start]
        score = np.add.reduceat(parts["amount"], start)
        new = np.logical_or.reduceat(parts["source"] == CONTENT, start)
        popular = np.logical_and.reduceat(parts["source"] == POPULARITY, start)
        order = np.lexsort((-score, user))  # stable: by number among equals
        top = order[_chosen(user[order], new[order], most, new_places)]
        columns = {
            "user_id": piece["user_id"].take(np.flatnonzero(piece["first"])[user[top]]),
            "retrieval_rank": (places(user[top]) + 1).astype(np.int32),
            "number": number[top].astype(np.int32),
            "retrieval_score": score[top] / BILLIONTHS,
            "source": np.where(popular[top], "popularity", "retrieval"),
            "contributions": _contributions(piece, parts, start[top], np.diff(start, append=len(parts))[top]),
        }
        yield from pa.table(columns).to_batches()


def pieces(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """The same rows, `size` of them or a little more at a time, cut between users; `first` says where one begins."""
    rows: list[pa.RecordBatch] = []
    for batch in batches:
        rows.append(batch)
        if sum(map(len, rows)) >= size:
            piece = pa.Table.from_batches(rows)
            cut = int(np.flatnonzero(piece["first"])[-1])
            rows = piece.slice(cut).to_batches()
            if cut:
                yield piece.slice(0, cut)
    if rows:
        yield pa.Table.from_batches(rows)


def _summands(piece: pa.Table, shelf: Shelf) -> np.ndarray:
    """SUMMAND of each score but of what may not come: user 0 is the first of `piece`, row -1 the shelf."""
    first = np.asarray(piece["first"])
    n_users, lengths = np.count_nonzero(first), pc.list_value_length(piece["numbers"]).to_numpy()
    row = np.repeat(np.arange(len(piece)), lengths)
    user, number = (np.cumsum(first) - 1)[row], pc.list_flatten(piece["numbers"]).to_numpy()
    had, led = first[row], ~first[row]
    amount = np.asarray(piece["recency"])[row[led]] * pc.list_flatten(piece["weights"]).to_numpy()
    source = pc.index_in(piece["source"], SOURCES).to_numpy()
    parts = np.empty(len(amount) + n_users * len(shelf.numbers), SUMMAND)
    brought, offered = parts[: len(amount)], parts[len(amount) :]
    brought["user"], brought["number"], brought["row"] = user[led], number[led], row[led]
    brought["source"], brought["amount"] = source[row[led]], np.round(amount * BILLIONTHS)
    offered["user"], offered["row"], offered["source"] = np.repeat(np.arange(n_users), len(shelf.numbers)), -1, POPULARITY
    offered["number"], offered["amount"] = np.tile(shelf.numbers, n_users), np.tile(shelf.amounts, n_users)
    may_come = ~np.isin(parts["user"] << 32 | parts["number"], user[had] << 32 | number[had])
    return parts[may_come]


def _chosen(user: np.ndarray, new: np.ndarray, most: int, new_places: int) -> np.ndarray:
    """Which of the items, in the order of users and of scores, are among the best; `new` are brought by content."""
    kept = new.copy()
    kept[new] = places(user[new]) < new_places
    left = most - np.bincount(user[kept], minlength=user.max(initial=-1) + 1)
    kept[~kept] = places(user[~kept]) < left[user[~kept]]
    return kept


def _contributions(piece: pa.Table, parts: np.ndarray, start: np.ndarray, lengths: np.ndarray) -> pa.Array:
    """The summands of some scores, which are `lengths` rows of `parts` from `start` on; the largest first."""
    score = np.repeat(np.arange(len(start)), lengths)
    theirs = parts[start[score] + np.arange(len(score)) - (np.cumsum(lengths) - lengths)[score]]
    events = pc.rank(piece["event_id"], tiebreaker="dense").to_numpy()  # of null: of no consequence
    theirs = theirs[np.lexsort((events[theirs["row"]], theirs["source"], -theirs["amount"], score))]
    event = pa.array(theirs["row"], mask=theirs["row"] < 0)
    columns = [SOURCES.take(theirs["source"]), piece["event_id"].combine_chunks().take(event), theirs["amount"] / BILLIONTHS]
    parts_of = pa.StructArray.from_arrays(columns, ["source", "event_id", "amount"])
    return pa.ListArray.from_arrays(np.append(0, np.cumsum(lengths)).astype(np.int32), parts_of)


def places(groups: np.ndarray) -> np.ndarray:
    """0, 1, 2 … within each run of the same."""
    start = starts(groups)
    return np.arange(len(groups)) - np.repeat(start, np.diff(start, append=len(groups)))


def starts(*columns: np.ndarray) -> np.ndarray:
    """Rows that are unlike the one before them; the first is."""
    changed = np.ones(len(columns[0]), bool)
    changed[1:] = np.any([each[1:] != each[:-1] for each in columns], axis=0)
    return np.flatnonzero(changed)
