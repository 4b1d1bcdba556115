"""The command of a job, the environment it sees, and what its end means to Airflow."""

import os
import signal
from pathlib import Path
from threading import Timer

import psutil
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from launch import REPO, Launcher, complaint, compose, environment, launch, options, result

HOME = Path("/h")
SUBMIT = Launcher("spark-submit", ("--master", "k8s://host"))


@pytest.mark.parametrize(
    ("job", "runtime", "launcher", "command"),
    [
        ("prepare", "spark", Launcher(), ["/h/envs/spark/bin/python", "-m", "jobs.prepare"]),
        ("generate", "llm", Launcher(), ["/h/envs/llm/bin/python", "-m", "jobs.generate"]),
        ("generate", "llm", SUBMIT, ["/h/envs/llm/bin/python", "-m", "jobs.generate"]),
        (
            "prepare",
            "spark",
            SUBMIT,
            ["/h/envs/spark/bin/spark-submit", "--master", "k8s://host", f"{REPO}/jobs/prepare/__main__.py"],
        ),
        ("evaluate.weigh", "spark", Launcher(), ["/h/envs/spark/bin/python", "-m", "jobs.evaluate.weigh"]),
        (
            "evaluate.weigh",
            "spark",
            SUBMIT,
            ["/h/envs/spark/bin/spark-submit", "--master", "k8s://host", f"{REPO}/jobs/evaluate/weigh.py"],
        ),
    ],
)
def test_command(job, runtime, launcher, command):
    arguments = {"profile": "p.toml", "run_date": "2016-10-17"}
    expected = [*command, "--profile", "p.toml", "--run-date", "2016-10-17"]
    assert compose(job, runtime, launcher, HOME, arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, []),
        ({"shard": 0}, ["--shard", "0"]),
        ({"force": True}, ["--force"]),
        ({"force": False, "users": None}, []),
        ({"users": "a b;c"}, ["--users", "a b;c"]),
    ],
)
def test_options(arguments, expected):
    assert list(options(arguments)) == expected


@pytest.mark.parametrize(
    ("toml", "launcher"),
    [
        ("", Launcher()),
        ("[runtime]\nspark = 'venv'", Launcher()),
        ("[runtime]\nspark = 'spark-submit'\nspark_submit = ['--master', 'k8s://host']", SUBMIT),
    ],
)
def test_launcher_of_a_profile(tmp_path, toml, launcher):
    (tmp_path / "p.toml").write_text(toml)
    assert Launcher.of(tmp_path / "p.toml") == launcher


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (None, "No such file"),
        ("runtime", "not TOML"),
        ("[runtime]\nspark = 'yarn'", "runtime.spark is 'yarn'; allowed: venv, spark-submit"),
        ("[runtime]\nspark_submit = '--master x'", "runtime.spark_submit is '--master x'; allowed: a list"),
    ],
)
def test_launcher_of_a_bad_profile(tmp_path, toml, message):
    profile = tmp_path / "p.toml"
    if toml is not None:
        profile.write_text(toml)
    with pytest.raises(AirflowFailException, match=f"profile {profile}: .*{message}"):
        Launcher.of(profile)


def test_environment_of_a_job(tmp_path):
    (tmp_path / "java_home").write_text("/java/17\n")
    inherited = {
        "PATH": "/bin",
        "AIRFLOW_HOME": "/a",
        "AIRFLOW__CORE__FERNET_KEY": "secret",
        "_AIRFLOW_PARSING_CONTEXT_DAG_ID": "nightly",
        "PYTHONHOME": "/p",
        "JAVA_HOME": "/java/8",
    }
    assert environment(inherited, tmp_path) == {
        "PATH": "/bin",
        "JAVA_HOME": "/java/17",
        "NOCTURNE_HOME": str(tmp_path),
        "PYTHONPATH": str(REPO),
        "PYTHONPYCACHEPREFIX": f"{tmp_path}/pycache",
        "PYTHONUNBUFFERED": "1",
        "PYSPARK_DRIVER_PYTHON": f"{tmp_path}/envs/spark/bin/python",
    }


@pytest.mark.parametrize(
    ("err", "expected"),
    [
        ([], ""),
        (["WARN x", "nocturne | 3 users"], ""),
        (["nocturne: no events before 1990-01-01", "WARN x"], "no events before 1990-01-01"),
        (
            ["nocturne: first", "nocturne: p.toml:", "  a: bad", "  b: bad", "bye"],
            "p.toml:\n  a: bad\n  b: bad",
        ),
    ],
)
def test_complaint(err, expected):
    assert complaint(err) == expected


@pytest.mark.parametrize(
    ("code", "out", "err", "exception", "message"),
    [
        (3, [], ["nocturne: no such user"], AirflowFailException, "no such user"),
        (3, [], [], AirflowFailException, "prepare gave up without saying why"),
        (1, [], ["nocturne: disk is full"], AirflowException, "prepare ended with exit code 1: disk is full"),
        (1, [], ["OSError: 28"], AirflowException, "prepare ended with exit code 1: OSError: 28"),
        (143, ["half"], [], AirflowException, "prepare ended with exit code 143: half"),
        (-9, [], [], AirflowException, "prepare ended with SIGKILL: it said nothing"),
        (0, ["[1]"], [], AirflowFailException, "prepare must end with one JSON object on stdout, not: [1]"),
        (0, [], [], AirflowFailException, "prepare must end with one JSON object on stdout, not: nothing"),
    ],
)
def test_bad_ends(code, out, err, exception, message):
    with pytest.raises(AirflowException) as raised:
        result("prepare", code, out, err)
    assert (type(raised.value), str(raised.value)) == (exception, message)


def test_result_is_the_last_line_of_stdout(home, capfd):
    home.plan(prepare=[{"result": {"shards": [4]}, "stderr": '{"not": "this"}'}])
    assert launch("prepare", "spark", profile=home.profile) == {"shards": [4]}
    assert "nocturne | prepare: attempt 0" in capfd.readouterr().out.splitlines()


def test_runtime_that_is_not_there(home):
    with pytest.raises(AirflowFailException, match=r"cannot start .*/envs/none/bin/python: No such file"):
        launch("prepare", "none", profile=home.profile)


@pytest.mark.parametrize(
    ("sent", "exception", "message"),
    [
        (signal.SIGTERM, AirflowException, "prepare ended with SIGTERM"),
        (signal.SIGINT, AirflowFailException, "prepare was interrupted"),
    ],
)
def test_job_and_its_children_end_with_the_task(home, sent, exception, message):
    child = home.path / "child"
    python = home.path / "envs" / "spark" / "bin" / "python"
    python.write_text(f"#!/bin/sh\nsleep 60 & echo $! > {child}.part; mv {child}.part {child}\nwait\n")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    interruption = Timer(1, os.kill, (os.getpid(), sent))
    interruption.start()
    with pytest.raises(AirflowException, match=message) as raised:
        launch("prepare", "spark", profile=home.profile)
    signal.signal(signal.SIGINT, before)
    assert type(raised.value) is exception
    assert not psutil.pid_exists(int(child.read_text()))
