"""A stage of a run: its run is `running` as long as it is, and `failed` once it fails.

A stage that was killed cannot say so itself; whoever launched it does:

    python -m jobs.stage --profile FILE --run-date 2016-10-17 --run-id ID --started-at TIME --message "..."
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from jobs.arguments import run_parser
from jobs.errors import GateError, NocturneError, run_main
from jobs.faults import named
from jobs.locks import refuse_during
from jobs.profile import Profile, load_profile
from jobs.progress import Progress
from jobs.runs import find_run, put_run


@contextmanager
def recorded(profile: Profile, run_id: str, run_date: date, started_at: datetime) -> Iterator[None]:
    """Mark the run as running; when the stage inside fails, as failed with the reason."""
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

    parser = run_parser("stage", __doc__)
    parser.add_argument("--message", required=True)
    given = parser.parse_args()
    profile = load_profile(given.profile)
    row = find_run(profile, given.run_id)
    status = "failed" if row is None or row["status"] == "running" else row["status"]
    if row is None or row["status"] == "running":
        with named(profile):
            put_run(profile, given.run_id, given.run_date, given.started_at, status, message=given.message[:2000])
    report = night_page(profile, given.run_id, Progress("stage"))
    print(json.dumps({"run_id": given.run_id, "status": status, "report": report}))


if __name__ == "__main__":
    run_main(main)
