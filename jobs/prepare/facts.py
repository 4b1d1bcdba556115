"""What a user's history says, as facts with the events behind each; the model later only puts them into words.

Kinds, strongest first within each, at most so many as `PER_KIND`:

- likes_tag, likes_creator: at least 2 liked events, more than disliked ones; by n * lift
- dislikes_tag, dislikes_creator: at least 2 disliked events, more than liked ones; by n
- more_lately, less_lately: a tag with surely another share of the newest third than of the events before; at least 5 events
  with it in the part that has more of it; by surprise. The newest third is what is later than the last event before it, at
  least 5 events, and the middle one of these is at least 7 days later than the middle one of those before
- era: a decade with at least 5 events and 1.25 times everyone's share, surely; by surprise
- favourite, disliked: liked items from the highest value, disliked ones from the lowest; then most often, then latest. Where
  all events of a user are liked and none has a value, nothing tells a favourite from the others but that it came more than once
- recent: the latest items
- rhythm: how often, then on which days, by the rules of `rhythm`

"Surely" is a `surprise` of at least 3.3 (SURE). Of users who draw 50 events at random like everyone else, of 20 tags and 10
decades, 0.7% have a fact of lately, 0.1% an era and 0.2% a day of the week. Likes and dislikes do not compare: they are counts
with lift beside them, true of chance too.

`n_events` is how many events a fact is about and `evidence` the latest of them. `share` is n_events over the events that could
have been: the user's liked ones for likes, the disliked ones for dislikes, those with a decade for an era, the newest third
for more_lately, what was before for less_lately, those of a known day for weekends and weekdays, else the whole history. `lift`
is that share over the share of everyone's events, for tags, creators and decades but not for lately. `weight` is the strength
over that of the strongest of its kind for these and for lately, else 1 / place.
"""

from __future__ import annotations

from functools import reduce
from itertools import chain

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.prepare.rhythm import rhythms
from jobs.prepare.tastes import taste_facts

EVIDENCE = 5  # latest events a fact names
PER_KIND = {
    "likes_tag": 5,
    "dislikes_tag": 2,
    "likes_creator": 3,
    "dislikes_creator": 2,
    "more_lately": 2,
    "less_lately": 2,
    "era": 2,
    "favourite": 5,
    "disliked": 2,
    "recent": 3,
    "rhythm": 2,
}


def user_facts(histories: DataFrame, everyone: DataFrame) -> DataFrame:
    """user_id and `facts`, kind after kind; `histories` as of `user_histories`, `everyone` as of `labels.everyones`."""
    tastes = taste_facts(histories, everyone).withColumn("order", _order(-F.col("strength"), "label"))
    found = reduce(DataFrame.unionByName, [tastes, _item_facts(histories), _rhythm_facts(histories)])
    by_kind = Window.partitionBy("user_id", "kind").orderBy("order")
    place, top = F.row_number().over(by_kind), F.first("strength").over(by_kind)
    most = F.create_map(*map(F.lit, chain.from_iterable(PER_KIND.items())))[F.col("kind")]
    kept = found.repartition("user_id").select("*", place.alias("place"), top.alias("top")).where(F.col("place") <= most)
    fact = F.struct(
        "kind",
        "label",
        F.size("ids").alias("n_events"),
        F.round(F.size("ids") / F.col("compared"), 4).alias("share"),
        F.round("lift", 4).alias("lift"),
        F.round(F.coalesce(F.col("strength") / F.col("top"), 1 / F.col("place")), 4).alias("weight"),
        F.slice("ids", 1, EVIDENCE).alias("evidence"),
    )
    kind = F.array_position(F.lit(list(PER_KIND)), F.col("kind")).alias("kind")
    ordered = F.array_sort(F.collect_list(F.struct(kind, "place", fact.alias("fact"))))
    return kept.groupBy("user_id").agg(ordered["fact"].alias("facts"))


def _item_facts(histories: DataFrame) -> DataFrame:
    fields = ["item_id", "title", "event_id", "time", "value", "positive", "negative"]
    event = F.explode(F.arrays_zip(*[F.col(f"history.{name}") for name in fields])).alias("event")
    opinionated = F.exists("history", lambda each: each["value"].isNotNull() | ~each["positive"])
    items = (
        histories.select("user_id", F.size("history").alias("n"), opinionated.alias("told_apart"), event)
        .select("user_id", "n", "told_apart", "event.*")
        .groupBy("user_id", "n", "told_apart", "item_id")
        .agg(
            F.max_by("title", "time").alias("label"),
            F.sort_array(F.collect_list(F.struct("time", "event_id")), asc=False)["event_id"].alias("ids"),
            F.max("value").alias("best"),
            F.min("value").alias("worst"),
            F.max("time").alias("last"),
            F.bool_or("positive").alias("liked"),
            F.bool_or("negative").alias("disliked"),
        )
    )
    told_apart = F.col("told_apart")
    often, last, never = F.size("ids"), F.unix_micros("last"), F.lit(float("inf"))
    favourite = _order(F.coalesce(-F.col("best"), never), "item_id", often, last)
    disliked = _order(F.coalesce("worst", never), "item_id", often, last)
    kinds = [
        F.when(F.col("liked") & ~F.col("disliked") & (told_apart | (often > 1)), _placed("favourite", favourite)),
        F.when(F.col("disliked") & ~F.col("liked"), _placed("disliked", disliked)),
        _placed("recent", _order(F.lit(0), "item_id", last=last)),
    ]
    return items.select("user_id", F.explode(F.array_compact(F.array(*kinds))).alias("fact")).select("user_id", "fact.*")


def _rhythm_facts(histories: DataFrame) -> DataFrame:
    found = rhythms(histories).select("user_id", _placed("rhythm", _order(F.col("place"), "label")).alias("fact"))
    return found.select("user_id", "fact.*")


def _placed(kind: str, order: Column) -> Column:
    """A fact of a kind that has places, not strengths, of a row with label, ids and n, how many there could have been."""
    none = F.lit(None).cast("double")
    parts = {"kind": F.lit(kind), "label": F.col("label"), "ids": F.col("ids"), "compared": F.col("n"), "lift": none}
    return F.struct(*[part.alias(name) for name, part in (parts | {"strength": none, "order": order}).items()])


def _order(by: Column, name: str, often: Column | int = 0, last: Column | int = 0) -> Column:
    """The least comes first: by a number, then most often, then latest, then by name."""
    parts = {"by": by.cast("double"), "often": -_bigint(often), "last": -_bigint(last), "name": F.col(name)}
    return F.struct(*[part.alias(part_name) for part_name, part in parts.items()])


def _bigint(number: Column | int) -> Column:
    return (number if isinstance(number, Column) else F.lit(number)).cast("bigint")
