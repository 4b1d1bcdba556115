from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.cli import __main__ as cli
from jobs.cli import print as out
from jobs.profile import Profile
from tests.data.inputs import profile as write


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """A profile with an empty warehouse."""
    return write(tmp_path)


@pytest.fixture
def nocturne(profile: Profile, monkeypatch, capfd) -> Callable[..., tuple[int, str, str]]:
    """Run a command as `main` does; returns exit code, what it printed and its errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["nocturne", "--profile", profile.file, *arguments])
        monkeypatch.setattr(out.console, "_width", 200)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call
