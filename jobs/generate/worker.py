"""Run the user programs of one shard at once against one engine; commit answers as they come and users as they finish."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import nullcontext, suppress
from typing import Any

from jobs.errors import StorageError
from jobs.generate.admission import Place, Room, ordered
from jobs.generate.book import of_the_night
from jobs.generate.budget import Purse
from jobs.generate.chunks import Chunks
from jobs.generate.context import Context
from jobs.generate.engine import Engine, EngineAway
from jobs.generate.journal import Journal
from jobs.generate.keeper import Keeper, Stopped
from jobs.generate.lease import Lease
from jobs.generate.plan import predict
from jobs.generate.programs import personalize
from jobs.generate.rehearsal import Load, rehearse
from jobs.generate.session import Memory, Session
from jobs.manifest import Manifest
from jobs.profile import Profile
from jobs.progress import Progress
from jobs.storage import batches, count, parquet, storage, whole, write_json

WINDOW = 64  # contexts read and put in order at a time
EVERY_S = 5.0  # between progress lines
Program = Callable[[Context, Session, Profile], Awaitable[dict[str, Any]]]  # returns a user's row of the results
NOBODYS_FAULT = (Stopped, asyncio.CancelledError, StorageError, EngineAway)  # ends that leave no suspects


class Worker:
    """One shard of one night, or of other work about users: `program` makes rows of the contract `rows` from the contexts in
    the folder `work`. Memory is bounded by the users in flight and one window, not by the shard; after a resume also by
    the ids of who is done, and the answers that are left of earlier attempts."""

    def __init__(
        self,
        profile: Profile,
        manifest: Manifest,
        shard: int,
        engine: Engine,
        progress: Progress,
        program: Program | None = None,
        rows: str = "results",
        work: str | None = None,
    ) -> None:
        self.profile, self.night = manifest.fusion.applied(profile), profile.night
        self.past = manifest.past
        self._personalize = program or personalize
        self._work = work = work or profile.work(str(manifest.run_date))
        with whole(f"{work}/contexts/shard={shard}"):
            self.contexts = parquet(f"{work}/contexts/shard={shard}")
        self._book = f"{work}/generate/{shard}.phrasings.json"
        self.lease = Lease(f"{work}/generate/{shard}.lease.json")
        self.journal = Journal(f"{work}/generate/{shard}.journal.json", self.lease.check)
        self.chunks = Chunks(f"{work}/results/shard={shard}", profile.night, self.lease.check, rows)
        self.progress = progress
        self.total, self.resumed = count(self.contexts), 0
        self.purse = Purse(self.night.budget, self.total / max(1, manifest.users_changed), self._elapsed)
        self.memory = Memory(engine, self.purse, self.chunks.pay)
        self.counts = self.memory.counts
        self._room = Room()
        self._began = self._served = time.monotonic()
        self._expected = 0.0  # new calls of this attempt
        self._once = Load(0, 0, 0, 0, 0)  # what phrasings cost
        self._stopped: Exception | None = None
        self._main: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Work until every user of the shard is committed.

        Raises:
            Retryable: it ended before that, for a reason the message tells; what was complete is committed.
        """
        self.lease.take()
        try:
            asyncio.run(self._run())
        finally:
            self.lease.give_up()

    async def _run(self) -> None:
        done = self.chunks.done()
        self.purse.calls, self.purse.tokens = done.calls, done.tokens
        self.memory.paid = done.paid
        self.journal.open({user for user, _ in done.users})
        if done.torn:
            self.progress(f"{done.torn} files of results were not what they were written as; what is lost is made again")
        self._main, self._loop = asyncio.current_task(), asyncio.get_running_loop()
        early: BaseException | None = None
        with Keeper(self.lease, self.night.stall_seconds, self._beats, self._stop):
            reporter = asyncio.create_task(self._report())
            try:
                await self._everyone(done.users)
            except asyncio.CancelledError as error:
                early = self._stopped or error
            except BaseExceptionGroup as group:
                early = self._stopped or group.exceptions[0]
            except Exception as error:
                early = self._stopped or error
            finally:
                reporter.cancel()
            if self.lease.lost is None:
                try:
                    self.chunks.commit()
                except StorageError as error:
                    early = early or error
                if early is None or isinstance(early, NOBODYS_FAULT):
                    with suppress(StorageError) if early else nullcontext():
                        self.journal.close(self._elapsed())
        if early:
            raise early
        self.progress(self.describe())

    def _stop(self, reason: Exception) -> None:
        """End the programs; callable from any thread."""
        assert self._main
        self._stopped = self._stopped or reason
        self._loop.call_soon_threadsafe(self._main.cancel)

    async def _everyone(self, done: set[tuple[str, str]]) -> None:
        suspects = self.journal.suspects
        self.memory.book, self._once = await of_the_night(self.memory, self._work, self.profile, self._capacity)
        if told := self.memory.book.describe():
            self.progress(told)
            with storage(self._book):
                write_json(self._book, self.memory.book.rows())
        async with asyncio.TaskGroup() as programs:
            async for place in self._places(done, suspects):
                user, room = place.user, max(1, place.load.room)
                if user.user_id in suspects:
                    await self._room.alone()
                await self._room.enter(room, *(self._capacity() if place.load.calls else (math.inf, math.inf)))
                task = programs.create_task(self._one(user, room))
                if user.user_id in suspects:
                    await asyncio.wait([task])

    def _capacity(self) -> tuple[int, int]:
        """Tokens and requests at once; known once the model is loaded, which the watchdog watches as it does a request."""
        self.memory.waiting += 1
        try:
            return self.memory.engine.kv_tokens, self.memory.engine.slots
        finally:
            self.memory.waiting -= 1
            if not self.counts["new"]:
                self._served = time.monotonic()

    async def _one(self, user: Context, room: int) -> None:
        try:
            quarantined = self.journal.quarantined(user.user_id)
            await self.journal.start(user.user_id, self._elapsed())
            session = Session(self.memory, user.about, user.known, quarantined)
            row = await self._program(user, session)
            self.chunks.add(row)
            self.journal.end(user.user_id)
            self._count(row)
        finally:
            self._room.leave(room)

    async def _places(self, done: set[tuple[str, str]], suspects: set[str]) -> AsyncIterator[Place]:
        """Users who are not committed, in the order of `ordered` within a window; suspects of a death before all others."""
        for wanted in (True, False) if suspects else (False,):
            for window in self._windows():
                new = [user for user in window if (user.user_id in suspects) == wanted]
                left = [user for user in new if (user.user_id, user.context_hash) not in done]
                self.resumed += len(new) - len(left)
                places: list[Place] = []
                seen: set[str] = set()
                for user in left:
                    rehearsal = await rehearse(self._program, user, self.memory)
                    prefix = max((request.tokens for request in rehearsal.new), key=len, default=())
                    places.append(Place(user, Load.of(rehearsal, seen), prefix))
                    await asyncio.sleep(0)  # the engine steps on in between
                if not self._expected and not wanted:
                    loads = [place.load for place in places]
                    predicted = predict(loads, self.total - len(done) - self.counts["users"], self.past)
                    self._expected = self.counts["new"] + predicted.calls[0]
                    predicted = predicted.and_once(self._once, self.past)
                    self.journal.predicted = self.journal.predicted or predicted.columns()
                for place in ordered(places):
                    yield place

    async def _program(self, user: Context, session: Session) -> dict[str, Any]:
        return await self._personalize(user, session, self.profile)

    def _windows(self) -> Iterator[list[Context]]:
        for batch in batches(self.contexts, WINDOW):
            yield [Context.from_row(row) for row in batch.to_pylist()]

    @property
    def seconds(self) -> float:
        return round(self._elapsed(), 2)

    def _elapsed(self) -> float:
        """Seconds the shard has been worked on, earlier attempts included."""
        return self.journal.seconds + time.monotonic() - self._began

    def _beats(self) -> int | None:
        return self.memory.engine.beats if self.memory.waiting else None

    def _count(self, row: dict[str, Any]) -> None:
        self.counts["users"] += 1
        self.counts["fallbacks"] += len(row.get("fallbacks", ()))

    async def _report(self) -> None:
        said = time.monotonic()
        while True:
            await asyncio.sleep(min(1.0, self.night.chunk_seconds))
            try:
                self.chunks.commit_old()
            except Exception as error:
                self._stop(error)
            if time.monotonic() - said >= EVERY_S:
                said = time.monotonic()
                self.progress(self.describe())

    def describe(self) -> str:
        """The progress line."""
        counts, seconds = self.counts, max(time.monotonic() - self._served, 0.1)
        share = counts["prefix"] / counts["prompt"] if counts["prompt"] else 0
        users = f"{counts['users'] + self.resumed}/{self.total} users"
        refused = f", {counts['refused']} beyond the budget" if counts["refused"] else ""
        calls = f"{counts['new']} calls ({counts['new'] / seconds:.1f}/s)"
        others = f"{counts['cached']} from memory, {counts['failed']} failed{refused}"
        rate = f"{counts['prompt'] / seconds:.0f} prompt and {counts['output'] / seconds:.0f} output tokens/s"
        left = (self._expected - counts["new"]) * seconds / counts["new"] if counts["new"] and not refused else 0
        remaining = f", about {left:.0f} s left" if left > 0.5 else ""
        return f"{users}, {calls}, {others}, {rate}, {share:.0%} from the prefix cache{remaining}"
