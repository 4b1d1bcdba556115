"""What stays and what goes, by rows alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from jobs.maintain.files import began_at
from jobs.maintain.kept import at_work, kept, old_nights, shown
from jobs.releases import Release

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


def release(day: int, status: str = "released", age: int = 99, **changes) -> Release:
    """Of the day of May; `age` is of its publication, in days."""
    made = {"release_id": f"r-{day}", "run_date": date(2024, 5, day), "run_id": f"run-{day}", "status": status}
    made |= {"tables": {"rankings": day, "evidence": 100 + day}, "digests": {}, "published_at": NOW - timedelta(days=age)}
    return Release(**made | {"sequence": day, "latest": f"r-{day}"} | changes)


WEEK = [release(day) for day in range(1, 8)]
STAYS = {
    "the newest nights": (WEEK, [], {"r-6", "r-7"}),
    "every release of them": ([*WEEK, release(7, release_id="r-7b", sequence=8)], [], {"r-6", "r-7", "r-7b"}),
    "what was published lately": ([*WEEK, release(1, release_id="r-1b", age=1, latest="r-7")], [], {"r-1b", "r-6", "r-7"}),
    "a blocked run of a kept night": ([*WEEK, release(7, "blocked", release_id="run-b")], [], {"r-6", "r-7", "run-b"}),
    "no older blocked run": ([*WEEK, release(5, "blocked", release_id="run-b")], [], {"r-6", "r-7"}),
    "nights that were blocked do not count": ([*WEEK, release(9, "blocked", release_id="run-b")], [], {"r-6", "r-7"}),
    "what readers went back to, and came from": (
        [*WEEK, release(2, "rollback", release_id="r-2~8", sequence=8, latest="r-2~8")],
        [],
        {"r-2~8", "r-6", "r-7"},
    ),
    "what nights at work carry over from": (WEEK, ["r-3"], {"r-3", "r-6", "r-7"}),
    "nothing of nothing": ([], ["r-3"], set()),
}


@pytest.mark.parametrize("case", STAYS)
def test_what_stays(case: str) -> None:
    public, needed, expected = STAYS[case]
    found = kept(public, [], needed, NOW, 2)
    assert {each.release_id for each in found.releases} == expected
    assert {each.release_id for each in found.retired} == {each.release_id for each in public} - expected
    stay = [each for each in public if each.release_id in expected]
    assert found.nights == {each.run_date for each in stay}
    assert found.versions.get("rankings", []) == sorted({each.tables["rankings"] for each in stay})


def test_a_night_that_is_written_now_stays() -> None:
    """A backfill of an old night: its rows are there before its release is."""
    run = {"run_id": "run-0", "run_date": date(2023, 1, 1), "started_at": NOW - timedelta(hours=1), "status": "running"}
    assert date(2023, 1, 1) in kept(WEEK, [run], [], NOW, 2).nights
    old = run | {"started_at": NOW - timedelta(days=3)}
    assert date(2023, 1, 1) not in kept(WEEK, [old], [], NOW, 2).nights


def test_readers_saw_two() -> None:
    there_and_back = [*WEEK, release(3, "rollback", release_id="r-3~8", sequence=8, latest="r-3~8")]
    there_and_back.append(release(7, "rollback", release_id="r-7~9", sequence=9, latest="r-7~9"))
    assert shown(there_and_back) == ["r-7~9", "r-3~8"]
    late = [*WEEK, release(1, release_id="r-1b", sequence=8, latest="r-7")]
    assert shown(late) == ["r-7", "r-6"]


def test_who_is_at_work() -> None:
    about = {"status": "running", "started_at": NOW - timedelta(hours=5)}
    rows = [about | {"run_id": "a"}, about | {"run_id": "b", "status": "failed"}]
    rows.append({"run_id": "killed", "status": "running", "started_at": NOW - timedelta(days=4)})
    assert at_work(rows, NOW, 48) == ["a"]


@pytest.mark.parametrize(("keep", "expected"), [(1, ["a", "b"]), (2, ["a"]), (3, []), (9, [])])
def test_old_nights(keep: int, expected: list[str]) -> None:
    assert old_nights(["b", "c", "a"], keep) == expected


NAMES = {
    "2016-10-17-20261123T112258Z-0a1b2c3d": datetime(2026, 11, 23, 11, 22, 58, tzinfo=UTC),
    "demo-2016-10-17-20261123T112258.log": datetime(2026, 11, 23, 11, 22, 58, tzinfo=UTC),
    "run-1": None,
    "notes.log": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_when_a_run_began(name: str) -> None:
    assert began_at(Path(name).name) == NAMES[name]
