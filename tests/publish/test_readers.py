"""Every documented way to read a release gives the same rows, also of an older one, and while nights are published."""

from __future__ import annotations

import importlib.util
import json
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from jobs.contracts import PUBLISHED
from jobs.lake import connect, read
from jobs.manifest import Manifest
from jobs.profile import Profile
from jobs.releases import find, go_back, released
from tests.cli.conftest import nocturne
from tests.publish.nights import NEXT, NIGHT, STARTED, made, prepared, release
from tests.readers import marked
from tests.test_reader_loop import readers, vacuum

__all__ = ["nocturne"]  # a fixture
SHOWN = "SELECT tables['{0}'] FROM {1} WHERE release_id = {2}"
LATEST = "(SELECT latest FROM {0} ORDER BY sequence DESC LIMIT 1)"


def rows_of(table: Any) -> list[dict]:
    return sorted(table.to_pylist(), key=lambda row: json.dumps(row, default=str))


def by_duckdb_sql(spark, profile, table: str, release_id: str | None) -> list[dict]:
    """The README's SQL, with DuckDB's delta extension."""
    db = duckdb.connect()
    folder = Path(importlib.util.find_spec("duckdb_extension_delta").origin).parent
    (extension,) = folder.rglob("delta.duckdb_extension")
    db.execute(f"LOAD '{extension}'; SET timezone = 'UTC'")
    log = f"delta_scan('{profile.warehouse}/releases')"
    name = f"'{release_id}'" if release_id else LATEST.format(log)
    db.execute(f"SET VARIABLE night = (SELECT run_date FROM {log} WHERE release_id = {name})")
    db.execute(f"SET VARIABLE version = ({SHOWN.format(table, log, name)})")
    scan = f"delta_scan('{profile.warehouse}/{table}', version => getvariable('version'))"
    return rows_of(db.sql(f"SELECT * FROM {scan} WHERE run_date = getvariable('night')").to_arrow_table())


def by_spark_sql(spark, profile, table: str, release_id: str | None) -> list[dict]:
    """The README's SQL, with Spark."""
    log = f"delta.`{profile.warehouse}/releases`"
    name = f"'{release_id}'" if release_id else LATEST.format(log)
    (row,) = spark.sql(f"SELECT tables['{table}'] AS version, run_date FROM {log} WHERE release_id = {name}").collect()
    path = f"delta.`{profile.warehouse}/{table}` VERSION AS OF {row.version}"
    return rows_of(spark.sql(f"SELECT * FROM {path} WHERE run_date = DATE '{row.run_date}'").toArrow())


def by_query(nocturne, table: str, release_id: str | None) -> list[dict]:
    chosen = ["--release", release_id] if release_id else []
    code, said, error = nocturne("query", "--format", "json", *chosen, f"from {table}")
    assert (code, error) == (0, "")
    return [json.loads(line) for line in said.split("\n")[:-1]]


@pytest.mark.parametrize("chosen", [None, "r-run-1"], ids=["the latest", "an older one"])
def test_all_ways_to_read_agree(spark, profile, nocturne, chosen) -> None:
    release(profile, [made("a", "Old words about quiet films."), made("b")], NIGHT, "run-1")
    release(profile, [made("a"), made("c", items=("i1", "i2", "i3"))], NEXT, "run-2", STARTED + timedelta(hours=1))
    release(profile, [made("a")], NEXT, "run-3", STARTED + timedelta(hours=2))
    go_back(profile, "r-run-2", STARTED + timedelta(hours=3))
    for table in PUBLISHED:
        expected = rows_of(read(profile, table, chosen))
        assert expected
        assert {row["run_date"] for row in expected} == {NIGHT if chosen else NEXT}
        assert rows_of(connect(profile, chosen).sql(f"from {table}").to_arrow_table()) == expected
        assert rows_of(released(spark, profile, find(profile, chosen), table).toArrow()) == expected
        assert by_duckdb_sql(spark, profile, table, chosen) == expected
        assert by_spark_sql(spark, profile, table, chosen) == expected
        printed = [json.loads(json.dumps(row, default=str)) for row in expected]
        said = by_query(nocturne, table, chosen)
        for row in (*said, *printed):
            row.pop("time", None)  # spelt by DuckDB
        assert sorted(said, key=json.dumps) == sorted(printed, key=json.dumps)
        if "user_id" in expected[0]:
            assert rows_of(read(profile, table, chosen, user_id="a")) == [row for row in expected if row["user_id"] == "a"]


def marked_night(profile: Profile, night: date, run_id: str, users: int) -> Manifest:
    rows = marked(run_id, users)
    return prepared(
        profile, night, rows, run_id, catalogue=["i9", *{each["item_id"] for row in rows for each in row["rankings"]}]
    )


def test_readers_see_one_release_whole_while_nights_publish(profile, run) -> None:
    run(marked_night(profile, NIGHT, "run-0", 2))
    with readers(profile) as (counts, seen):
        while min(count.value for count in counts) < 2:
            time.sleep(0.1)
        run(marked_night(profile, NEXT, "run-1", 3))
        go_back(profile, "r-run-0", STARTED)
        vacuum(profile)
        run(marked_night(profile, NEXT, "run-2", 1))
        vacuum(profile)
    for way, found in seen.items():
        assert found.wrong == [], way
        assert len(set(found.marks)) > 1, "it saw releases change"
