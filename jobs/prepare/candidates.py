"""Items worth ranking for each user, with the events that brought them.

Windowed co-occurrence, filled up with what is popular lately for users whom it does not reach:

    c(a, b)  = sum over users and positions of GAP_DECAY ^ gap, gap = distance of a and b in a history, at most WINDOW
    s(u, b)  = sum over the last QUERY events e of u of 0.5 ^ (place(e) / QUERY_HALF_LIFE) * c(item(e), b) / n(b) ^ POPULARITY

both directions, n(b) events of b. A negative event brings nothing.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.profile import Night

WINDOW, GAP_DECAY = 20, 0.95
POPULARITY = 0.7
NEIGHBOURS = 100  # kept an item
QUERY, QUERY_HALF_LIFE = 20, 2.0
POPULAR_HALF_LIFE_DAYS = 180.0
SUPPORT = 5  # events a candidate names


def candidates(histories: DataFrame, described: DataFrame, items: DataFrame, night: Night, run_date: str) -> DataFrame:
    """user_id and `candidates`, best first: at most `night.candidates` a user.

    `histories` as of `histories.user_histories`, `described` all events with their items, `items` the catalogue.
    """
    query = queries(histories)
    found = retrieved(query, neighbours(described, query.select("item_id").distinct()))
    filled = found.unionByName(popular(histories, described, night, run_date))
    if not night.allow_consumed:
        theirs = described.join(F.broadcast(histories.select("user_id")), "user_id", how="left_semi")
        consumed = theirs.select("user_id", "item_id").distinct()
        filled = filled.join(consumed, ["user_id", "item_id"], how="left_anti")
    return _best(filled, items, night.candidates)


def neighbours(described: DataFrame, wanted: DataFrame) -> DataFrame:
    """Columns item_id, neighbour, weight = c(item_id, neighbour) / n(neighbour) ^ POPULARITY: the best of each item.

    Only for the items in `wanted` (one column `item_id`). Weights are added as whole millionths, so that their sum is the
    same in whatever order Spark adds.
    """
    order = Window.partitionBy("user_id").orderBy("time", "event_id")
    marked = described.select("user_id", "item_id", "time", "event_id").join(
        F.broadcast(wanted.withColumn("wanted", F.lit(True))), "item_id", how="left"
    )
    item = F.struct(F.col("item_id").alias("item"), F.coalesce("wanted", F.lit(False)).alias("wanted"))
    marked = marked.select("user_id", "time", "event_id", item.alias("a"))
    ahead = F.array(*[F.lead("a", gap).over(order) for gap in range(1, WINDOW + 1)])
    pairs = marked.select("a", ahead.alias("ahead")).select("a", F.posexplode("ahead").alias("gap", "b"))
    pairs = pairs.where((F.col("a.item") != F.col("b.item")) & (F.col("a.wanted") | F.col("b.wanted")))
    weight = F.round(F.pow(F.lit(GAP_DECAY), F.col("gap") + 1) * 1_000_000).cast("bigint")
    ends = [F.least("a.item", "b.item").alias("a"), F.greatest("a.item", "b.item").alias("b")]
    together = pairs.groupBy(*ends).agg(F.sum(weight).alias("together"))
    both = together.unionByName(together.select(F.col("b").alias("a"), F.col("a").alias("b"), "together"))
    counts = described.groupBy(F.col("item_id").alias("b")).agg(F.count("*").alias("n"))
    weighted = both.join(counts, "b", how="inner").select(
        F.col("a").alias("item_id"),
        F.col("b").alias("neighbour"),
        (F.col("together") / 1e6 / F.pow("n", F.lit(POPULARITY))).alias("weight"),
    )
    best = Window.partitionBy("item_id").orderBy(F.desc("weight"), "neighbour")
    kept = weighted.join(F.broadcast(wanted), "item_id", how="left_semi").withColumn("place", F.row_number().over(best))
    return kept.where(F.col("place") <= NEIGHBOURS).drop("place")


def queries(histories: DataFrame) -> DataFrame:
    """user_id, event_id, item_id, recency: the latest events of each user that may lead somewhere."""
    events = histories.select("user_id", F.posexplode(F.reverse("history")).alias("place", "event"))
    return events.where((F.col("place") < QUERY) & ~F.col("event.negative")).select(
        "user_id",
        F.col("event.event_id").alias("event_id"),
        F.col("event.item_id").alias("item_id"),
        F.pow(F.lit(0.5), F.col("place") / QUERY_HALF_LIFE).alias("recency"),
    )


def retrieved(query: DataFrame, near: DataFrame) -> DataFrame:
    """user_id, item_id, retrieval_score, source, support: what a user's latest events lead to."""
    parts = query.join(near, "item_id", how="inner").select(
        "user_id", "event_id", F.col("neighbour").alias("item_id"), (F.col("recency") * F.col("weight")).alias("part")
    )
    return parts.groupBy("user_id", "item_id").agg(
        _total(F.col("part")).alias("retrieval_score"),
        F.lit("retrieval").alias("source"),
        _strongest(F.col("part"), F.col("event_id")).alias("support"),
    )


def popular(histories: DataFrame, described: DataFrame, night: Night, run_date: str) -> DataFrame:
    """The same columns: what everyone takes lately, for users the first source may not fill; score below any of it."""
    days = F.datediff(F.lit(run_date).cast("date"), F.to_date("time"))
    recency = F.pow(F.lit(0.5), days / POPULAR_HALF_LIFE_DAYS)
    counts = described.groupBy("item_id").agg(_total(recency).alias("recent"))
    top = counts.orderBy(F.desc("recent"), "item_id").limit(3 * night.candidates)
    listed = F.array_sort(F.collect_list(F.struct(-F.col("recent"), F.col("item_id"))))
    shelf = top.agg(F.transform(listed, lambda each: each["item_id"]).alias("shelf"))
    rows = histories.select("user_id").crossJoin(F.broadcast(shelf))
    placed = rows.select("user_id", F.posexplode("shelf").alias("place", "item_id"))
    return placed.select(
        "user_id",
        "item_id",
        (1e-9 / (F.col("place") + 1)).alias("retrieval_score"),
        F.lit("popularity").alias("source"),
        F.array().cast("array<string>").alias("support"),
    )


def _best(found: DataFrame, items: DataFrame, n: int) -> DataFrame:
    """The best `n` of each user as one array; an item that both sources brought counts once, with the better score."""
    once = found.groupBy("user_id", "item_id").agg(
        F.max("retrieval_score").alias("retrieval_score"),
        F.max_by("source", "retrieval_score").alias("source"),
        F.max_by("support", "retrieval_score").alias("support"),
    )
    order = Window.partitionBy("user_id").orderBy(F.desc("retrieval_score"), "item_id")
    ranked = once.select("*", F.row_number().over(order).alias("retrieval_rank")).where(F.col("retrieval_rank") <= n)
    full = ranked.join(items, "item_id", how="inner")
    names = ["retrieval_rank", "item_id", "title", "tags", "year", "text", "retrieval_score", "source", "support"]
    return full.groupBy("user_id").agg(F.array_sort(F.collect_list(F.struct(*names))).alias("candidates"))


def _strongest(part: Column, event: Column) -> Column:
    ordered = F.array_sort(F.collect_list(F.struct((-part).alias("part"), event.alias("event"))))
    return F.transform(F.slice(ordered, 1, SUPPORT), lambda each: each["event"])


def _total(part: Column) -> Column:
    """A sum that is the same in whatever order Spark adds: sums of doubles are not."""
    return F.sum(part.cast("decimal(28, 12)")).cast("double")
