"""Inputs that do not fit their profile: one error that names everything, and files that hold nothing."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.errors import InputError
from jobs.prepare.sources import read_sources, readable
from jobs.prepare.validation import judge_items
from tests.data.inputs import profile, write_jsonl, write_lines


def message(spark, one) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_sources(spark, one)
    return str(caught.value).splitlines()[1:]


def test_every_column_that_is_missing_or_retyped_in_either_input_is_named(spark, tmp_path):
    log = pa.table({"user": [1.5], "item": ["a"], "at": ["2024-01-01"], "value": [[1]]})
    pq.write_table(log, tmp_path / "events.parquet")
    write_lines(tmp_path / "items.csv", ["id,name", "a,Apple"])
    columns = {"tags": "genre", "creators": "maker", "text": ["blurb"]}
    lines = message(spark, profile(tmp_path, {"format": "parquet", "value": "value"}, columns))
    assert lines == [
        "  events.user: column 'user' has type double; allowed: byte, integer, long, short, string",
        "  events.time: no column 'time'; the parquet has 'user', 'item', 'at', 'value'",
        "  events.value: column 'value' has type array<bigint>; allowed: "
        "byte, decimal, double, float, integer, long, short, string",
        "  items.item: no column 'item'; the csv has 'id', 'name'",
        "  items.title: no column 'title'; the csv has 'id', 'name'",
        "  items.tags: no column 'genre'; the csv has 'id', 'name'",
        "  items.creators: no column 'maker'; the csv has 'id', 'name'",
        "  items.text[0]: no column 'blurb'; the csv has 'id', 'name'",
    ]


@pytest.mark.parametrize(
    ("unit", "column", "part"),
    [
        ("s", pa.array([None], pa.timestamp("us")), "has type timestamp_ntz"),
        ("iso", pa.array([1]), "has type bigint"),
        ("ms", pa.array([True]), "has type boolean"),
    ],
)
def test_a_time_of_another_type(spark, tmp_path, unit, column, part):
    pq.write_table(pa.table({"user": ["u"], "item": ["a"], "time": column}), tmp_path / "events.parquet")
    write_lines(tmp_path / "items.csv", ["item,title", "a,Apple"])
    (line,) = message(spark, profile(tmp_path, {"format": "parquet", "time_unit": unit}))
    assert line.startswith("  events.time: column 'time'") and part in line


def test_an_object_in_json_where_a_text_is_needed(spark, tmp_path):
    write_jsonl(tmp_path / "events.json", [{"user": {"id": 1}, "item": ["a"], "time": "2024-01-01"}])
    write_lines(tmp_path / "items.csv", ["item,title", "a,Apple"])
    lines = message(spark, profile(tmp_path, {"format": "json"}))
    assert [line.split(" has ")[0] for line in lines] == ["  events.user: column 'user'", "  events.item: column 'item'"]


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "delta"])
def test_files_that_are_missing(spark, tmp_path, form):
    lines = message(spark, profile(tmp_path, {"format": form}, {"format": form}))
    starts = [f"  {name}.path: {tmp_path}/{name}.{form} cannot be read as {form}: [" for name in ("events", "items")]
    assert [line.startswith(start) for line, start in zip(lines, starts, strict=True)] == [True, True]


@pytest.mark.parametrize(
    ("form", "content", "part"),
    [
        ("csv", b"", "it is empty, or holds no record at all"),
        ("json", b"", "it is empty, or holds no record at all"),
        ("json", b"\n \n", "it is empty, or holds no record at all"),
        ("json", b"item,title\na,Apple\n", "it is empty, or holds no record at all"),
        ("parquet", b"", "is not a Parquet file"),
        ("parquet", b"item,title\na,Apple\n", "is not a Parquet file"),
        ("delta", b"item,title\na,Apple\n", "DELTA"),
    ],
)
def test_files_that_hold_nothing_or_something_else(spark, tmp_path, form, content, part):
    (tmp_path / f"items.{form}").write_bytes(content)
    write_lines(tmp_path / "events.csv", ["user,item,time"])
    (line,) = message(spark, profile(tmp_path, items={"format": form}))
    assert line.startswith(f"  items.path: {tmp_path}/items.{form} cannot be read as {form}: ") and part in line


def test_only_a_header_is_no_record(spark, tmp_path):
    write_lines(tmp_path / "events.csv", ["user,item,time"])
    write_lines(tmp_path / "items.csv", ["item,title"])
    events, items = read_sources(spark, profile(tmp_path))
    assert (events.rows.count(), items.rows.count()) == (0, 0)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_columns_that_bear_our_own_names(spark, tmp_path, form):
    names = ["record", "value", "broken", "lossy", "parsed", "reason", "detail", "known", "again"]
    row = dict.fromkeys(names, "x")
    write_jsonl(tmp_path / "items.json", [row])
    write_lines(tmp_path / "items.csv", [",".join(names), ",".join(row.values())])
    write_lines(tmp_path / "events.csv", ["user,item,time"])
    _, items = read_sources(spark, profile(tmp_path, items={"format": form, "item": "record", "title": "value"}))
    assert judge_items(items).counts() == {"valid": 1}


@pytest.mark.parametrize("name", ["a column", "a.b", "a`b", "été", "SELECT", "a,b", "a-b", "1"])
def test_columns_of_any_name(spark, tmp_path, name):
    write_jsonl(tmp_path / "items.json", [{name: "a", "title": "Apple"}])
    write_lines(tmp_path / "events.csv", ["user,item,time"])
    _, items = read_sources(spark, profile(tmp_path, items={"format": "json", "item": name}))
    assert [row["item_id"] for row in judge_items(items).valid.collect()] == ["a"]


def test_a_stray_key_in_other_case_stops_nothing(spark, tmp_path):
    write_jsonl(tmp_path / "items.json", [{"item": "a", "title": "Apple", "Item": "b", "x": 1, "X": 2}, {"TITLE": "c"}])
    write_lines(tmp_path / "events.csv", ["user,item,time"])
    _, items = read_sources(spark, profile(tmp_path, items={"format": "json"}))
    assert judge_items(items).counts() == {"valid": 1, "missing_id": 1}


def test_a_folder_of_csv_files_with_one_header(spark, tmp_path):
    (tmp_path / "items").mkdir()
    write_lines(tmp_path / "items/1.csv", ["item,title", "a,Apple"])
    write_lines(tmp_path / "items/2.csv", ["item,title", "b,Bread"])
    write_lines(tmp_path / "events.csv", ["user,item,time"])
    _, items = read_sources(spark, profile(tmp_path, items={"path": str(tmp_path / "items")}))
    assert sorted(row["title"] for row in judge_items(items).valid.collect()) == ["Apple", "Bread"]


def test_a_folder_of_csv_files_with_different_headers_is_refused(spark, tmp_path):
    (tmp_path / "items").mkdir()
    write_lines(tmp_path / "items/1.csv", ["item,title", "a,Apple"])
    write_lines(tmp_path / "items/2.csv", ["title,item", "Bread,b"])
    write_lines(tmp_path / "events.csv", ["user,item,time"])
    _, items = read_sources(spark, profile(tmp_path, items={"path": str(tmp_path / "items")}))
    with pytest.raises(InputError, match=r"CSV header does not conform to the schema\. Header: .* CSV file: "), readable():
        judge_items(items).counts()
