"""Times of every unit, and which side of midnight UTC they fall on."""

from datetime import datetime

import pytest

from tests.data.inputs import profile, write_lines
from tests.prepare.test_validation import judged

SECOND = datetime(2024, 3, 1, 10, 20, 30)
DAY = datetime(2024, 3, 1)

ISO = [
    ("2024-03-01T10:20:30Z", SECOND),
    ("2024-03-01T10:20:30", SECOND),  # without a zone: UTC
    ("2024-03-01 10:20:30", SECOND),
    (" 2024-03-01T10:20:30Z ", SECOND),
    ("2024-03-01T12:20:30+02:00", SECOND),
    ("2024-03-01T12:20:30+0200", SECOND),
    ("2024-03-01T12:20:30+02", SECOND),
    ("2024-03-01T04:50:30-05:30", SECOND),
    ("2024-03-02T00:20:30+14:00", SECOND),
    ("2024-03-01 11:20:30 Europe/Berlin", SECOND),
    ("2024-03-01T10:20:30.5Z", SECOND.replace(microsecond=500_000)),
    ("2024-03-01T10:20:30.123456Z", SECOND.replace(microsecond=123_456)),
    ("2024-03-01T10:20:30.123456789Z", SECOND.replace(microsecond=123_456)),
    ("2024-03-01T10:20", SECOND.replace(second=0)),
    ("2024-03-01T10:20Z", None),  # Spark wants seconds before a zone
    ("2024-03-01", DAY),
    ("2024-02-29", datetime(2024, 2, 29)),
    ("1900-01-01", datetime(1900, 1, 1)),
    ("1899-12-31T23:59:59Z", None),
    ("2023-02-29", None),
    ("2024-13-01", None),
    ("2024-03-01T24:00:00Z", None),
    ("2024-03-01T10:61:00Z", None),
    ("2024-03-01T10:20:30+25:00", None),
    ("2024-03-01 at noon", None),
    ("2024-03", None),
    ("2024", None),
    ("1709288430", None),
    ("01/03/2024", None),
]
SECONDS = [
    ("1709288430", SECOND),
    (" 1709288430 ", SECOND),
    ("1709288430.5", SECOND.replace(microsecond=500_000)),
    ("1709288430.123456", SECOND.replace(microsecond=123_456)),
    ("1.70928843E9", SECOND),
    ("0", datetime(1970, 1, 1)),
    ("-1", datetime(1969, 12, 31, 23, 59, 59)),
    ("-2208988800", datetime(1900, 1, 1)),
    ("-2208988801", None),
    ("253402300800", None),
    ("1709288430000000", None),
    ("NaN", None),
    ("Infinity", None),
    ("1e999", None),
    ("0x10", None),
    ("2024-03-01", None),
]
MILLISECONDS = [
    ("1709288430000", SECOND),
    ("1709288430123", SECOND.replace(microsecond=123_000)),
    ("1709288430123.5", SECOND.replace(microsecond=123_500)),
    ("1.70928843E12", SECOND),
    ("-1", datetime(1969, 12, 31, 23, 59, 59, 999_000)),
    ("253402300800000", None),
    ("2024-03-01", None),
]


@pytest.mark.parametrize(("unit", "cases"), [("iso", ISO), ("s", SECONDS), ("ms", MILLISECONDS)], ids=["iso", "s", "ms"])
def test_times(spark, tmp_path, unit, cases):
    lines = [f"u{place},a,{text}" for place, (text, _) in enumerate(cases)]
    write_lines(tmp_path / "events.csv", ["user,item,time", *lines])
    write_lines(tmp_path / "items.csv", ["item,title", "a,Apple"])
    events, _ = judged(spark, profile(tmp_path, {"time_unit": unit}))
    rows = {row["user_id"]: (row["reason"], row["time"]) for row in events.rows.collect()}
    found = [(text, *rows[f"u{place}"]) for place, (text, _) in enumerate(cases)]
    assert found == [(text, None if time else "bad_time", time) for text, time in cases]


@pytest.mark.parametrize(
    ("time", "verdict"),
    [
        ("2024-03-09T23:59:59.999999Z", None),
        ("2024-03-10T00:00:00Z", "later"),
        ("2024-03-10T00:59:59+01:00", None),
        ("2024-03-10T01:00:00+01:00", "later"),
        ("2024-03-09T19:00:00-05:00", "later"),
        ("2024-03-09T18:59:59-05:00", None),
        ("2024-03-10", "later"),
        ("2024-03-09", None),
    ],
)
def test_a_night_ends_at_midnight_utc(spark, tmp_path, time, verdict):
    write_lines(tmp_path / "events.csv", ["user,item,time", f"u,a,{time}"])
    write_lines(tmp_path / "items.csv", ["item,title", "a,Apple"])
    events, _ = judged(spark, profile(tmp_path))
    assert [row["reason"] for row in events.rows.collect()] == [verdict]
