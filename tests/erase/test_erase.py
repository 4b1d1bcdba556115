"""Erasing users from small warehouses made by hand, and looking for them by other means than the product's."""

from __future__ import annotations

import csv
import html
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from jobs.contracts import PUBLISHED
from jobs.erase import __main__ as job
from jobs.erase import files, tables
from jobs.erase.people import People
from jobs.errors import Busy, InputError
from jobs.home import home
from jobs.lake import connect
from jobs.locks import alone
from jobs.profile import Profile
from jobs.progress import Progress
from jobs.publish.tables import digest
from jobs.releases import Release, find, go_back, released, releases
from jobs.runs import put_run
from jobs.stage import recorded
from jobs.storage import exists, put_rows, read_json, read_rows, write_json
from tests.data.inputs import profile as write
from tests.data.inputs import write_lines
from tests.erase.traces import traces
from tests.publish.nights import NEXT, NIGHT, STARTED, call, loose, made, prepared, release
from tests.publish.nights import tables as tables_of

CANARY = "the canary of Zanzibar sings"
GONE = "erase-me-7f3a"
HOSTILE = """=cmd|'/c calc'!A1 "ü\\-7"""
LATER, LAST = STARTED + timedelta(hours=1), STARTED + timedelta(hours=2)
Row = dict[str, Any]
Erase = Callable[..., Row]


@pytest.fixture
def profile(spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A profile with an empty warehouse, and a NOCTURNE_HOME of its own that holds the log."""
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "data").mkdir(parents=True)
    return write(tmp_path, {"path": str(tmp_path / "home" / "data" / "events.csv")})


@pytest.fixture
def erase(spark, profile) -> Erase:
    """Erase users within this session's JVM."""

    def run(*users: str) -> Row:
        people = People.of(list(users), profile.events.user)
        return job.erase(profile, people, STARTED, lambda: nullcontext(spark), Progress("erase"))

    return run


def content(profile: Profile, public: Release, without: str = "") -> dict[str, list[str]]:
    """What a release shows of everyone else, as DuckDB reads it."""
    db = connect(profile, public.release_id if public.status != "blocked" else public.run_id)
    rows = {name: db.sql(f"select * from {name}").to_arrow_table().to_pylist() for name in PUBLISHED}
    return {
        name: sorted(json.dumps(row, default=str) for row in each if not is_of(row, without)) for name, each in rows.items()
    }


def is_of(row: Row, user: str) -> bool:
    return row.get("user_id") == user or CANARY in str(row.get("record"))


def read_three_ways(spark, profile: Profile, public: Release) -> dict[str, set[int]]:
    """How many rows of a release's night each of three readers finds, by table."""
    counts = {}
    for name, version in public.tables.items():
        table = DeltaTable(profile.table(name), version=version)
        by_duckdb = duckdb.from_arrow(table.to_pyarrow_dataset()).filter(f"run_date = date '{public.run_date}'")
        counts[name] = {
            table.to_pyarrow_table(filters=[("run_date", "=", public.run_date)]).num_rows,
            released(spark, profile, public, name).count(),
            len(by_duckdb.fetchall()),
        }
    return counts


def write_night(profile: Profile, rows: list[Row], night: date, user: str) -> dict[str, int]:
    """Tables of a night that is not released, with a rejected record of the user; returns their versions."""
    record = json.dumps({"user": user, "item": "i1", "time": CANARY})
    bad = {"run_date": night, "source": "events", "reason": "bad_time", "record": record, "detail": f"time {CANARY}"}
    written = {}
    for name, each in tables_of(rows, night).items():
        data = pa.Table.from_pylist(each + [bad] * (name == "rejected"), schema=loose(name))
        write_deltalake(profile.table(name), data, mode="overwrite", predicate=f"run_date = '{night}'")
        written[name] = DeltaTable(profile.table(name)).version()
    return written


def nights(profile: Profile, user: str) -> None:
    """Two nights with the user: the first released twice, and a run of the second that was blocked."""
    release(profile, [made("a"), made(user, f"{CANARY} before.")], NIGHT, "run-1")
    release(profile, [made("a", "Likes loud films."), made(user, f"{CANARY} now."), made("b")], NIGHT, "run-2", LATER)
    release(profile, [made("b"), made(user, f"{CANARY} next."), made("c")], NEXT, "run-3", LAST)
    written = write_night(profile, [made("b", "Likes no films."), made(user, f"{CANARY} blocked.")], NEXT, user)
    about: Row = {"tables": list(written.items()), "digests": [(name, "0:0") for name in written], "ended_at": LAST}
    put_run(profile, "run-4", NEXT, LAST, "blocked", message=f"rules failed; e.g. user_id={user}, item_id=i1", **about)


def litter(profile: Profile, user: str) -> None:
    """What nights leave beside tables: the log, a night's output, a page, Airflow's database, work, rows of ledgers."""
    out = io.StringIO()
    csv.writer(out).writerows([["user", "item", "time"], ["a", "i1", "t"], [user, "i2", CANARY], ["b", "i1", "t"]])
    write_lines(home() / "data" / "events.csv", out.getvalue().splitlines())
    (home() / "logs").mkdir()
    (home() / "logs" / "night.log").write_text(f"nocturne | publish | 3 s | user_id={user}\nuser_id=a\n")
    (home() / "docs" / "profile").mkdir(parents=True)
    page = f"<td>{html.escape(user)}</td><td>a</td><td>{CANARY} now.</td><script>var rows = [{json.dumps(user)}]</script>"
    (home() / "docs" / "profile" / "judged.html").write_text(page)
    with sqlite3.connect(home() / "airflow.db") as database:
        database.execute("create table dag_run (id integer, conf text)")
        database.execute("insert into dag_run values (1, ?)", [json.dumps({"users": [user]})])
    database.close()
    prepared(profile, NEXT, [made("a"), made(user, f"{CANARY} again.")], "run-5", carried=["b", user])
    journal = {"flying": [user], "deaths": {user: 1, "a": 1}}
    write_json(f"{profile.work(str(NEXT))}/generate/0.journal.json", journal)
    (Path(profile.work(str(NEXT))) / "scratch").mkdir()
    (Path(profile.work(str(NEXT))) / "scratch" / "part.crc").write_text(user)
    calls = [call("one", user, output=f"{CANARY} in a call"), call("two", "a")]
    put_rows(profile, "generations", [each | {"run_id": "run-1", "run_date": NIGHT} for each in calls])
    put_rows(profile, "validations", [broken_rule(user)])


def broken_rule(user: str) -> Row:
    rule = {"run_id": "run-4", "run_date": NEXT, "table": "rankings", "rule": "key", "severity": "block", "passed": False}
    keys = [f"user_id={user}, item_id=15", "user_id=a, item_id=15"]
    return rule | {"expected": "0 rows", "observed": "1 rows", "sample_keys": keys}


def readable(profile: Profile) -> dict[str, Release]:
    """What may be read: releases, and the blocked run's tables."""
    return {each.release_id: each for each in [*releases(profile), find(profile, "run-4")]}


@pytest.mark.parametrize("user", [GONE, HOSTILE], ids=["plain", "hostile"])
def test_nothing_of_a_user_is_left_and_nothing_else_is_gone(spark, profile, erase, user) -> None:
    nights(profile, user)
    litter(profile, user)
    before = {name: content(profile, each, user) for name, each in readable(profile).items()}
    places = [Path(profile.warehouse), home()]
    assert len(traces(places, [user, CANARY])) > 30

    receipt = erase(user)

    assert (receipt["left"], traces(places, [user, CANARY])) == ([], [])
    after = readable(profile)
    assert {name: content(profile, each) for name, each in after.items()} == before
    for name, each in after.items():
        assert all(len(counts) == 1 for counts in read_three_ways(spark, profile, each).values()), name
        for table in ("user_summaries", "rankings", "explanations", "evidence"):
            assert each.digests[table] == digest(released(spark, profile, each, table))
    assert [row["subject"] for row in read_rows(profile, "generations")] == ["a"]
    (rule,) = read_rows(profile, "validations")
    assert rule["sample_keys"] == [f"user_id={'x' * len(user.encode())}, item_id=15", "user_id=a, item_id=15"]
    journal = read_json(f"{profile.work(str(NEXT))}/generate/0.journal.json")
    assert journal == {"flying": [], "deaths": {"a": 1}}
    assert not exists(f"{profile.work(str(NEXT))}/manifest.json"), "run-5 had them, so the night is prepared again"
    assert [line.split(",")[0] for line in (home() / "data" / "events.csv").read_text().splitlines()] == ["user", "a", "b"]

    (row,) = read_rows(profile, "erasures")
    removed = {(each["place"], each["what"]): each["n"] for each in row["removed"]}
    assert removed["user_summaries", "rows removed"] == 2
    assert removed["generations", "rows removed"] == removed["the log", "records removed"] == 1
    (suppressed,) = read_rows(profile, "suppressions")
    assert row["user_hashes"] == [suppressed["user_hash"]]

    again = erase(user)
    assert (again["left"], again["removed"], len(read_rows(profile, "suppressions"))) == ([], [], 1)
    assert {name: content(profile, each) for name, each in readable(profile).items()} == before


def test_an_id_that_stands_everywhere_is_told_from_what_is_no_user(spark, profile, erase) -> None:
    """User 15 goes; item 15, users 151 and 5, and "15 s" stay."""
    items = ("15", "i2")
    release(profile, [made("15", items=items), made("151", items=items), made("5", items=items)])
    (home() / "logs").mkdir()
    (home() / "logs" / "night.log").write_text("user_id=15, item_id=15 took 15 s\nuser_id=151, item_id=15\n")
    write_lines(home() / "data" / "events.csv", ["user,item,time", "15,3,t", "3,15,t", "151,15,t"])
    calls = [call("one", "15"), call("two", "15", "item"), call("three", "151")]
    put_rows(profile, "generations", [each | {"run_id": "run-1", "run_date": NIGHT} for each in calls])
    put_rows(profile, "validations", [broken_rule("15")])
    (public,) = releases(profile)
    before = content(profile, public, "15")

    assert erase("15")["left"] == []

    (public,) = releases(profile)
    assert content(profile, public) == before
    assert (home() / "logs" / "night.log").read_text() == "user_id=xx, item_id=15 took 15 s\nuser_id=151, item_id=15\n"
    assert (home() / "data" / "events.csv").read_text() == "user,item,time\n3,15,t\n151,15,t\n"
    subjects = [(row["subject"], row["subject_type"]) for row in read_rows(profile, "generations")]
    assert sorted(subjects) == [("15", "item"), ("151", "user")]
    assert read_rows(profile, "validations")[0]["sample_keys"] == ["user_id=xx, item_id=15", "user_id=a, item_id=15"]
    for table in PUBLISHED[:4]:
        users = f"select distinct user_id from read_parquet('{profile.table(table)}/run_date=*/*.parquet')"
        assert sorted(duckdb.sql(users).fetchall()) == [("151",), ("5",)]


class Killed(Exception):
    """Stands for a power cut."""


STEPS = [
    (tables, "settle", 3),
    (tables, "point", 1),
    (tables, "rewrite", 2),
    (tables, "purge", 4),
    (files, "redact_database", 1),
]


def killed(done: Callable[..., Any], at: int) -> Callable[..., Any]:
    """The step, but that at this call of it the process ends."""
    calls = count(1)

    def step(*arguments: Any) -> Any:
        if next(calls) == at:
            raise Killed
        return done(*arguments)

    return step


def test_interrupted_anywhere_and_run_again_it_finishes(spark, profile, erase, monkeypatch) -> None:
    nights(profile, GONE)
    litter(profile, GONE)
    before = {name: content(profile, each, GONE) for name, each in readable(profile).items()}
    for module, step, at in STEPS:
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(module, step, killed(getattr(module, step), at))
            erase(GONE)
        assert {name: content(profile, each, GONE) for name, each in readable(profile).items()} == before, step
    assert erase(GONE)["left"] == []
    assert traces([Path(profile.warehouse), home()], [GONE, CANARY]) == []
    assert {name: content(profile, each) for name, each in readable(profile).items()} == before
    for each in readable(profile).values():
        assert all(len(counts) == 1 for counts in read_three_ways(spark, profile, each).values())


def test_what_is_left_is_named(profile, erase) -> None:
    """A file that is nobody's input is not ours to change; a column of texts that names them is not theirs alone."""
    (home() / "data" / "friends.txt").write_text(f"a,{GONE}\n")
    release(profile, [made("a", f"Likes what {GONE} likes.")])
    left = erase(GONE)["left"]
    assert [place for place in left if "data/friends.txt" in place]
    assert [place for place in left if "user_summaries/run_date" in place]
    assert read_rows(profile, "erasures")[0]["left"] == left


def test_one_thing_at_a_time(profile, erase) -> None:
    put_run(profile, "run-1", NIGHT, STARTED, "running")
    with pytest.raises(Busy, match=r"a night is at work: run-1 .* end it in order: infra/nocturne run --date 2024-05-01"):
        erase(GONE)
    assert read_rows(profile, "suppressions") == []
    with alone(profile, "erasure"):
        with pytest.raises(InputError, match="another erasure is at work"):
            erase(GONE)
        with pytest.raises(Busy, match="an erasure is at work"), recorded(profile, "run-2", NIGHT, STARTED):
            pass
        with pytest.raises(Busy, match="an erasure is at work"):
            go_back(profile, "r-run-1", STARTED)
    assert {row["run_id"]: row["status"] for row in read_rows(profile, "runs")} == {"run-1": "running", "run-2": "failed"}
