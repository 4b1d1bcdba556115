"""One night: events and items in, personalized tables out.

- `open_run` fixes what the night is about: its date, its id, its profile. Nothing after it asks a clock.
- `prepare` (Spark) computes histories, facts and candidates, and cuts the users who changed into shards.
- `generate` (the language model) answers for one shard; as many at once as the pool `gpu` has slots.
- `publish` (Spark, Great Expectations, Delta) judges the tables; one row in `releases` makes them public.

Every task can be retried or cleared: finished work is found again and never paid for twice. What no retry
mends (a bad profile, bad input, a gate that blocks) fails at once, and the last release stays public.

**Parameters.** `date` is the run date: events before it count. Empty, it is the day (UTC) of the run's
logical date. `users` limits the night to so many users, or to those in a file. `shards` overrides the
profile's number. `force` asks again: about users whose context did not change, and for what is known.
"""

import hashlib
import os
import sys
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from airflow.sdk import Asset, Param, dag, task
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from launch import REPO, Launcher, launch

PUBLISHED = ("user_summaries", "rankings", "explanations", "evidence", "rejected")
PROFILE = os.environ.get("NOCTURNE_PROFILE") or "infra/profiles/demo.toml"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # a run dated before a DAG's start succeeds without a single task

PARAMS = {
    "date": Param(None, "run date; empty: the logical date's day", type=["null", "string"], format="date"),
    "users": Param(None, "how many users, or a file of ids", type=["null", "integer", "string"], minimum=1, minLength=1),
    "shards": Param(None, "empty: the profile's number", type=["null", "integer"], minimum=1, maximum=4096),
    "force": Param(False, "ask again about users who did not change, and for known answers", type="boolean"),
    "profile": Param(PROFILE, "a TOML file; a relative path starts at the repository", type="string"),
}


def say_what_failed(context) -> None:
    """On failure: the stage, the job's own words and where the log is, in one line; the run's row says so too."""
    ti = context["ti"]
    stage = f"{ti.task_id} ({ti.rendered_map_index})" if ti.rendered_map_index else ti.task_id
    said = str(context.get("exception") or "stopped from outside").splitlines()
    reason = "; ".join(line.strip() for line in said)
    message = f"stage {stage} failed: {reason} (log: {log_of(ti)})"
    print(f"nocturne: {message}", file=sys.stderr, flush=True)
    if run := ti.xcom_pull(task_ids="open_run"):
        with suppress(AirflowException):  # it has said why on its way; the stage's own failure is what counts
            launch("runs", "spark", Launcher(), **run, message=message)


def log_of(ti) -> str:
    """The task's log file, by Airflow's default template.

    `airflow dags test` writes none: who runs it keeps its output, and says in NOCTURNE_LOG where.
    """
    parts = [f"dag_id={ti.dag_id}", f"run_id={ti.run_id}", f"task_id={ti.task_id}"]
    parts += [f"map_index={ti.map_index}"] if ti.map_index >= 0 else []
    file = Path(conf.get("logging", "base_log_folder"), *parts, f"attempt={ti.try_number}.log")
    return str(file) if file.exists() else os.environ.get("NOCTURNE_LOG", "the lines above")


def at_repo(path: str) -> str:
    """A path of the form, made absolute; addresses such as s3a://... stay as they are."""
    return path if "://" in path else str(REPO / path)


def users_wanted(users: int | str | None) -> int | str | None:
    """A number stays one, also where a form sends it as text; any other text is a file."""
    return users if users is None or str(users).isdecimal() else at_repo(str(users))


def name_of(run_date: date, started: datetime, dag_run_id: str) -> str:
    """A run's id: sorts by date, then start; and no two runs of the DAG share one."""
    own = hashlib.sha256(dag_run_id.encode()).hexdigest()[:8]
    return f"{run_date}-{started:%Y%m%dT%H%M%SZ}-{own}"


@dag(
    schedule="0 2 * * *",
    start_date=LONG_AGO,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    doc_md=__doc__,
    tags=["nocturne"],
    default_args={
        "owner": "nocturne",
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 3.0,  # Airflow adds up to as much again: 10-20 s, 30-60 s, 90-180 s
        "on_failure_callback": say_what_failed,
    },
)
def nightly():
    @task(execution_timeout=timedelta(minutes=5), multiple_outputs=False)
    def open_run(params, dag_run) -> dict[str, str]:
        """What the night is about; the arguments that the jobs share."""
        if unknown := ", ".join(sorted((dag_run.conf or {}).keys() - PARAMS.keys())):
            raise AirflowFailException(f"unknown parameter {unknown}; allowed: {', '.join(PARAMS)}")
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

    @task(execution_timeout=timedelta(hours=4))
    def prepare(run, params) -> list[int]:
        """Validate, deduplicate, find who changed; the shards to generate."""
        users = users_wanted(params["users"])
        done = launch("prepare", "spark", **run, users=users, shards=params["shards"], force=params["force"])
        return done["shards"]

    @task(
        execution_timeout=timedelta(hours=12),
        pool="gpu",
        queue="gpu",
        map_index_template="shard {{ task.op_kwargs.shard }}",
    )
    def generate(run, shard):
        """The model's answers for the users of one shard."""
        night = {name: run[name] for name in ("profile", "run_date", "run_id")}
        return launch("generate", "llm", **night, shard=shard)

    @task(
        execution_timeout=timedelta(hours=4),
        trigger_rule="none_failed",  # nobody changed: no shards, generate is skipped, the night is published
        outlets=[Asset(name=table, uri=f"nocturne://{table}") for table in PUBLISHED],
    )
    def publish(run):
        """Assemble, judge, commit, release."""
        return launch("publish", "spark", **run)

    run = open_run()
    generate.partial(run=run).expand(shard=prepare(run)) >> publish(run)


nightly()
