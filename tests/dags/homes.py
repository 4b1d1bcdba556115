"""What the tests of dags/ run in: their own Airflow, and a NOCTURNE_HOME with stand-ins for the jobs."""

import json
import shlex
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
DAGS = REPO / "dags"
JOBS = ("generate", "publish", "stage", "evaluate", "evaluate.scores", "evaluate.weigh", "maintain", "erase")
STAND_IN = shlex.join([sys.executable, str(Path(__file__).with_name("standin.py"))])


def airflow_environment(airflow_home: str) -> dict[str, str]:
    """An Airflow that knows our DAGs only and writes nowhere else."""
    return {
        "AIRFLOW_HOME": airflow_home,
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": "",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow_home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{airflow_home}/logs",
    }


class Home:
    """A NOCTURNE_HOME with stand-ins for runtimes (standin.py): tell them what to do, ask what they did."""

    def __init__(self, path: Path):
        self.path = path
        self.profile = path / "profile.toml"
        self.profile.write_text("")
        for runtime in ("spark", "llm"):
            python = path / "envs" / runtime / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.write_text(f'#!/bin/sh\nexec {STAND_IN} "$@"\n')
            python.chmod(0o755)
        self.plan()

    def plan(self, shards: int = 1, **outcomes: list[dict]) -> None:
        """What each job does, attempt by attempt; jobs not named succeed."""
        prepared = {"shards": list(range(shards)), "users": 48, "users_changed": 48}
        success = {job: [{"result": {}}] for job in JOBS}
        plan = {"prepare": [{"result": prepared}]} | success | outcomes
        (self.path / "plan.json").write_text(json.dumps(plan))

    def calls(self, job: str | None = None) -> list[dict]:
        """The calls so far, of one job or of all."""
        record = self.path / "calls.jsonl"
        calls = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        return [call for call in calls if job in (None, call["job"])]
