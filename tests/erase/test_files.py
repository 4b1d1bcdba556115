"""Files that are no tables: nights' work, the log, journals, Airflow's database."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markupsafe import escape
from pyarrow import fs

from jobs.erase import files
from jobs.erase.__main__ import Erasure
from jobs.erase.inputs import Log
from jobs.erase.people import People
from jobs.erase.scan import database_rows, survey
from jobs.profile import Profile
from jobs.progress import Progress
from jobs.report.page import inert, short, write_report
from jobs.storage import put_rows, write_json
from tests.data.inputs import profile as write
from tests.publish.nights import NEXT, NIGHT, STARTED, call, made, prepared
from tests.report.nights import nights

GONE = "erase-me-7f3a"
HOSTILE = """=cmd|'/c calc'!A1 "ü\\-7"""
PEOPLE = People.of([GONE, HOSTILE, "15"], "user")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """NOCTURNE_HOME."""
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def profile(place: Path, tmp_path: Path) -> Profile:
    return write(tmp_path)


def lines(*rows: list[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


HEADER = ["user", "item", "time"]
LOGS = {
    "events.csv": (
        lines(HEADER, [GONE, "1", "t"], ["a", "15", "t"], [HOSTILE, "1", "t"], ["15", "1", "t"], ["151", "1", "t"])
        + b"15,1\nb,2\n",
        lines(HEADER, ["a", "15", "t"], ["151", "1", "t"]) + b"b,2\n",
    ),
    "events.json": (
        b'{"user": 15, "item": 1}\n{"user": "a", "item": 15}\n{"user": "%s"\nnothing\n' % GONE.encode()
        + json.dumps({"user": HOSTILE}).encode()
        + b"\n",
        b'{"user": "a", "item": 15}\nnothing\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", LOGS)
def test_the_log_keeps_the_lines_of_others_byte_by_byte(place, tmp_path, name, packed) -> None:
    before, after = LOGS[name]
    file = place / (name + ".gz" * packed)
    file.write_bytes(gzip.compress(before) if packed else before)
    log = Log.of(write(tmp_path, {"path": str(file), "format": name.split(".")[1]}))
    assert log.ours
    n = log.rewrite(str(file), PEOPLE)
    assert (gzip.decompress(file.read_bytes()) if packed else file.read_bytes()) == after
    assert n == before.count(b"\n") - after.count(b"\n")


def test_a_log_elsewhere_is_its_owners(profile) -> None:
    assert not Log.of(profile).ours


def test_a_night_at_work_without_them(profile) -> None:
    """Rows go, others stay, and a chunk is named by what it now holds."""
    prepared(profile, NIGHT, [made("a"), made(GONE), made("15")], carried=["b", GONE])
    for find in survey(profile, PEOPLE).finds:
        files.rewrite_parquet(fs.LocalFileSystem(), find.path, PEOPLE)
    assert survey(profile, PEOPLE).finds == []
    work = Path(profile.work(str(NIGHT)))
    users = {
        str(file.relative_to(work)).split("/")[0]: pq.read_table(file)["user_id"].to_pylist()
        for file in work.rglob("*.parquet")
        if "user_id" in pq.read_schema(file).names
    }
    assert users == {"contexts": ["a"], "events": ["a"], "results": ["a"], "carried": ["b"]}
    for file in work.rglob("*.parquet"):
        assert hashlib.sha256(file.read_bytes()).hexdigest() in file.name


def test_times_stay_as_spark_writes_and_reads_them(profile, place) -> None:
    """Spark's INT96, within a list of rows, of any year a night takes."""
    times = [datetime(1900, 1, 1), datetime(2024, 2, 3, 4, 5, 6, 7), datetime(9999, 12, 31, 23, 59, 59, 999_999)]
    rows = [{"user_id": user, "history": [{"time": time}]} for user in ("a", "15") for time in times]
    kind = pa.list_(pa.struct([("time", pa.timestamp("us"))]))
    file = str(place / "part-0.parquet")
    written = pa.Table.from_pylist(rows, schema=pa.schema([("user_id", pa.string()), ("history", kind)]))
    pq.write_table(written, file, use_deprecated_int96_timestamps=True)
    assert files.rewrite_parquet(fs.LocalFileSystem(), file, PEOPLE) == 3
    assert pq.ParquetFile(file).schema.column(1).physical_type == "INT96"
    left = pq.ParquetFile(file, coerce_int96_timestamp_unit="us").read()
    assert left.to_pylist() == rows[:3]


def test_a_journal_without_them(profile) -> None:
    path = f"{profile.work(str(NIGHT))}/generate/0.journal.json"
    write_json(path, {"flying": ["15", "a"], "deaths": {HOSTILE: 1, "15": 2, "b": 1}, "seconds": 15.0, "predicted": None})
    assert [(each.kind, each.path) for each in survey(profile, PEOPLE).finds] == [("journal", path)]
    files.rewrite_journal(path, PEOPLE)
    assert json.loads(Path(path).read_text()) == {"flying": ["a"], "deaths": {"b": 1}, "seconds": 15.0, "predicted": None}


def test_a_text_is_overwritten_in_place_under_who_is_writing(profile, place) -> None:
    log = place / "run.log"
    with log.open("a") as writing:
        writing.write(f"asked for {GONE}\n")
        writing.flush()
        files.redact(fs.LocalFileSystem(), str(log), PEOPLE)
        writing.write("done\n")
    assert log.read_text() == f"asked for {'x' * len(GONE)}\ndone\n"


def test_a_database_without_them(profile, place) -> None:
    file = place / "airflow.db"
    with sqlite3.connect(file) as database:
        database.execute("create table run (id integer primary key, conf text, blob blob)")
        database.execute("insert into run values (15, ?, ?)", [json.dumps({"users": ["15", HOSTILE]}), GONE.encode()])
        database.execute("insert into run values (16, 'user 151', null)")
        database.execute("create table gone (conf text)")
        database.executemany("insert into gone values (?)", [[GONE * 50]] * 100)
        database.execute("delete from gone")
    database.close()
    assert [find.kind for find in survey(profile, PEOPLE).finds] == ["sqlite"]
    assert files.redact_database(str(file), PEOPLE) == 2
    assert database_rows(str(file), PEOPLE) == 0
    assert GONE.encode() not in file.read_bytes()
    rows = sqlite3.connect(file).execute("select id, conf from run").fetchall()
    filler = "x" * len(json.dumps(HOSTILE)[1:-1])
    assert rows == [(15, f'{{"users": ["xx", "{filler}"]}}'), (16, "user 151")]


def test_a_database_in_use_stays_whole(profile, place) -> None:
    """As Airflow's is: what its scheduler has written last stands beside it, and is none of ours to change."""
    file = place / "airflow.db"
    with closing(sqlite3.connect(file)) as scheduler:
        scheduler.execute("pragma journal_mode = wal")
        scheduler.execute("create table run (id integer, conf text)")
        scheduler.executemany("insert into run values (?, ?)", [(place, f"of {GONE}") for place in range(1000)])
        scheduler.commit()
        assert GONE.encode() in Path(f"{file}-wal").read_bytes()
        assert {(find.path, find.kind) for find in survey(profile, PEOPLE).here} == {(str(file), "sqlite")}
        assert files.redact_database(str(file), PEOPLE) == 1000
        assert survey(profile, PEOPLE).here == []
        assert scheduler.execute("pragma integrity_check").fetchone() == ("ok",)
        assert scheduler.execute("select distinct conf from run").fetchall() == [(f"of {'x' * len(GONE)}",)]


def test_a_scan_sees_through_what_is_packed_and_nested(profile, place) -> None:
    named = pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string()))
    deep = pa.table({"a": [[{"b": {"c": [f"told {GONE}."]}}]], "m": named})
    pq.write_table(deep, place / "deep.parquet", compression="zstd")
    (place / "old.gz").write_bytes(gzip.compress(GONE.encode()))
    (place / "torn.parquet").write_bytes(b"PAR1" + GONE.encode())
    (place / "envs").mkdir()
    (place / "envs" / "installed").write_text(GONE)
    other = place / "warehouse" / "other"
    other.mkdir(parents=True)
    (other / "file").write_text(GONE)
    found = survey(profile, PEOPLE)
    assert {Path(find.path).name for find in found.here} == {"deep.parquet", "old.gz", "torn.parquet"}
    assert [Path(find.path).name for find in found.finds if find.elsewhere] == ["file"]


def test_nights_that_were_not_published_are_prepared_again(profile) -> None:
    prepared(profile, NIGHT, [made("a")])
    assert files.undo_unpublished(profile, {str(NIGHT)}) == [str(NIGHT)]
    assert files.undo_unpublished(profile, {str(NIGHT)}) == []


def test_a_night_is_prepared_again_though_the_first_try_was_killed(profile, monkeypatch) -> None:
    prepared(profile, NIGHT, [made("a"), made(GONE)])
    erasure = Erasure(profile, PEOPLE, STARTED, lambda: None, Progress("erase"))
    finds = survey(profile, PEOPLE).here
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files, "rewrite_parquet", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        erasure.clean_files(finds)
    assert not Path(profile.work(str(NIGHT)), "manifest.json").exists()


@pytest.mark.parametrize("user", ["15", GONE, 'o\'brien "7" <i>', "a\u200d\u202e&7", "many a long name's " * 9])
def test_the_page_of_a_night_tells_nothing_of_them(profile, user) -> None:
    rows = [made("ann"), made(user, "Likes Schindler's list and all that is quiet.")]
    rows[1]["rankings"][0]["title"] = "Theirs alone"
    nights(profile, rows)
    put_rows(profile, "generations", [call("theirs", user, prompt_tokens=9999) | {"run_id": "run-2", "run_date": NEXT}])
    page = write_report(profile)
    assert page.read_text().count(spelled := f"<bdi>{escape(inert(short(user, 80)))}</bdi>") == 2
    erasure = Erasure(profile, People.of([user], "user"), STARTED, lambda: None, Progress("erase"))
    found = survey(profile, erasure.people)
    erasure.clean_files(found.here)
    text = page.read_text()
    assert not [each for each in (spelled, "Schindler", "Theirs alone", "9,999") if each in text]
    assert "<bdi>ann</bdi>" in text
    assert text.count("<details id=") == 1
    assert text.count("<details") == text.count("</details>")
    assert str(page) not in [each.path for each in survey(profile, erasure.people).here]
