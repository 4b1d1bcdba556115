"""The table `runs`: one row a run, written when it begins and replaced as it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from jobs.errors import GateError, NocturneError
from jobs.profile import Profile
from jobs.storage import put_rows


def put_run(profile: Profile, run_id: str, run_date: date, started_at: datetime, status: str, **columns: Any) -> None:
    """Write a run's row, in place of the one it had."""
    row = {"run_id": run_id, "run_date": run_date, "started_at": started_at, "status": status, **columns}
    put_rows(profile, "runs", [row], key="run_id")


@contextmanager
def recorded(profile: Profile, run_id: str, run_date: date, started_at: datetime) -> Iterator[None]:
    """Mark the run as running; when the stage inside fails, as failed with the reason."""
    put_run(profile, run_id, run_date, started_at, "running")
    try:
        yield
    except GateError:
        raise
    except Exception as error:
        message = str(error) if isinstance(error, NocturneError) else f"{type(error).__name__}: {error}"
        put_run(profile, run_id, run_date, started_at, "failed", message=message[:2000])
        raise
