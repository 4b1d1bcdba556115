"""What the DAGs share: what a run is about, how it is retried, and what is said when it fails."""

import hashlib
import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from airflow.sdk import Param
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException
from launch import REPO, Launcher

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # a run dated before a DAG's start succeeds without a single task
PROFILE = os.environ.get("NOCTURNE_PROFILE") or "infra/profiles/demo.toml"
PARAMS = {
    "date": Param(None, "run date; empty: the logical date's day", type=["null", "string"], format="date"),
    "profile": Param(PROFILE, "a TOML file; a relative path starts at the repository", type="string"),
}
TURN = timedelta(seconds=20)  # after which a night of a backfill looks again whether it is its turn
ONE_AT_A_TIME = {"start_date": LONG_AGO, "catchup": False, "max_active_runs": 1, "tags": ["nocturne"]}
RETRIED = {
    "owner": "nocturne",
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 3.0,  # Airflow adds up to as much again: 10-20 s, 30-60 s, 90-180 s
}


def opened(params, dag_run, allowed) -> dict[str, str]:
    """What a run is about, the arguments that its jobs share; nothing after it asks a clock."""
    refuse_unknown(dag_run, allowed)
    profile = at_repo(params["profile"])
    Launcher.of(Path(profile))
    started = datetime.now(UTC)
    day = (dag_run.logical_date or dag_run.run_after).astimezone(UTC).date()
    run_date = date.fromisoformat(params["date"]) if params["date"] else day
    return {
        "profile": profile,
        "run_date": run_date.isoformat(),
        "run_id": name_of(run_date, started, dag_run.run_id),
        "started_at": started.isoformat(timespec="seconds"),
    }


def in_turn(ti, dag_run) -> None:
    """Let a night of a backfill wait while one of an earlier date runs.

    A night carries over rows of the one before it, and Airflow starts as many nights of a backfill at once as the backfill
    says: the DAG's `max_active_runs` does not count there.
    """
    if dag_run.run_type == "backfill" and (earlier := ti.get_previous_dagrun(state="running")):
        print(f"nocturne | {earlier.run_id} still runs; this night looks again in {TURN.seconds} s", flush=True)
        raise AirflowRescheduleException(datetime.now(UTC) + TURN)


def refuse_unknown(dag_run, allowed) -> None:
    """Raise where a run was given a parameter that its DAG has not."""
    if unknown := ", ".join(sorted((dag_run.conf or {}).keys() - allowed.keys())):
        raise AirflowFailException(f"unknown parameter {unknown}; allowed: {', '.join(allowed)}")


def at_repo(path: str) -> str:
    """A path of the form, made absolute; addresses such as s3a://... stay as they are."""
    return path if "://" in path else str(REPO / path)


def name_of(run_date: date, started: datetime, dag_run_id: str) -> str:
    """A run's id: sorts by date, then start; and no two runs of the DAG share one."""
    own = hashlib.sha256(dag_run_id.encode()).hexdigest()[:8]
    return f"{run_date}-{started:%Y%m%dT%H%M%SZ}-{own}"


def say_what_failed(context) -> str:
    """On failure: the stage, the job's own words and where the log is, in one line."""
    ti = context["ti"]
    stage = f"{ti.task_id} ({ti.rendered_map_index})" if ti.rendered_map_index else ti.task_id
    said = str(context.get("exception") or "stopped from outside").splitlines()
    reason = "; ".join(line.strip() for line in said)
    message = f"stage {stage} failed: {reason} (log: {log_of(ti)})"
    print(f"nocturne: {message}", file=sys.stderr, flush=True)
    return message


def log_of(ti) -> str:
    """The task's log file, by Airflow's default template.

    `airflow dags test` writes none: who runs it keeps its output, and says in NOCTURNE_LOG where.
    """
    parts = [f"dag_id={ti.dag_id}", f"run_id={ti.run_id}", f"task_id={ti.task_id}"]
    parts += [f"map_index={ti.map_index}"] if ti.map_index >= 0 else []
    file = Path(conf.get("logging", "base_log_folder"), *parts, f"attempt={ti.try_number}.log")
    return str(file) if file.exists() else os.environ.get("NOCTURNE_LOG", "the lines above")
