"""What a user program holds: it asks, and every answer comes once, from memory where it is known, and is recorded.

A call's id is the hash of everything that determines its answer: the prompt as tokens, the continuation, the model's
digest, sampling and output schema. Known answers come with the user's context; equal calls in flight are joined.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import Iterable
from typing import Any

import jsonschema

from jobs.generate.context import Context, Generation
from jobs.generate.engine import Engine, EngineDown, Reply
from jobs.prompts import Prompt, load_prompt

USABLE = ("ok", "repaired")
SHARED = 50_000  # answers a worker keeps for whoever asks the same


class Memory:
    """Answers by id, shared by all users of a worker: what is in flight, and the latest `SHARED` of what is answered."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.shared: dict[str, asyncio.Future[Generation]] = {}
        self.counts = dict.fromkeys(("users", "new", "cached", "failed", "prompt", "prefix", "output", "fallbacks"), 0)

    def count(self, answer: Generation) -> None:
        """Add a new answer to the figures that progress shows."""
        self.counts["new"] += 1
        self.counts["failed"] += answer.status not in USABLE
        self.counts["prompt"] += answer.prompt_tokens
        self.counts["prefix"] += answer.cached_tokens
        self.counts["output"] += answer.output_tokens

    def expect(self, name: str) -> asyncio.Future[Generation]:
        """A place for an answer that others may wait for; the oldest answered one makes room."""
        while len(self.shared) >= SHARED and next(iter(self.shared.values())).done():
            del self.shared[next(iter(self.shared))]
        future = self.shared[name] = asyncio.get_running_loop().create_future()
        return future


class Session:
    """One user's calls. `made` are the calls this user was the first to need, `cached` counts the others."""

    def __init__(self, memory: Memory, user: Context, known: Iterable[Generation]) -> None:
        self.user = user
        self.made: list[Generation] = []
        self.cached = 0
        self._memory = memory
        self._engine = memory.engine
        self._known = {answer.generation_id: answer for answer in known if answer.status != "failed"}

    async def complete(self, name: str, **variables: Any) -> Generation:
        """The answer to prompt `name` about this user."""
        prompt = load_prompt(name)
        assert prompt.sampling
        tokens = self._fit(prompt, variables, prompt.sampling.max_tokens)
        return await self._ask(prompt, "user", self.user.user_id, tokens, ())

    async def score(self, name: str, continuation: str, item_id: str | None = None, **variables: Any) -> Generation:
        """Log-likelihood of `continuation` after prompt `name`; about `item_id` alone where one is given."""
        prompt = load_prompt(name)
        tail = self._engine.encode_text(continuation)
        tokens = self._fit(prompt, variables, len(tail) + 1)
        subject = ("item", item_id) if item_id is not None else ("user", self.user.user_id)
        return await self._ask(prompt, *subject, tokens, tail)

    def _fit(self, prompt: Prompt, variables: dict[str, Any], spare: int) -> tuple[int, ...]:
        """The prompt as tokens; too long, `history` loses whole events from the oldest until `spare` tokens are left."""
        while True:
            tokens = self._engine.encode(prompt.render(**variables))
            over = len(tokens) + spare - self._engine.max_model_len
            if over <= 0 or not variables.get("history"):
                return tokens
            history = variables["history"]
            each = max(1, len(tokens) // len(history))
            variables = variables | {"history": history[max(1, over // (2 * each)) :]}

    async def _ask(self, prompt: Prompt, kind: str, subject: str, tokens: tuple[int, ...], tail: tuple[int, ...]) -> Generation:
        name = call_id(prompt, self._engine.model, tokens, tail)
        if name in self._memory.shared:
            self.cached += 1
            return await self._memory.shared[name]
        future = self._memory.expect(name)
        if name in self._known:
            self.cached += 1
            future.set_result(self._known[name])
            return self._known[name]
        try:
            reply = await self._send(prompt, tokens, tail)
        except EngineDown as error:
            future.set_exception(error)
            future.exception()  # whoever waits for it is told; if nobody does, it is no unseen error
            raise
        answer = Generation(
            generation_id=name,
            kind=prompt.task,
            subject=subject,
            subject_type=kind,
            prompt_name=prompt.name,
            prompt_version=prompt.version,
            model=self._engine.model,
            status=judge(prompt, reply),
            finish_reason=reply.finish_reason if reply.error is None else reply.error[:500],
            output=reply.text if reply.nats is None else repr(reply.nats),
            prompt_tokens=reply.prompt_tokens,
            cached_tokens=reply.cached_tokens,
            output_tokens=reply.output_tokens,
        )
        self.made.append(answer)
        self._memory.count(answer)
        future.set_result(answer)
        if answer.status == "failed":
            del self._memory.shared[name]
        return answer

    async def _send(self, prompt: Prompt, tokens: tuple[int, ...], tail: tuple[int, ...]) -> Reply:
        spare = prompt.sampling.max_tokens if prompt.sampling else len(tail) + 1
        if len(tokens) + spare > self._engine.max_model_len:
            return Reply(finish_reason="too_long", prompt_tokens=len(tokens))
        try:
            if prompt.sampling:
                return await self._engine.complete(tokens, prompt.sampling, prompt.output)
            return await self._engine.score(tokens, tail)
        except EngineDown:
            raise
        except Exception as error:  # whatever an engine throws is this call's end, not the shard's
            return Reply(prompt_tokens=len(tokens), error=f"{type(error).__name__}: {error}")


def call_id(prompt: Prompt, model: str, tokens: tuple[int, ...], tail: tuple[int, ...]) -> str:
    """sha256 over all that determines an answer; the same in every process."""
    sampling = prompt.sampling.model_dump() if prompt.sampling else None
    parts = [prompt.task, model, tokens, tail, sampling, prompt.output]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def judge(prompt: Prompt, reply: Reply) -> str:
    """The status of an answer: ok, invalid where it does not keep to the prompt's output schema, too_long or failed."""
    if reply.error is not None:
        return "failed"
    if reply.finish_reason == "too_long":
        return "too_long"
    if reply.nats is not None and not math.isfinite(reply.nats):
        return "invalid"
    value: Any = reply.text if reply.nats is None else reply.nats
    if prompt.output.get("type") == "object":
        try:
            value = json.loads(reply.text or "")
        except ValueError:
            return "invalid"
    return "ok" if jsonschema.Draft202012Validator(prompt.output).is_valid(value) else "invalid"
