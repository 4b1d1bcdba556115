"""The phrasebook of a night: one worker asks for what is not known yet, the others wait and read what it was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jobs.errors import Busy
from jobs.generate.calls import UNPAID, Request
from jobs.generate.chunks import Chunks
from jobs.generate.context import Generation, Subject
from jobs.generate.lease import Lease
from jobs.generate.phrasebook import Phrasebook
from jobs.generate.phrasing import PATTERNS, foreseen, written
from jobs.generate.rehearsal import Load
from jobs.generate.session import Memory, Session
from jobs.profile import Profile
from jobs.storage import parquet

WAIT_S = 1.0


class Answered(Session):
    """A session that keeps what it was answered."""

    def __init__(self, memory: Memory, about: Subject, known: Sequence[Generation]) -> None:
        super().__init__(memory, about, known)
        self.answers: dict[str, Generation] = {}

    async def _ask(self, request: Request) -> Generation:
        self.answers[request.id] = answer = await super()._ask(request)
        return answer


async def of_the_night(memory: Memory, work: str, profile: Profile, load: Callable[[], Any]) -> tuple[Phrasebook, Load]:
    """The phrasebook and what it costs this worker, in the folder `work` of the night; `load` makes the model ready."""
    words = profile.words
    known = known_phrasings(work)
    cost = await foreseen(memory, known, words)
    if not cost.calls:
        return await written(Session(memory, PATTERNS, known), words), cost
    turn = Lease(f"{work}/generate/phrasings.lease.json")
    await _taken(turn)
    renewing = asyncio.create_task(_renewed(turn))
    try:
        known = known_phrasings(work)
        cost = await foreseen(memory, known, words)
        if cost.calls:
            load()
        ask = Answered(memory, PATTERNS, known)
        book = await written(ask, words)
        if cost.calls:
            _leave(work, profile, ask.answers.values())
        return book, cost
    finally:
        renewing.cancel()
        turn.give_up()


def known_phrasings(work: str) -> list[Generation]:
    """Answers about patterns that prepare has found in `generations`, and tonight's of another worker."""
    try:
        rows = parquet(f"{work}/phrasings").to_table().to_pylist()
    except FileNotFoundError:
        return []
    return [Generation(**row) for row in rows]


async def _taken(turn: Lease) -> None:
    """Wait until nobody else has it; a worker that has it and gets nowhere is ended by its own watchdog."""
    while True:
        try:
            return turn.take()
        except Busy:
            await asyncio.sleep(WAIT_S)


async def _renewed(turn: Lease) -> None:
    while True:
        await asyncio.sleep(WAIT_S)
        turn.renew()


def _leave(work: str, profile: Profile, answers: Iterable[Generation]) -> None:
    chunk = Chunks(f"{work}/phrasings", profile.night)
    chunk.done()
    for answer in answers:
        if answer.status not in UNPAID:
            chunk.pay(answer)
    chunk.commit()
