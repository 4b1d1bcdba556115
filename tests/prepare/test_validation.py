"""Every record of every format is used, later, or rejected with the first reason that holds."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.errors import ProfileError
from jobs.prepare.sources import read_sources
from jobs.prepare.validation import LATER, Reason, judge_events, judge_items
from tests.data.inputs import profile, write_jsonl, write_lines

NIGHT, STARTED = "2024-03-10", datetime(2024, 3, 12, 2, tzinfo=UTC)
DAY = "2024-03-01T10:00:00Z"
LOG = {"value": "value", "id": "id"}
ITEMS = [{"item": "a", "title": "Apple"}, {"item": "b", "title": "Bread"}]


def judged(spark, one, run_date=NIGHT):
    """Both inputs of a profile, judged: events, items."""
    events, items = read_sources(spark, one)
    good = judge_items(items)
    return judge_events(events, good.valid, one, run_date, STARTED), good


def verdicts(of) -> list[tuple[str, str, str | None]]:
    """(record, verdict, detail) of every record."""
    rows = of.rows.selectExpr("_nocturne_record", "coalesce(reason, 'valid')", "detail").collect()
    return [tuple(row) for row in rows]


def balanced(of, records: int) -> None:
    """Counts in = valid + later + rejected, and a row a rejected record."""
    counts = of.counts()
    rejected = of.rejected(NIGHT).count()
    assert sum(counts.values()) == records == of.valid.count() + counts.get(LATER, 0) + rejected
    assert set(counts) <= {"valid", LATER, *(reason.value for reason in Reason)}


# name of the case, its columns in place of good ones, verdict, detail
JSON_CASES = [
    ("good", {}, "valid", None),
    ("number as id", {"user": 7}, "valid", None),
    ("no value", {"value": None}, "valid", None),
    ("blank value", {"value": " "}, "valid", None),
    ("question mark", {"user": "who?"}, "valid", None),
    ("paired surrogates", {"user": "\U0001f98a"}, "valid", None),
    ("escaped backslash", {"user": "\\ud800"}, "valid", None),
    ("256 characters", {"user": "é" * 256}, "valid", None),
    ("NUL", {"user": "a\0b"}, "invalid_text", "one of user_id, item_id, event_id, type, time_text, value_text"),
    ("lone high surrogate", {"user": "a\ud800b"}, "invalid_text", ...),
    ("lone low surrogate", {"user": "a\udc00"}, "invalid_text", ...),
    ("surrogates swapped", {"user": "\udc00\ud800"}, "invalid_text", ...),
    ("after a backslash", {"user": "\\\ud800"}, "invalid_text", ...),
    ("replacement character", {"user": "a\ufffd"}, "invalid_text", ...),
    ("null user", {"user": None}, "missing_id", "user_id"),
    ("empty user", {"user": ""}, "missing_id", "user_id"),
    ("blank user", {"user": " \t\u3000"}, "missing_id", "user_id"),
    ("null item", {"item": None}, "missing_id", "item_id"),
    ("null id", {"id": None}, "missing_id", "event_id"),
    ("257 characters", {"user": "é" * 257}, "id_too_long", "user_id"),
    ("long item", {"item": "x" * 257}, "id_too_long", "item_id"),
    ("null time", {"time": None}, "missing_time", "time"),
    ("empty time", {"time": " "}, "missing_time", "time"),
    ("words as time", {"time": "yesterday"}, "bad_time", "time yesterday"),
    ("after the run", {"time": "2024-03-12T02:00:01Z"}, "future_time", "time 2024-03-12T02:00:01Z"),
    ("far future", {"time": "9999-01-01"}, "future_time", ...),
    ("word as value", {"value": "good"}, "bad_value", "value good"),
    ("NaN", {"value": float("nan")}, "bad_value", ...),
    ("Infinity", {"value": float("-inf")}, "bad_value", ...),
    ("too big", {"value": "1e400"}, "bad_value", "value 1e400"),
    ("Java's 4d", {"value": "4d"}, "bad_value", "value 4d"),
    ("Java's hexadecimal", {"value": "0x1p3"}, "bad_value", "value 0x1p3"),
    ("true", {"value": True}, "bad_value", "value true"),
    ("unknown item", {"item": "zzz"}, "unknown_item", "item_id zzz"),
    ("on the night", {"time": "2024-03-10"}, LATER, None),
    ("later and unknown", {"time": "2024-03-11", "item": "zzz"}, LATER, None),
    ("later and bad", {"time": "2024-03-11", "value": "much"}, LATER, None),
    ("later and nobody's", {"time": "2024-03-11", "user": " "}, LATER, None),
    ("at the run", {"time": "2024-03-12T02:00:00Z"}, LATER, None),
    ("first of two faults", {"user": None, "time": "x", "value": "y"}, "missing_id", "user_id"),
]
JSON_LINES = [
    ("cut", '{"user": "u", "it', "malformed"),
    ("two records", '{"user": "u"}{"user": "v"}', "malformed"),
    ("two records, comma", '{"user": "u"}, {"user": "v"}', "malformed"),
    ("a rest", '{"user": "u"} rest', "malformed"),
    ("array", "[]", "malformed"),
    ("array of records", '[{"user": "u"}]', "malformed"),
    ("number", "42", "malformed"),
    ("null", "null", "malformed"),
    ("bare NUL", '{"user": "\0"}', "malformed"),
    ("empty record", "{}", "missing_id"),
    ("other keys", '{"User": "u"}', "missing_id"),
    ("broken UTF-8", b'{"user": "\xe9", "item": "a", "time": "2024-01-01", "id": "utf"}', "invalid_text"),
]


def json_line(place: int, columns: dict) -> str:
    return json.dumps({"id": f"e{place}", "user": "u", "item": "a", "time": DAY, "value": 4} | columns)


@pytest.fixture(scope="module")
def from_json(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    lines = [json_line(place, columns) for place, (_, columns, _, _) in enumerate(JSON_CASES)]
    write_lines(folder / "events.json", [*lines, "", " \t", *(line for _, line, _ in JSON_LINES)])
    write_jsonl(folder / "items.json", ITEMS)
    events, _ = judged(spark, profile(folder, {"format": "json", **LOG}, {"format": "json"}))
    balanced(events, len(JSON_CASES) + len(JSON_LINES))
    kept = {row["record"] for row in events.rejected(NIGHT).collect()}
    return {record: (verdict, detail) for record, verdict, detail in verdicts(events)}, kept


@pytest.mark.parametrize("place", range(len(JSON_CASES)), ids=[case[0] for case in JSON_CASES])
def test_a_json_record(from_json, place):
    _, columns, verdict, detail = JSON_CASES[place]
    record = json_line(place, columns)
    found = from_json[0][record]
    assert found == (verdict, found[1] if detail is ... else detail)
    assert (record in from_json[1]) is (verdict not in ("valid", LATER))


@pytest.mark.parametrize(("line", "verdict"), [case[1:] for case in JSON_LINES], ids=[case[0] for case in JSON_LINES])
def test_a_json_line(from_json, line, verdict):
    text = line.decode(errors="replace") if isinstance(line, bytes) else line
    assert from_json[0][text][0] == verdict
    assert text.replace("\0", "\\u0000") in from_json[1]


CSV_CASES = [
    ("good", f"e1,u,a,{DAY},4", "valid"),
    ("quoted", f'e2,"u ""x"", y",a,{DAY},4', "valid"),
    ("spaces are kept", f"e3, u ,a,{DAY}, 4 ", "valid"),
    ("hash", f"#e4,u,a,{DAY},4", "valid"),
    ("no value", f"e5,u,a,{DAY},", "valid"),
    ("too few fields", f"e6,u,a,{DAY}", "malformed"),
    ("too many fields", f"e7,u,a,{DAY},4,5", "malformed"),
    ("open quote", f'"e8,u,a,{DAY},4', "malformed"),
    ("all empty", ",,,,", "missing_id"),
    ("quoted empty", f'e10,"",a,{DAY},4', "missing_id"),
    ("NUL", f"e11,u\0,a,{DAY},4", "invalid_text"),
    ("NUL first", f"\0e12,u,a,{DAY},4", "invalid_text"),
    ("broken UTF-8", f"e13,Zo\xeb,a,{DAY},4".encode("latin-1"), "invalid_text"),
    ("long id", f"e14,{'x' * 257},a,{DAY},4", "id_too_long"),
    ("no time", "e15,u,a,,4", "missing_time"),
    ("time", "e16,u,a,12:00,4", "bad_time"),
    ("NaN", f"e17,u,a,{DAY},NaN", "bad_value"),
    ("inf", f"e18,u,a,{DAY},-Infinity", "bad_value"),
    ("unknown", f"e19,u,c,{DAY},4", "unknown_item"),
    ("later", "e20,u,a,2024-03-10T00:00:00Z,4", LATER),
    ("future", "e21,u,a,2025-03-10T00:00:00Z,4", "future_time"),
]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_csv_lines(spark, tmp_path, end, start):
    lines = ["id,user,item,time,value", *(line for _, line, _ in CSV_CASES)]
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    (tmp_path / "events.csv").write_bytes(start + end.join(raw) + end)
    write_lines(tmp_path / "items.csv", ["item,title", "a,Apple"])
    events, _ = judged(spark, profile(tmp_path, LOG))
    balanced(events, len(CSV_CASES))
    found = verdicts(events)
    for place, (name, line, verdict) in enumerate(CSV_CASES, 1):
        text = line.decode(errors="replace") if isinstance(line, bytes) else line
        mine = [record for record in found if record[0] == text or f'e{place}"' in record[0]]
        mine = mine or [record for record in found if record[0] == "{}" and name == "all empty"]
        assert [each[1] for each in mine] == [verdict], name


TYPED = pa.schema(
    [("id", pa.int64()), ("user", pa.string()), ("item", pa.string()), ("time", pa.timestamp("us")), ("value", pa.float64())]
)
WHEN = datetime(2024, 3, 1, 10, 0, 0, 5)
TYPED_CASES = [
    ((1, "u", "a", WHEN, 4.5), "valid"),
    ((2, "u", "a", WHEN, None), "valid"),
    ((3, None, "a", WHEN, 1.0), "missing_id"),
    ((None, "u", "a", WHEN, 1.0), "missing_id"),
    ((5, "u", "a", None, 1.0), "missing_time"),
    ((6, "u", "a", datetime(1899, 12, 31, 23), 1.0), "bad_time"),
    ((7, "u", "a", WHEN, float("nan")), "bad_value"),
    ((8, "u", "a", WHEN, float("inf")), "bad_value"),
    ((9, "u", "nothing", WHEN, 1.0), "unknown_item"),
    ((10, "u\0", "a", WHEN, 1.0), "invalid_text"),
    ((11, "u", "a", datetime(2024, 3, 10), 1.0), LATER),
]


@pytest.mark.parametrize("form", ["parquet", "delta"])
def test_typed_rows(spark, tmp_path, form):
    rows = pa.Table.from_pylist([dict(zip(TYPED.names, row, strict=True)) for row, _ in TYPED_CASES], schema=TYPED)
    pq.write_table(rows, tmp_path / "raw.parquet")
    spark.read.parquet(str(tmp_path / "raw.parquet")).write.format(form).save(str(tmp_path / f"events.{form}"))
    write_lines(tmp_path / "items.csv", ["item,title", "a,Apple"])
    events, _ = judged(spark, profile(tmp_path, {"format": form, **LOG}))
    balanced(events, len(TYPED_CASES))
    assert sorted(verdict for _, verdict, _ in verdicts(events)) == sorted(verdict for _, verdict in TYPED_CASES)
    found = {json.loads(record).get("id"): verdict for record, verdict, _ in verdicts(events)}
    assert found == {row[0]: verdict for row, verdict in TYPED_CASES}
    assert {row["time"] for row in events.valid.collect()} == {WHEN}


def write_both(folder: Path, events: list[dict], items: list[dict] = ITEMS, **log):
    write_jsonl(folder / "events.json", events)
    write_jsonl(folder / "items.json", items)
    return profile(folder, {"format": "json", **log}, {"format": "json"})


def event(user="u", item="a", time=DAY, **more) -> dict:
    return {"user": user, "item": item, "time": time, **more}


@pytest.mark.parametrize(
    ("log", "records", "kept"),
    [
        ({"id": "id"}, [event(id="1"), event(id="1", item="b")], [0]),
        ({"id": "id"}, [event(id="1", time="2024-03-02"), event(id="1", time="2024-03-01")], [1]),
        ({"id": "id"}, [event(id="1"), event(id="2")], [0, 1]),
        ({"id": "id"}, [event(id="1", item="zzz"), event(id="1")], [1]),  # a bad record takes nobody's place
        ({"id": "id"}, [event(id="1", time="2024-03-10"), event(id="1")], [1]),  # nor does a later one
        ({}, [event(), event()], [0]),
        ({}, [event(time="2024-03-01T10:00:00Z"), event(time="2024-03-01T11:00:00+01:00")], [0]),
        ({}, [event(), event(user="v"), event(item="b"), event(time="2024-03-02")], [0, 1, 2, 3]),
        ({"value": "value"}, [event(value=1), event(value=2), event(value="1.0")], [1, 2]),  # the smaller record stays
        ({"type": "type"}, [event(type="x"), event(type=None), event(type="x")], [0, 1]),
    ],
)
def test_duplicates(spark, tmp_path, log, records, kept):
    events, _ = judged(spark, write_both(tmp_path, records, **log))
    lines = [json.dumps(record) for record in records]
    valid = [record for record, verdict, _ in verdicts(events) if verdict == "valid"]
    assert sorted(valid) == sorted(lines[place] for place in kept)
    balanced(events, len(records))


def test_an_event_without_id_gets_the_same_one_in_any_order(spark, tmp_path):
    records = [event(user=f"u{place % 3}", time=f"2024-03-0{1 + place}") for place in range(6)]
    there, _ = judged(spark, write_both(tmp_path, records))
    ids = {(row["user_id"], row["time"]): row["event_id"] for row in there.valid.collect()}
    back, _ = judged(spark, write_both(tmp_path, records[::-1]))
    assert {(row["user_id"], row["time"]): row["event_id"] for row in back.valid.repartition(3).collect()} == ids
    assert len(set(ids.values())) == 6


ITEM_CASES = [
    ({"item": "a", "title": "Apple", "year": 1999, "tags": "x| y ||x"}, "valid"),
    ({"item": "b", "title": "Bread", "year": "unknown"}, "valid"),
    ({"item": "c", "title": None}, "missing_title"),
    ({"item": "d", "title": " \t"}, "missing_title"),
    ({"item": "", "title": "Nothing"}, "missing_id"),
    ({"item": "e" * 257, "title": "Long"}, "id_too_long"),
    ({"item": "f", "title": "F\0"}, "invalid_text"),
    ({"item": "g", "title": "G", "tags": "a\ud800"}, "invalid_text"),
    ({"item": "g", "title": "G", "by": "a\ufffd"}, "invalid_text"),
    ({"item": "a", "title": "Another apple"}, "duplicate"),
    ({"item": "h", "title": "H", "blurb": " "}, "valid"),
    ({"item": "i", "title": "I", "blurb": "Good", "maker": "Me"}, "valid"),
]


def test_items(spark, tmp_path):
    write_lines(tmp_path / "events.csv", ["user,item,time", f"u,a,{DAY}", f"u,c,{DAY}"])
    write_lines(tmp_path / "items.json", [json.dumps(row) for row, _ in ITEM_CASES] + ["nothing"])
    labels = {"tags": "tags", "tags_separator": "|", "creators": "by"}
    columns = {"format": "json", "year": "year", "text": ["blurb", "maker"]} | labels
    events, items = judged(spark, profile(tmp_path, items=columns))
    found = {record: verdict for record, verdict, _ in verdicts(items)}
    assert found == {json.dumps(row): verdict for row, verdict in ITEM_CASES} | {"nothing": "malformed"} | {
        json.dumps(ITEM_CASES[0][0]): "duplicate",
        json.dumps(ITEM_CASES[9][0]): "valid",  # of two the smaller record
    }
    rows = {row["item_id"]: (row["tags"], row["year"], row["text"]) for row in items.valid.collect()}
    assert rows == {
        "a": ([], None, None),
        "b": ([], None, None),
        "h": ([], None, None),
        "i": ([], None, "Good · Me"),
    }
    assert events.counts() == {"valid": 1, "unknown_item": 1}  # an item that was rejected is unknown


@pytest.mark.parametrize(
    ("given", "separator", "expected"),
    [
        ("a|b", "|", ["a", "b"]),
        ("a|b", ",", ["a|b"]),
        ("a.b.c", ".", ["a", "b", "c"]),
        (" a | b |a||", "|", ["a", "b"]),
        ("a|b", None, ["a|b"]),
        (["a", None, " b ", "a", ""], None, ["a", "b"]),
        (["a|b"], "|", ["a|b"]),
        ("", "|", []),
        (None, "|", []),
    ],
)
def test_tags_and_creators(spark, tmp_path, given, separator, expected):
    """Tags are read from one column, creators from another whose values are the other way round."""
    other = ["x"] if given is None else given
    items = [{"item": "a", "title": "A", "tags": given, "by": other}, {"item": "b", "title": "B", "tags": other, "by": given}]
    write_both(tmp_path, [event()], items)
    columns = {"tags": "tags", "tags_separator": separator, "creators": "by", "creators_separator": separator}
    _, good = judged(spark, profile(tmp_path, {"format": "json"}, {"format": "json"} | columns))
    rows = {row["item_id"]: row for row in good.valid.collect()}
    assert (rows["a"]["tags"], rows["b"]["creators"]) == (expected, expected)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, {"buy": (True, False), "view": (True, False), None: (True, False)}),
        ({"positive": "type = 'buy'"}, {"buy": (True, False), "view": (False, False), None: (False, False)}),
        (
            {"positive": "value >= 4", "negative": "type = 'view'"},
            {"buy": (True, False), "view": (False, True), None: (False, False)},
        ),
    ],
)
def test_liking(spark, tmp_path, rules, expected):
    records = [event(type="buy", value=5), event(type="view", value=None), event(type=None, value=None)]
    events, _ = judged(spark, write_both(tmp_path, records, type="type", value="value", **rules))
    assert {row["type"]: (row["positive"], row["negative"]) for row in events.valid.collect()} == expected


@pytest.mark.parametrize("rule", ["rating > 3", "value >", "sum(value) > 3", "user_id = 'u'", "array(value)"])
def test_a_rule_that_is_not_sql_over_value_and_type(spark, tmp_path, rule):
    with pytest.raises(ProfileError, match=r"events\.positive: .* is not SQL over value and type"):
        judged(spark, write_both(tmp_path, [event()], positive=rule))
