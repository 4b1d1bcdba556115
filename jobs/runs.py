"""The table `runs`: one row a run, written when it begins and replaced as it goes on."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from jobs.profile import Profile
from jobs.storage import put_rows, read_rows


def runs(profile: Profile) -> list[dict[str, Any]]:
    """All runs, in the order in which they began."""
    return sorted(read_rows(profile, "runs"), key=lambda row: row["started_at"])


def find_run(profile: Profile, run_id: str) -> dict[str, Any] | None:
    """A run's row, if it has one."""
    return next((row for row in read_rows(profile, "runs") if row["run_id"] == run_id), None)


def put_run(profile: Profile, run_id: str, run_date: date, started_at: datetime, status: str, **columns: Any) -> None:
    """Write a run's row, in place of the one it had."""
    row = {"run_id": run_id, "run_date": run_date, "started_at": started_at, "status": status, **columns}
    put_rows(profile, "runs", [row], key="run_id")


def take_over(profile: Profile, run_id: str, run_date: date) -> None:
    """Mark as failed other runs of a night that say they are running: who was killed cannot, and this one prepares it anew."""
    others = [
        row for row in runs(profile) if (row["status"], row["run_date"]) == ("running", run_date) and row["run_id"] != run_id
    ]
    if others:
        ended = {"status": "failed", "message": f"it was stopped, and run {run_id} took its place"}
        put_rows(profile, "runs", [row | ended for row in others], key="run_id")
