"""One at a time in a warehouse, among all that runs from one NOCTURNE_HOME."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from jobs.errors import Busy, InputError
from jobs.home import home
from jobs.profile import Profile


def alone(profile: Profile, what: str) -> IO[str]:
    """A lock of this warehouse, held until it is closed by all processes that have it: `what` is a night, an evaluation…

    Raises:
        InputError: another one is at work.
    """
    lock = _place(profile, what).open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        raise InputError(f"another {what} is at work in {profile.warehouse} ({lock.read().strip()}); wait for it") from error
    lock.truncate(0)
    lock.write(f"started by process {os.getpid()}")
    lock.flush()
    return lock


def refuse_during(profile: Profile, what: str) -> None:
    """Raise `Busy` while somebody holds that lock."""
    with _place(profile, what).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"an {what} is at work in {profile.warehouse}; wait for it, then start this again") from error


@contextmanager
def working(profile: Profile) -> Iterator[None]:
    """Work that others may do beside it, but nobody beside an erasure: that one waits for its end (`refuse_beside_work`).

    Raises:
        Busy: users are being erased.
    """
    with _place(profile, "work").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        refuse_during(profile, "erasure")
        yield


def refuse_beside_work(profile: Profile) -> None:
    """Raise `Busy` while anybody is `working`."""
    with _place(profile, "work").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            work = "an evaluation, a plan, upkeep, a mend or a rollback"
            raise Busy(f"{work} is at work in {profile.warehouse}; wait for its end, then start this again") from error


def _place(profile: Profile, what: str) -> Path:
    folder = home() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / hashlib.sha256(f"{what} {profile.warehouse}".encode()).hexdigest()[:16]
