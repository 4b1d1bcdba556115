"""What every job of a run is told on its command line: which profile, which date, which run."""

from __future__ import annotations

import argparse
from datetime import date, datetime


def run_parser(job: str, described: str, started_at: bool = True) -> argparse.ArgumentParser:
    """A parser of a job's arguments; `described` is its module's docstring, whose first line `--help` shows."""
    parser = argparse.ArgumentParser(prog=f"jobs.{job}", description=described.splitlines()[0])
    parser.add_argument("--profile", required=True, help="a TOML file")
    parser.add_argument("--run-date", required=True, type=date.fromisoformat, help="events before it count")
    parser.add_argument("--run-id", required=True)
    if started_at:
        parser.add_argument("--started-at", required=True, type=datetime.fromisoformat, help="when the run began")
    return parser
