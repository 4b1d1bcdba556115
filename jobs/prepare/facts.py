"""What a user's history says, as facts with the events behind each; the model later only puts them into words."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

EVIDENCE = 5  # latest events a fact names
PER_KIND = {"likes_tag": 5, "dislikes_tag": 2, "favourite": 5, "disliked": 2, "recent": 3}
MIN_EVENTS = 2  # that make a taste of a tag


def tag_shares(described: DataFrame) -> DataFrame:
    """Share of all events whose item has a tag: columns tag, share (0 to 1]."""
    total = described.agg(F.count("*").alias("total"))
    tags = described.select(F.explode("tags").alias("tag")).groupBy("tag").count()
    return tags.crossJoin(F.broadcast(total)).select("tag", (F.col("count") / F.col("total")).alias("share"))


def user_facts(histories: DataFrame, shares: DataFrame) -> DataFrame:
    """user_id and `facts`, strongest first within each kind.

    - likes_tag: at least two liked events, more than disliked ones; by n * lift, where lift is the tag's share of the
      user's liked events over its share of everyone's events
    - dislikes_tag: at least two disliked events, more than liked ones; by n
    - favourite, disliked: liked and disliked items by value, then the latest
    - recent: the latest events
    """
    events = histories.select("user_id", F.explode("history").alias("event")).select("user_id", "event.*")
    kinds = [_tag_facts(events, shares), *_item_facts(events)]
    facts = kinds[0].unionByName(kinds[1]).unionByName(kinds[2]).unionByName(kinds[3])
    kept = F.array_sort(F.collect_list(F.struct("order", "place", "fact")))
    return facts.groupBy("user_id").agg(F.transform(kept, lambda each: each["fact"]).alias("facts"))


def _tag_facts(events: DataFrame, shares: DataFrame) -> DataFrame:
    tagged = events.select("*", F.explode("tags").alias("tag"))
    likes = events.groupBy("user_id").agg(F.count_if("positive").alias("liked_all"))
    tags = tagged.groupBy("user_id", "tag").agg(
        F.count_if("positive").alias("liked"),
        F.count_if("negative").alias("disliked"),
        _latest(F.col("positive")).alias("liked_events"),
        _latest(F.col("negative")).alias("disliked_events"),
    )
    rows = tags.join(likes, "user_id", how="inner").join(F.broadcast(shares), "tag", how="inner")
    lift = F.col("liked") / F.greatest(F.col("liked_all"), F.lit(1)) / F.col("share")
    liked = (F.col("liked") >= MIN_EVENTS) & (F.col("liked") > F.col("disliked"))
    disliked = (F.col("disliked") >= MIN_EVENTS) & (F.col("disliked") > F.col("liked"))
    return _strongest(
        rows.where(liked), "likes_tag", F.col("tag"), F.col("liked"), F.col("liked") * lift, F.col("liked_events")
    ).unionByName(
        _strongest(
            rows.where(disliked),
            "dislikes_tag",
            F.col("tag"),
            F.col("disliked"),
            F.col("disliked"),
            F.col("disliked_events"),
        )
    )


def _item_facts(events: DataFrame) -> list[DataFrame]:
    items = events.groupBy("user_id", "item_id").agg(
        F.max_by("title", "time").alias("title"),
        F.count("*").alias("n"),
        F.max("value").alias("best"),
        F.max("time").alias("last"),
        F.bool_or("positive").alias("positive"),
        F.bool_or("negative").alias("negative"),
        _latest(F.lit(True)).alias("ids"),
    )
    age = F.unix_seconds("last") / 1e11  # below any difference of values or counts
    value = F.coalesce("best", F.lit(0.0))
    by_liking = F.col("n") + value + age
    by_disliking = F.col("n") - value + age
    liked = items.where(F.col("positive") & ~F.col("negative"))
    disliked = items.where(F.col("negative") & ~F.col("positive"))
    title, n, ids = F.col("title"), F.col("n"), F.col("ids")
    return [
        _strongest(liked, "favourite", title, n, by_liking, ids),
        _strongest(disliked, "disliked", title, n, by_disliking, ids),
        _strongest(items, "recent", title, n, F.unix_seconds("last"), ids),
    ]


def _latest(which: Column) -> Column:
    """Ids of the latest events for which `which` holds, latest first."""
    event = F.struct(F.col("time"), F.col("event_id"))
    ordered = F.sort_array(F.collect_list(F.when(which, event)), asc=False)
    return F.transform(F.slice(ordered, 1, EVIDENCE), lambda each: each["event_id"])


def _strongest(rows: DataFrame, kind: str, label: Column, n: Column, strength: Column, ids: Column) -> DataFrame:
    """The strongest facts of one kind: user_id, order of the kind, place within it, fact."""
    ranked = rows.select("user_id", label.alias("label"), n.alias("n"), strength.alias("strength"), ids.alias("ids"))
    order = Window.partitionBy("user_id").orderBy(F.desc("strength"), "label")
    top = F.max("strength").over(Window.partitionBy("user_id"))
    placed = ranked.select("*", F.row_number().over(order).alias("place"), top.alias("top"))
    fact = F.struct(
        F.lit(kind).alias("kind"),
        "label",
        F.col("n").alias("n_events"),
        F.round(F.greatest(F.col("strength") / F.col("top"), F.lit(0.0)), 4).alias("weight"),
        F.col("ids").alias("evidence"),
    )
    kept = placed.where(F.col("place") <= PER_KIND[kind])
    return kept.select("user_id", F.lit(list(PER_KIND).index(kind)).alias("order"), "place", fact.alias("fact"))
