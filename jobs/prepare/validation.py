"""Split records into rows we can use and rows of `rejected`, each with one reason.

Every record is judged by the first rule that it breaks, in the order of `Reason`. Records of the log that tell a time not
before the run's date are neither, whatever else is wrong with them: the night must not see them, so they are only counted,
as are those of erased users.
Only what has no readable time, or claims one after the run began, is rejected by every night.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs.contracts import contract
from jobs.errors import InputError, ProfileError
from jobs.prepare.sources import BROKEN, FILLED, LABELS, LOSSY, RECORD, Source, readable
from jobs.profile import Events, Profile
from jobs.spark import kept
from jobs.suppressions import suppressed

LATER = "later"  # the verdict on events that this night must not see: neither used nor rejected
ERASED = "erased"  # that on records of users who were erased: counted, and nothing of them is kept
ID_LENGTH = 256
EARLIEST_S, LATEST_S = -2_208_988_800, 253_402_300_800  # the years 1900 to 9999
MICROSECONDS = {"s": 1_000_000, "ms": 1_000}
BAD_TEXT = "[\\x00\\uFFFD]"
DECIMAL = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"  # Java's parser would take 4d and 0x1p3 as well


class Reason(StrEnum):
    """Why a record is rejected; the list of the contract `rejected`, in the order in which rules are tried."""

    MALFORMED = "malformed"
    INVALID_TEXT = "invalid_text"
    MISSING_ID = "missing_id"
    ID_TOO_LONG = "id_too_long"
    MISSING_TITLE = "missing_title"
    MISSING_TIME = "missing_time"
    BAD_TIME = "bad_time"
    FUTURE_TIME = "future_time"
    BAD_VALUE = "bad_value"
    UNKNOWN_ITEM = "unknown_item"
    DUPLICATE = "duplicate"


UNTIMED = (Reason.MALFORMED, Reason.MISSING_TIME, Reason.BAD_TIME, Reason.FUTURE_TIME)  # whose time says nothing


@dataclass(frozen=True)
class Judged:
    """`rows` of one input with `reason` and `detail` (null where valid); call `valid` and `rejected` for its parts."""

    source: str
    rows: DataFrame

    @contextmanager
    def kept(self) -> Iterator[Judged]:
        """The same, computed once."""
        with ExitStack() as stack:
            try:
                with readable():
                    rows = stack.enter_context(kept(self.rows))
            except InputError as error:
                mend = "put a whole file in its place and start again"
                raise InputError(f"{self.source}.path cannot be read: {error}; {mend}") from error
            yield Judged(self.source, rows)

    @property
    def valid(self) -> DataFrame:
        names = contract(self.source).names
        return self.rows.where(F.col("reason").isNull()).select(*names)

    def rejected(self, run_date: str) -> DataFrame:
        """Rows of the table `rejected`."""
        return self.rows.where(~F.col("reason").isin(LATER, ERASED)).select(
            F.lit(run_date).cast("date").alias("run_date"),
            F.lit(self.source).alias("source"),
            "reason",
            F.make_valid_utf8(F.regexp_replace(RECORD, "\\x00", "\\\\u0000")).alias("record"),
            "detail",
        )

    def counts(self) -> dict[str, int]:
        """Rows by reason; valid ones under ``valid``, those not before the night ``later``, erased users' ``erased``."""
        groups = self.rows.groupBy(F.coalesce("reason", F.lit("valid")).alias("reason")).count().collect()
        return {row["reason"]: row["count"] for row in groups}


def judge_items(items: Source) -> Judged:
    """Judge a catalogue; `rows` in: text columns of `Source`, out: columns of the contract `items` and the verdict."""
    typed = items.rows.withColumn("year", F.expr("try_cast(try_cast(year as double) as int)"))
    rules = [
        *_text_rules(["item_id", "title", "text"], also=F.concat_ws("", *LABELS)),
        *_id_rules(["item_id"]),
        (Reason.MISSING_TITLE, _blank("title"), F.lit("title")),
    ]
    return Judged("items", _first_only(_verdict(typed, rules), ["item_id"]))


def judge_events(events: Source, items: DataFrame, profile: Profile, run_date: str, started_at: datetime) -> Judged:
    """Judge a log against a valid catalogue (columns of the contract `items`).

    Events on or after `run_date` get the verdict `LATER`. `started_at` is when the run began: a record that claims a time
    after both is wrong in any night.
    """
    rows = _typed_events(events, profile, run_date, started_at).transform(_without_erased, profile)
    known = items.select("item_id", F.lit(True).alias("known"))
    rows = rows.join(known, "item_id", how="left")
    unknown = F.col("reason").isNull() & F.col("known").isNull()
    rows = rows.withColumns(
        {
            "reason": F.when(unknown, Reason.UNKNOWN_ITEM.value).otherwise(F.col("reason")),
            "detail": F.when(unknown, _detail("item_id")).otherwise(F.col("detail")),
        }
    )
    return Judged("events", _first_only(rows, ["event_id"]))


def _without_erased(rows: DataFrame, profile: Profile) -> DataFrame:
    """The verdict `ERASED`, before any other, on what is an erased user's; of a line that is no record, on one with the id."""
    marked = suppressed(profile, rows.withColumn("unread", F.when(F.col(BROKEN), F.col(RECORD))), unread="unread")
    verdict = F.when(F.col("suppressed"), ERASED).otherwise(F.col("reason"))
    return marked.withColumn("reason", verdict).drop("suppressed", "unread")


def _typed_events(events: Source, profile: Profile, run_date: str, started_at: datetime) -> DataFrame:
    """Typed columns and the verdict of every rule on a single record."""
    rows = events.rows.withColumns(
        {
            "time_text": F.trim("time"),
            "time": _time(profile.events),
            "value_text": F.trim("value"),
            "value": F.when(F.col("value").rlike(DECIMAL), F.expr("try_cast(value as double)")),
        }
    )
    end = F.greatest(F.lit(started_at.isoformat()).cast("timestamp"), F.lit(run_date).cast("timestamp"))
    given_id = ["event_id"] if profile.events.id else []
    rules = [
        *_text_rules(["user_id", "item_id", "event_id", "type", "time_text", "value_text"]),
        *_id_rules(["user_id", "item_id", *given_id]),
        (Reason.MISSING_TIME, _blank("time_text"), F.lit("time")),
        (Reason.BAD_TIME, F.col("time").isNull(), _detail("time_text")),
        (Reason.FUTURE_TIME, F.col("time") > end, _detail("time_text")),
        (Reason.BAD_VALUE, _bad_number(), _detail("value_text")),
    ]
    rows = _verdict(rows, rules)
    if not profile.events.id:
        rows = rows.withColumn("event_id", _content_id())
    likes = {name: _liking(rows.sparkSession, profile, name) for name in ("positive", "negative")}
    timed = ~F.coalesce("reason", F.lit("")).isin([reason.value for reason in UNTIMED])
    later = F.coalesce(timed & (F.col("time") >= F.lit(run_date).cast("timestamp")), F.lit(False))
    verdict = {"reason": F.when(later, LATER).otherwise(F.col("reason")), "detail": F.when(~later, F.col("detail"))}
    return rows.withColumns(likes).withColumns(verdict)


def _verdict(rows: DataFrame, rules: list[tuple[Reason, Column, Column]]) -> DataFrame:
    """Add `reason` and `detail` of the first rule that a row breaks."""
    broken = [(Reason.MALFORMED, F.col(BROKEN), F.lit("not a record of this format")), *rules]
    reasons = [F.when(test, F.lit(reason.value)) for reason, test, _ in broken]
    details = [F.when(test, detail) for _, test, detail in broken]
    return rows.withColumns({"reason": F.coalesce(*reasons), "detail": F.coalesce(*details)})


def _first_only(rows: DataFrame, key: list[str]) -> DataFrame:
    """Of valid rows with the same key all but one are duplicates: the earliest stays, then the smallest record."""
    order = [F.col(name) for name in ("time", RECORD) if name in rows.columns]
    place = F.row_number().over(Window.partitionBy(*key, F.col("reason").isNull()).orderBy(*order))
    again = F.col("reason").isNull() & (place > 1)
    return rows.withColumn("again", again).withColumns(
        {
            "reason": F.when(F.col("again"), Reason.DUPLICATE.value).otherwise(F.col("reason")),
            "detail": F.when(F.col("again"), F.concat_ws(" ", F.lit(key[0]), *key)).otherwise(F.col("detail")),
        }
    )


def _text_rules(columns: list[str], also: Column | None = None) -> list[tuple[Reason, Column, Column]]:
    text = F.concat_ws("", *columns, *([also] if also is not None else []))
    bad = F.col(LOSSY) | text.rlike(BAD_TEXT) | ~F.is_valid_utf8(text)
    return [(Reason.INVALID_TEXT, bad, F.lit(f"one of {', '.join(columns)}"))]


def _id_rules(columns: list[str]) -> list[tuple[Reason, Column, Column]]:
    missing = [(Reason.MISSING_ID, _blank(name), F.lit(name)) for name in columns]
    long = [(Reason.ID_TOO_LONG, F.length(name) > ID_LENGTH, F.lit(name)) for name in columns]
    return missing + long


def _blank(name: str) -> Column:
    return F.col(name).isNull() | ~F.col(name).rlike(FILLED)


def _detail(name: str) -> Column:
    """`column value`, the value cut to what a person reads."""
    return F.concat_ws(" ", F.lit(name.removesuffix("_text")), F.substring(name, 1, 80))


def _bad_number() -> Column:
    return ~_blank("value_text") & (F.col("value").isNull() | (F.abs("value") == float("inf")))


def _time(events: Events) -> Column:
    """The time column as a timestamp (UTC); null where it does not parse or is out of range."""
    if events.time_unit == "iso":
        dated = F.col("time").rlike(r"^\s*\d{4}-\d{2}-\d{2}")
        time = F.when(dated, F.try_to_timestamp(F.trim("time")))
        seconds = F.unix_timestamp(time)
        return F.when((seconds >= EARLIEST_S) & (seconds < LATEST_S), time)
    per_second = {"s": 1, "ms": 1000}[events.time_unit]
    number = F.expr("try_cast(trim(time) as double)")
    exact = F.expr("try_cast(trim(time) as decimal(26, 6))") * MICROSECONDS[events.time_unit]
    inside = (number >= EARLIEST_S * per_second) & (number < LATEST_S * per_second)
    return F.when(inside, F.timestamp_micros(exact.cast("bigint")))


def _content_id() -> Column:
    """Id of an event that has none: a hash of all that makes it that event (80 bits)."""
    time, value = F.unix_micros("time").cast("string"), F.col("value").cast("string")
    parts = [F.col("user_id"), F.col("item_id"), time, F.col("type"), value]
    return F.substring(F.sha2(F.to_json(F.array(*parts)), 256), 1, 20)


def _liking(spark: SparkSession, profile: Profile, name: str) -> Column:
    """The profile's SQL over value and type, null as false; by default every event is positive and none negative."""
    rule = getattr(profile.events, name)
    if rule is None:
        return F.lit(name == "positive")
    try:
        spark.createDataFrame([], "value double, type string").withColumn("rule", F.expr(rule).cast("boolean"))
    except AnalysisException as error:
        raise ProfileError(f"events.{name}: {rule!r} is not SQL over value and type: {str(error).splitlines()[0]}") from error
    return F.coalesce(F.expr(rule).cast("boolean"), F.lit(False))
