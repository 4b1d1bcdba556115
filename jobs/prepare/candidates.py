"""Items worth ranking for each user, each with what brought it and how much.

    s(u, b) = sum over the last QUERY events e of u of r(e) * w(item(e), b)    w of `cooccurrence` and `content`
            + POPULAR * p(b)                                                     p of `popular`
    r(e)    = 0.5 ^ (place(e) / HALF_LIFE) + TAIL * 0.5 ^ (place(e) / TAIL_HALF_LIFE), place 0 the latest; DISLIKED of that for
              a negative event

TAIL is for what a user liked before the last few events. These numbers and the exponents of `cooccurrence` were chosen on
validation events of MovieLens, for the sum of ndcg@10 in both splits of `evaluate`, each the mean of eight orders of events of
a second: .0455 (temporal) and .0883 (leave-one-out), for .0404 and .0870 with QUERY 10, TAIL 0, POPULAR .03 and exponents .5
and .2; on test events that is +.0012 (-.0023 to +.0045) and -.0029 (-.0067 to +.0009).

An event counts for the first NEIGHBOURS * r(e) neighbours of its item only: what an old event says of a far one is less than
anything that a list would show. A negative event tells what goes with what all the same; no text names it. Every summand of
an item's score is one of its `contributions`: they add up to it.

The best `night.new_places` of those that content brought are kept whatever their score; the others by score. All stand in the
order of their scores, so that those kept are as a rule the last; `generate.ranking` keeps them their places in the list too.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.prepare.content import reached
from jobs.prepare.cooccurrence import NEIGHBOURS, neighbours
from jobs.profile import Night

QUERY, HALF_LIFE = 30, 2.0
TAIL, TAIL_HALF_LIFE = 0.05, 20.0
DISLIKED = 0.5
POPULAR, POPULAR_HALF_LIFE_DAYS = 0.1, 180.0
DIGITS = 9  # of a contribution: sums of whole billionths are the same in whatever order Spark adds


def candidates(
    histories: DataFrame, own: DataFrame, everyone: DataFrame, items: DataFrame, night: Night, run_date: str
) -> DataFrame:
    """user_id and `candidates`, best first: at most `night.candidates` a user.

    `histories` as of `histories.user_histories`; `own` all events of (at least) those users, `everyone` the events to learn
    from; `items` the catalogue.
    """
    query = queries(histories)
    asked = query.select("item_id").distinct()
    near = reached(everyone, asked, items) if night.new_items else neighbours(everyone, asked)
    found = retrieved(query, near).unionByName(popular(histories, everyone, night))
    if night.repeat != "always":
        found = found.join(consumed(own, histories, night, run_date), ["user_id", "item_id"], how="left_anti")
    return best(found, items, night)


def queries(histories: DataFrame) -> DataFrame:
    """user_id, event_id, item_id, recency: the latest events of each user that may lead somewhere."""
    events = histories.select("user_id", F.posexplode(F.reverse("history")).alias("place", "event"))
    recency = F.pow(0.5, F.col("place") / HALF_LIFE) + TAIL * F.pow(0.5, F.col("place") / TAIL_HALF_LIFE)
    return events.where(F.col("place") < QUERY).select(
        "user_id",
        F.col("event.event_id").alias("event_id"),
        F.col("event.item_id").alias("item_id"),
        (recency * F.when(F.col("event.negative"), DISLIKED).otherwise(1.0)).alias("recency"),
    )


def retrieved(query: DataFrame, near: DataFrame) -> DataFrame:
    """user_id, item_id, source, event_id, amount: what a user's latest events lead to."""
    pairs = query.join(near, "item_id", how="inner").where(F.col("place") <= NEIGHBOURS * F.col("recency"))
    return pairs.select(
        "user_id",
        F.col("neighbour").alias("item_id"),
        "source",
        "event_id",
        F.round(F.col("recency") * F.col("weight"), DIGITS).alias("amount"),
    )


def popular(histories: DataFrame, everyone: DataFrame, night: Night) -> DataFrame:
    """The same columns, without an event: POPULAR for what has most events lately, less for the others.

    An event counts 0.5 ^ (its days before the newest one / POPULAR_HALF_LIFE_DAYS). So many items that some are left after
    those the user had.
    """
    newest = everyone.agg(F.max("time").alias("time")).first()
    assert newest
    days = F.datediff(F.lit(newest["time"]), "time")
    lately = F.pow(F.lit(0.5), days / POPULAR_HALF_LIFE_DAYS)
    counts = everyone.groupBy("item_id").agg(_total(lately, 12).alias("lately"))
    rows = counts.orderBy(F.desc("lately"), "item_id").take(3 * night.candidates)  # a number of the profile, not of users
    amounts = {row["item_id"]: round(POPULAR * row["lately"] / rows[0]["lately"], DIGITS) for row in rows}
    shelf = F.create_map(*[F.lit(each) for pair in amounts.items() for each in pair])
    return histories.select("user_id", F.explode(shelf).alias("item_id", "amount")).select(
        "user_id",
        "item_id",
        F.lit("popularity").alias("source"),
        F.lit(None).cast("string").alias("event_id"),
        "amount",
    )


def consumed(own: DataFrame, histories: DataFrame, night: Night, run_date: str) -> DataFrame:
    """user_id, item_id: what may not come (again) by the profile's `repeat`: ever, or for so many days."""
    theirs = own.join(histories.select("user_id"), "user_id", how="left_semi")
    if isinstance(night.repeat, int):
        theirs = theirs.where(F.col("time") > F.date_sub(F.lit(run_date).cast("date"), night.repeat).cast("timestamp"))
    return theirs.select("user_id", "item_id").distinct()


def best(found: DataFrame, items: DataFrame, night: Night) -> DataFrame:
    """The best `night.candidates` of each user as one array, `night.new_places` of them by content if there are so many.

    `found` has a row a contribution: user_id, item_id, source, event_id, amount.
    """
    part = F.struct((-F.col("amount")).alias("order"), F.struct("source", "event_id", "amount").alias("part"))
    once = found.groupBy("user_id", "item_id").agg(
        _total(F.col("amount"), DIGITS).alias("retrieval_score"),
        F.max(F.col("source") == "content").alias("new"),
        F.when(F.count("event_id") > 0, "retrieval").otherwise("popularity").alias("source"),
        F.array_sort(F.collect_list(part)).alias("parts"),
    )
    by_score = [F.desc("retrieval_score"), F.col("item_id")]
    among = F.row_number().over(Window.partitionBy("user_id", "new").orderBy(*by_score))  # new ones, or the others
    few = once.withColumn("among", among).where(F.col("among") <= night.candidates)
    kept = F.col("new") & (F.col("among") <= night.new_places)
    chosen = F.row_number().over(Window.partitionBy("user_id").orderBy(F.desc(kept), *by_score)) <= night.candidates
    rank = F.row_number().over(Window.partitionBy("user_id").orderBy(*by_score))
    ranked = few.withColumn("chosen", chosen).where("chosen").withColumn("retrieval_rank", rank)
    full = ranked.join(items, "item_id", how="inner").withColumn("contributions", F.col("parts.part"))
    names = ["retrieval_rank", "item_id", "title", "tags", "year", "text", "retrieval_score", "source", "contributions"]
    return full.groupBy("user_id").agg(F.array_sort(F.collect_list(F.struct(*names))).alias("candidates"))


def _total(amount: Column, digits: int) -> Column:
    """A sum that is the same in whatever order Spark adds: sums of doubles are not."""
    return F.sum(amount.cast(f"decimal(28, {digits})")).cast("double")
