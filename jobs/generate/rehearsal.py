"""What a user's program will ask, found out by running it without a model.

A rehearsed program gets known answers where there are any and otherwise none, so it asks what it asks in any case: all,
for a program that branches on nothing but known answers. From this come a user's place in the order, the room needed in
the KV cache, the prompts that `prompt render` shows, and the prediction of `plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from jobs.generate.calls import Request
from jobs.generate.context import Context, Generation, Subject
from jobs.generate.phrasebook import Phrasebook
from jobs.generate.session import Memory, Session, unanswered

OBJECTION = 60  # tokens that tell why an answer is refused
Program = Callable[[Context, Session], Coroutine[Any, Any, Any]]


class Rehearsal(Session):
    """A session that notes what it is asked and sends nothing."""

    def __init__(self, memory: Memory, about: Subject, known: Iterable[Generation] = ()) -> None:
        super().__init__(memory, about, known)
        self.asked: list[Request] = []

    async def _ask(self, request: Request) -> Generation:
        self.asked.append(request)
        return self._had(request) or unanswered(request, "failed", None)

    @property
    def book(self) -> Phrasebook:
        """None: what is filled in asks for nothing."""
        return Phrasebook()

    @property
    def new(self) -> list[Request]:
        """The requests without a known answer, each once."""
        return list({request.id: request for request in self.asked if not self._had(request)}.values())


@dataclass(frozen=True)
class Load:
    """What one user will cost: new calls, calls with a known answer, prompt tokens, those of them that no other prompt of
    the user begins with (`distinct`), and tokens the answers may have at most."""

    calls: int
    known: int
    prompt: int
    distinct: int
    decode: int
    again: int = 0  # of the calls those that are asked once more if their answer is refused
    again_decode: int = 0

    @property
    def room(self) -> int:
        """Tokens of the KV cache while the program runs."""
        return self.distinct + self.decode + self.second.distinct + self.second.decode

    @property
    def second(self) -> Load:
        """What it costs if every answer that may be refused is: each conversation goes on from its first answer."""
        more = self.again * OBJECTION + self.again_decode
        prompt = round(self.prompt * self.again / self.calls) if self.calls else 0
        return Load(self.again, 0, prompt + more, more, self.again_decode)

    @classmethod
    def of(cls, rehearsal: Rehearsal, seen: set[str]) -> Load:
        """The load of one user among others: who asks what is in `seen` is not the first; what is asked is added there."""
        requests = [request for request in rehearsal.new if request.id not in seen]
        seen |= {request.id for request in requests}
        prompts = [request.tokens + request.tail for request in requests]
        decode = sum(request.room for request in requests if request.prompt.sampling)
        again = [request.room for request in requests if request.prompt.again and not request.second]
        known, prompt = len(rehearsal.asked) - len(requests), sum(map(len, prompts))
        return cls(len(requests), known, prompt, distinct_tokens(prompts), decode, len(again), sum(again))


def distinct_tokens(prompts: Iterable[tuple[int, ...]]) -> int:
    """Nodes of the prefix tree of `prompts`: tokens that must be computed even where every shared prefix is cached."""
    total = 0
    before: tuple[int, ...] = ()
    for prompt in sorted(prompts):
        total += len(prompt) - shared_prefix(before, prompt)
        before = prompt
    return total


def shared_prefix(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Tokens with which both begin."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other))


async def rehearse(program: Program, user: Context, memory: Memory) -> Rehearsal:
    """Run a program without a model."""
    session = Rehearsal(memory, user.about, user.known)
    await program(user, session)
    return session
