"""Items worth ranking for each user, each with what brought it and how much.

    s(u, b) = sum over the last `query` events e of u of r(e) * w(item(e), b)    w of `cooccurrence` and `content`
            + popular * p(b)                                                       p of `popular`
    r(e)    = 0.5 ^ (place(e) / half_life) + tail * 0.5 ^ (place(e) / tail_half_life), place 0 the latest; `disliked` of that
              for a negative event

with the numbers of a `Blend`. An event counts for the first neighbours * r(e) neighbours of its item only: what an old event
says of a far one is less than anything that a list would show. Every summand of an item's score is one of its `contributions`:
they add up to it.

The best `night.new_places` of those that content brought are kept whatever their score; the others by score. All stand in the
order of their scores, so that those kept are as a rule the last; `generate.ranking` keeps them their places in the list too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.prepare.best import BEST, BILLIONTHS, Shelf, best
from jobs.prepare.blend import BLEND, Blend
from jobs.prepare.content import likeness, stand_ins
from jobs.prepare.cooccurrence import neighbours
from jobs.profile import Night
from jobs.spark import kept


@contextmanager
def candidates(
    histories: DataFrame,
    own: DataFrame,
    everyone: DataFrame,
    items: DataFrame,
    night: Night,
    run_date: str,
    blend: Blend = BLEND,
) -> Iterator[DataFrame]:
    """user_id and `candidates`, best first: at most `night.candidates` a user.

    `histories` as of `histories.user_histories`; `own` all events of (at least) those users, `everyone` the events to learn
    from; `items` the catalogue. What is computed on the way is dropped with the context.
    """
    numbers = items.select("item_id", F.row_number().over(Window.orderBy("item_id")).alias("number"))
    with ExitStack() as stack:
        catalogue = stack.enter_context(kept(items.join(numbers, "item_id", how="inner")))
        numbers = catalogue.select("item_id", "number")
        events = everyone.join(numbers, "item_id", how="inner").select("user_id", "number", "time", "event_id")
        events = stack.enter_context(kept(events))
        query = queries(histories, blend).join(numbers, "item_id", how="inner")
        like = likeness(catalogue, events, night.sentence_folder, blend) if night.new_items else None
        near = reached(events, query.select("number").distinct(), like, blend, stack)
        theirs = own.join(histories.select("user_id"), "user_id", how="left_semi").join(numbers, "item_id", how="inner")
        had = consumed(theirs, histories, night, run_date)
        add = partial(
            best, shelf=popular(events, 3 * night.candidates, blend), most=night.candidates, new_places=night.new_places
        )
        rows = (
            retrieved(query, near, blend.neighbours)
            .unionByName(had)
            .repartition("user_id")
            .sortWithinPartitions("user_id", F.desc("first"))
        )
        yield described(rows.mapInArrow(add, BEST), catalogue)


def reached(events: DataFrame, wanted: DataFrame, like: DataFrame | None, blend: Blend, stack: ExitStack) -> DataFrame:
    """What the items `wanted` lead to: `cooccurrence.neighbours` and what `content` adds to them; kept in `stack`."""
    if like is None:
        return neighbours(events, wanted, blend)
    like = stack.enter_context(kept(like))
    resembled = like.join(wanted, "number", how="left_semi").select(F.col("like").alias("number"))
    near = stack.enter_context(kept(neighbours(events, wanted.unionByName(resembled).distinct(), blend)))
    return near.unionByName(stand_ins(near, like, blend))


def queries(histories: DataFrame, blend: Blend) -> DataFrame:
    """user_id, event_id, item_id, recency: the latest events of each user that may lead somewhere."""
    events, place = histories.select("user_id", F.posexplode(F.reverse("history")).alias("place", "event")), F.col("place")
    recency = F.pow(0.5, place / blend.half_life) + blend.tail * F.pow(0.5, place / blend.tail_half_life)
    return events.where(place < blend.query).select(
        "user_id",
        F.col("event.event_id").alias("event_id"),
        F.col("event.item_id").alias("item_id"),
        (recency * F.when(F.col("event.negative"), blend.disliked).otherwise(1.0)).alias("recency"),
    )


def retrieved(query: DataFrame, near: DataFrame, most: int) -> DataFrame:
    """user_id, first (false), event_id, recency, source, numbers, weights: what each of a user's latest events leads to."""
    pairs = query.join(near, "number", how="inner")
    reach = F.floor(most * F.col("recency")).cast("int")
    return pairs.select(
        "user_id",
        F.lit(False).alias("first"),
        "event_id",
        "recency",
        "source",
        F.slice("neighbours", F.lit(1), reach).alias("numbers"),
        F.slice("weights", F.lit(1), reach).alias("weights"),
    ).where(F.size("numbers") > 0)


def consumed(theirs: DataFrame, histories: DataFrame, night: Night, run_date: str) -> DataFrame:
    """The same columns, a row a user, `first`: the numbers of what may not come (again) by the profile's `repeat`."""
    if night.repeat == "always":
        theirs = theirs.limit(0)
    if isinstance(night.repeat, int):
        theirs = theirs.where(F.col("time") > F.date_sub(F.lit(run_date).cast("date"), night.repeat).cast("timestamp"))
    had = theirs.groupBy("user_id").agg(F.collect_set("number").alias("numbers"))
    return (
        histories.select("user_id")
        .join(had, "user_id", how="left")
        .select(
            "user_id",
            F.lit(True).alias("first"),
            F.lit(None).cast("string").alias("event_id"),
            F.lit(None).cast("double").alias("recency"),
            F.lit(None).cast("string").alias("source"),
            F.coalesce("numbers", F.array().cast("array<int>")).alias("numbers"),
            F.array().cast("array<double>").alias("weights"),
        )
    )


def popular(events: DataFrame, most: int, blend: Blend) -> Shelf:
    """The `most` items that have most events lately: `popular` for the first, less for the others.

    An event counts 0.5 ^ (its days before the newest one / popular_days).
    """
    newest = events.agg(F.max("time").alias("time")).first()
    assert newest
    days = F.datediff(F.lit(newest["time"]), "time")
    lately = F.pow(F.lit(0.5), days / blend.popular_days).cast("decimal(28, 12)")  # whose sum has no order
    counts = events.groupBy("number").agg(F.sum(lately).cast("double").alias("lately"))
    rows = counts.orderBy(F.desc("lately"), "number").take(most)
    amounts = np.array([blend.popular * row["lately"] / rows[0]["lately"] for row in rows])
    return Shelf(np.array([row["number"] for row in rows]), np.round(amounts * BILLIONTHS).astype(np.int64))


def described(ranked: DataFrame, catalogue: DataFrame) -> DataFrame:
    """user_id and `candidates` with what is known of each item; `ranked` has `best`'s rows."""
    full = ranked.join(catalogue, "number", how="inner")
    about = ["item_id", "title", "tags", "creators", "year", "text"]
    names = ["retrieval_rank", *about, "retrieval_score", "source", "contributions"]
    return full.groupBy("user_id").agg(F.array_sort(F.collect_list(F.struct(*names))).alias("candidates"))
