"""Is everything there that a night needs?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import NocturneError
from jobs.faults import faults
from jobs.home import REPOSITORY, home
from jobs.profile import REMOTE, Profile, load_profile, resolve


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and how to mend it where it is not well."""

    what: str
    well: bool
    seen: str
    mend: str = ""


def examine(profile_path: str | None) -> list[Finding]:
    """Set-up first, then what the profile names."""
    findings = [*_runtimes(), _java(), _setup()]
    try:
        profile = load_profile(profile_path)
    except NocturneError as error:
        return [*findings, Finding("profile", False, str(error), "correct the file")]
    return [*findings, *_profile(profile)]


def _runtimes() -> list[Finding]:
    findings = []
    for name in ("airflow", "spark", "llm"):
        python = home() / "envs" / name / "bin" / "python"
        findings.append(Finding(f"{name} runtime", python.exists(), str(python), "infra/bootstrap"))
    return findings


def _java() -> Finding:
    java = Path(os.environ.get("JAVA_HOME", "")) / "bin" / "java"
    mend = "install Java 17 (openjdk-17-jre-headless) and run infra/bootstrap"
    if not java.exists():
        return Finding("java", False, f"{java} is not there", mend)
    said = subprocess.run([str(java), "-version"], capture_output=True, text=True).stderr.strip()
    version = said.splitlines()[0] if said else f"{java} -version says nothing"
    return Finding("java", bool(re.search(r'"(17|21)[."]', version)), version, mend)


def _setup() -> Finding:
    done = subprocess.run([sys.executable, str(REPOSITORY / "infra" / "bootstrap"), "--check"], capture_output=True, text=True)
    said = (done.stdout + done.stderr).strip().splitlines() or ["complete"]
    return Finding("set-up", done.returncode == 0, said[-1], "infra/bootstrap")


def _profile(profile: Profile) -> list[Finding]:
    findings = [Finding("profile", True, profile.name)]
    for name, path in (("events", profile.events.path), ("items", profile.items.path)):
        place = resolve(path)
        there = place.startswith(REMOTE) or os.access(place, os.R_OK)
        findings.append(Finding(f"{name}.path", there, place, f"correct {name}.path in the profile, or put the data there"))
    if profile.model.path:
        weights = Path(profile.model.location) / "config.json"
        findings.append(
            Finding("model.path", weights.exists(), profile.model.location, "infra/bootstrap, or correct model.path")
        )
    if sentences := profile.night.sentence_folder:
        there = (Path(sentences) / "model.safetensors").is_file()
        findings.append(Finding("night.sentence_model", there, sentences, "infra/bootstrap, or correct night.sentence_model"))
    wrong = faults(profile, whole=True)
    findings += [Finding(each.place, False, each.seen, each.mend) for each in wrong]
    return findings if wrong else [*findings, Finding("warehouse", True, profile.warehouse)]
