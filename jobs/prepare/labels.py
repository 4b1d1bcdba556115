"""What an item is about, as labels of three sorts: its tags, its creators and the decade of its year."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

TAG, CREATOR, DECADE = "tag", "creator", "decade"


def labels(tags: Column, creators: Column, year: Column) -> Column:
    """An array of struct<of, label>; a decade is `1990s`."""
    decade = F.concat((F.floor(year / 10) * 10).cast("string"), F.lit("s"))
    dated_ = F.when(dated(year), F.array(decade)).otherwise(F.array().cast("array<string>"))
    return F.concat(_labels(TAG, tags), _labels(CREATOR, creators), _labels(DECADE, dated_))


def labelled(histories: DataFrame, user: list[str], event: list[str]) -> DataFrame:
    """A row an event of the history and label of its item: columns of the user, these fields of the event, of, label.

    Only these fields are read and copied, which takes half the time of the whole event.
    """
    fields = [*event, "tags", "creators", "year"]
    events = histories.select(*user, F.explode(F.arrays_zip(*[F.col(f"history.{name}") for name in fields])).alias("event"))
    about = F.explode(labels(*[F.col(f"event.{name}") for name in ("tags", "creators", "year")])).alias("about")
    rows = events.select(*user, *[f"event.{name}" for name in event], about)
    return rows.select(*user, *event, "about.of", "about.label")


def dated(year: Column) -> Column:
    """Whether a year has a decade: four digits, since 0 and 19 are rather unknown ones."""
    return F.coalesce(year.between(1000, 9999), F.lit(False))


def everyones(described: DataFrame, items: DataFrame) -> DataFrame:
    """Share of all events that are about a label: of, label, share (0 to 1]; decades among events with one.

    `described` is `histories.describe`'s of the catalogue `items`. Counted by item first: there are far fewer of them.
    """
    counts = described.groupBy("item_id").count().join(items, "item_id", how="inner")
    with_decade = F.sum(F.when(dated(F.col("year")), F.col("count")))
    totals = counts.agg(F.sum("count").alias("all"), with_decade.alias("dated"))
    about = counts.select("count", F.explode(labels(F.col("tags"), F.col("creators"), F.col("year"))).alias("about"))
    sums = about.groupBy("about").agg(F.sum("count").alias("count")).crossJoin(F.broadcast(totals))
    total = F.when(F.col("about.of") == DECADE, F.col("dated")).otherwise(F.col("all"))
    return sums.select("about.of", "about.label", (F.col("count") / total).alias("share"))


def _labels(of: str, names: Column) -> Column:
    return F.transform(names, lambda name: F.struct(F.lit(of).alias("of"), name.alias("label")))
