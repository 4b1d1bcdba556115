from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.profile import Profile
from tests.data.inputs import profile as write
from tests.report.browser import Page, chromium


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A profile with an empty warehouse, and a NOCTURNE_HOME of its own for pages."""
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    return write(tmp_path)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A real Chromium."""
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page
