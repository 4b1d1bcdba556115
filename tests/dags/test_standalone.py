"""The whole of Airflow, as `airflow standalone` starts it: nights are asked for through the REST API."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from homes import Home, airflow_environment
from launch import stopped_at_last

PASSWORD = "nocturne"
READY_S = 120
NIGHT_S = 120


@pytest.fixture(scope="module")
def nocturne_home(tmp_path_factory) -> Home:
    """What the jobs run in."""
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory) -> Path:
    """A new Airflow's home, with the password of its one user."""
    path = tmp_path_factory.mktemp("airflow")
    (path / "passwords.json").write_text(json.dumps({"admin": PASSWORD}))
    return path


@pytest.fixture(scope="module")
def api(airflow_home: Path, nocturne_home: Home) -> Iterator[httpx.Client]:
    """A client of a running Airflow in which `nightly` may be triggered."""
    ports = free_ports(3)
    url = f"http://127.0.0.1:{ports[0]}"
    process = subprocess.Popen(
        [Path(sys.executable).with_name("airflow"), "standalone"],
        env=server_environment(airflow_home, nocturne_home, url, ports),
        stdin=subprocess.DEVNULL,
        stdout=(airflow_home / "standalone.log").open("w"),
        stderr=subprocess.STDOUT,
    )
    with stopped_at_last(process), httpx.Client(base_url=url, timeout=30) as client:
        until(READY_S, lambda: healthy(client), airflow_home / "standalone.log")
        answer = client.post("/auth/token", json={"username": "admin", "password": PASSWORD}).raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        until(READY_S, lambda: client.get("/api/v2/dags/nightly").is_success, airflow_home / "standalone.log")
        client.post("/api/v2/pools", json={"name": "gpu", "slots": 1}).raise_for_status()
        client.patch("/api/v2/dags/nightly", json={"is_paused": False}).raise_for_status()
        yield client


def server_environment(airflow_home: Path, home: Home, url: str, ports: list[int]) -> dict[str, str]:
    """Everything on the loopback and on ports that nobody uses; no night but those that are asked for."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")}
    bin_ = Path(sys.executable).parent
    return {
        **inherited,
        **airflow_environment(str(airflow_home)),
        "PATH": f"{bin_}:{inherited['PATH']}",
        "NOCTURNE_HOME": str(home.path),
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


def trigger(api: httpx.Client, **conf) -> httpx.Response:
    """Ask for a night, as a person in the user interface does: without a logical date."""
    return api.post("/api/v2/dags/nightly/dagRuns", json={"logical_date": None, "conf": conf})


def outcome(api: httpx.Client, run: httpx.Response, log: Path) -> str:
    """How the night ended."""
    url = f"/api/v2/dags/nightly/dagRuns/{run.raise_for_status().json()['dag_run_id']}"
    until(NIGHT_S, lambda: api.get(url).json()["state"] in ("success", "failed"), log)
    return api.get(url).json()["state"]


def log_of(airflow_home: Path, run: httpx.Response, task: str) -> Path:
    """The log of a task's first attempt."""
    run_id = run.json()["dag_run_id"]
    return airflow_home / "logs" / "dag_id=nightly" / f"run_id={run_id}" / f"task_id={task}" / "attempt=1.log"


def test_a_night(api, airflow_home, nocturne_home):
    nocturne_home.plan(shards=2)
    run = trigger(api, profile=str(nocturne_home.profile), date="2016-10-17", users=3)
    assert outcome(api, run, airflow_home / "standalone.log") == "success"
    jobs = [call["job"] for call in nocturne_home.calls()]
    assert jobs == ["prepare", "generate", "generate", "publish"]
    assert "nocturne | prepare" in log_of(airflow_home, run, "prepare").read_text()
    events = api.get("/api/v2/assets/events").json()["asset_events"]
    assert {event["name"] for event in events} == {"user_summaries", "rankings", "explanations"}


def test_a_night_that_fails_says_where_its_log_is(api, airflow_home, nocturne_home):
    nocturne_home.plan(prepare=[{"exit": 3, "stderr": "nocturne: no events before 1970-01-01"}])
    run = trigger(api, profile=str(nocturne_home.profile), date="1970-01-01")
    assert outcome(api, run, airflow_home / "standalone.log") == "failed"
    log = log_of(airflow_home, run, "prepare")
    said = f"nocturne: stage prepare failed: no events before 1970-01-01 (log: {log})"
    assert said in log.read_text()


def test_a_night_that_is_stopped_leaves_no_job(api, airflow_home, nocturne_home):
    log = airflow_home / "standalone.log"
    nocturne_home.plan(prepare=[{"sleep_s": 600}])
    before = len(nocturne_home.calls())
    run = trigger(api, profile=str(nocturne_home.profile)).raise_for_status()
    until(NIGHT_S, lambda: len(nocturne_home.calls()) > before, log)
    url = f"/api/v2/dags/nightly/dagRuns/{run.json()['dag_run_id']}"
    api.patch(url, json={"state": "failed"}).raise_for_status()
    until(NIGHT_S, lambda: not psutil.pid_exists(nocturne_home.calls()[-1]["pid"]), log)


def test_impossible_parameters_are_refused(api):
    answer = trigger(api, date="2016-13-40")
    assert (answer.status_code, "param date" in answer.text) == (400, True)
