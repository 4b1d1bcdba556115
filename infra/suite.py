"""Every check and test of this repository: called by infra/test, in its environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

REPOSITORY = Path(__file__).resolve().parent.parent
TESTS = REPOSITORY / "tests"
SCRIPTS = ("infra/bootstrap",)
NO_TESTS = 5


@dataclass(frozen=True)
class Group:
    """Tests of one runtime: a folder of tests/, or (`folder=""`) whatever the other groups leave."""

    name: str
    runtime: str
    folder: str
    options: tuple[str, ...] = ()


GROUPS = (
    Group("spark", "spark", "", ("-n2", "--dist=worksteal")),  # planning, which they wait for, takes one core
    Group("generate", "llm", "generate"),
    Group("dags", "airflow", "dags"),
    Group("night", "spark", "night"),
)


@dataclass
class Count:
    """Outcomes of tests; what could not even be collected counts as failed."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __iadd__(self, other: Count) -> Count:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def main(arguments: list[str]) -> int:
    home = Path(os.environ["NOCTURNE_HOME"])
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(home / "hypothesis")
    if not arguments and not all(passes(name, command) for name, command in checks(home).items()):
        return 1
    total, code = Count(), 0
    for group, group_arguments in selected(arguments):
        count, code = run_group(group, group_arguments, home)
        total += count
        if code:
            break
    if not code and not total.passed:
        print("no test ran")
        code = 1
    print(total)
    return code


def checks(home: Path) -> dict[str, list[str]]:
    """What is judged without being run."""
    tools = home / "envs" / "tools" / "bin"
    ruff, cached = str(tools / "ruff"), ["--cache-dir", str(home / "ruff")]
    packages = ["--python-executable", str(home / "envs" / "spark" / "bin" / "python")]
    mypy = [str(tools / "mypy"), "--cache-dir", str(home / "mypy"), *packages]
    return {
        "lint": [ruff, "check", *cached, ".", *SCRIPTS],
        "format": [ruff, "format", "--check", *cached, ".", *SCRIPTS],
        "types": [*mypy, *(folder for folder in ("jobs", "dags") if (REPOSITORY / folder).is_dir())],
    }


def passes(name: str, command: list[str]) -> bool:
    with timed(name):
        return subprocess.run(command, cwd=REPOSITORY).returncode == 0


def selected(arguments: list[str]) -> list[tuple[Group, list[str]]]:
    """The groups that the arguments ask for, each with its pytest arguments."""
    paths = [argument for argument in arguments if test_path(argument)]
    others = [argument for argument in arguments if not test_path(argument)]
    chosen = []
    for group in GROUPS:
        own = [path for path in paths if group_of(path) is group]
        if own:
            chosen.append((group, own + others))
        elif (not paths or any(test_path(path) == TESTS for path in paths)) and default_paths(group):
            chosen.append((group, default_paths(group) + others))
    return chosen


def test_path(argument: str) -> Path | None:
    """What an argument such as `tests/dags/test_x.py::test_y` points at, if that is in tests/."""
    path = Path(argument.split("::")[0]).absolute()
    return path if path.exists() and path.is_relative_to(TESTS) else None


def group_of(argument: str) -> Group | None:
    """The group a path belongs to; tests/ itself belongs to none, since it means all."""
    path = test_path(argument)
    if path is None or path == TESTS:
        return None
    first = path.relative_to(TESTS).parts[0]
    return next((group for group in GROUPS if group.folder == first), GROUPS[0])


def default_paths(group: Group) -> list[str]:
    """All of a group: its folder, or tests/ without the others' folders."""
    if group.folder:
        return [str(TESTS / group.folder)] if (TESTS / group.folder).is_dir() else []
    return [str(TESTS), *(f"--ignore={TESTS / other.folder}" for other in GROUPS if other.folder)]


def run_group(group: Group, arguments: list[str], home: Path) -> tuple[Count, int]:
    """Run pytest in the group's runtime. That none of its tests was asked for is no failure."""
    python = home / "envs" / group.runtime / "bin" / "python"
    with timed(f"{group.name} tests"), tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        written = [f"--junitxml={report}", "-o", f"cache_dir={home / 'pytest' / group.name}", "--durations=5"]
        code = subprocess.run([python, "-m", "pytest", *group.options, *arguments, *written], cwd=REPOSITORY).returncode
        return counted(report, code), 0 if code == NO_TESTS else code


def counted(report: Path, code: int) -> Count:
    """The outcomes in a JUnit report; without one, pytest itself broke."""
    if not report.exists():
        return Count(failed=1 if code else 0)
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    tests, failures, errors, skipped = (int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
    failed = failures + errors
    return Count(tests - failed - skipped, failed or int(code not in (0, NO_TESTS)), skipped)


class timed:
    """Say what runs and, afterwards, how long it took."""

    def __init__(self, name: str):
        self.name = name

    def __enter__(self) -> None:
        self.started = time.monotonic()
        print(f"== {self.name}", flush=True)

    def __exit__(self, *_: object) -> None:
        print(f"== {self.name}: {time.monotonic() - self.started:.1f} s", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
