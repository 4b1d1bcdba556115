"""Who each user is as of the run's date: their recent events with what they were about, and a hash of it all."""

from __future__ import annotations

from pyspark.errors import AnalysisException, IllegalArgumentException
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.errors import InputError
from jobs.profile import Night

ITEM = ["title", "tags", "creators", "year", "text"]
HISTORY = ["event_id", "item_id", *ITEM, "time", "value", "type", "positive", "negative"]


def describe(events: DataFrame, items: DataFrame) -> DataFrame:
    """Events with the columns of their item."""
    return events.join(items, "item_id", how="inner")


def select_users(events: DataFrame, users: str) -> DataFrame:
    """Ids of the users this night is for (one column `user_id`): a number of those with an event, or those of a file.

    A number takes that many in the order of a hash of their id: the same people every night as long as they are there.

    Raises:
        InputError: the file cannot be read.
    """
    everyone = events.select("user_id").distinct()
    if users.isdecimal():
        return everyone.orderBy(F.xxhash64("user_id"), "user_id").limit(int(users))
    try:
        listed = events.sparkSession.read.text(users).select(F.trim("value").alias("user_id")).distinct()
    except (AnalysisException, IllegalArgumentException) as error:
        raise InputError(f"--users {users}: neither a number nor a file that can be read") from error
    return everyone.join(listed, "user_id", how="left_semi")


def user_histories(described: DataFrame, users: DataFrame | None, night: Night, settings: str) -> DataFrame:
    """One row a user: n_events, cold, experiment_group, context_hash and `history`, the last events, oldest first.

    `described` is `describe`'s; `users` has their ids, None for everyone; `settings` is a hash of everything else that shapes
    a user's outputs.
    """
    theirs = described if users is None else described.join(users, "user_id", how="left_semi")
    newest = Window.partitionBy("user_id").orderBy(F.desc("time"), F.desc("event_id"))
    placed = theirs.select("user_id", *HISTORY, F.row_number().over(newest).alias("place"), _digest().alias("digest"))
    event = F.struct("time", *[name for name in HISTORY if name != "time"])
    grouped = placed.groupBy("user_id").agg(
        F.count("*").alias("n_events"),
        F.bit_xor("digest").alias("digest"),
        F.sort_array(F.collect_list(F.when(F.col("place") <= night.history_length, event))).alias("history"),
    )
    seen = F.concat_ws("|", F.lit(settings), "user_id", F.col("n_events"), F.col("digest"))
    return grouped.select(
        "user_id",
        F.sha2(seen, 256).alias("context_hash"),
        (F.col("n_events") < night.cold_events).alias("cold"),
        "n_events",
        _experiment_group(night.experiment_holdout).alias("experiment_group"),
        "history",
    )


def _digest() -> Column:
    """Hash of an event and its item; the length of arrays too, since the hash of an array is that of its elements in a row."""
    return F.xxhash64(*HISTORY, F.size("tags"), F.size("creators"))


def _experiment_group(holdout: float) -> Column:
    """holdout for a fixed share of users, by a hash of their id."""
    place = F.pmod(F.xxhash64("user_id", F.lit("experiment")), F.lit(10_000))
    return F.when(place < round(holdout * 10_000), "holdout").otherwise("treatment")
