"""The right to work on a shard: one file that names its owner, who keeps renewing it.

Whoever wants a shard waits until its lease is given up, its owner's process is gone, or the owner was silent for
`SILENT_S`; then writes a lease of its own and looks once more whether that is the one that stands. Before every
commit the owner looks again. Should two workers still overlap for a moment, nothing is wrong but paid twice: chunks
are named by their content, and publish takes each user once.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from contextlib import suppress
from typing import Any

import psutil

from jobs.errors import Busy, Damaged, NocturneError
from jobs.storage import delete, read_json, storage, write_json

SILENT_S = 60.0
RENEW_S = 10.0
SETTLE_S = 0.2  # longer than two writers need to see each other


class Lease:
    """A shard's lease at `path`. Times are the clock's: they order workers and touch nothing that is published."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lost: NocturneError | None = None
        process = psutil.Process()
        self._me = {"owner": uuid.uuid4().hex, "host": socket.gethostname(), "pid": process.pid}
        self._me["born"] = process.create_time()
        self._renewed = 0.0

    def take(self) -> None:
        """Become the owner.

        Raises:
            Busy: somebody else is.
        """
        with storage(self.path):
            holder = self._holder()
            if holder and not _gone(holder):
                raise self._busy(holder)
            self._write()
            time.sleep(SETTLE_S)
            self.check()

    def check(self) -> None:
        """Raise `Busy` where the shard is no longer ours."""
        holder = self._holder()
        if holder is None or holder["owner"] != self._me["owner"]:
            self.lost = self._busy(holder)
            raise self.lost

    def renew(self) -> None:
        """Tell that the owner lives, every `RENEW_S`; a storage that is away for less than `SILENT_S` does no harm.

        Raises:
            Busy: the shard is somebody else's.
            StorageError: nothing could be told for so long that it may be.
        """
        silent = time.monotonic() - self._renewed
        if silent < RENEW_S:
            return
        with storage(self.path) if silent > SILENT_S - 2 * RENEW_S else suppress(OSError):
            self.check()
            self._write()

    def give_up(self) -> None:
        """Let the next one have it at once; where that cannot be written, after our silence."""
        with suppress(OSError):
            holder = self._holder()
            if holder and holder["owner"] == self._me["owner"]:
                delete(self.path)

    def _holder(self) -> dict[str, Any] | None:
        try:
            return dict(read_json(self.path))
        except (FileNotFoundError, Damaged):  # torn: nobody's
            return None

    def _write(self) -> None:
        write_json(self.path, self._me | {"beat": time.time()})
        self._renewed = time.monotonic()

    def _busy(self, holder: dict[str, Any] | None) -> Busy:
        if holder is None:
            return Busy(f"{self.path} is gone: the night was prepared anew; this worker stops")
        silent = time.time() - holder["beat"]
        who = f"process {holder['pid']} on {holder['host']}, heard of {silent:.0f} s ago"
        return Busy(f"{self.path}: another worker has this shard ({who}); wait for it or end it")


def _gone(holder: dict[str, Any]) -> bool:
    """Whether a lease's owner is no more: seen at once on this machine, after its silence on another."""
    if holder["host"] == socket.gethostname() and os.getpid() != holder["pid"]:
        try:
            process = psutil.Process(holder["pid"])
            if process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - holder["born"]) > 1:
                return True
        except psutil.NoSuchProcess:
            return True
    return time.time() - holder["beat"] > SILENT_S
