from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.manifest import Manifest
from jobs.profile import Profile
from jobs.progress import Progress
from jobs.publish.__main__ import Night
from jobs.releases import Release
from tests.data.inputs import profile as write
from tests.publish.nights import STARTED


@pytest.fixture
def profile(spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A profile with an empty warehouse, and a NOCTURNE_HOME of its own for Data Docs."""
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    return write(tmp_path)


@pytest.fixture
def run(spark, profile) -> Callable[[Manifest], tuple[Release, str]]:
    """Publish one prepared night."""
    return lambda manifest: Night(spark, profile, manifest, STARTED, Progress("publish")).run()
