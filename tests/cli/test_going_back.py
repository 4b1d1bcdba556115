"""`rollback` and `release` as commands: what they say, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.releases import latest
from jobs.runs import put_run
from tests.publish.nights import NEXT, NIGHT, STARTED, made, release, written


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> None:
    """Of locks and pages."""
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))


@pytest.fixture
def nights(profile):
    release(profile, [made("a")], NIGHT, "run-1")
    release(profile, [made("a"), made("b")], NEXT, "run-2")
    return profile


def test_back_and_forth(nights, nocturne) -> None:
    told = (0, "readers see r-run-1, the night of 2024-05-01; to undo it: infra/nocturne rollback r-run-2\n", "")
    assert nocturne("rollback", "r-run-1", "--reason", "lists too short") == told
    assert nocturne("rollback", "r-run-1") == (0, "readers see r-run-1 already\n", "")
    assert nocturne("rollback", "r-run-2")[0] == 0
    assert latest(nights).root == "r-run-2"


def test_nobody_goes_back_to_what_cannot_be_read(nights, nocturne) -> None:
    (file,) = Path(nights.table("rankings"), f"run_date={NIGHT}").glob("*.parquet")
    file.unlink()
    code, _, error = nocturne("rollback", "r-run-1")
    assert (code, latest(nights).release_id) == (3, "r-run-2")
    assert f"{file} of version 0, which release r-run-1 shows is missing" in error
    assert "readers see what they saw" in error


def test_an_older_night_that_is_let_pass_says_that_readers_stay(nights, nocturne) -> None:
    tables = {"tables": [*written(nights, [made("c")], NIGHT).items()], "digests": [], "ended_at": STARTED}
    put_run(nights, "run-3", NIGHT, STARTED.replace(hour=3), "blocked", **tables)
    code, said, _ = nocturne("release", "--accept", "it is fine")
    assert (code, latest(nights).release_id) == (0, "r-run-2")
    assert said.splitlines()[:2] == [
        "released r-run-3, the night of 2024-05-01: it is fine",
        "readers see r-run-2 still, the night of 2024-05-02",
    ]
