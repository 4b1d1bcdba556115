"""Which items go together: windowed co-occurrence.

    c(a, b) = sum over users and positions of GAP_DECAY ^ gap, gap = distance of a and b in a history, at most WINDOW
    w(a, b) = c(a, b) / (n(b) ^ POPULARITY * n(a) ^ OWN), n(b) events of b

in both directions, over the newest HEAVY events of each user: an event is in at most 2 * WINDOW pairs, and who has done
more than others by orders of magnitude does not decide alone. The decay and the window are those measured on MovieLens
(README); the exponents were chosen on validation events, POPULARITY among .3 to .9. OWN makes what goes with much, and so with
everything a little, say less: +.0041 +- .0035 ndcg@10 there.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

WINDOW, GAP_DECAY = 20, 0.95
POPULARITY, OWN = 0.5, 0.2
NEIGHBOURS = 500  # kept an item, the heaviest
HEAVY = 1000


def neighbours(described: DataFrame, wanted: DataFrame) -> DataFrame:
    """Columns item_id, neighbour, source, weight = w(item_id, neighbour), place: the heaviest of each item, place 1 first.

    `described` has user_id, item_id, time and event_id; `wanted` the items whose neighbours are (one column `item_id`).
    Weights are added as whole millionths, so that their sum is the same in whatever order Spark adds.
    """
    newest = Window.partitionBy("user_id").orderBy(F.desc("time"), F.desc("event_id"))
    before = F.array(*[F.lead("item_id", gap).over(newest) for gap in range(1, WINDOW + 1)])
    events = described.select("item_id", before.alias("before"), F.row_number().over(newest).alias("place"))
    pairs = events.where(F.col("place") <= HEAVY).select("item_id", F.posexplode("before").alias("gap", "other"))
    pairs = pairs.where(F.col("item_id") != F.col("other"))
    decay = F.round(F.pow(F.lit(GAP_DECAY), F.col("gap") + 1) * 1_000_000).cast("bigint")
    ends = [F.least("item_id", "other").alias("a"), F.greatest("item_id", "other").alias("b")]
    together = pairs.groupBy(*ends).agg(F.sum(decay).alias("together"))
    both = together.unionByName(together.select(F.col("b").alias("a"), F.col("a").alias("b"), "together"))
    counts = described.groupBy("item_id").agg(F.count("*").alias("n"))
    ours = wanted.join(counts, "item_id", how="inner").select(F.col("item_id").alias("a"), F.col("n").alias("n_a"))
    theirs = counts.select(F.col("item_id").alias("b"), F.col("n").alias("n_b"))
    weighted = both.join(ours, "a", how="inner").join(theirs, "b", how="inner")
    weight = F.col("together") / 1e6 / (F.pow("n_b", F.lit(POPULARITY)) * F.pow("n_a", F.lit(OWN)))
    source = F.lit("cooccurrence").alias("source")
    rows = weighted.select(F.col("a").alias("item_id"), F.col("b").alias("neighbour"), source, weight.alias("weight"))
    heaviest = Window.partitionBy("item_id").orderBy(F.desc("weight"), "neighbour")
    return rows.withColumn("place", F.row_number().over(heaviest)).where(F.col("place") <= NEIGHBOURS)
