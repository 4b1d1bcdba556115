"""A night that failed: whoever launched it marks it, and makes the page of what there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs import stage
from jobs.profile import Profile
from jobs.report.page import place, write_report
from jobs.runs import find_run, put_run
from tests.publish.nights import NIGHT, STARTED
from tests.report.nights import nights

WHY = "stage prepare failed"
GIVEN = [
    "--run-date",
    str(NIGHT),
    "--run-id",
    "run-1",
    "--started-at",
    STARTED.isoformat(),
    "--message",
    "stage prepare failed",
]


@pytest.mark.parametrize("status", [None, "running", "failed", "blocked"])
def test_a_night_that_failed_is_marked_and_has_a_page(profile: Profile, monkeypatch, capsys, status: str | None) -> None:
    monkeypatch.setattr("sys.argv", ["stage", "--profile", profile.file, *GIVEN])
    if status:
        put_run(profile, "run-1", NIGHT, STARTED, status, message=None if status == "running" else "said before")
    stage.main()
    page, told = place(profile, "run-1"), capsys.readouterr().out.splitlines()
    row = find_run(profile, "run-1")
    assert row and (row["status"], row["message"]) == {
        "blocked": ("blocked", "said before"), "failed": ("failed", "said before")
    }.get(status or "", ("failed", WHY))  # fmt: skip
    assert json.loads(told[-1]) == {"run_id": "run-1", "status": row["status"], "report": str(page)}
    assert told[-2].endswith(f"page of the night: {page}")
    assert row["message"] in page.read_text()


def test_a_night_that_ended_by_a_damaged_table_has_a_page(profile: Profile) -> None:
    nights(profile, status="failed", message="table rankings: log entry 0 is torn")
    Path(profile.table("rankings"), "_delta_log", f"{0:020}.json").write_text("{")
    assert "log entry 0 is torn" in write_report(profile).read_text()
