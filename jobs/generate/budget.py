"""What a shard may spend in one night; a call that would go beyond is refused, not sent."""

from __future__ import annotations

from collections.abc import Callable

from jobs.profile import Budget


class Purse:
    """The shard's part of the night's budget, with what earlier attempts at the shard have spent.

    `part` is the shard's share of the night's users; `elapsed` the seconds the shard has been worked on.
    """

    def __init__(self, budget: Budget, part: float, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self.calls, self.tokens = 0, 0
        limits = {"calls": budget.calls, "tokens": budget.tokens}
        self._limits = {name: int(limit * part) for name, limit in limits.items() if limit is not None}
        self._seconds = budget.seconds

    def take(self, tokens: int, calls: int = 1) -> str | None:
        """Set aside a call of at most `tokens`, or with `calls` 0 more tokens for one; the reason where too little is left."""
        if self._seconds is not None and self._elapsed() >= self._seconds:
            return f"the budget of {self._seconds:g} seconds is spent"
        for name, wanted in (("calls", self.calls + calls), ("tokens", self.tokens + tokens)):
            if name in self._limits and wanted > self._limits[name]:
                return f"the shard's budget of {self._limits[name]} {name} is spent"
        self.calls += calls
        self.tokens += tokens
        return None

    def settle(self, taken: int, used: int) -> None:
        """A call that set `taken` tokens aside has used so many."""
        self.tokens += used - taken
