"""Start a night, or an evaluation, through Airflow and follow it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from jobs.cli import print as out
from jobs.errors import InputError, NotFound
from jobs.home import REPOSITORY, home
from jobs.locks import alone
from jobs.profile import Profile
from jobs.storage import folders, read_rows, remove


def run_night(
    profile: Profile, night: date, users: str | None, shards: int | None, force: bool
) -> tuple[int, dict[str, Any] | None, Path]:
    """Run the DAG `nightly` for one date to its end.

    Returns Airflow's exit code, the run's row and the file that holds all output.
    """
    began = datetime.now(UTC)
    conf = {"profile": profile.file, "date": str(night), "force": force}
    conf |= {"users": _users(users)} if users else {}
    conf |= {"shards": shards} if shards else {}
    log = _log(profile, "night", night, began)
    code = _run("nightly", night, conf, log, alone(profile, "night"))
    rows = [row for row in read_rows(profile, "runs") if row["started_at"] >= began.replace(microsecond=0)]
    return code, max(rows, key=lambda row: row["started_at"], default=None), log


def run_evaluation(profile: Profile, night: date) -> tuple[int, list[dict[str, Any]], Path]:
    """Run the DAG `evaluate` for one date to its end; returns Airflow's exit code, the figures and the file of all output."""
    log = _log(profile, "evaluation", night, datetime.now(UTC))
    lock = alone(profile, "evaluation")
    before = {row["run_id"] for row in read_rows(profile, "evaluations")}
    code = _run("evaluate", night, {"profile": profile.file, "date": str(night)}, log, lock)
    found = [row for row in read_rows(profile, "evaluations") if row["run_id"] not in before and row["split"] != "words"]
    return code, found, log  # a night beside it measures its words


def _log(profile: Profile, what: str, night: date, began: datetime) -> Path:
    log = home() / "logs" / f"{profile.name}-{night}-{began:%Y%m%dT%H%M%S}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    out.line(f"{what} of {night}, profile {profile.name}; the whole output goes to {log}")
    return log


def _run(dag: str, night: date, conf: dict[str, Any], log: Path, lock: IO[str]) -> int:
    airflow = home() / "envs" / "airflow" / "bin" / "airflow"
    return _follow([str(airflow), "dags", "test", dag, str(night), "--conf", json.dumps(conf)], log, lock)


def _users(users: str) -> int | str:
    if users.isdecimal() and int(users) > 0:
        return int(users)
    if not Path(users).is_file():
        raise InputError(f"--users {users}: neither a number from 1 nor a file of ids")
    return str(Path(users).resolve())


def _follow(command: list[str], log: Path, lock: IO[str]) -> int:
    """Run `command`; everything it prints goes to `log`, progress and errors also to the screen.

    SIGTERM interrupts the command, as Ctrl-C of a terminal does: Airflow ends its job by that.
    """
    # A shell that starts us with & has us ignore it, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    environment = os.environ | {"NOCTURNE_LOG": str(log)}
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            pass_fds=[lock.fileno()],
        )
        assert process.stdout
        before = signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
        try:
            with out.following() as show:
                for line in process.stdout:
                    file.write(line)
                    if line.startswith("nocturne"):
                        show(line.rstrip())
            return process.wait()
        except KeyboardInterrupt:  # the terminal sent it to Airflow as well, which ends the job
            out.line("interrupted; waiting for the running stage to end")
            process.wait()
            return 130
        finally:
            signal.signal(signal.SIGTERM, before)


def plan_night(profile: Profile, night: date, users: str | None, shards: int | None, force: bool) -> dict[str, Any]:
    """Prepare the night beside everything that is real, rehearse some users, and predict; what was written is removed."""
    work = f"{profile.warehouse}/_plan/{uuid.uuid4().hex}"
    launcher = [sys.executable, "-m", "jobs.prepare"]
    if profile.runtime.spark == "spark-submit":
        submit = Path(sys.executable).with_name("spark-submit")
        launcher = [str(submit), *profile.runtime.spark_submit, str(REPOSITORY / "jobs" / "prepare" / "__main__.py")]
    when = ["--run-date", str(night), "--run-id", "plan", "--started-at", datetime.now(UTC).isoformat(timespec="seconds")]
    options = [*when, "--into", work, *(["--users", str(_users(users))] if users else []), *(["--force"] if force else [])]
    options += ["--shards", str(shards)] if shards else []
    llm = home() / "envs" / "llm" / "bin" / "python"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by way of `finally`
    try:
        prepared = job([*launcher, "--profile", profile.file, *options])
        predicted = job([str(llm), "-m", "jobs.generate.plan", "--profile", profile.file, "--work", work])
        return predicted | {"users_all": prepared["users"], "users_changed": prepared["users_changed"]}
    finally:
        remove(work)


def job(command: list[str], given: str = "") -> dict[str, Any]:
    """Run a job with `given` as its stdin, show its progress; its last line is its result.

    Raises:
        InputError: it failed; says what it said.
    """
    with TemporaryFile("w+", errors="replace") as errors, TemporaryFile("w+") as asked:
        asked.write(given)
        asked.seek(0)
        process = subprocess.Popen(command, stdin=asked, stdout=subprocess.PIPE, stderr=errors, text=True, errors="replace")
        assert process.stdout
        line = ""
        try:
            for line in process.stdout:
                if line.startswith("nocturne"):
                    out.progress(line.rstrip())
            process.wait()
        finally:  # interrupted, the job ends before its files are removed
            process.terminate()
            process.wait()
        if process.returncode:
            errors.seek(0)
            said = errors.read().splitlines()
            last = max((place for place, each in enumerate(said) if each.startswith("nocturne: ")), default=-1)
            complaint = "\n".join(said[last:]) or shlex.join(command)
            raise InputError(complaint.removeprefix("nocturne: "))
    return dict(json.loads(line))


def preview(profile: Profile, name: str, user: str, night: date | None) -> None:
    """Print the prompts `name` of a user; the llm runtime renders them, as it would for the model."""
    nights = [str(night)] if night else folders(f"{profile.warehouse}/_work")[::-1]
    python = home() / "envs" / "llm" / "bin" / "python"
    command = [str(python), "-m", "jobs.generate.preview", "--profile", profile.file]
    if not nights:
        raise NotFound(f"no night was prepared yet in {profile.warehouse}; run one: infra/nocturne run")
    done = subprocess.run([*command, "--user", user, "--prompt", name, *nights])
    sys.exit(done.returncode)
