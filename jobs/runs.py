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
from jobs.progress import Progress
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
    from jobs.faults import named  # which reads releases, which read runs

    with named(profile):
        put_run(profile, run_id, run_date, started_at, "running")
    try:
        refuse_during(profile, "erasure")  # which looks for runs that are `running` once it has its lock
        with named(profile):
            yield
    except GateError:
        raise
    except Exception as error:
        message = str(error) if isinstance(error, NocturneError) else f"{type(error).__name__}: {error}"
        try:
            put_run(profile, run_id, run_date, started_at, "failed", message=message[:2000])
        except Exception as second:  # what failed may be what is written to
            error.add_note(f"the run could not be marked as failed: {second}")
        raise


def main() -> None:
    """Mark a run that is still `running`, or has no row yet, as failed, and make the page of what there is of its night."""
    from jobs.report.page import night_page  # with DuckDB and all, for this alone

    parser = run_parser("runs", __doc__)
    parser.add_argument("--message", required=True)
    given = parser.parse_args()
    profile = load_profile(given.profile)
    row = find_run(profile, given.run_id)
    status = "failed" if row is None or row["status"] == "running" else row["status"]
    if row is None or row["status"] == "running":
        from jobs.faults import named

        with named(profile):
            put_run(profile, given.run_id, given.run_date, given.started_at, status, message=given.message[:2000])
    report = night_page(profile, given.run_id, Progress("runs"))
    print(json.dumps({"run_id": given.run_id, "status": status, "report": report}))


if __name__ == "__main__":
    run_main(main)
