"""Every command explains itself; doctor and profile errors say what to mend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from jobs.cli.__main__ import app
from jobs.cli.doctor import examine

COMMANDS = {"doctor", "run", "plan", "status", "query", "show user", "show item", "releases", "prompt render", "evaluate"}


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield from commands(command, (*path, name)) if hasattr(command, "commands") else [(*path, name)]


PATHS = [" ".join(path) for path in commands(typer.main.get_command(app))]


def test_all_commands_are_there() -> None:
    assert set(PATHS) >= COMMANDS


@pytest.mark.parametrize("path", PATHS)
def test_help_has_examples(path: str) -> None:
    done = CliRunner().invoke(app, [*path.split(), "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert done.exit_code == 0
    assert f"infra/nocturne {path}" in done.output or path == "doctor"
    assert "Examples:" in done.output


def test_a_group_without_a_command_shows_its_help() -> None:
    for arguments in ([], ["show"], ["prompt"]):
        assert "Usage:" in CliRunner().invoke(app, arguments).output


PROFILES = {
    "missing": (None, "give --profile FILE or NOCTURNE_PROFILE"),
    "not TOML": ("[events", "not TOML"),
    "unknown key": ('[events]\npaths = "x"\n', "events.paths: unknown key (value 'x'); allowed:"),
}


@pytest.mark.parametrize("command", [["status"], ["releases"], ["query", "from runs"], ["show", "user", "a"]])
@pytest.mark.parametrize("case", PROFILES)
def test_a_bad_profile_is_one_message(profile, nocturne, case: str, command: list[str]) -> None:
    content, message = PROFILES[case]
    file = Path(profile.file)
    file.unlink() if content is None else file.write_text(content)
    code, out, error = nocturne(*command)
    assert (code, out) == (3, "")
    assert error.startswith(f"nocturne: profile {file}")
    assert message in error


def test_doctor_names_what_is_missing_and_how_to_mend_it(profile, nocturne, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    findings = {each.what: each for each in examine(profile.file)}
    missing = {"airflow runtime", "spark runtime", "llm runtime", "java", "set-up", "events.path", "items.path"}
    assert {name for name, each in findings.items() if not each.well} == missing
    assert all(findings[name].mend for name in missing)
    code, out, _ = nocturne("doctor")
    assert code == 1
    assert out.count("MISSING") == len(missing)
    assert not (tmp_path / "home").exists()


JAVAS = {
    'openjdk version "17.0.12" 2024-07-16': True,
    'openjdk version "21" 2023-09-19': True,
    'openjdk version "21.0.4" 2024-07-16 LTS': True,
    'openjdk version "11.0.2" 2019-01-15': False,
    'java version "1.8.0_301"': False,
    "": False,
}


@pytest.mark.parametrize("version", JAVAS)
def test_doctor_knows_the_java_that_spark_can_use(profile, tmp_path, monkeypatch, version: str) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho '{version}' >&2\n" if version else "#!/bin/sh\n")
    java.chmod(0o755)
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    (found,) = (each for each in examine(profile.file) if each.what == "java")
    assert found.well == JAVAS[version]


def test_doctor_reports_a_bad_profile_among_its_findings(profile) -> None:
    Path(profile.file).write_text("nonsense = 1\n")
    assert [each.what for each in examine(profile.file) if not each.well and "nonsense" in each.seen] == ["profile"]


def test_the_table_for_people_ends_somewhere(nocturne) -> None:
    _, out, _ = nocturne("query", "from range(1500)")
    assert "only the first 1000 rows; --format json or csv prints all" in out
    assert len(nocturne("query", "--format", "json", "from range(1500)")[1].splitlines()) == 1500


def test_two_columns_of_one_name_both_arrive(nocturne) -> None:
    _, out, _ = nocturne("query", "--format", "json", "select 1 as n, 2 as n")
    assert sorted(json.loads(out).values()) == [1, 2]
