"""What a worker leaves behind for the next one, should it die: who was in flight, and how often that was so before.

A worker that ends in order leaves nobody in flight. Users who were in flight at a death are suspects: the next worker
takes them one at a time, so a second death has one culprit, who is quarantined and costs nobody else anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jobs.errors import Damaged
from jobs.storage import read_json, storage, write_json

DEATHS = 2  # in flight at so many, a user is quarantined


class Journal:
    """The shard's journal at `path`, written where `allowed` does not raise. `deaths` counts by user, `seconds` what earlier
    attempts took. Who ended since somebody last began is still told to be in flight.

    The seconds that its methods are given include those.
    """

    def __init__(self, path: str, allowed: Callable[[], None] = lambda: None) -> None:
        self.path, self._allowed = path, allowed
        self.deaths: dict[str, int] = {}
        self.seconds = 0.0
        self.predicted: dict[str, float] | None = None  # by the first attempt
        self._flying: set[str] = set()
        self._told: set[str] = set()  # of them, as the file has it
        self._turn = asyncio.Lock()
        self._writer = ThreadPoolExecutor(1)

    def open(self, done: set[str]) -> None:
        """Read what is left of earlier attempts; `done` are users who had been committed."""
        try:
            left = read_json(self.path)
        except (FileNotFoundError, Damaged):  # none, or torn: nothing is known of earlier attempts
            return
        self.deaths, self.seconds, self.predicted = left["deaths"], left["seconds"], left["predicted"]
        for user in set(left["flying"]) - done:
            self.deaths[user] = self.deaths.get(user, 0) + 1
        self._write(self._content())

    @property
    def suspects(self) -> set[str]:
        """Users to take one at a time."""
        return {user for user, deaths in self.deaths.items() if deaths < DEATHS}

    def quarantined(self, user: str) -> str | None:
        """Why a user is not asked about any more."""
        deaths = self.deaths.get(user, 0)
        return f"quarantined: in flight when {deaths} workers died" if deaths >= DEATHS else None

    async def start(self, user: str, seconds: float) -> None:
        """A user's program begins; on disk before its first call is sent. Who begins while another is written shares the next
        write, and a slow storage does not hold up the engine."""
        self._flying.add(user)
        async with self._turn:
            if user not in self._told:
                content = self._content(seconds)
                await asyncio.get_running_loop().run_in_executor(self._writer, self._write, content)
                self._told = set(content["flying"])

    def end(self, user: str) -> None:
        self._flying.discard(user)

    def close(self, seconds: float) -> None:
        """The worker ends in order."""
        self._flying.clear()
        self._writer.submit(self._write, self._content(seconds)).result()

    def _content(self, seconds: float = 0.0) -> dict[str, Any]:
        spent = round(max(self.seconds, seconds), 1)
        return {"flying": sorted(self._flying), "deaths": self.deaths, "seconds": spent, "predicted": self.predicted}

    def _write(self, content: dict[str, Any]) -> None:
        with storage(self.path):
            self._allowed()
            write_json(self.path, content)
