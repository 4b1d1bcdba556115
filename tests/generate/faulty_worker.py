"""`python -m jobs.generate` with the fake engine, a diary of its requests, and one fault.

FAULT is `kill:POINT:N` (SIGKILL at the N-th time a point of the code is reached), `hang:WORD` (a request that holds the
word is never answered), `block:WORD` (nor does anything else move), `die:WORD` (the engine dies of it), `slow:SECONDS`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs.errors import run_main
from jobs.generate import __main__ as generate
from jobs.generate import chunks, engines, journal, lease
from jobs.generate.engine import EngineDown, Reply
from jobs.generate.fake_engine import FakeEngine
from jobs.generate.journal import Journal
from jobs.generate.lease import Lease
from jobs.generate.worker import Worker

FAULT, _, WHERE = os.environ.get("FAULT", "none").partition(":")
DIARY = Path(os.environ["DIARY"])


class FaultyEngine(FakeEngine):
    """Writes every request into the diary before it is answered."""

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self.kv_tokens = int(os.environ.get("KV", "1"))

    async def complete(self, prompt: tuple[int, ...], *rest: Any) -> Reply:
        await self._fault(prompt)
        return await super().complete(prompt, *rest)

    async def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> Reply:
        await self._fault(prompt + continuation)
        return await super().score(prompt, continuation)

    async def _fault(self, tokens: tuple[int, ...]) -> None:
        with DIARY.open("a") as diary:
            diary.write(f"{hash(tokens)}\n")
        if FAULT == "slow":
            await asyncio.sleep(float(WHERE))
        if FAULT in ("hang", "block", "die") and set(self.encode_text(WHERE)) & set(tokens):
            if FAULT == "die":
                raise EngineDown("out of memory")
            if FAULT == "block":
                time.sleep(600)
            await asyncio.sleep(600)


def killing(place: Any, name: str, after: bool) -> None:
    """Die before or after the N-th call of a function."""
    left, real = int(WHERE.split(":")[1]), getattr(place, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*arguments, **options)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(place, name, wrapped)


POINTS: dict[str, Callable[[], None]] = {
    "lease written": lambda: killing(lease, "write_json", after=True),
    "results read": lambda: killing(chunks.Chunks, "done", after=True),
    "user about to start": lambda: killing(Journal, "start", after=False),
    "user in the journal": lambda: killing(journal, "write_json", after=True),
    "completion asked": lambda: killing(FaultyEngine, "complete", after=False),
    "score answered": lambda: killing(FaultyEngine, "score", after=True),
    "commit begins": lambda: killing(chunks.Chunks, "commit", after=False),
    "file written, not renamed": lambda: killing(chunks, "name_of", after=False),
    "committed, not acknowledged": lambda: killing(chunks.Chunks, "commit", after=True),
    "all committed": lambda: killing(Journal, "close", after=False),
    "journal closed": lambda: killing(Lease, "give_up", after=False),
    "lease given up": lambda: killing(Worker, "run", after=True),
}

engines.FakeEngine = FaultyEngine  # type: ignore[misc]
if FAULT == "kill":
    POINTS[WHERE.split(":")[0]]()

if __name__ == "__main__":
    run_main(generate.main)
