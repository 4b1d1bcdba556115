"""Any server that speaks OpenAI's completions API and takes prompts as tokens (vLLM's, SGLang's, llama.cpp's).

openai's own client does the waiting: growing pauses, or what the server's Retry-After says.
"""

from __future__ import annotations

import asyncio
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jobs.generate.engine import EngineAway, EngineDown, Reply
from jobs.generate.tokens import Tokenizer
from jobs.profile import Model
from jobs.prompts import Message, Sampling

if TYPE_CHECKING:
    from openai import AsyncOpenAI


NOT_THE_REQUEST = (401, 403, 404, 408, 429)  # what a server says of itself, or of us


class OpenAIEngine:
    """Implements `Engine` over HTTP; `path` or `name` of the profile say whose tokenizer the server's model has.

    Scores ask for the prompt's log-probabilities (`echo`), choices for the first token's among `LOGPROBS`.
    """

    LOGPROBS = 20

    def __init__(self, model: Model, digest: str) -> None:
        assert model.endpoint
        self.model = digest
        self.max_model_len = model.max_model_len
        self.beats = 0
        self.kv_tokens, self.slots = model.endpoint.kv_tokens, model.endpoint.concurrency
        self._endpoint = model.endpoint
        self._serves = model.endpoint.serves or model.location
        self._tokenizer = Tokenizer(model)
        self._places = asyncio.Semaphore(model.endpoint.concurrency)

    @cached_property
    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        endpoint = self._endpoint
        key = os.environ.get(endpoint.key_env, "none")
        return AsyncOpenAI(base_url=endpoint.url, api_key=key, max_retries=endpoint.retries, timeout=endpoint.timeout_seconds)

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        return self._tokenizer.encode(messages)

    def encode_text(self, text: str) -> tuple[int, ...]:
        return self._tokenizer.encode_text(text)

    async def complete(self, prompt: tuple[int, ...], sampling: Sampling, schema: dict[str, Any]) -> Reply:
        drawn: dict[str, Any] = {"repetition_penalty": sampling.repetition_penalty}
        if schema.get("type") == "object":
            drawn["structured_outputs"] = {"json": schema}
        elif "enum" in schema:
            drawn["structured_outputs"] = {"choice": schema["enum"]}
        answer = await self._ask(
            prompt,
            temperature=sampling.temperature,
            max_tokens=sampling.max_tokens,
            stop=sampling.stop or None,
            seed=sampling.seed,
            extra_body=drawn,
        )
        if isinstance(answer, Reply):
            return answer
        (choice,) = answer.choices
        return Reply(text=choice.text.strip(), finish_reason=choice.finish_reason, **_tokens(answer))

    async def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> Reply:
        answer = await self._ask(prompt + continuation, temperature=0, max_tokens=1, echo=True, logprobs=1)
        if isinstance(answer, Reply):
            return answer
        (choice,) = answer.choices
        if choice.logprobs is None or choice.logprobs.token_logprobs is None:
            return Reply(error="the server gives no log-probabilities of a prompt (echo)")
        nats = choice.logprobs.token_logprobs[len(prompt) : len(prompt) + len(continuation)]
        return Reply(nats=sum(nats), finish_reason=choice.finish_reason, **_tokens(answer))

    async def choose(self, prompt: tuple[int, ...], labels: tuple[str, ...]) -> Reply:
        if long := [label for label in labels if len(self.encode_text(label)) != 1]:
            return Reply(error=f"labels must be one token each; {long[0]!r} is not")
        allowed = {"allowed_token_ids": [self.encode_text(label)[0] for label in labels]}
        answer = await self._ask(prompt, temperature=0, max_tokens=1, logprobs=self.LOGPROBS, extra_body=allowed)
        if isinstance(answer, Reply):
            return answer
        (choice,) = answer.choices
        first = choice.logprobs.top_logprobs[0] if choice.logprobs and choice.logprobs.top_logprobs else {}
        if missing := [label for label in labels if label not in first]:
            return Reply(error=f"{missing[0]!r} is not among the {self.LOGPROBS} likeliest tokens, which is all a server tells")
        return Reply(labels={label: first[label] for label in labels}, finish_reason=choice.finish_reason, **_tokens(answer))

    async def _ask(self, prompt: tuple[int, ...], **asked: Any) -> Any:
        """The server's answer, or a Reply with the reason why this request has none."""
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        async with self._places:
            try:
                answer = await self._client.completions.create(model=self._serves, prompt=list(prompt), **asked)
            except (APIConnectionError, APIStatusError) as error:
                status, said = getattr(error, "status_code", None), f"{self._endpoint.url}: {type(error).__name__}: {error}"
                if isinstance(error, APITimeoutError) or status == 500:  # it may well be the request
                    raise EngineDown(said) from error
                if status is None or status in NOT_THE_REQUEST or status > 500:
                    raise EngineAway(said) from error
                self.beats += 1
                return Reply(prompt_tokens=len(prompt), error=f"{status}: {error.message}")
        self.beats += 1
        return answer


def _tokens(answer: Any) -> dict[str, Any]:
    """What the server counted."""
    usage = answer.usage
    cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None)
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": cached or 0,
        "output_tokens": usage.completion_tokens,
    }
