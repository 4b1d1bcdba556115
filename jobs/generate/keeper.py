"""A thread beside the worker's loop, which a step of the engine may block: it renews the lease, and ends the process
where the engine gets nowhere or where a worker that was told to stop does not come to an end."""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from threading import Event, Thread

from jobs.errors import NocturneError, Retryable
from jobs.generate.lease import Lease

TICK_S = 0.2
STOP_S = 8.0  # from SIGTERM to the end at the latest; Airflow's launcher kills after 10
STOPPED = 128 + signal.SIGTERM


class Stopped(Retryable):
    """SIGTERM: what was complete is committed."""

    exit_code = STOPPED


class Keeper:
    """Use it as a context around the worker's loop.

    `beats` is a number that grows as the engine gets on, None while nothing is asked of it; `stop` is called, from
    this thread, with the reason why the worker must end.
    """

    def __init__(
        self, lease: Lease, stall_s: float, beats: Callable[[], int | None], stop: Callable[[NocturneError], None]
    ) -> None:
        self._lease, self._stall_s, self._beats, self._stop = lease, stall_s, beats, stop
        self._over = Event()
        self._thread = Thread(target=self._watch, name="keeper", daemon=True)
        self._heard, self._said = socket.socketpair()  # signals: written at once, whatever Python is doing

    def __enter__(self) -> Keeper:
        self._said.setblocking(False)
        self._before = signal.set_wakeup_fd(self._said.fileno()), signal.signal(signal.SIGTERM, lambda *_: None)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        wakeup, handler = self._before
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, handler)
        self._heard.close()
        self._said.close()

    def _watch(self) -> None:
        beats, moved = self._beats(), time.monotonic()
        deadline: float | None = None
        while not self._over.is_set():
            if self._terminated() and deadline is None:
                deadline = time.monotonic() + STOP_S
                self._stop(Stopped("stopped by SIGTERM; what was complete is committed"))
            now, last = time.monotonic(), beats
            beats = self._beats()
            if beats is None or beats != last:
                moved = now
            if deadline is not None and now > deadline:
                end("did not come to an end after SIGTERM", STOPPED)
            if now - moved > self._stall_s:
                end(f"the engine made no progress for {self._stall_s:g} s; the next attempt goes on", Retryable.exit_code)
            if deadline is None:
                self._keep_lease()

    def _terminated(self) -> bool:
        """Wait a tick; whether SIGTERM came."""
        heard, _, _ = select.select([self._heard], [], [], TICK_S)
        return bool(heard) and signal.SIGTERM in self._heard.recv(64)

    def _keep_lease(self) -> None:
        if self._lease.lost:
            return
        try:
            self._lease.renew()
        except NocturneError as error:
            self._lease.lost = error
            self._stop(error)


def end(reason: str, code: int) -> None:
    """Leave at once, from any thread, saying where every thread was."""
    faulthandler.dump_traceback(file=sys.stderr)
    print(f"nocturne: {reason}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(code)
