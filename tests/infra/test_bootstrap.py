"""What set-up looks for on a machine, and what it leaves behind."""

import os
import re
import subprocess
import time
from pathlib import Path

import bootstrap
import pytest
from bootstrap import INFRA, NEEDS, Machine, Need
from steps import Run, SetupError

REPOSITORY = INFRA.parent
HOME = Path(os.environ.get("NOCTURNE_HOME") or REPOSITORY / ".nocturne")
LOCKS = sorted(file for file in (INFRA / "requirements").glob("*.txt") if "override" not in file.name)
ADDRESS = re.compile(r"://\S*(pypi|pythonhosted|maven|debian|pytorch)|index-url|find-links|trusted-host", re.IGNORECASE)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "home", "[1/1] system", tmp_path / "log", interrupted=False)


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def java(home: Path, version: str, with_vectors: bool = True) -> Path:
    """A `java` that answers as that version would."""
    settings = f"    java.home = {home}\n    java.specification.version = {version}\n"
    return executable(home / "bin" / "java", f"cat >&2 <<'END'\n{settings}END\nexit {0 if with_vectors else 1}")


# --- the machine ----------


def test_without_java_and_root_the_command_is_named(run: Run, tmp_path: Path) -> None:
    bare = Machine(is_root=False, path=str(tmp_path), jvms=tmp_path / "jvm")
    with pytest.raises(SetupError) as error:
        bootstrap.provide(run, bare, NEEDS[:1])
    assert str(error.value).startswith("missing on this machine: Java 17 or 21. Install with\n")
    assert "sudo apt-get install openjdk-17-jre-headless" in str(error.value)


def test_all_that_is_missing_is_named_at_once(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = Machine(is_root=False, path=str(tmp_path), jvms=tmp_path)
    needs = [Need(what, what, lambda machine: False, optional=what == "speed") for what in ("a", "b", "speed")]
    with pytest.raises(SetupError, match=r"missing on this machine: a and b\. Install with\n  .* install a b speed\n"):
        bootstrap.provide(run, bare, tuple(needs))
    assert "without speed; to add it: sudo apt-get install speed" in capsys.readouterr().out


def test_tests_need_a_browser_and_nights_do_not(run: Run, tmp_path: Path) -> None:
    names = [[step.name for step in bootstrap.the_steps(tmp_path, "cpu", with_tests)] for with_tests in (False, True)]
    assert [name for name in names[1] if name not in names[0]] == ["browser", "tests"]
    with pytest.raises(
        SetupError, match=r"missing on this machine: Chromium\. Install with\n  sudo apt-get install chromium\n"
    ):
        bootstrap.provide(run, Machine(is_root=False, path=str(tmp_path)), (bootstrap.BROWSER,))


def test_root_on_debian_gets_it_installed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = tmp_path / "done"
    apt = executable(tmp_path / "bin" / "apt-get", f'echo "$@" >> {done}')
    monkeypatch.setenv("PATH", str(apt.parent), prepend=os.pathsep)
    machine = Machine(is_root=True, path=str(apt.parent), jvms=tmp_path)
    needs = (
        Need("java", "jre", lambda machine: done.exists() and "jre" in done.read_text()),
        Need("speed", "fast", lambda machine: False, optional=True),
        Need("venv", "venv", lambda machine: True),
    )
    bootstrap.provide(run, machine, needs)
    install = "install --yes --no-install-recommends"
    assert done.read_text().splitlines() == ["update", f"{install} jre", f"{install} fast"]


def test_the_right_java_is_chosen(tmp_path: Path) -> None:
    java(tmp_path / "jvm" / "a-temurin-25", "25")
    java(tmp_path / "jvm" / "b-without-vectors", "17", with_vectors=False)
    right = java(tmp_path / "jvm" / "c-21", "21").parent.parent
    java(tmp_path / "jvm" / "d-17", "17")
    wrong = java(tmp_path / "wrong", "1.8")
    machine = Machine(False, path=str(wrong.parent), java_home=str(tmp_path / "nowhere"), jvms=tmp_path / "jvm")
    assert machine.usable_java() == str(right)


def test_the_java_asked_for_comes_first(tmp_path: Path) -> None:
    asked, on_path = java(tmp_path / "asked", "17"), java(tmp_path / "on-path", "17")
    machine = Machine(False, path=str(on_path.parent), java_home=str(asked.parent.parent), jvms=tmp_path)
    assert machine.usable_java() == str(asked.parent.parent)


# --- the whole ----------


def test_a_second_run_does_nothing() -> None:
    def stamps() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (HOME / "stamps").iterdir()}

    before, started = stamps(), time.monotonic()
    done = subprocess.run([INFRA / "bootstrap", "--with-tests"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"nothing to set up: {HOME}\n"), done.stdout + done.stderr
    assert time.monotonic() - started < 5
    assert stamps() == before


def test_check_names_what_is_missing_and_makes_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"NOCTURNE_HOME": str(tmp_path / "home")}
    done = subprocess.run([INFRA / "bootstrap", "--check"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.endswith("system, tools, airflow, spark, llm, jars, model, sentence_model, data, database, archive\n")
    assert not (tmp_path / "home").exists()


def test_the_launcher_says_what_to_run(tmp_path: Path) -> None:
    environment = os.environ | {"NOCTURNE_HOME": str(tmp_path)}
    done = subprocess.run([INFRA / "nocturne", "status"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"no spark runtime in {tmp_path}: run {INFRA}/bootstrap" in done.stderr


@pytest.mark.parametrize(
    ("asked", "environment", "remembered", "expected"),
    [
        (None, None, None, "cpu"),
        (None, None, "gpu\n", "gpu"),
        (None, "cpu-index", "gpu\n", "cpu-index"),
        ("cpu", "cpu-index", "gpu\n", "cpu"),
    ],
)
def test_which_vllm(asked, environment, remembered, expected, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("NOCTURNE_VLLM", raising=False)
    if environment:
        monkeypatch.setenv("NOCTURNE_VLLM", environment)
    if remembered:
        (tmp_path / "vllm_flavour").write_text(remembered)
    assert bootstrap.vllm_flavour(asked, tmp_path) == expected


def test_an_unknown_vllm_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOCTURNE_VLLM", "tpu")
    with pytest.raises(SetupError, match="NOCTURNE_VLLM is 'tpu'; allowed: cpu, gpu, cpu-index"):
        bootstrap.vllm_flavour(None, tmp_path)


# --- what is committed ----------


def requirements(lock: Path) -> dict[str, tuple[str, int]]:
    """Each pinned package's version and number of hashes."""
    text = lock.read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    pins = ((words[0].replace("==", ":").rsplit(":", 1), " ".join(words).count("--hash=sha256:")) for words in lines)
    return {name: (version, hashes) for (name, version), hashes in pins}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_requirement_has_its_hash(lock: Path) -> None:
    assert [name for name, (_, hashes) in requirements(lock).items() if not hashes] == []


@pytest.mark.parametrize("runtime", ["airflow", "spark", "llm", "llm-gpu"])
def test_test_tools_change_no_pin(runtime: str) -> None:
    tools = requirements(INFRA / "requirements" / "test.txt")
    pinned = requirements(INFRA / "requirements" / f"{runtime}.txt")
    assert {name: tools[name][0] for name in tools.keys() & pinned} == {name: pinned[name][0] for name in tools.keys() & pinned}


def test_no_address_of_an_index_and_no_path_of_a_machine() -> None:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\0")
    files = [REPOSITORY / name for name in names if name and REPOSITORY / name != Path(__file__)]
    found = {
        f"{file.relative_to(REPOSITORY)}:{number}: {line.strip()[:100]}"
        for file in files
        if file.is_file()
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1)
        if ADDRESS.search(line.replace("--no-emit-index-url", "")) or str(REPOSITORY) in line
    }
    assert found == set()
