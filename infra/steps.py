"""Set-up as a list of steps: each is done once, and again when what it depends on has changed.

A step is done when its stamp in `NOCTURNE_HOME/stamps` holds the digest of its inputs and its products exist. While a
step is at work its stamp says so; a step that finds that note knows that it was interrupted. Standard library only:
this runs before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

AT_WORK = "at work\n"
ENVIRONMENT = Path(__file__).resolve().parent / "env.sh"


class SetupError(Exception):
    """Set-up cannot go on; the message says what is wrong, where, and what to do."""


@dataclass(frozen=True)
class Step:
    """One thing that set-up makes, in NOCTURNE_HOME."""

    name: str
    makes: str
    build: Callable[[Run], None]
    inputs: tuple[Path | str, ...]
    products: tuple[str, ...]
    still_works: Callable[[Path], bool] = lambda home: True

    def digest(self) -> str:
        """Of the files among the inputs their bytes (none, where another step has yet to make it), else their text."""
        hashed = hashlib.sha256()
        for part in self.inputs:
            content = part.encode() if isinstance(part, str) else part.read_bytes() if part.exists() else b""
            hashed.update(len(content).to_bytes(8, "big") + content)
        return hashed.hexdigest() + "\n"

    def stamp(self, home: Path) -> Path:
        return home / "stamps" / self.name

    def is_done(self, home: Path) -> bool:
        """Whether there is nothing to do."""
        stamped = read(self.stamp(home)) == self.digest()
        return stamped and not self.missing(home) and self.still_works(home)

    def missing(self, home: Path) -> list[str]:
        return [made for made in self.products if not (home / made).exists()]

    def mark_at_work(self, home: Path) -> None:
        write(self.stamp(home), AT_WORK)

    def perform(self, home: Path, label: str) -> None:
        """Build, then stamp. Anything that comes between leaves a stamp that says so."""
        log = home / "logs" / "bootstrap" / f"{self.name}.log"
        log.unlink(missing_ok=True)
        interrupted = read(self.stamp(home)) == AT_WORK
        self.mark_at_work(home)
        self.build(Run(home, label, log, interrupted))
        if missing := self.missing(home):
            raise SetupError(f"{self.name} did not make {', '.join(missing)} in {home}; its log: {log}")
        write(self.stamp(home), self.digest())


@dataclass(frozen=True)
class Run:
    """A step at work: where it builds, and how it calls other programs."""

    home: Path
    label: str
    log: Path
    interrupted: bool

    def call(self, *command: str | Path) -> None:
        """Run a program in our environment (env.sh) to its end, its output in the step's log.

        The program inherits the lock, so that what outlives a killed set-up still keeps the next one waiting.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        words = [str(word) for word in command]
        with self.log.open("ab") as log:
            log.write(f"$ {' '.join(words)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                ["bash", "-c", f'. "{ENVIRONMENT}" && exec "$@"', "set-up", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"NOCTURNE_HOME": str(self.home)},
                close_fds=False,
            )
            code = self.attended(process)
        if code:
            raise SetupError(f"{words[0]} ended with {code}; the end of {self.log}:\n{tail(self.log)}")

    def attended(self, process: subprocess.Popen) -> int:
        """Wait for a program, and say how long that takes; it does not outlive an interruption."""
        started = time.monotonic()
        try:
            while True:
                try:
                    return process.wait(timeout=1)
                except subprocess.TimeoutExpired:
                    if sys.stdout.isatty():
                        say(f"\r{self.label} ... {time.monotonic() - started:.0f} s ", end="")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()

    def note(self, text: str) -> None:
        """Something a person should know, below the step's line."""
        say(f"\n      {text}\n      ", end="")


def perform_all(steps: list[Step], home: Path) -> bool:
    """Do what is not done, in order, one process at a time; False when there was nothing to do."""
    if all(step.is_done(home) for step in steps):
        return False
    with alone(home):
        for number, step in enumerate(steps, start=1):
            label = f"[{number}/{len(steps)}] {step.makes}"
            if step.is_done(home):
                say(f"{label} ... ready")
                continue
            say(f"{label} ... ", end="")
            started = time.monotonic()
            step.perform(home, label)
            say(f"{chr(13) + label + ' ... ' if sys.stdout.isatty() else ''}{time.monotonic() - started:.1f} s")
    return True


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the lock of a NOCTURNE_HOME: two set-ups take turns."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "bootstrap.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            say(f"another set-up (process {lock.read().strip()}) is at work in {home}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        os.set_inheritable(lock.fileno(), True)
        yield


def read(path: Path) -> str | None:
    """A small file's text, None where there is none."""
    return path.read_text() if path.is_file() else None


def write(path: Path, text: str) -> None:
    """Replace a small file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_text(text)
    draft.replace(path)


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, indented."""
    return "\n".join("  " + line for line in path.read_text(errors="replace").splitlines()[-lines:])


def say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)
