"""When a user comes, as far as a log in UTC can tell.

Hours of the day are never told: whose evening it is takes a time zone. A rhythm of

- `daily`: at least 14 days from the first event to the last, events on at least 80% of them
- `weekly`: at least 8 weeks likewise, events in at least 80% of them; not daily
- `in bursts`: at least 3 days with events, 5 events on each of them in the mean, and at most one day in seven from the first
  to the last; neither daily nor weekly
- `at once`: at least 10 events, which are all of the user's, within 24 hours
- `weekends`, `weekdays`: at least 5 days with events that are known to be one of them, most of them at (none or few on) a
  weekend, and that surely (`surprise.SURE`)

The day of the week is known where it is the same in every time zone from -12 to +14 hours: from Saturday 12:00 to Sunday 10:00
UTC it is a weekend everywhere, from Monday 12:00 to Friday 10:00 a weekday. To treat all hours alike, 10:00 to 12:00 are never
counted. Whoever comes at any constant hour of every day is then on one known day in five at a weekend: that is the chance to
compare with. The other kinds are counts, not comparisons: true as they stand, of whatever process.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.prepare.surprise import SURE, surprise

MOST = 0.8  # of days or weeks
DAYS, WEEKS = 14, 8
BURSTS, BURST, APART = 3, 5, 7  # days with events, events a day, days for each of them
AT_ONCE = 10
KNOWN_DAYS = 5
WEEKEND_SHARE = 0.2  # of known days, by chance
SATURDAY, THURSDAY = 5, 3  # `weekday`s, Monday 0
HOUR_US = 3_600_000_000


def rhythms(histories: DataFrame) -> DataFrame:
    """user_id, place (0: how often; 1: on which days), label, ids of its events, latest first, n: of how many."""
    known = histories.select("user_id", "n_events", "history", _known("history").alias("known"))
    counted = known.select(
        "user_id",
        "n_events",
        "history",
        F.filter("known", lambda each: each["weekend"])["event"].alias("weekends"),
        F.filter("known", lambda each: ~each["weekend"])["event"].alias("weekdays"),
        F.size("known").alias("n_known"),
        _days(F.filter("known", lambda each: each["weekend"])["day"]).alias("weekend_days"),
        _days("known.day").alias("known_days"),
        F.size("history").alias("n"),
        _days(F.transform("history", lambda event: event["time"].cast("date"))).alias("days"),
        _days(F.transform("history", lambda event: _week(event["time"]))).alias("weeks"),
        F.get("history", F.lit(0))["time"].alias("first"),
        F.element_at("history", -1)["time"].alias("last"),
    )
    found = counted.select("user_id", F.explode(F.array_compact(F.array(_how_often(), _on_which_days()))).alias("rhythm"))
    return found.select("user_id", "rhythm.*")


def _how_often() -> Column:
    n, days, weeks, first, last = map(F.col, ("n", "days", "weeks", "first", "last"))
    span = F.datediff(last, first) + 1
    weeks_span = F.datediff(_week(last), _week(first)) / 7 + 1
    label = (
        F.when((span >= DAYS) & (days >= MOST * span), "daily")
        .when((weeks_span >= WEEKS) & (weeks >= MOST * weeks_span), "weekly")
        .when((days >= BURSTS) & (n >= BURST * days) & (span >= APART * days), "in bursts")
        .when((n >= AT_ONCE) & (n == F.col("n_events")) & (_us(last) - _us(first) <= 24 * HOUR_US), "at once")
    )
    return _rhythm(0, label, F.col("history"), n)


def _on_which_days() -> Column:
    weekends, known = F.col("weekend_days"), F.col("known_days")
    sure = (known >= KNOWN_DAYS) & (surprise((weekends, known, F.lit(WEEKEND_SHARE))) >= SURE)
    label = F.when(sure & (weekends >= known / 2), "weekends").when(sure & (weekends < WEEKEND_SHARE * known), "weekdays")
    events = F.when(label == "weekends", F.col("weekends")).otherwise(F.col("weekdays"))
    return _rhythm(1, label, events, F.col("n_known"))


def _rhythm(place: int, label: Column, events: Column, n: Column) -> Column:
    parts = {"place": F.lit(place), "label": label, "ids": F.reverse(events["event_id"]), "n": n}
    return F.when(label.isNotNull(), F.struct(*[part.alias(name) for name, part in parts.items()]))


def _known(history: str) -> Column:
    """Events whose day is a weekend, or a weekday, in every time zone: array of struct<event, day, weekend>."""

    def known(event: Column) -> Column:
        shifted = F.timestamp_micros(_us(event["time"]) - 12 * HOUR_US)
        day = F.weekday(shifted)
        sure = (F.hour(shifted) < 22) & ((day == SATURDAY) | (day <= THURSDAY))
        parts = {"event": event, "day": shifted.cast("date"), "weekend": day == SATURDAY}
        return F.when(sure, F.struct(*[part.alias(name) for name, part in parts.items()]))

    return F.array_compact(F.transform(history, known))


def _days(days: Column | str) -> Column:
    return F.size(F.array_distinct(days))


def _week(time: Column) -> Column:
    return F.trunc(time, "week")


def _us(time: Column) -> Column:
    return F.unix_micros(time)
