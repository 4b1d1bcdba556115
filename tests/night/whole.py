"""Whole nights in one Spark session: the jobs' own functions, each worker a process of its runtime, as Airflow starts it.

python -m tests.night.whole PROFILE 2024-02-05 2024-02-06
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jobs.contracts import PUBLISHED
from jobs.home import REPOSITORY, home
from jobs.lake import connect
from jobs.prepare.__main__ import prepare
from jobs.profile import Profile, load_profile
from jobs.progress import Progress
from jobs.publish.__main__ import Night
from jobs.releases import releases
from jobs.runs import find_run
from jobs.spark import spark_session
from jobs.stage import recorded

STARTED = datetime(2030, 1, 1, tzinfo=UTC)


def whole_night(spark: SparkSession, profile: Profile, run_date: str, run_id: str, **options: Any) -> dict[str, Any]:
    """Prepare, generate and publish; the row of `runs`."""
    nothing = {"users": None, "shards": None, "force": False, "into": None}
    about = {"run_id": run_id, "run_date": date.fromisoformat(run_date), "started_at": STARTED}
    arguments = argparse.Namespace(**about | nothing | options)
    with recorded(profile, **about):
        progress = Progress("prepare")
        manifest = prepare(spark, profile, arguments, progress)
        manifest.seconds["prepare"] = progress.seconds
        manifest.write(profile.work(run_date))
        for shard in manifest.shards:
            worker(profile, run_date, run_id, shard)
        Night(spark, profile, manifest, STARTED, Progress("publish")).run()
    run = find_run(profile, run_id)
    assert run
    return run


def own_home(folder: Path) -> str:
    """A NOCTURNE_HOME with the environments and jars of this one, where a night may write."""
    folder.mkdir()
    for name in ("envs", "jars", "java_home", "models"):
        (folder / name).symlink_to(home() / name)
    return str(folder)


def worker(profile: Profile, run_date: str, run_id: str, shard: int) -> None:
    command = [str(home() / "envs" / "llm" / "bin" / "python"), "-m", "jobs.generate", "--profile", profile.file]
    command += ["--run-date", run_date, "--run-id", run_id, "--shard", str(shard)]
    subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)


def published(profile: Profile, release: str | None = None) -> dict[str, list[str]]:
    """Every row of every published table of a release as text, in order: equal texts, equal content."""
    db = connect(profile, release)
    return {name: sorted(json.dumps(row, default=str) for row in db.sql(f"from {name}").fetchall()) for name in PUBLISHED}


def main() -> None:
    """Make the nights that are not released yet; the last line says what every table of each night is, as a hash."""
    profile, nights = load_profile(sys.argv[1]), sys.argv[2:]
    made = {str(each.run_date) for each in releases(profile)}
    if missing := [night for night in nights if night not in made]:
        with tempfile.TemporaryDirectory() as scratch, spark_session(profile, "nights", scratch) as spark:
            for night in missing:
                whole_night(spark, profile, night, f"in-order-{night}")
    told = {str(each.run_date): published(profile, each.release_id) for each in releases(profile)}
    print(json.dumps({night: {name: digest(rows) for name, rows in tables.items()} for night, tables in told.items()}))


def digest(rows: list[str]) -> str:
    return f"{len(rows)} rows, {hashlib.sha256(json.dumps(rows).encode()).hexdigest()}"


if __name__ == "__main__":
    main()
