"""Airflow as `airflow standalone` starts it, and the real jobs: nights of a shop are asked for through the REST API."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import pytest
from homes import REPO, airflow_environment
from launch import stopped_at_last

from tests.data.shop import RUN_DATE, write_shop

PASSWORD = "nocturne"
READY_S = 120
NIGHT_S = 900
NIGHTS = int(os.environ.get("BACKFILL_NIGHTS", "2"))  # of a backfill; a week takes so much longer
DAYS = [f"2024-02-{5 + night:02}" for night in range(NIGHTS)]
GONE = 'Dwayne "The Rock"'
QUICK = {"shuffle.partitions": 1, "codegen.wholeStage": "false", "codegen.factoryMode": "NO_CODEGEN"}  # compiling takes longest


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Path]:
    """A NOCTURNE_HOME with the environments, jars and models of this one, and data, logs and pages of its own."""
    path, installed = tmp_path_factory.mktemp("home"), Path(os.environ["NOCTURNE_HOME"])
    for name in ("envs", "jars", "java_home", "models"):
        (path / name).symlink_to(installed / name)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NOCTURNE_HOME", str(path))
        yield path


@pytest.fixture(scope="module")
def shop(home: Path) -> Path:
    """The profile of another domain than the demo's; its model is the fake one, since this is about Airflow."""
    (home / "data").mkdir()
    return quick_shop(home / "data")


def quick_shop(folder: Path) -> Path:
    """A shop whose Spark does not compile its plans."""
    profile = write_shop(folder)
    conf = ", ".join(f'"spark.sql.{name}" = "{value}"' for name, value in QUICK.items())
    profile.write_text(profile.read_text() + f"[runtime]\nspark_conf = {{{conf}}}\n")
    return profile


@pytest.fixture(scope="module")
def airflow_home(home: Path) -> Path:
    """A new Airflow's home, with the password of its one user."""
    path = home / "airflow"
    path.mkdir()
    (path / "passwords.json").write_text(json.dumps({"admin": PASSWORD}))
    return path


@pytest.fixture(scope="module")
def api(airflow_home: Path) -> Iterator[httpx.Client]:
    """A client of a running Airflow in which `nightly` may be triggered."""
    ports = free_ports(3)
    url = f"http://127.0.0.1:{ports[0]}"
    process = subprocess.Popen(
        [Path(sys.executable).with_name("airflow"), "standalone"],
        env=server_environment(airflow_home, url, ports),
        stdin=subprocess.DEVNULL,
        stdout=(airflow_home / "standalone.log").open("w"),
        stderr=subprocess.STDOUT,
    )
    with stopped_at_last(process), httpx.Client(base_url=url, timeout=30) as client:
        until(READY_S, lambda: healthy(client), airflow_home / "standalone.log")
        answer = client.post("/auth/token", json={"username": "admin", "password": PASSWORD}).raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        client.post("/api/v2/pools", json={"name": "gpu", "slots": 1}).raise_for_status()
        for dag in ("nightly", "erase", "maintain"):
            until(READY_S, lambda dag=dag: client.get(f"/api/v2/dags/{dag}").is_success, airflow_home / "standalone.log")
            client.patch(f"/api/v2/dags/{dag}", json={"is_paused": False}).raise_for_status()
        yield client


def server_environment(airflow_home: Path, url: str, ports: list[int]) -> dict[str, str]:
    """Everything on the loopback and on ports that nobody uses; no night but those that are asked for."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")}
    bin_ = Path(sys.executable).parent
    return {
        **inherited,
        **airflow_environment(str(airflow_home)),
        "PATH": f"{bin_}:{inherited['PATH']}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(ports[0]),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(airflow_home / "passwords.json"),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(ports[1]),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports[2]),
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    }


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that are free now; held together, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def healthy(client: httpx.Client) -> bool:
    """Whether database, scheduler and DAG processor say that they are well; the banner comes too early."""
    try:
        health = client.get("/api/v2/monitor/health").json()
    except (httpx.HTTPError, ValueError):
        return False
    return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))


def until(seconds: float, true: Callable[[], bool], log: Path) -> None:
    """Wait for it; where it does not come, show what Airflow said."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s; {log}:\n" + log.read_text()[-5000:])
        time.sleep(0.5)


def trigger(api: httpx.Client, dag: str = "nightly", **conf) -> httpx.Response:
    """Ask for a run, as a person in the user interface does: without a logical date."""
    return api.post(f"/api/v2/dags/{dag}/dagRuns", json={"logical_date": None, "conf": conf})


def outcome(api: httpx.Client, run: httpx.Response, log: Path) -> str:
    """How the run ended; while an erasure rewrites Airflow's database the server may say that it is locked."""
    url = url_of(run)
    until(NIGHT_S, lambda: api.get(url).json().get("state") in ("success", "failed"), log)
    return api.get(url).json()["state"]


def url_of(run: httpx.Response) -> str:
    told = run.raise_for_status().json()
    return f"/api/v2/dags/{told['dag_id']}/dagRuns/{told['dag_run_id']}"


def logs_of(airflow_home: Path, run: httpx.Response, task: str) -> list[Path]:
    """The logs of a task's first attempt, one for each shard where it is mapped."""
    told = run.json()
    folder = airflow_home / "logs" / f"dag_id={told['dag_id']}" / f"run_id={told['dag_run_id']}" / f"task_id={task}"
    return sorted(folder.rglob("attempt=1.log"))


def nocturne(shop: Path, *arguments: str) -> str:
    """What the command line says of the shop's tables."""
    command = [REPO / "infra" / "nocturne", "--profile", shop, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def job(shop: Path, name: str) -> psutil.Process | None:
    """The running job of the shop, if there is one."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if f"jobs.{name}" in words and str(shop) in words:
            return process
    return None


def test_a_night_of_three_shards(api, airflow_home, shop):
    run = trigger(api, profile=str(shop), date=RUN_DATE, shards=3)
    assert outcome(api, run, airflow_home / "standalone.log") == "success"
    assert len(logs_of(airflow_home, run, "generate")) == 3
    night = "select status, users, (select count(distinct user_id) from rankings) as ranked from runs"
    found = json.loads(nocturne(shop, "query", night, "--format", "json"))
    assert found["status"] == "published"
    assert found["ranked"] == found["users"] > 20
    assert "user ../../etc" in nocturne(shop, "show", "user", "../../etc")
    events = api.get("/api/v2/assets/events").json()["asset_events"]
    assert {event["name"] for event in events} == {"user_summaries", "rankings", "explanations", "evidence", "rejected"}


def test_a_night_that_fails_says_where_its_log_is(api, airflow_home, shop):
    run = trigger(api, profile=str(shop), date="1970-01-01")
    assert outcome(api, run, airflow_home / "standalone.log") == "failed"
    [log] = logs_of(airflow_home, run, "prepare")
    said = [line for line in log.read_text().splitlines() if "nocturne: stage prepare failed: " in line]
    assert len(said) == 1
    assert "on or after 1970-01-01; nothing was published" in said[0]
    assert f"(log: {log})" in said[0]
    recorded = nocturne(shop, "query", "select message from runs where run_date = '1970-01-01'", "--format", "json")
    assert "on or after 1970-01-01; nothing was published" in json.loads(recorded)["message"]


def test_a_night_that_is_stopped_leaves_no_job(api, airflow_home, shop):
    log = airflow_home / "standalone.log"
    run = trigger(api, profile=str(shop), date=RUN_DATE).raise_for_status()
    until(NIGHT_S, lambda: job(shop, "prepare") is not None, log)
    stopped = job(shop, "prepare")
    assert stopped is not None
    api.patch(url_of(run), json={"state": "failed"}).raise_for_status()
    until(30, lambda: not stopped.is_running(), log)


def test_impossible_parameters_are_refused(api):
    answer = trigger(api, date="2016-13-40")
    assert (answer.status_code, "param date" in answer.text) == (400, True)


@pytest.fixture
def twins(tmp_path) -> list[Path]:
    """Two profiles of the same shop, each with a warehouse of its own."""
    folders = [tmp_path / name for name in ("backfilled", "in order")]
    for folder in folders:
        folder.mkdir()
    return [quick_shop(folder) for folder in folders]


def tables(profile: Path) -> dict[str, dict[str, str]]:
    """What stands in each table of each night, as a hash; nights that are not released are made, in order, in one process."""
    command = [f"{os.environ['NOCTURNE_HOME']}/envs/spark/bin/python", "-m", "tests.night.whole", str(profile), *DAYS]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=NIGHT_S * len(DAYS))
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_backfill_gives_what_nights_in_order_give(api, airflow_home, twins):
    """Two nights at once are asked for: each waits for the one before it all the same."""
    backfilled, in_order = twins
    what = ["--dag-id", "nightly", "--from-date", DAYS[0], "--to-date", f"{DAYS[-1]}T23:59", "--max-active-runs", "2"]
    command = [Path(sys.executable).with_name("airflow"), "backfill", "create", *what]
    command += ["--dag-run-conf", json.dumps({"profile": str(backfilled)})]
    patient = f"sqlite:///{airflow_home}/airflow.db?timeout={READY_S}"  # the scheduler writes too
    env = os.environ | airflow_environment(str(airflow_home)) | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": patient}
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, timeout=READY_S)
    url = "/api/v2/dags/nightly/dagRuns?run_type=backfill&order_by=logical_date"

    def states() -> list[str]:
        return [run["state"] for run in api.get(url).raise_for_status().json()["dag_runs"]]

    until(NIGHT_S * len(DAYS), lambda: {*states()} <= {"success", "failed"}, airflow_home / "standalone.log")
    assert states() == ["success"] * len(DAYS)
    told = nocturne(
        backfilled, "query", "select run_date, started_at, ended_at from runs order by started_at", "--format", "json"
    )
    runs = [json.loads(line) for line in told.splitlines()]
    assert [run["run_date"] for run in runs] == DAYS
    assert all(earlier["ended_at"] <= later["started_at"] for earlier, later in pairwise(runs))
    assert tables(backfilled) == tables(in_order)


def others(shop: Path) -> str:
    """Every list of every user but the one who is erased."""
    return nocturne(shop, "query", "from rankings where user_id not like 'Dwayne%' order by all", "--format", "csv")


def test_an_erasure_and_upkeep_beside_the_scheduler(api, airflow_home, home, shop):
    """Airflow's own database is rewritten while it is in use: the run's parameters name the user."""
    log = airflow_home / "standalone.log"
    night = trigger(api, profile=str(shop), date=RUN_DATE)  # in place of the one that was stopped
    assert outcome(api, night, log) == "success"
    before = others(shop)
    run = trigger(api, "erase", profile=str(shop), users=[GONE])
    assert outcome(api, run, log) == "success"
    receipt = api.get(f"{url_of(run)}/taskInstances/remove/xcomEntries/return_value").raise_for_status().json()["value"]
    assert (len(receipt["user_hashes"]), receipt["left"]) == (1, [])
    assert "Dwayne" not in json.dumps(api.get(url_of(run)).json())
    assert [file for file in sorted(airflow_home.rglob("*")) if file.is_file() and b"Dwayne" in file.read_bytes()] == []
    assert "Dwayne" not in (home / "data" / "events.jsonl").read_text()
    assert others(shop) == before
    upkeep = trigger(api, "maintain", profile=str(shop))
    assert outcome(api, upkeep, log) == "success"
    assert others(shop) == before
    night = trigger(api, profile=str(shop), date=RUN_DATE)
    assert outcome(api, night, log) == "success"
    theirs = "select count(*) as n from user_summaries where user_id like 'Dwayne%'"
    assert json.loads(nocturne(shop, "query", theirs, "--format", "json")) == {"n": 0}
