"""Steps on folders of their own: done once, redone when something changed, safe against interruption and each other."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bootstrap import INFRA
from steps import AT_WORK, Run, SetupError, Step, alone, perform_all, read


class Builder:
    """A step that makes `product` and remembers how often, and whether it knew of an interruption."""

    def __init__(self) -> None:
        self.interrupted: list[bool] = []

    def __call__(self, run: Run) -> None:
        self.interrupted.append(run.interrupted)
        (run.home / "product").write_text("made")


def step(build, *inputs: Path | str) -> Step:
    return Step("it", "the product", build, inputs, ("product",))


def in_a_process(target, *arguments) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


def test_a_step_is_done_once(tmp_path: Path) -> None:
    build = Builder()
    assert perform_all([step(build)], tmp_path)
    assert not perform_all([step(build)], tmp_path)
    assert build.interrupted == [False]


def test_a_changed_input_redoes_it(tmp_path: Path) -> None:
    build, lock = Builder(), tmp_path / "lock.txt"
    for text in ("one", "two", "two"):
        lock.write_text(text)
        perform_all([step(build, lock)], tmp_path)
    assert build.interrupted == [False, False]


def test_inputs_are_told_apart(tmp_path: Path) -> None:
    assert step(Builder(), "ab", "c").digest() != step(Builder(), "a", "bc").digest()


def test_a_lost_product_redoes_it(tmp_path: Path) -> None:
    build = Builder()
    perform_all([step(build)], tmp_path)
    (tmp_path / "product").unlink()
    perform_all([step(build)], tmp_path)
    assert (tmp_path / "product").exists()
    assert len(build.interrupted) == 2


def test_killed_between_build_and_stamp(tmp_path: Path) -> None:
    """The product is there, the stamp is not: nobody knows whether the product is whole."""

    def build_and_die(run: Run) -> None:
        Builder()(run)
        os.kill(os.getpid(), signal.SIGKILL)

    killed = in_a_process(perform_all, [step(build_and_die)], tmp_path)
    killed.join(20)
    assert killed.exitcode == -signal.SIGKILL
    assert (tmp_path / "product").exists()

    build = Builder()
    assert perform_all([step(build)], tmp_path)
    assert build.interrupted == [True]
    assert not perform_all([step(build)], tmp_path)


def test_a_failing_program_is_quoted(tmp_path: Path) -> None:
    def build(run: Run) -> None:
        run.call(sys.executable, "-c", "print('the disk is full'); exit(4)")

    with pytest.raises(SetupError, match=r"(?s)ended with 4; the end of .*it\.log:.*  the disk is full"):
        perform_all([step(build)], tmp_path)
    assert read(tmp_path / "stamps" / "it") == AT_WORK


def test_a_step_that_makes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="it did not make product"):
        perform_all([step(lambda run: None)], tmp_path)


def test_programs_see_our_environment(tmp_path: Path) -> None:
    def build(run: Run) -> None:
        run.call("sh", "-c", 'echo "$AIRFLOW_HOME $PYTHONPYCACHEPREFIX" > "$NOCTURNE_HOME/product"')

    perform_all([step(build)], tmp_path)
    assert (tmp_path / "product").read_text().split() == [f"{tmp_path}/airflow", f"{tmp_path}/pycache"]


def test_two_at_once_take_turns(tmp_path: Path) -> None:
    waiting = "import sys, pathlib, steps\nwith steps.alone(pathlib.Path(sys.argv[1])): print('my turn')"
    other = [sys.executable, "-c", waiting, str(tmp_path)]
    with alone(tmp_path):
        process = subprocess.Popen(other, cwd=INFRA, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first == f"another set-up (process {os.getpid()}) is at work in {tmp_path}: waiting for it\n"
        assert process.poll() is None
    assert process.communicate(timeout=20)[0] == "my turn\n"
    assert process.returncode == 0


def test_what_a_killed_set_up_leaves_running_keeps_the_next_one_waiting(tmp_path: Path) -> None:
    """A program that set-up called has the lock too: it may still be writing."""
    with alone(tmp_path):
        program = subprocess.Popen(["sleep", "1"], close_fds=False)
    other = in_a_process(perform_all, [step(Builder())], tmp_path)
    other.join(20)
    assert other.exitcode == 0
    assert program.poll() == 0
