"""Erase users from the command line: say what there is, then have the job remove it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from jobs.cli.night import job
from jobs.erase.people import People
from jobs.erase.scan import survey
from jobs.home import REPOSITORY, home
from jobs.locks import alone
from jobs.profile import Profile


def what_names(profile: Profile, users: list[str]) -> tuple[Counter[str], int]:
    """How many files name the users, by table or folder; and how many files that was looked for in."""
    found = survey(profile, People.of(users, profile.events.user))
    return Counter(each.table or _folder(each.path) for each in found.here), found.files


def erase_users(profile: Profile, users: list[str]) -> dict[str, Any]:
    """Run the job; returns its receipt.

    Raises:
        InputError: it was refused, or something still names them.
    """
    People.of(users, profile.events.user)
    launcher = [sys.executable, "-m", "jobs.erase"]
    if profile.runtime.spark == "spark-submit":
        submit = Path(sys.executable).with_name("spark-submit")
        launcher = [str(submit), *profile.runtime.spark_submit, str(REPOSITORY / "jobs" / "erase" / "__main__.py")]
    with alone(profile, "night"), alone(profile, "evaluation"):
        return job([*launcher, "--profile", profile.file], given=json.dumps(users))


def _folder(path: str) -> str:
    return path.removeprefix(f"{home()}/").split("/")[0]
