"""What is held out: the last event of every user (test), and the one before it (validation).

- `leave_one_out`: models learn from everything but the held-out events. As published figures are made; the future leaks in,
  because others' events after a user's held-out one are among what is learned from.
- `temporal`: rolling origin. Users are put in order of the time of their held-out event and cut into groups of equal size;
  models for a group learn from events before its earliest held-out one only. Of a user, all events before the held-out one
  are known in both. (Ji et al., "A Critical Study on Data Leakage in Recommender System Offline Evaluation", TOIS 2023.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.spark import keep

HELD_OUT = {"test": 1, "validation": 2}  # place from the newest event of a user


@dataclass(frozen=True)
class Fold:
    """One training and those whom it is judged on.

    `events` is what may be learned from, `own` what is known of the users who are judged, both as `histories.describe`
    has events; `targets` has user_id and item_id, a row a user.
    """

    events: DataFrame
    own: DataFrame
    targets: DataFrame


def core(events: DataFrame, least: int) -> DataFrame:
    """Events of users and items that have at least `least` of them, after the others are gone (a k-core)."""
    before, n = -1, events.count()
    while n != before:
        for name in ("item_id", "user_id"):
            n_events = F.count("*").over(Window.partitionBy(name))
            events = events.withColumn("n", n_events).where(F.col("n") >= least).drop("n")
        events = keep(events)
        before, n = n, events.count()
    return events


def leave_one_out(events: DataFrame, part: str) -> Iterator[Fold]:
    """One fold of all users with an event before the held-out one."""
    placed, held = _placed(events), HELD_OUT[part]
    known = placed.where(F.col("place") > held)
    targets = placed.where(F.col("place") == held).select("user_id", "item_id")
    yield Fold(known, known, targets.join(known.select("user_id").distinct(), "user_id", how="left_semi"))


def temporal(events: DataFrame, part: str, groups: int) -> Iterator[Fold]:
    """A fold a group, earliest first; a group before whose held-out events there is nothing to learn from is left out."""
    placed, held = _placed(events), HELD_OUT[part]
    known = placed.where(F.col("place") > held)
    last = placed.where(F.col("place") == held).join(known.select("user_id").distinct(), "user_id", how="left_semi")
    grouped = keep(last.withColumn("group", F.ntile(groups).over(Window.orderBy("time", "user_id"))))
    starts = grouped.groupBy("group").agg(F.min("time").alias("start")).orderBy("group").collect()  # `groups` rows
    for row in starts:
        targets = grouped.where(F.col("group") == row["group"]).select("user_id", "item_id")
        past = placed.where((F.col("time") < F.lit(row["start"])) & (F.col("place") >= held))
        if past.isEmpty():
            continue
        yield Fold(past, known.join(targets.select("user_id"), "user_id", how="left_semi"), targets)


def _placed(events: DataFrame) -> DataFrame:
    newest = Window.partitionBy("user_id").orderBy(F.desc("time"), F.desc("event_id"))
    return keep(events.withColumn("place", F.row_number().over(newest)))
