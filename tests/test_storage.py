"""Ledgers and runs through delta-rs."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from deltalake import DeltaTable

from jobs.errors import GateError, InputError
from jobs.profile import Profile, load_profile
from jobs.runs import put_run, take_over
from jobs.stage import recorded
from jobs.storage import folders, put_rows, read_json, read_rows, remove, write_json
from tests.data.inputs import profile as write
from tests.publish.nights import NEXT, NIGHT, STARTED


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return write(tmp_path)


@pytest.mark.parametrize("name", ["manual__2024-05-01T00:00:00+00:00", "it's", 'a"b', "back\\slash", "%_", "ü\n"])
def test_a_run_has_one_row_whatever_its_name(profile, name: str) -> None:
    put_run(profile, "other", NIGHT, STARTED, "published")
    put_run(profile, name, NIGHT, STARTED, "running")
    put_run(profile, name, NIGHT, STARTED, "published", users=3, stage_seconds=[("publish", 1.5)])
    rows = {row["run_id"]: row for row in read_rows(profile, "runs")}
    assert len(read_rows(profile, "runs")) == len(rows) == 2
    assert (rows[name]["status"], rows[name]["users"], dict(rows[name]["stage_seconds"])) == ("published", 3, {"publish": 1.5})


STAGES = {
    "well": (None, "running", None),
    "an error for the reader": (InputError("no file"), "failed", "no file"),
    "a defect": (KeyError("x"), "failed", "KeyError: 'x'"),
    "a gate, which has recorded itself": (GateError("blocked"), "running", None),
}


@pytest.mark.parametrize("case", STAGES)
def test_how_a_stage_ends_is_recorded(profile, case: str) -> None:
    error, status, message = STAGES[case]
    try:
        with recorded(profile, "run", NIGHT, STARTED):
            assert read_rows(profile, "runs")[0]["status"] == "running"
            if error:
                raise error
    except type(error or ValueError) as raised:
        assert raised is error
    (row,) = read_rows(profile, "runs")
    assert (row["status"], row["message"]) == (status, message)


def test_a_night_takes_the_place_of_one_that_was_killed(profile) -> None:
    put_run(profile, "killed", NIGHT, STARTED, "running")
    put_run(profile, "blocked", NIGHT, STARTED, "blocked")
    put_run(profile, "of another night", NEXT, STARTED, "running")
    put_run(profile, "new", NIGHT, STARTED, "running")
    take_over(profile, "new", NIGHT)
    told = {row["run_id"]: (row["status"], row["message"]) for row in read_rows(profile, "runs")}
    assert told == {
        "killed": ("failed", "it was stopped, and run new took its place"),
        "blocked": ("blocked", None),
        "of another night": ("running", None),
        "new": ("running", None),
    }


def append(file: str, worker: int, n: int, barrier) -> None:
    profile = load_profile(file)
    barrier.wait()
    for k in range(n):
        put_run(profile, f"{worker}-{k}", NIGHT, STARTED, "running")
        put_rows(profile, "validations", [verdict(f"{worker}-{k}")])


def verdict(run_id: str) -> dict:
    about = {"run_id": run_id, "run_date": NIGHT, "table": "rankings", "rule": "key", "severity": "block", "passed": True}
    return about | {"expected": "", "observed": "", "sample_keys": []}


@pytest.mark.parametrize("there", [True, False], ids=["a table that is there", "no table yet"])
def test_two_processes_write_at_once_and_both_land(profile, there: bool) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, n = context.Barrier(2), 5
    if there:
        put_run(profile, "first", NIGHT, STARTED, "running")
        put_rows(profile, "validations", [verdict("first")])
    workers = [context.Process(target=append, args=(profile.file, k, n, barrier)) for k in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    expected = sorted([f"{worker}-{k}" for worker in range(2) for k in range(n)] + ["first"] * there)
    assert sorted(row["run_id"] for row in read_rows(profile, "runs")) == expected
    assert sorted(row["run_id"] for row in read_rows(profile, "validations")) == expected


def test_small_files(tmp_path) -> None:
    place = f"{tmp_path}/a/b/c.json"
    for content in ({"x": [1, "ü"]}, {"y": 2}):
        write_json(place, content)
        assert read_json(place) == content
    assert [file.name for file in Path(place).parent.iterdir()] == ["c.json"]
    assert (folders(f"{tmp_path}/a"), folders(f"{tmp_path}/none")) == (["b"], [])
    remove(f"{tmp_path}/a")
    remove(f"{tmp_path}/a")
    assert folders(str(tmp_path)) == []


def test_a_ledger_has_one_commit_a_write(profile) -> None:
    for name in ("a", "b", "a"):
        put_run(profile, name, NIGHT, STARTED, "running")
    assert DeltaTable(profile.table("runs")).version() == 2
