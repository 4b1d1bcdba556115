"""What a user program may ask of a model, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from jobs.errors import Retryable
from jobs.prompts import Message, Sampling


class EngineDown(Retryable):
    """The engine itself cannot answer anyone: the worker ends, and its retry goes on from what is committed."""


class EngineAway(EngineDown):
    """It cannot be reached or will not serve us: no user's fault."""


@dataclass(frozen=True)
class Reply:
    """What an engine returns: `text` of a completion, `nats` of a score or `labels` of a choice; tokens as it counted them.

    `error` says why there is no answer; a failed request never takes another one along.
    """

    text: str | None = None
    nats: float | None = None
    labels: dict[str, float] | None = None
    finish_reason: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    error: str | None = None


class Engine(Protocol):
    """A model that completes and scores token sequences."""

    model: str  # digest of the weights; part of every call's id
    max_model_len: int  # tokens of prompt and answer together
    beats: int  # grows whenever the engine gets anywhere; what a watchdog watches

    @property
    def kv_tokens(self) -> int:
        """Tokens whose keys and values it can keep at once: how much the users in flight may fill."""

    @property
    def slots(self) -> int:
        """Requests it works on at once; more of them wait."""

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        """The conversation in the model's chat template, up to where the model speaks.

        What stands inside a message can never become a special token.
        """

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Plain text as tokens, no special ones among them."""

    async def complete(self, prompt: tuple[int, ...], sampling: Sampling, schema: dict[str, Any]) -> Reply:
        """Continue `prompt`. A `schema` of type object constrains the answer to JSON of that shape, an enum to its strings."""

    async def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> Reply:
        """`nats`: the sum over `continuation` of log p(token | prompt, the tokens before it), in nats, at temperature 1.

        With a prompt that holds a user's history, minus the same with one that does not, it is what the history adds.
        """

    async def choose(self, prompt: tuple[int, ...], labels: tuple[str, ...]) -> Reply:
        """`labels`: for each label its log p(label | prompt) in nats, from one step, over the whole vocabulary at
        temperature 1 and so not summing to one; each must be one token. exp(a) / (exp(a) + exp(b)) compares two.
        """
