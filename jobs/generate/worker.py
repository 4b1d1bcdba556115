"""Run the user programs of one shard at once against one engine, and commit users as they finish."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pyarrow.dataset as ds

from jobs.generate.chunks import Chunks
from jobs.generate.context import Context
from jobs.generate.engine import Engine
from jobs.generate.programs import personalize
from jobs.generate.session import Memory, Session
from jobs.profile import Profile
from jobs.progress import Progress
from jobs.storage import filesystem

BATCH = 64  # contexts read at a time
EVERY_S = 5.0  # between progress lines


class Worker:
    """One shard of one night. Memory is bounded by the users in flight, not by the shard."""

    def __init__(self, profile: Profile, run_date: str, shard: int, engine: Engine, progress: Progress) -> None:
        self.profile, self.night = profile, profile.night
        self.contexts = f"{profile.work(run_date)}/contexts/shard={shard}"
        self.chunks = Chunks(f"{profile.work(run_date)}/results/shard={shard}", profile.night)
        self.memory = Memory(engine)
        self.progress = progress
        self.total, self.resumed = 0, 0
        self.counts = self.memory.counts

    def run(self) -> None:
        """Work until every user of the shard is committed; of errors that end it, the first is raised."""
        try:
            asyncio.run(self._run())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _run(self) -> None:
        done = self.chunks.done()
        places = asyncio.Semaphore(self.night.users_in_flight)
        reporter = asyncio.create_task(self._report())
        try:
            async with asyncio.TaskGroup() as programs:
                for user in self._users():
                    if (user.user_id, user.context_hash) in done:
                        self.resumed += 1
                        continue
                    await places.acquire()
                    programs.create_task(self._one(user, places))
        finally:
            reporter.cancel()
        self.chunks.commit()
        self.progress(self.describe())

    async def _one(self, user: Context, places: asyncio.Semaphore) -> None:
        try:
            session = Session(self.memory, user, user.known)
            row = await personalize(user, session, self.profile)
            self.chunks.add(row)
            self._count(row)
        finally:
            places.release()

    def _users(self) -> Iterator[Context]:
        files, folder = filesystem(self.contexts)
        data = ds.dataset(folder, filesystem=files, format="parquet", partitioning=None)
        self.total = data.count_rows()
        for batch in data.to_batches(batch_size=BATCH, fragment_readahead=1, batch_readahead=1):
            yield from map(Context.from_row, batch.to_pylist())

    def _count(self, row: dict[str, Any]) -> None:
        self.counts["users"] += 1
        self.counts["cached"] += row["calls_cached"]
        self.counts["fallbacks"] += len(row["fallbacks"])

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            self.progress(self.describe())

    def describe(self) -> str:
        """The progress line."""
        counts, seconds = self.counts, max(self.progress.seconds, 0.1)
        share = counts["prefix"] / counts["prompt"] if counts["prompt"] else 0
        users = f"{counts['users'] + self.resumed}/{self.total} users"
        calls = f"{counts['new']} calls, {counts['cached']} from memory, {counts['failed']} failed"
        rate = f"{counts['prompt'] / seconds:.0f} prompt and {counts['output'] / seconds:.0f} output tokens/s"
        return f"{users}, {calls}, {rate}, {share:.0%} from the prefix cache"
