"""Peak memory of a worker by the size of its shard, with the fake engine: it must not grow with the users."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jobs.generate.fake_engine import FakeEngine
from jobs.generate.worker import Worker
from jobs.manifest import read_manifest
from jobs.profile import load_profile
from jobs.progress import Progress
from tests.generate.rows import RUN_DATE, candidate, event, fact, night, row

HISTORY = 50


def main() -> None:
    parser = argparse.ArgumentParser(prog="infra/bench memory", description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[1000, 5000, 20000])
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step, users_, folder_ = arguments.step
        write(int(users_), Path(folder_)) if step == "write" else measure(Path(folder_))
        return
    print(f"{'users':>8}{'peak MiB':>10}{'times':>7}{'users/s':>9}")
    first = 0.0
    for users in arguments.users:
        with tempfile.TemporaryDirectory() as folder:  # written by a process of its own: its rows are not in the peak
            for step in ("write", "work"):
                command = [sys.executable, __file__, "--step", step, str(users), folder]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        peak, seconds = map(float, done.stdout.splitlines()[-1].split())
        first = first or peak
        print(f"{users:8}{peak:10.0f}{peak / first:7.2f}{users / seconds:9.0f}", flush=True)


def write(users: int, folder: Path) -> None:
    """A shard of users with fifty events each."""
    people = [
        row(
            f"u{place}",
            history=[event(number, f"Film {number} of {place}") for number in range(1, HISTORY + 1)],
            facts=[fact("likes_tag", "Drama", "e1"), fact("favourite", f"Film 1 of {place}", "e1")],
            candidates=[candidate(place % 5000, f"Item {place % 5000}", 2.0), candidate(5001, "Ronin", 1.0)],
        )
        for place in range(users)
    ]
    night(folder, {0: people}, chunk_users=64)


def measure(folder: Path) -> None:
    """Work on it; print peak resident MiB and seconds."""
    profile = load_profile(folder / "profile.toml")
    start = time.perf_counter()
    Worker(profile, read_manifest(profile, RUN_DATE, "r1"), 0, FakeEngine(), Progress("bench")).run()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.perf_counter() - start)


if __name__ == "__main__":
    main()
