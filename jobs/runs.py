"""The table `runs`: one row a run, written when it begins and replaced as it goes on.

A stage that was killed cannot say so itself; whoever launched it does:

    python -m jobs.runs --profile FILE --run-date 2016-10-17 --run-id ID --started-at TIME --message "..."
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from jobs.arguments import run_parser
from jobs.errors import GateError, NocturneError, run_main
from jobs.locks import refuse_during
from jobs.profile import Profile, load_profile
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


@contextmanager
def recorded(profile: Profile, run_id: str, run_date: date, started_at: datetime) -> Iterator[None]:
    """Mark the run as running; when the stage inside fails, as failed with the reason."""
    put_run(profile, run_id, run_date, started_at, "running")
    try:
        refuse_during(profile, "erasure")  # which looks for runs that are `running` once it has its lock
        yield
    except GateError:
        raise
    except Exception as error:
        message = str(error) if isinstance(error, NocturneError) else f"{type(error).__name__}: {error}"
        put_run(profile, run_id, run_date, started_at, "failed", message=message[:2000])
        raise


def main() -> None:
    """Mark a run that is still `running`, or has no row yet, as failed."""
    parser = run_parser("runs", __doc__)
    parser.add_argument("--message", required=True)
    given = parser.parse_args()
    profile = load_profile(given.profile)
    row = find_run(profile, given.run_id)
    if row is None or row["status"] == "running":
        put_run(profile, given.run_id, given.run_date, given.started_at, "failed", message=given.message[:2000])
    print(json.dumps({"run_id": given.run_id, "status": row["status"] if row else "failed"}))


if __name__ == "__main__":
    run_main(main)
