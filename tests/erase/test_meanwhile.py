"""What others do while users are erased: nothing of it is lost, and no file of theirs is broken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.erase import __main__ as job
from jobs.erase import tables
from jobs.erase.people import People
from jobs.errors import Busy
from jobs.locks import alone, working
from jobs.maintain.__main__ import maintain
from jobs.mend import mend
from jobs.profile import Profile
from jobs.progress import Progress
from jobs.runs import put_run
from jobs.stage import recorded
from jobs.storage import read_rows
from tests.data.inputs import profile as write
from tests.publish.nights import NEXT, NIGHT, STARTED

GONE = "erase-me-7f3a"
LATER = STARTED + timedelta(hours=1)


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "logs").mkdir(parents=True)
    return write(tmp_path)


@pytest.fixture
def erase(profile: Profile) -> Callable[..., dict[str, Any]]:
    """Erase users of whom no large table tells: no JVM."""
    return lambda *users: job.erase(profile, People.of(list(users or (GONE,)), "user"), STARTED, never, Progress("erase"))


def never() -> Any:
    raise AssertionError("no row of a large table is theirs")


def test_what_a_night_writes_meanwhile_stays(profile, erase, monkeypatch) -> None:
    """It says that it begins, and that it may not, just when old versions of `runs` are about to go."""
    put_run(profile, "run-1", NIGHT, STARTED, "failed", message=f"user_id={GONE}")
    settle = tables.settle

    def then_a_night(path: str) -> int:
        base = settle(path)
        with pytest.raises(Busy), recorded(profile, "run-2", NEXT, LATER):
            pass
        return base

    monkeypatch.setattr(tables, "settle", then_a_night)
    assert erase()["left"] == []
    assert {row["run_id"]: row["status"] for row in read_rows(profile, "runs")} == {"run-1": "failed", "run-2": "failed"}


def test_what_else_has_rows_of_users_is_not_beside_an_erasure(profile, erase) -> None:
    """Evaluations, plans, upkeep and mends, several at once; a night says itself that it is at work."""
    busy = pytest.raises(Busy, match=r"an evaluation, a plan, upkeep, a mend or a rollback is at work in .*; wait for its end")
    with working(profile), working(profile), busy:
        erase()
    assert erase()["left"] == []
    with alone(profile, "erasure"):
        for work in (lambda: maintain(profile, LATER, False, Progress("maintain")), lambda: mend(profile, LATER, really=True)):
            with pytest.raises(Busy, match="an erasure is at work"):
                work()
        assert mend(profile, LATER, really=False) == []
        assert maintain(profile, LATER, True, Progress("maintain")).dry_run
