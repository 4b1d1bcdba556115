"""The DAG as Airflow reads it, and whole nights of it in real Airflow with stand-ins for the jobs."""

import json
import re
import subprocess
import sys
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException, ParamValidationError
from homes import DAGS, REPO

NIGHT = datetime(2016, 10, 17, tzinfo=UTC)
FATAL = {"exit": 3, "stderr": "nocturne: no events before 2016-10-17"}
PASSING = {"exit": 1, "stderr": "nocturne: disk is full"}


def run(dag, home, logical_date=NIGHT, **conf):
    """One night, as `airflow dags test` runs it."""
    return dag.test(logical_date=logical_date, run_conf={"profile": str(home.profile), **conf})


def states(dag_run) -> dict[str, list[str]]:
    """The states of each task's instances."""
    found: dict[str, list[str]] = {}
    for ti in sorted(dag_run.get_task_instances(), key=lambda ti: ti.map_index):
        found.setdefault(ti.task_id, []).append(str(ti.state))
    return found


def option(call: dict, name: str) -> str:
    """The value of one option in a recorded call."""
    return call["argv"][call["argv"].index(name) + 1]


# The DAG as it is read


def test_schedule_and_form(nightly):
    assert nightly.schedule == "0 2 * * *"
    assert (nightly.catchup, nightly.max_active_runs, nightly.tags) == (False, 1, {"nocturne"})
    assert "Parameters" in nightly.doc_md
    assert nightly.params.dump() == {
        "date": None,
        "users": None,
        "shards": None,
        "force": False,
        "profile": "infra/profiles/demo.toml",
    }


def test_tasks(nightly):
    order = {one.task_id: one.downstream_task_ids for one in nightly.tasks}
    assert order == {
        "open_run": {"prepare", "generate", "publish"},
        "prepare": {"generate"},
        "generate": {"publish"},
        "publish": set(),
    }
    for one in nightly.tasks:
        assert (one.owner, one.retries) == ("nocturne", 3)
        assert one.execution_timeout > timedelta(0)
    assert (nightly.get_task("generate").pool, nightly.get_task("generate").queue) == ("gpu", "gpu")


def test_back_off():
    from airflow.dag_processing.dagbag import DagBag

    for one in DagBag(str(DAGS)).dags["nightly"].tasks:
        assert (one.retry_delay, one.retry_exponential_backoff) == (timedelta(seconds=10), 3.0)


def test_outlets(nightly):
    assets = {asset.name: asset.uri for asset in nightly.get_task("publish").outlets}
    published = ("user_summaries", "rankings", "explanations", "evidence", "rejected")
    assert assets == {name: f"nocturne://{name}/" for name in published}


def test_reading_the_dags_imports_nothing_heavy():
    """After airflow.sdk, only Airflow, these files and what small things they need: so it takes a moment."""
    program = (
        "import json, sys, airflow.sdk; before = set(sys.modules); import nightly;"
        "print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - before})))"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=DAGS, check=True, capture_output=True, text=True)
    imported = set(json.loads(answer.stdout.splitlines()[-1])) - sys.stdlib_module_names
    assert imported <= {"airflow", "croniter", "launch", "nightly", "packaging", "psutil", "runs"}


# What a night is about


@pytest.mark.parametrize(
    ("run_type", "running", "waits"),
    [("backfill", "earlier", True), ("backfill", None, False), ("scheduled", "earlier", False), ("manual", "earlier", False)],
)
def test_nights_of_a_backfill_wait_while_an_earlier_one_runs(run_type, running, waits):
    import runs

    asked = []
    earlier = SimpleNamespace(run_id=running) if running else None
    ti = SimpleNamespace(get_previous_dagrun=lambda state: asked.append(state) or earlier)
    with pytest.raises(AirflowRescheduleException) if waits else nullcontext():
        runs.in_turn(ti, SimpleNamespace(run_type=run_type))
    assert asked == (["running"] if run_type == "backfill" else [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("date", "2016-13-40"),
        ("date", "yesterday"),
        ("date", 20161017),
        ("users", 0),
        ("users", 1.5),
        ("users", ""),
        ("shards", 0),
        ("shards", 4097),
        ("shards", "2"),
        ("force", "yes"),
        ("profile", None),
    ],
)
def test_impossible_parameters(nightly, home, name, value):
    with pytest.raises(ParamValidationError, match=f"param {name}"):
        run(nightly, home, **{name: value})
    assert home.calls() == []


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"dat": "2016-10-17"}, "unknown parameter dat; allowed: date, users, shards, force, profile"),
        ({"profile": "nowhere.toml"}, f"profile {REPO}/nowhere.toml: No such file or directory"),
    ],
)
def test_wrong_parameters_end_the_night_at_once(nightly, home, capfd, conf, message):
    assert run(nightly, home, **conf).state == "failed"
    assert f"nocturne: stage open_run failed: {message}" in capfd.readouterr().err
    assert home.calls() == []


@pytest.mark.parametrize(
    ("logical_date", "conf", "expected"),
    [
        (NIGHT, {}, "2016-10-17"),
        (NIGHT, {"date": None}, "2016-10-17"),
        (NIGHT, {"date": "1999-02-28"}, "1999-02-28"),
        (datetime(2016, 10, 17, 23, 30, tzinfo=UTC), {}, "2016-10-17"),
    ],
)
def test_run_date(nightly, home, logical_date, conf, expected):
    run(nightly, home, logical_date, **conf)
    assert [option(call, "--run-date") for call in home.calls()] == [expected] * 3


def test_run_date_without_a_logical_date_is_today(nightly, home):
    before = datetime.now(UTC).date()
    run(nightly, home, logical_date=None)
    told = {option(call, "--run-date") for call in home.calls()}
    assert len(told) == 1
    assert before <= date.fromisoformat(told.pop()) <= datetime.now(UTC).date()


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({}, []),
        ({"users": 7}, ["--users", "7"]),
        ({"users": "7"}, ["--users", "7"]),
        ({"users": "some/ids.txt"}, ["--users", f"{REPO}/some/ids.txt"]),
        ({"users": "s3a://bucket/ids.txt"}, ["--users", "s3a://bucket/ids.txt"]),
        ({"shards": 2, "force": True}, ["--shards", "2", "--force"]),
    ],
)
def test_prepare_is_told_what_is_wanted(nightly, home, conf, expected):
    run(nightly, home, **conf)
    argv = home.calls("prepare")[0]["argv"]
    assert argv[argv.index("--started-at") + 2 :] == expected


# Whole nights


@pytest.mark.parametrize("shards", [0, 1, 3])
def test_a_night(nightly, home, shards):
    home.plan(shards=shards)
    dag_run = run(nightly, home)
    generated = ["success"] * shards or ["skipped"]
    assert states(dag_run) == {
        "open_run": ["success"],
        "prepare": ["success"],
        "generate": generated,
        "publish": ["success"],
    }
    assert [call["job"] for call in home.calls()] == ["prepare", *["generate"] * shards, "publish"]
    assert {option(call, "--shard") for call in home.calls("generate")} == {str(k) for k in range(shards)}


def test_all_jobs_are_told_of_the_same_run(nightly, home):
    run(nightly, home)
    run_ids = {option(call, "--run-id") for call in home.calls()}
    started = {option(call, "--started-at") for call in home.calls() if call["job"] != "generate"}
    assert (len(run_ids), len(started)) == (1, 1)
    stamp = datetime.fromisoformat(started.pop())
    assert re.fullmatch(rf"2016-10-17-{stamp:%Y%m%dT%H%M%SZ}-[0-9a-f]{{8}}", run_ids.pop())


def test_shards_are_named(nightly, home):
    home.plan(prepare=[{"result": {"shards": [5, 9]}}])
    dag_run = run(nightly, home)
    names = [ti.rendered_map_index for ti in dag_run.get_task_instances() if ti.task_id == "generate"]
    assert sorted(names) == ["shard 5", "shard 9"]


def test_what_may_pass_is_retried(nightly, home):
    home.plan(prepare=[PASSING, {"result": {"shards": [0]}}], generate=[PASSING, {"result": {}}])
    dag_run = run(nightly, home)
    assert dag_run.state == "success"
    assert [call["job"] for call in home.calls()] == ["prepare"] * 2 + ["generate"] * 2 + ["publish"]


def test_what_does_not_pass_is_given_up(nightly, home, capfd):
    home.plan(publish=[PASSING])
    assert run(nightly, home).state == "failed"
    assert len(home.calls("publish")) == 4
    said = "nocturne: stage publish failed: publish ended with exit code 1: disk is full (log: "
    assert capfd.readouterr().err.count(said) == 1


@pytest.mark.parametrize(
    ("stage", "shown", "then"),
    [
        ("prepare", "prepare", ["upstream_failed", "upstream_failed"]),
        ("generate", "generate (shard 0)", ["failed", "upstream_failed"]),
        ("publish", "publish", ["success", "failed"]),
    ],
)
def test_what_no_retry_mends_ends_the_night(nightly, home, capfd, monkeypatch, stage, shown, then):
    monkeypatch.setenv("NOCTURNE_LOG", "night.log")
    home.plan(**{stage: [FATAL]})
    dag_run = run(nightly, home)
    assert dag_run.state == "failed"
    assert [states(dag_run)[task][0] for task in ("generate", "publish")] == then
    assert len(home.calls(stage)) == 1
    line = f"nocturne: stage {shown} failed: no events before 2016-10-17 (log: night.log)"
    assert line in capfd.readouterr().err.splitlines()
    (recorded,) = home.calls("stage")
    assert option(recorded, "--message") == line.removeprefix("nocturne: ")


def test_the_last_task_leaves_the_release_and_the_page_of_the_night(nightly, home):
    told = {"release": "r-1", "status": "published", "report": "/docs/demo/1/night.html"}
    home.plan(publish=[{"result": told}])
    (last,) = (ti for ti in run(nightly, home).get_task_instances() if ti.task_id == "publish")
    assert last.xcom_pull(task_ids="publish") == told
