"""`erase` on the command line: it says what there is and asks; users reach the job by its stdin."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jobs.storage import read_rows
from jobs.suppressions import suppress
from tests.publish.nights import STARTED, made, release

RECEIPT = """import json, sys
users = json.load(sys.stdin)
print("nocturne | erase | 1 s | at work")
if "stuck" in users:
    sys.exit("nocturne: 1 places still name them; receipt r:\\n  /a/file: 1 bytes")
removed = [{"place": "user_summaries", "what": "rows removed", "n": len(users)}]
print(json.dumps({"receipt_id": "r", "removed": removed, "not_ours": ["/log"], "files_scanned": 9, "bytes_scanned": 1234, "seconds": 2}))
"""  # noqa: E501


@pytest.fixture(autouse=True)
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that tells whom it was given, in place of the real one."""
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "job.py").write_text(RECEIPT)
    (tmp_path / "python").write_text(f'#!/bin/sh\ntest "$*" = "-m jobs.erase --profile {tmp_path}/profile.toml" || exit 9\n'
                                     f'exec {sys.prefix}/bin/python {tmp_path}/job.py\n')  # fmt: skip
    (tmp_path / "python").chmod(0o755)


def test_it_says_what_there_is_and_asks(profile, nocturne, monkeypatch) -> None:
    release(profile, [made("erase-me-7f3a"), made("b")])
    asked = []
    monkeypatch.setattr("typer.confirm", lambda text, abort: asked.append((text, abort)))
    code, said, _ = nocturne("erase", "erase-me-7f3a", "u-1")
    assert (code, asked) == (0, [("Erase them, for good?", True)])
    rows = [line.split("│")[1:3] for line in said.splitlines() if "user_summaries" in line]
    assert [cell.strip() for cell in rows[0]] == ["user_summaries", "2"]
    assert "rows removed" in said
    assert "9 files, 1,234 bytes read again: none names them" in said


def test_what_is_left_ends_with_1_and_names_the_place(nocturne) -> None:
    code, _, error = nocturne("erase", "stuck", "--yes")
    assert (code, error) == (1, "nocturne: 1 places still name them; receipt r:\n  /a/file: 1 bytes\n")


def test_nobody_and_no_text_are_refused(nocturne) -> None:
    assert nocturne("erase", " ", "--yes")[0] == 1
    assert nocturne("erase")[0] == 2


def test_who_was_erased_may_be_let_back(profile, nocturne) -> None:
    suppress(profile, frozenset({"a"}), STARTED, "r")
    code, said, _ = nocturne("erase", "a", "b", "--let-back")
    assert (code, read_rows(profile, "suppressions")) == (0, [])
    assert "1 of 2 were suppressed and are no longer" in said
