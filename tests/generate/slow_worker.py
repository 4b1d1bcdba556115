"""`python -m jobs.generate` with the fake engine slowed down and a diary: a line for each user finished and each call sent."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from jobs.errors import run_main
from jobs.generate import __main__ as generate
from jobs.generate.chunks import Chunks
from jobs.generate.engine import Reply
from jobs.generate.fake_engine import FakeEngine

DIARY = Path(os.environ["DIARY"])


class SlowEngine(FakeEngine):
    async def complete(self, *arguments: Any) -> Reply:
        await asyncio.sleep(0.1)
        return await super().complete(*arguments)


class DiaryChunks(Chunks):
    def add(self, row: dict[str, Any]) -> None:
        with DIARY.open("a") as diary:
            diary.write(row["user_id"] + "\n")
        super().add(row)


generate.FakeEngine = SlowEngine  # type: ignore[misc]
generate.Worker.__init__.__globals__["Chunks"] = DiaryChunks

if __name__ == "__main__":
    run_main(generate.main)
