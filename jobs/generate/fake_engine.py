"""A deterministic engine without a model, for tests of everything else."""

from __future__ import annotations

import hashlib
from typing import Any

from jobs.generate.engine import Reply
from jobs.prompts import Message, Sampling


class FakeEngine:
    """Answers follow from the prompt alone. `answer` is the text of every completion; by default a hash in words."""

    model = "fake"

    def __init__(self, max_model_len: int = 2048, answer: str | None = None) -> None:
        self.max_model_len = max_model_len
        self.answer = answer
        self.requests = 0

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        return self.encode_text("\x00".join(f"{message.role}\x01{message.content}" for message in messages))

    def encode_text(self, text: str) -> tuple[int, ...]:
        """One token a word."""
        return tuple(int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") for word in text.split())

    async def complete(self, prompt: tuple[int, ...], sampling: Sampling, schema: dict[str, Any]) -> Reply:
        self.requests += 1
        text = self.answer or f"This answer has no name in it, only {'very ' * (sum(prompt) % 3)}plain words."
        return Reply(text, None, "stop", len(prompt), 0, len(text.split()))

    async def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> Reply:
        self.requests += 1
        nats = -((sum(prompt) + sum(continuation)) % 997) / 100
        return Reply(None, nats, "length", len(prompt) + len(continuation), 0, 1)
