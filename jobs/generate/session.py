"""What a user program holds: it asks, and every answer comes once, from memory where it is known, and is recorded.

Known answers come with the user's context; equal calls in flight are joined; what is over budget is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any

from jobs.generate.budget import Purse
from jobs.generate.calls import REPAIR, UNPAID, USABLE, Request, encodable, fitted, judge, objection, written
from jobs.generate.context import Generation, Subject
from jobs.generate.engine import Engine, EngineDown, Reply
from jobs.generate.phrasebook import Phrasebook
from jobs.prompts import Message, Prompt, load_prompt

TOKENS = ("prompt_tokens", "cached_tokens", "output_tokens")
REASKED = (*UNPAID, "too_long")  # which limits may have changed since
SHARED = 4096  # answers a worker keeps for whoever asks the same


class Memory:
    """Answers by id, shared by all users of a worker: what is in flight, the latest `SHARED` of what is answered, and in
    `paid` those that earlier attempts at the shard have left. `keep` is given every new answer, once."""

    def __init__(
        self, engine: Engine, purse: Purse | None = None, keep: Callable[[Generation], None] = lambda answer: None
    ) -> None:
        self.engine, self.purse, self.keep = engine, purse, keep
        self.shared: dict[str, asyncio.Task[Generation]] = {}
        self.paid: dict[str, Generation] = {}
        self.book = Phrasebook()
        self.waiting = 0  # requests that the engine has not answered
        names = ("users", "new", "cached", "failed", "refused", "prompt", "prefix", "output", "fallbacks")
        self.counts = dict.fromkeys(names, 0)

    def take(self, answer: Generation) -> None:
        """A new answer: kept, and counted in the figures that progress shows."""
        self.keep(answer)
        self.counts["new"] += 1
        self.counts["failed"] += answer.status not in USABLE
        self.counts["prompt"] += answer.prompt_tokens
        self.counts["prefix"] += answer.cached_tokens
        self.counts["output"] += answer.output_tokens

    def join(self, name: str, pay: Callable[[], Coroutine[Any, Any, Generation]]) -> asyncio.Task[Generation]:
        """The task that gets an answer, one for all who ask. It goes on where an asker does not wait for it any more."""
        if name in self.shared:
            self.counts["cached"] += 1
            return self.shared[name]
        while len(self.shared) >= SHARED and next(iter(self.shared.values())).done():
            del self.shared[next(iter(self.shared))]  # the oldest
        task = self.shared[name] = asyncio.create_task(pay())
        task.add_done_callback(lambda done: self._ended(name, done))
        return task

    def _ended(self, name: str, task: asyncio.Task[Generation]) -> None:
        """Whoever asks next tries again, unless the engine is gone or the answer could not be kept, which ends the shard."""
        if task.cancelled() or (not task.exception() and task.result().status in UNPAID):
            self.shared.pop(name, None)


class Session:
    """The calls about one subject, a user as a rule. `answered` counts those that got an answer or a status, `refused` those
    beyond the budget.

    `settled` is False once a call was left without an answer: the user is asked about again on the next night.
    With `quarantined`, a reason, nothing is sent: every call fails with it.
    """

    def __init__(self, memory: Memory, about: Subject, known: Iterable[Generation], quarantined: str | None = None) -> None:
        self.about = about
        self.answered = 0
        self.refused = 0
        self.settled = True
        self._memory = memory
        self._engine = memory.engine
        self._known = {answer.generation_id: answer for answer in known if answer.status not in REASKED}
        self._quarantined = quarantined

    async def complete(
        self, name: str, about: Subject | None = None, refused: tuple[str, Sequence[str]] | None = None, **variables: Any
    ) -> Generation:
        """The answer to prompt `name`, about this user where nothing else is named; `refused` is an answer before and why it
        may not stand, which the model is shown."""
        prompt = load_prompt(name)
        after = (Message("assistant", refused[0]), prompt.objection(refused[1])) if refused else ()
        return await self._answer(self._request(prompt, variables, about, after=after))

    async def score(self, name: str, continuation: str, about: Subject | None = None, **variables: Any) -> Generation:
        """Log-likelihood of `continuation` after prompt `name`, likewise."""
        tail = self._engine.encode_text(continuation)
        return await self._answer(self._request(load_prompt(name), variables, about, tail=tail))

    @property
    def book(self) -> Phrasebook:
        """What the model has phrased for everyone."""
        return self._memory.book

    def tokens(self, text: str) -> int:
        """How many the engine makes of a text."""
        return len(self._engine.encode_text(text))

    async def choose(self, name: str, labels: tuple[str, ...], **variables: Any) -> Generation:
        """Log-probability of each label as the next token after prompt `name`, as JSON."""
        return await self._answer(self._request(load_prompt(name), variables, labels=labels))

    def _request(
        self,
        prompt: Prompt,
        variables: dict[str, Any],
        about: Subject | None = None,
        tail: tuple[int, ...] = (),
        labels: tuple[str, ...] = (),
        after: tuple[Message, ...] = (),
    ) -> Request:
        request = Request(prompt, self._engine.model, *(about or self.about), (), (), tail, labels)
        most = self._engine.max_model_len - request.room
        messages, tokens = fitted(prompt, variables, lambda asked: self._engine.encode((*asked, *after)), most)
        return replace(request, messages=(*messages, *after), tokens=tokens, second=bool(after))

    async def _answer(self, request: Request) -> Generation:
        answer = await self._ask(request)
        self.settled = self.settled and answer.status not in UNPAID
        return answer

    async def _ask(self, request: Request) -> Generation:
        if self._quarantined is not None:
            return unanswered(request, "failed", self._quarantined)
        answer = self._had(request)
        if answer:
            self._memory.counts["cached"] += 1
        else:
            answer = await asyncio.shield(self._memory.join(request.id, lambda: self._pay(request)))
        self.answered += answer.status != "refused"
        return answer

    def _had(self, request: Request) -> Generation | None:
        """An answer of an earlier night, or of an earlier attempt at this one."""
        return self._known.get(request.id) or self._memory.paid.get(request.id)

    async def _pay(self, request: Request) -> Generation:
        """Send a request within the budget, once more where a structured answer is not valid, and record the answer."""
        purse, most = self._memory.purse, len(request.tokens) + request.room
        if most > self._engine.max_model_len:
            return self._record(request, "too_long", Reply(finish_reason="too_long"))
        if purse and (reason := purse.take(most)):
            self.refused += 1
            self._memory.counts["refused"] += 1
            return unanswered(request, "refused", reason)
        reply = await self._send(request)
        status = judge(request.prompt, reply)
        if status == "invalid" and request.prompt.structured:
            reply, status = await self._repair(request, reply)
        if purse:
            purse.settle(most, reply.prompt_tokens + reply.output_tokens)
        return self._record(request, status, reply)

    async def _repair(self, request: Request, reply: Reply) -> tuple[Reply, str]:
        """Show the model its answer and what is wrong with it, once; the tokens of both answers count."""
        reason = encodable(REPAIR.format(reason=objection(request.prompt, reply))) or ""
        messages = (*request.messages, Message("assistant", encodable(reply.text) or "-"), Message("user", reason))
        again = replace(request, messages=messages, tokens=self._engine.encode(messages))
        purse, most = self._memory.purse, len(again.tokens) + again.room
        if most > self._engine.max_model_len:
            return reply, "invalid"
        if purse and (refusal := purse.take(most, calls=0)):
            return replace(reply, error=refusal), "failed"
        second = await self._send(again)
        if purse:
            purse.settle(most, 0)  # `_pay` settles what both have used
        tokens = {name: getattr(reply, name) + getattr(second, name) for name in TOKENS}
        status = judge(request.prompt, second)
        return replace(second, **tokens), "repaired" if status == "ok" else status

    async def _send(self, request: Request) -> Reply:
        prompt = request.prompt
        self._memory.waiting += 1
        try:
            if prompt.task == "choose":
                reply = await self._engine.choose(request.tokens, request.labels)
            elif prompt.sampling:
                reply = await self._engine.complete(request.tokens, prompt.sampling, prompt.output)
            else:
                reply = await self._engine.score(request.tokens, request.tail)
            if not isinstance(reply, Reply):
                raise TypeError(f"the engine gave {type(reply).__name__} for a reply")
            return reply
        except EngineDown:
            raise
        except Exception as error:  # whatever an engine throws is this call's end, not the shard's
            return Reply(prompt_tokens=len(request.tokens), error=f"{type(error).__name__}: {error}")
        finally:
            self._memory.waiting -= 1

    def _record(self, request: Request, status: str, reply: Reply) -> Generation:
        answer = replace(
            unanswered(request, status, encodable(reply.finish_reason if reply.error is None else reply.error[:500])),
            output=written(reply),
            prompt_tokens=reply.prompt_tokens,
            cached_tokens=reply.cached_tokens,
            output_tokens=reply.output_tokens,
        )
        self._memory.take(answer)
        return answer


def unanswered(request: Request, status: str, reason: str | None) -> Generation:
    """A call that got no answer, or has none yet."""
    return Generation(
        generation_id=request.id,
        kind=request.prompt.task,
        subject=request.subject,
        subject_type=request.subject_type,
        prompt_name=request.prompt.name,
        prompt_version=request.prompt.version,
        model=request.model,
        status=status,
        finish_reason=reason,
        output=None,
        prompt_tokens=0,
        cached_tokens=0,
        output_tokens=0,
    )
