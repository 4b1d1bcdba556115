"""One night: events and items in, personalized tables out.

- `open_run` fixes what the night is about: its date, its id, its profile. Nothing after it asks a clock.
- `prepare` (Spark) computes histories, facts and candidates, and cuts the users who changed into shards.
- `generate` (the language model) answers for one shard; as many at once as the pool `gpu` has slots.
- `publish` (Spark, Great Expectations, Delta) judges the tables; one row in `releases` makes them public.

Every task can be retried or cleared: finished work is found again and never paid for twice. What no retry
mends (a bad profile, bad input, a gate that blocks) fails at once, and the last release stays public.

**Page of the night.** What `publish` returns (its XCom) names the release and, as `report`, the page that tells all of the
night; a night that fails has one as well, and its log says where, in a line `page of the night`.

**Backfill.** `airflow backfill create --dag-id nightly --from-date 2016-10-10 --to-date 2016-10-16T23:59`: nights run one after
another in the order of their dates, however many the backfill may have at once; a night that fails does not stop those after
it. Not with `--run-backwards`: a night carries over rows of the one before it.

**Parameters.** `date` is the run date: events before it count. Empty, it is the day (UTC) of the run's
logical date. `users` limits the night to so many users, or to those in a file. `shards` overrides the
profile's number. `force` asks again: about users whose context did not change, and for what is known.
"""

from contextlib import suppress
from datetime import timedelta

import runs
from airflow.sdk import Asset, Param, dag, task
from airflow.sdk.exceptions import AirflowException
from launch import Launcher, launch
from runs import ONE_AT_A_TIME, RETRIED, at_repo, in_turn, opened

PUBLISHED = ("user_summaries", "rankings", "explanations", "evidence", "rejected")
PARAMS = {
    "date": runs.PARAMS["date"],
    "users": Param(None, "how many users, or a file of ids", type=["null", "integer", "string"], minimum=1, minLength=1),
    "shards": Param(None, "empty: the profile's number", type=["null", "integer"], minimum=1, maximum=4096),
    "force": Param(False, "ask again about users who did not change, and for known answers", type="boolean"),
    "profile": runs.PARAMS["profile"],
}


def say_what_failed(context) -> None:
    """On failure: one line in the log, and the same in the run's row."""
    message = runs.say_what_failed(context)
    if run := context["ti"].xcom_pull(task_ids="open_run"):
        with suppress(AirflowException):  # it has said why on its way; the stage's own failure is what counts
            launch("stage", "spark", Launcher(), **run, message=message)


def users_wanted(users: int | str | None) -> int | str | None:
    """A number stays one, also where a form sends it as text; any other text is a file."""
    return users if users is None or str(users).isdecimal() else at_repo(str(users))


@dag(
    **ONE_AT_A_TIME,
    schedule="0 2 * * *",
    params=PARAMS,
    doc_md=__doc__,
    default_args=RETRIED | {"on_failure_callback": say_what_failed},
)
def nightly():
    @task(execution_timeout=timedelta(minutes=5), multiple_outputs=False)
    def open_run(params, dag_run, ti) -> dict[str, str]:
        """What the night is about; the arguments that the jobs share. A backfill's nights wait here for their turn."""
        in_turn(ti, dag_run)
        return opened(params, dag_run, PARAMS)

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
        """Assemble, judge, commit, release, and write the page of the night."""
        return launch("publish", "spark", **run)

    run = open_run()
    generate.partial(run=run).expand(shard=prepare(run)) >> publish(run)


nightly()
