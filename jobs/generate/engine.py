"""What a user program may ask of a model, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from jobs.prompts import Message, Sampling


class EngineDown(Exception):
    """The engine itself cannot answer anyone: the worker ends, and its retry goes on from what is committed."""


@dataclass(frozen=True)
class Reply:
    """What an engine returns: `text` of a completion or `nats` of a score, tokens as it counted them.

    `error` says why there is no answer; a failed request never takes another one along.
    """

    text: str | None = None
    nats: float | None = None
    finish_reason: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    error: str | None = None


class Engine(Protocol):
    """A model that completes and scores token sequences."""

    model: str  # digest of the weights; part of every call's id
    max_model_len: int  # tokens of prompt and answer together

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        """The conversation in the model's chat template, up to where the model speaks.

        What stands inside a message can never become a special token.
        """

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Plain text as tokens, no special ones among them."""

    async def complete(self, prompt: tuple[int, ...], sampling: Sampling, schema: dict[str, Any]) -> Reply:
        """Continue `prompt`; an object `schema` constrains the answer to JSON of that shape."""

    async def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> Reply:
        """`nats`: the sum over `continuation` of log p(token | prompt, tokens before it)."""
