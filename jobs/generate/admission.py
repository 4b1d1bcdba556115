"""Who starts when: an order that keeps the engine's batch full, and room in the KV cache for everyone in flight.

Both follow BatchLLM (arXiv 2412.03594): requests of one prefix together, what decodes most first, so that its decoding
fills up with the prefill of what comes later; and as many at once as the memory holds, not as a constant says. Only
where the memory holds more users than the engine works on requests do the others wait: they could not be served, and
users who start later are complete, and committed, later.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from jobs.generate.context import Context
from jobs.generate.rehearsal import Load

FILLED = 0.9  # of the cache; the rest is for prefixes that all users share, and blocks that are not full


@dataclass(frozen=True)
class Place:
    """A user who waits to start, with the user's load and the prompt that the others are likely to share most with."""

    user: Context
    load: Load
    prefix: tuple[int, ...] = ()


def ordered(places: list[Place]) -> list[Place]:
    """Those with the most to decode first; among equals, those whose longest prompts begin alike next to each other."""
    return sorted(places, key=lambda place: (-place.load.decode, place.prefix, place.user.user_id))


class Room:
    """Tokens of the KV cache that users in flight fill, and the users; who needs more than all of it goes alone."""

    def __init__(self) -> None:
        self.used, self.users = 0, 0
        self._freed = asyncio.Event()

    async def enter(self, tokens: int, capacity: float, users: float) -> None:
        """Wait until `tokens` more fit into `capacity`, and there are fewer than `users`."""
        while self.used and (self.used + tokens > capacity * FILLED or self.users >= users):
            self._freed.clear()
            await self._freed.wait()
        self.used += tokens
        self.users += 1

    async def alone(self) -> None:
        """Wait until nobody is in flight."""
        while self.users:
            self._freed.clear()
            await self._freed.wait()

    def leave(self, tokens: int) -> None:
        self.used -= tokens
        self.users -= 1
        self._freed.set()
