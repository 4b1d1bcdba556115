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
    Items are numbered in the order of their ids, and a pair is one number: what is shuffled and sorted is small. Weights are
    added as whole millionths, so that their sum is the same in whatever order Spark adds.
    """
    counts = described.groupBy("item_id").agg(F.count("*").alias("n"))
    items = counts.withColumn("number", F.row_number().over(Window.orderBy("item_id"))).persist()  # a row an item
    numbers = items.select("item_id", "number")
    newest = Window.partitionBy("user_id").orderBy(F.desc("time"), F.desc("event_id"))
    before = F.array(*[F.lead("number", gap).over(newest) for gap in range(1, WINDOW + 1)])
    events = described.select("user_id", "item_id", "time", "event_id").join(numbers, "item_id", how="inner")
    placed = events.select("number", before.alias("before"), F.row_number().over(newest).alias("place"))
    pairs = placed.where(F.col("place") <= HEAVY).select("number", F.posexplode("before").alias("gap", "other"))
    decay = F.round(F.pow(F.lit(GAP_DECAY), F.col("gap") + 1) * 1_000_000).cast("bigint")
    low, high = (end("number", "other").cast("bigint") for end in (F.least, F.greatest))
    both = (F.shiftleft(low, 32) + high).alias("pair")
    together = pairs.where("number != other").groupBy(both).agg(F.sum(decay).alias("together"))
    ends = F.shiftright("pair", 32).cast("int"), F.col("pair").bitwiseAND(0xFFFFFFFF).cast("int")
    ways = F.array(*[F.struct(a.alias("a"), b.alias("b")) for a, b in (ends, ends[::-1])])
    sides = together.select("together", F.explode(ways).alias("way")).select("way.a", "way.b", "together")
    ours = wanted.join(items, "item_id", how="inner").select(F.col("number").alias("a"), F.col("n").alias("n_a"))
    theirs = items.select(F.col("number").alias("b"), F.col("n").alias("n_b"))
    weight = F.col("together") / 1e6 / (F.pow("n_b", F.lit(POPULARITY)) * F.pow("n_a", F.lit(OWN)))
    weighted = sides.join(ours, "a", how="inner").join(theirs, "b", how="inner").select("a", "b", weight.alias("weight"))
    heaviest = Window.partitionBy("a").orderBy(F.desc("weight"), "b")
    kept = weighted.withColumn("place", F.row_number().over(heaviest)).where(F.col("place") <= NEIGHBOURS)
    named = kept.join(numbers.withColumnRenamed("number", "a"), "a", how="inner")
    other = numbers.select(F.col("number").alias("b"), F.col("item_id").alias("neighbour"))
    source = F.lit("cooccurrence").alias("source")
    return named.join(other, "b", how="inner").select("item_id", "neighbour", source, "weight", "place")
