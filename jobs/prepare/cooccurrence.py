"""Which items go together: windowed co-occurrence.

    c(a, b) = sum over users and positions of gap_decay ^ gap, gap = distance of a and b in a history, at most `window`
    w(a, b) = c(a, b) / (n(b) ^ popularity * n(a) ^ own), n(b) events of b

in both directions, over the newest HEAVY events of each user: an event is in at most 2 * window pairs, and who has done
more than others by orders of magnitude does not decide alone. The numbers are those of a `Blend`.

An event has up to 40 pairs. As rows they cost Spark several times what NumPy takes (`infra/bench prepare`), so Spark orders
events, and moves pairs as bytes: matrices of a piece of the users each, cut into blocks of items that on average fit a worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix

from jobs.prepare.best import pieces, places, starts
from jobs.prepare.blend import BLEND, Blend

HEAVY = 1000
PIECE = 250_000  # events whose pairs a worker has at a time
PAIR = np.dtype([("a", "i4"), ("b", "i4"), ("n_a", "i4"), ("n_b", "i4"), ("together", "i8")])


def neighbours(events: DataFrame, wanted: DataFrame, blend: Blend = BLEND) -> DataFrame:
    """Columns number, source, neighbours, weights: of item a its heaviest b and w(a, b), these first.

    `events` has user_id, number (of the item), time and event_id; `wanted` the items a (a column `number`, each once). Weights
    are added as whole millionths, so that their sum is the same in whatever order they come.
    """
    counts = events.groupBy("number").agg(F.count("*").cast("int").alias("n"))
    items = counts.join(wanted.withColumn("asked", F.lit(True)), "number", how="left").fillna(False)
    newest = Window.partitionBy("user_id").orderBy(F.desc("time"), F.desc("event_id"))
    counted = events.join(items, "number", how="inner")
    placed = counted.select("user_id", "number", "n", "asked", F.row_number().over(newest).alias("place"))
    in_order = placed.where(F.col("place") <= HEAVY).sortWithinPartitions("user_id", "place")  # as the window left them
    by_user = in_order.select("number", "n", "asked", (F.col("place") == 1).alias("first"))
    cut = partial(_pairs, blocks=-(-events.count() // PIECE), size=PIECE, blend=blend)
    pairs = by_user.mapInArrow(cut, "block int, pairs binary")
    found = pairs.groupBy("block").applyInArrow(
        lambda block: _heaviest(block, blend), "number int, neighbours array<int>, weights array<double>"
    )
    return found.select("number", F.lit("cooccurrence").alias("source"), "neighbours", "weights")


def _pairs(batches: Iterable[pa.RecordBatch], blocks: int, size: int, blend: Blend) -> Iterator[pa.RecordBatch]:
    """Blocks of c(a, b) of some users and every `a` asked for, in millionths; `batches` have events, user by user."""
    decay = np.round(blend.gap_decay ** np.arange(blend.window + 1) * 1_000_000).astype(np.int64)
    for piece in pieces(batches, size):
        users = np.cumsum(piece["first"])
        numbers, first, items = np.unique(piece["number"].to_numpy(), return_index=True, return_inverse=True)
        n, asked = (piece[name].to_numpy()[first] for name in ("n", "asked"))
        pairs = []
        for gap in range(1, blend.window + 1):
            both = np.flatnonzero((users[:-gap] == users[gap:]) & (items[:-gap] != items[gap:]))
            pairs.append((np.full(len(both), decay[gap]), items[both], items[both + gap]))
        amounts, here, there = map(np.concatenate, zip(*pairs, strict=True))
        one_way = csr_matrix((amounts, (here, there)), shape=(len(numbers), len(numbers)))
        together = one_way + one_way.T
        ours = np.flatnonzero(asked)
        ours = ours[np.argsort(numbers[ours] % blocks, kind="stable")]
        for part in np.split(ours, starts(numbers[ours] % blocks)[1:]) if len(ours) else []:
            near = together[part]
            a, b = np.repeat(part, np.diff(near.indptr)), near.indices
            rows = np.empty(len(a), PAIR)
            rows["a"], rows["b"], rows["n_a"], rows["n_b"], rows["together"] = numbers[a], numbers[b], n[a], n[b], near.data
            block = np.array([numbers[part[0]] % blocks], np.int32)
            yield pa.RecordBatch.from_pydict({"block": block, "pairs": [rows.tobytes()]})


def _heaviest(block: pa.Table, blend: Blend) -> pa.Table:
    """Number, neighbours, weights: the heaviest of each item of a block, b in order among equals."""
    rows = np.concatenate([np.frombuffer(each.as_buffer(), PAIR) for each in block["pairs"]])
    pairs = rows["a"].astype(np.int64) << 32 | rows["b"]
    order = np.argsort(pairs)
    start = starts(pairs[order])
    once = rows[order[start]]
    together = np.add.reduceat(rows["together"][order], start) / 1e6
    weight = together / (once["n_b"] ** blend.popularity * once["n_a"] ** blend.own)
    weight = np.round(weight, 9)  # processors differ in the last bit of a power
    best = np.lexsort((-weight, once["a"]))
    a, b, weight = once["a"][best], once["b"][best], weight[best]
    kept = places(a) < blend.neighbours
    a, b, weight = a[kept], b[kept], weight[kept]
    start = starts(a)
    ends = pa.array(np.append(start, len(a)), pa.int32())
    lists = (pa.ListArray.from_arrays(ends, pa.array(each)) for each in (b, weight))
    return pa.table([pa.array(a[start]), *lists], ["number", "neighbours", "weights"])
