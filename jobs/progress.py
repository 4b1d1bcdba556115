"""Progress lines of the jobs: `nocturne | stage | 12 s | what`, for a person, a log and `nocturne run` alike."""

from __future__ import annotations

import time


class Progress:
    """Call it with a text to print a line; `seconds` is the time since it was made."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        return round(time.perf_counter() - self._start, 2)

    def __call__(self, text: str) -> None:
        print(f"nocturne | {self.stage} | {self.seconds:.0f} s | {text}", flush=True)
