"""A deterministic engine without a model, for tests of everything else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from jobs.generate.engine import Reply
from jobs.prompts import Message, Sampling


class FakeEngine:
    """Answers follow from the prompt alone. `answer` is the text of every completion, cited as fact 1 where it is
    structured; by default a hash in words."""

    model = "fake"

    def __init__(self, max_model_len: int = 2048, answer: str | None = None) -> None:
        self.max_model_len = max_model_len
        self.answer = answer
        self.requests = 0
        self.beats = 0
        self.kv_tokens, self.slots = 20_000, 64

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        return self.encode_text("\x00".join(f"{message.role}\x01{message.content}" for message in messages))

    def encode_text(self, text: str) -> tuple[int, ...]:
        """One token a word."""
        return tuple(int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") for word in text.split())

    async def complete(self, prompt: tuple[int, ...], sampling: Sampling, schema: dict[str, Any]) -> Reply:
        self.requests += 1
        self.beats += 1
        text = self.answer or f"This answer has no name in it, only {'very ' * (sum(prompt) % 3)}plain words."
        if schema.get("type") == "object":
            text = json.dumps({name: text if each["type"] == "string" else [1] for name, each in schema["properties"].items()})
        return Reply(text=text, finish_reason="stop", prompt_tokens=len(prompt), output_tokens=len(text.split()))

    async def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> Reply:
        self.requests += 1
        self.beats += 1
        nats = -((sum(prompt) + sum(continuation)) % 997) / 100
        tokens = len(prompt) + len(continuation)
        return Reply(nats=nats, finish_reason="length", prompt_tokens=tokens, output_tokens=1)

    async def choose(self, prompt: tuple[int, ...], labels: tuple[str, ...]) -> Reply:
        self.requests += 1
        self.beats += 1
        logprobs = {label: -((sum(prompt) + sum(self.encode_text(label))) % 97) / 10 for label in labels}
        return Reply(labels=logprobs, finish_reason="length", prompt_tokens=len(prompt), output_tokens=1)
