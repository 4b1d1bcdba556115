"""Which tests infra/test runs where, and how it counts them."""

from pathlib import Path

import pytest
import suite
from suite import Count


@pytest.fixture(autouse=True)
def tests_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a test in every group."""
    for name in ("generate/test_g.py", "dags/test_d.py", "night/test_n.py", "prepare/test_p.py", "test_top.py"):
        file = tmp_path / "tests" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.setattr(suite, "TESTS", tmp_path / "tests")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "tests"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tests/dags"], {"dags": ["tests/dags"]}),
        (["tests/prepare/test_p.py::test_x", "-x"], {"spark": ["tests/prepare/test_p.py::test_x", "-x"]}),
        (["tests/test_top.py"], {"spark": ["tests/test_top.py"]}),
        (["-k", "dags", "tests/generate"], {"generate": ["tests/generate", "-k", "dags"]}),
        (["tests/night", "tests/prepare"], {"spark": ["tests/prepare"], "night": ["tests/night"]}),
    ],
)
def test_paths_choose_the_groups(arguments: list[str], expected: dict[str, list[str]]) -> None:
    assert {group.name: own for group, own in suite.selected(arguments)} == expected


@pytest.mark.parametrize("arguments", [[], ["-k", "dags"], ["tests"]])
def test_without_paths_every_group_runs(arguments: list[str], tests_folder: Path) -> None:
    others = [argument for argument in arguments if argument != "tests"]
    ignored = [f"--ignore={tests_folder / folder}" for folder in ("generate", "dags", "night")]
    assert {group.name: own for group, own in suite.selected(arguments)} == {
        "spark": [str(tests_folder), *ignored, *others],
        **{name: [str(tests_folder / name), *others] for name in ("generate", "dags", "night")},
    }


def test_a_group_without_folder_is_skipped(tests_folder: Path) -> None:
    (tests_folder / "night" / "test_n.py").unlink()
    (tests_folder / "night").rmdir()
    assert [group.name for group, _ in suite.selected([])] == ["spark", "generate", "dags"]


@pytest.mark.parametrize(
    ("counts", "code", "expected"),
    [
        ('tests="5" failures="1" errors="1" skipped="1"', 1, "2 passed, 2 failed, 1 skipped"),
        ('tests="5" failures="0" errors="0" skipped="0"', 0, "5 passed, 0 failed"),
        ('tests="0" failures="0" errors="0" skipped="0"', suite.NO_TESTS, "0 passed, 0 failed"),
        ('tests="2" failures="0" errors="0" skipped="0"', 3, "2 passed, 1 failed"),
    ],
)
def test_counting(counts: str, code: int, expected: str, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(f"<testsuites><testsuite {counts}/></testsuites>")
    assert str(suite.counted(report, code)) == expected


def test_a_pytest_that_breaks_has_failed(tmp_path: Path) -> None:
    assert str(suite.counted(tmp_path / "none.xml", 4)) == "0 passed, 1 failed"


def test_counts_add_up() -> None:
    total = Count(1, 0, 2)
    total += Count(3, 1, 0)
    assert str(total) == "4 passed, 1 failed, 2 skipped"
