"""Erasing users from small warehouses made by hand, and looking for them by other means than the product's."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from jobs.contracts import PUBLISHED
from jobs.erase.__main__ import erase
from jobs.erase.people import People
from jobs.home import home
from jobs.lake import connect
from jobs.profile import Profile
from jobs.progress import Progress
from jobs.releases import Release, releases
from jobs.storage import put_rows, read_rows
from tests.data.inputs import profile as write
from tests.erase.traces import traces
from tests.publish.nights import NEXT, NIGHT, STARTED, call, made, release

CANARY = "the canary of Zanzibar sings"
GONE = "erase-me-7f3a"
HOSTILE = """=cmd|'/c calc'!A1 "ü\\\n-7"""
SHORT = "15"
Erase = Callable[..., dict[str, Any]]


@pytest.fixture
def profile(spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A profile with an empty warehouse, and a NOCTURNE_HOME of its own that holds the log."""
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "data").mkdir(parents=True)
    return write(tmp_path, {"path": str(tmp_path / "home" / "data" / "events.csv")})


@pytest.fixture
def run_erase(spark, profile) -> Erase:
    """Erase users within this session's JVM."""

    def run(*users: str) -> dict[str, Any]:
        people = People.of(list(users), profile.events.user)
        return erase(profile, people, STARTED, lambda: nullcontext(spark), Progress("erase"))

    return run


def theirs(user: str, words: str = "Likes quiet films of every age.") -> dict[str, Any]:
    return made(user, words)


def content(profile: Profile, public: Release, without: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """What a release shows of everyone else, as DuckDB reads it."""
    db = connect(profile, public.release_id)
    return {
        name: sorted(
            json.dumps(row, default=str)
            for row in db.sql(f"select * from {name}").to_arrow_table().to_pylist()
            if row.get("user_id") not in without and not any(user in str(row.get("record")) for user in without)
        )
        for name in PUBLISHED
    }


def read_three_ways(spark, profile: Profile, public: Release) -> dict[str, set[int]]:
    """How many rows of a release's night each of three readers finds, by table."""
    db, counts = connect(profile, public.release_id), {}
    for name, version in public.tables.items():
        night = str(public.run_date)
        delta = DeltaTable(profile.table(name), version=version).to_pyarrow_table(filters=[("run_date", "=", public.run_date)])
        rows = spark.read.format("delta").option("versionAsOf", version).load(profile.table(name))
        by_duckdb = db.sql(f"select count(*) from {name} where run_date = '{night}'").fetchone()
        counts[name] = {delta.num_rows, rows.where(rows.run_date == night).count(), by_duckdb[0]}
    return counts


def three_releases(profile: Profile, user: str) -> None:
    """Two nights with the user, the first of them released twice."""
    later, last = STARTED + timedelta(hours=1), STARTED + timedelta(hours=2)
    release(profile, [made("a"), made(user, f"{CANARY} before.")], NIGHT, "run-1")
    release(profile, [made("a", "Likes loud films."), made(user, f"{CANARY} now."), made("b")], NIGHT, "run-2", later)
    release(profile, [made("b"), made(user, f"{CANARY} next."), made("c")], NEXT, "run-3", last)


@pytest.mark.parametrize("user", [GONE, HOSTILE], ids=["plain", "hostile"])
def test_nothing_of_a_user_is_left(spark, profile, run_erase, user) -> None:
    three_releases(profile, user)
    put_rows(profile, "generations", [
        call("one", user, output=CANARY) | {"run_id": "run-1", "run_date": NIGHT},
        call("two", "a") | {"run_id": "run-1", "run_date": NIGHT},
    ])  # fmt: skip
    before = {each.release_id: content(profile, each, (user,)) for each in releases(profile)}

    receipt = run_erase(user)

    assert receipt["left"] == []
    assert traces([Path(profile.warehouse), home()], [user, CANARY]) == []
    assert {each.release_id: content(profile, each) for each in releases(profile)} == before
    for public in releases(profile):
        assert all(len(counts) == 1 for counts in read_three_ways(spark, profile, public).values())
    assert [row["subject"] for row in read_rows(profile, "generations")] == ["a"]
    assert len(read_rows(profile, "suppressions")) == 1
