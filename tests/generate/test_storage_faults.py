"""A worker before torn, missing and changed files of its night: one message, exit code 3, no call; mended, it goes on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.manifest import Manifest
from jobs.profile import Profile
from jobs.storage import read_json
from tests.generate.rows import RUN_DATE, calls, night, results
from tests.generate.test_worker import command, people

AGAIN = "start the night again"


def place(profile: Profile, name: str) -> Path:
    return Path(profile.work(RUN_DATE), name)


def torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def overwritten(file: Path) -> None:
    """As long as before, and its end is as it was."""
    content = file.read_bytes()
    file.write_bytes(content[:8] + bytes(len(content) // 2) + content[8 + len(content) // 2 :])


def without(profile: Profile, shard: int) -> None:
    """One user fewer than prepare has counted."""
    manifest = Manifest.model_validate(read_json(str(place(profile, "manifest.json"))))
    manifest.model_copy(update={"sizes": {shard: 9}}).write(profile.work(RUN_DATE))


CONTEXTS = "contexts/shard=0/part-0.parquet"
FAULTS: dict[str, tuple[Callable[[Profile], None], str]] = {
    "a torn file of contexts": (lambda p: torn(place(p, CONTEXTS)), "contexts/shard=0"),
    "an empty file of contexts": (lambda p: place(p, CONTEXTS).write_bytes(b""), "contexts/shard=0"),
    "overwritten contexts": (lambda p: overwritten(place(p, CONTEXTS)), CONTEXTS),
    "no contexts": (lambda p: shutil.rmtree(place(p, "contexts")), "contexts/shard=0 cannot be read"),
    "fewer contexts than prepare wrote": (
        lambda p: without(p, 0),
        "contexts: shard 0 has 8 contexts of the 9 that prepare wrote",
    ),
    "a torn manifest": (lambda p: torn(place(p, "manifest.json")), "manifest.json cannot be read"),
    "another manifest": (lambda p: place(p, "manifest.json").write_text("{}"), "manifest.json cannot be read"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_named_before_a_call_is_made(tmp_path: Path, case: str) -> None:
    damage, message = FAULTS[case]
    profile = night(tmp_path, {0: people(8)})
    damage(profile)
    done = subprocess.run(command(profile), capture_output=True, text=True)
    assert done.returncode == 3
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("nocturne: "))
    assert f"{profile.work(RUN_DATE)}/{message}" in line
    assert AGAIN in line
    assert "Traceback" not in done.stderr
    assert not place(profile, "results").exists() or not calls(profile)
    night(tmp_path, {0: people(8)})  # as prepare does
    assert subprocess.run(command(profile)).returncode == 0
    assert len(results(profile)) == 8
