"""The warehouse's upkeep, weekly: releases beyond the profile's `[retention]` are retired and their files removed, ledgers
compacted, folders of old nights, pages and logs cleared; the log ends with a size report.

It may run beside a night: what is younger than `retention.orphan_hours` stays.

**Parameters.** `dry_run` says what would go, and changes nothing.
"""

from datetime import timedelta

import runs
from airflow.sdk import Param, dag, task
from launch import Launcher, launch
from runs import ONE_AT_A_TIME, RETRIED, opened, say_what_failed

PARAMS = {
    "dry_run": Param(False, "say what would go; change nothing", type="boolean"),
    "profile": runs.PARAMS["profile"],
}


@dag(
    **ONE_AT_A_TIME,
    schedule="0 12 * * 0",
    params=PARAMS,
    doc_md=__doc__,
    default_args=RETRIED | {"on_failure_callback": say_what_failed},
)
def maintain():
    @task(execution_timeout=timedelta(minutes=5), multiple_outputs=False)
    def open_run(params, dag_run) -> dict[str, str]:
        """When it began, and for which profile; the arguments of its job."""
        run = opened({**params, "date": None}, dag_run, PARAMS)
        return {name: run[name] for name in ("profile", "started_at")}

    @task(execution_timeout=timedelta(hours=4))
    def keep(run, params):
        """Retire, delete, compact, vacuum, measure; no JVM, so on this machine wherever Spark's jobs run."""
        return launch("maintain", "spark", Launcher(), **run, dry_run=params["dry_run"])

    keep(open_run())


maintain()
