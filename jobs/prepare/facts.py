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
    - favourite, disliked: liked items from the highest value, disliked ones from the lowest; then most often, then latest
    - recent: the latest items

    `weight` is the strength of a tag over that of the strongest one, and 1 / place of an item.
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
    likes_tag = _tag_kind(rows.where(liked), "likes_tag", "liked", F.col("liked") * lift)
    return likes_tag.unionByName(_tag_kind(rows.where(disliked), "dislikes_tag", "disliked", F.col("disliked")))


def _tag_kind(rows: DataFrame, kind: str, n: str, strength: Column) -> DataFrame:
    top = F.max("strength").over(Window.partitionBy("user_id"))
    named = rows.select(
        "user_id",
        F.col("tag").alias("label"),
        F.col(n).alias("n"),
        F.col(f"{n}_events").alias("ids"),
        strength.alias("strength"),
    )
    return _first(named, kind, [F.desc("strength"), F.col("label")], F.col("strength") / top)


def _item_facts(events: DataFrame) -> list[DataFrame]:
    items = events.groupBy("user_id", "item_id").agg(
        F.max_by("title", "time").alias("label"),
        F.count("*").alias("n"),
        F.max("value").alias("best"),
        F.min("value").alias("worst"),
        F.max("time").alias("last"),
        F.bool_or("positive").alias("positive"),
        F.bool_or("negative").alias("negative"),
        _latest(F.lit(True)).alias("ids"),
    )
    liked = items.where(F.col("positive") & ~F.col("negative"))
    disliked = items.where(F.col("negative") & ~F.col("positive"))
    then = [F.desc("n"), F.desc("last"), F.col("item_id")]
    by_place = 1 / F.col("place")
    return [
        _first(liked, "favourite", [F.desc_nulls_last("best"), *then], by_place),
        _first(disliked, "disliked", [F.asc_nulls_last("worst"), *then], by_place),
        _first(items, "recent", [F.desc("last"), F.col("item_id")], by_place),
    ]


def _latest(which: Column) -> Column:
    """Ids of the latest events for which `which` holds, latest first."""
    event = F.struct(F.col("time"), F.col("event_id"))
    ordered = F.sort_array(F.collect_list(F.when(which, event)), asc=False)
    return F.transform(F.slice(ordered, 1, EVIDENCE), lambda each: each["event_id"])


def _first(rows: DataFrame, kind: str, order: list[Column], weight: Column) -> DataFrame:
    """The first facts of one kind: user_id, order of the kind, place within it, fact. `rows` has label, n and ids."""
    place = F.row_number().over(Window.partitionBy("user_id").orderBy(*order))
    placed = rows.withColumn("place", place).withColumn("weight", F.round(weight, 4))
    fact = F.struct(
        F.lit(kind).alias("kind"),
        "label",
        F.col("n").alias("n_events"),
        "weight",
        F.col("ids").alias("evidence"),
    )
    kept = placed.where(F.col("place") <= PER_KIND[kind])
    return kept.select("user_id", F.lit(list(PER_KIND).index(kind)).alias("order"), "place", fact.alias("fact"))
