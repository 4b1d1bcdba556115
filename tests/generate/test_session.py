"""Calls: their ids, the memory, and how each can end."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.generate.budget import Purse
from jobs.generate.calls import Request, judge
from jobs.generate.context import Generation
from jobs.generate.engine import EngineDown, Reply
from jobs.generate.fake_engine import FakeEngine
from jobs.generate.programs import personalize
from jobs.generate.session import Memory, Session
from jobs.generate.templates import load_prose
from jobs.generate.told import Told, of_summary
from jobs.profile import Budget
from jobs.prompts import Message, Prompt, Sampling, load_prompt
from tests.generate.rows import event, fact, night, user

SUMMARY = {"facts": [Told("likes_tag", "Drama"), Told("favourite", "Heat")], "plural": "films", "tone": "plain"}
WORDS = "This person enjoys plain words."


def cited(text: str) -> str:
    """A structured answer."""
    return json.dumps({"text": text, "facts": [1]})


class Broken(FakeEngine):
    """Throws, or replies with an error, for prompts that hold `word`; waits one turn of the loop as an engine does."""

    def __init__(self, reply: Reply | Exception, word: str = "") -> None:
        super().__init__(answer=WORDS)
        self.reply, self.bad = reply, self.encode_text(word)

    async def complete(self, prompt: tuple[int, ...], sampling: Sampling, schema: dict[str, Any]) -> Reply:
        await asyncio.sleep(0)
        return self._fail(prompt) or await super().complete(prompt, sampling, schema)

    async def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> Reply:
        await asyncio.sleep(0)
        return self._fail(prompt) or await super().score(prompt, continuation)

    def _fail(self, prompt: tuple[int, ...]) -> Reply | None:
        if not set(self.bad) <= set(prompt):
            return None
        self.requests += 1
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


def run(*calls: Coroutine[Any, Any, Any]) -> list[Any]:
    async def together() -> list[Any]:
        return await asyncio.gather(*calls)

    return asyncio.run(together())


def session(engine: FakeEngine, known: tuple[Generation, ...] = (), memory: Memory | None = None) -> Session:
    return Session(memory or Memory(engine), user().about, known)


SUMMARY_PROMPT = load_prompt("summary")
ONE = Request(SUMMARY_PROMPT, "model", "user", "u1", (), (1, 2))
PROMPTS = {
    "sampling": {"sampling": Sampling(max_tokens=7)},
    "output": {"output": {"type": "string"}},
    "task": {"task": "score"},
    "version": {"version": 99},
    "salt": {"salt": "again"},
}
CHANGED: dict[str, dict[str, Any]] = {
    "tokens": {"tokens": (1, 3)},
    "border": {"tokens": (1,), "tail": (2,)},
    "tail": {"tail": (3,)},
    "labels": {"labels": ("A", "B")},
    "model": {"model": "other"},
} | {part: {"prompt": SUMMARY_PROMPT.model_copy(update=update)} for part, update in PROMPTS.items()}


@pytest.mark.parametrize("part", CHANGED)
def test_every_determining_part_is_in_the_id(part: str) -> None:
    assert replace(ONE, **CHANGED[part]).id != ONE.id


def test_what_determines_nothing_is_not_in_the_id() -> None:
    renamed = SUMMARY_PROMPT.model_copy(update={"name": "other", "body": ""})
    assert replace(ONE, prompt=renamed, subject="u2", messages=(Message("user", "x"),)).id == ONE.id


def test_the_id_is_the_same_in_another_process() -> None:
    code = """from jobs.generate.calls import Request; from jobs.prompts import load_prompt
print(Request(load_prompt("summary"), "model", "user", "u1", (), (1, 2)).id)"""
    command = [sys.executable, "-c", code]
    told = {subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() for _ in range(2)}
    assert told == {ONE.id}


def test_a_known_answer_is_used() -> None:
    first = session(FakeEngine(answer=WORDS))
    (made,) = run(first.complete("summary", **SUMMARY))
    engine = FakeEngine()
    memory = Memory(engine)
    again = session(engine, (made,), memory)
    assert run(again.complete("summary", **SUMMARY), again.complete("summary", **SUMMARY)) == [made, made]
    assert (engine.requests, again.answered, memory.counts["cached"]) == (0, 2, 2)


def test_a_known_failure_is_asked_again() -> None:
    (made,) = run(session(FakeEngine()).complete("summary", **SUMMARY))
    engine = FakeEngine(answer=WORDS)
    kept: list[Generation] = []
    again = session(engine, (replace(made, status="failed", output=None),), Memory(engine, keep=kept.append))
    (answer,) = run(again.complete("summary", **SUMMARY))
    assert (answer.status, answer.output, engine.requests, kept) == ("ok", cited(WORDS), 1, [answer])


def test_equal_calls_in_flight_are_one_request() -> None:
    engine = Broken(Reply(), word="never")
    kept: list[Generation] = []
    memory = Memory(engine, keep=kept.append)
    users = [session(engine, memory=memory) for _ in range(3)]
    answers = run(*[each.complete("summary", **SUMMARY) for each in users])
    assert engine.requests == 1
    assert answers == kept * 3
    assert ([each.answered for each in users], memory.counts["cached"]) == ([1, 1, 1], 2)


def test_an_equal_call_later_is_answered_from_memory() -> None:
    engine = FakeEngine(answer=WORDS)
    memory = Memory(engine)
    first, second = session(engine, memory=memory), session(engine, memory=memory)
    (made,) = run(first.complete("summary", **SUMMARY))
    assert run(second.complete("summary", **SUMMARY)) == [made]
    assert (engine.requests, memory.counts["cached"]) == (1, 1)


def test_an_answer_that_an_earlier_attempt_paid_for_is_not_paid_again() -> None:
    (made,) = run(session(FakeEngine(answer=WORDS)).complete("summary", **SUMMARY))
    engine = FakeEngine()
    memory = Memory(engine)
    memory.paid = {made.generation_id: made}
    again = session(engine, memory=memory)
    assert run(again.complete("summary", **SUMMARY)) == [made]
    assert (engine.requests, again.answered) == (0, 1)


def test_memory_forgets_the_oldest_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.generate.session.SHARED", 2)
    memory = Memory(FakeEngine(answer=WORDS))
    one = session(memory.engine, memory=memory)
    for likes in (["a"], ["b"], ["c"], ["d"]):
        run(one.complete("summary", **(SUMMARY | {"facts": [Told("likes_tag", label) for label in likes]})))
    assert len(memory.shared) == 2


def test_answers_about_items_are_kept_for_all_users() -> None:
    engine = FakeEngine()
    memory = Memory(engine)
    first, second = session(engine, memory=memory), session(engine, memory=memory)
    answers = [run(each.score("prior", "Ronin", about=("item", "new1")))[0] for each in (first, second)]
    assert (answers[0], engine.requests, memory.counts["cached"]) == (answers[1], 1, 1)
    assert (answers[0].subject_type, answers[0].subject) == ("item", "new1")


@pytest.mark.parametrize("fault", [RuntimeError("out of memory"), Reply(error="out of memory")], ids=["thrown", "replied"])
def test_a_failed_call_is_recorded_and_is_no_answer(fault: Any) -> None:
    engine = Broken(fault)
    kept: list[Generation] = []
    memory = Memory(engine, keep=kept.append)
    users = [session(engine, memory=memory) for _ in range(2)]
    joined = run(*[each.score("prior", "Ronin", about=("item", "new1")) for each in users])
    assert [answer.status for answer in joined] == ["failed", "failed"]
    assert [answer.finish_reason for answer in kept] == [joined[0].finish_reason]
    assert "out of memory" in joined[0].finish_reason
    assert engine.requests == 1
    run(users[0].score("prior", "Ronin", about=("item", "new1")), users[1].score("prior", "Fargo", item_id="new2"))
    assert engine.requests == 3, "asked again, by the same user too"


@pytest.mark.parametrize(
    ("room", "kept"), [(60, 30), (24, 12), (25, 12), (2, 1), (0, 0), (-1, None)], ids=lambda each: str(each)
)
def test_too_long_drops_whole_oldest_events(room: int, kept: int | None) -> None:
    """`room` tokens for a history of 30 titles of two tokens; with no room for even the prompt around it nothing is sent."""
    history = user(history=[event(n, f"one{n} two{n}") for n in range(30)]).history
    prompt, sent = load_prompt("next"), []

    class Noting(FakeEngine):
        async def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> Reply:
            sent.append(prompt)
            return await super().score(prompt, continuation)

    around = len(FakeEngine().encode(prompt.render(history=())))
    engine = Noting(max_model_len=around + len(("Ronin", "one more")) + room)
    (answer,) = run(session(engine).score("next", "Ronin", history=history))
    assert answer.status == ("too_long" if kept is None else "ok")
    assert sent == ([] if kept is None else [engine.encode(prompt.render(history=history[30 - kept :]))])


OBJECT = Prompt(name="x", version=1, task="complete", output={"type": "object", "required": ["a"]}, body="")
TEXT, SCORE = load_prompt("phrase_summary"), load_prompt("next")


@pytest.mark.parametrize(
    ("prompt", "reply", "status"),
    [
        (TEXT, Reply(text=WORDS, finish_reason="stop"), "ok"),
        (TEXT, Reply(text="short"), "invalid"),
        (TEXT, Reply(text="x" * 401), "invalid"),
        (TEXT, Reply(), "invalid"),
        (TEXT, Reply(text=WORDS, error="gone"), "failed"),
        (TEXT, Reply(finish_reason="too_long"), "too_long"),
        (OBJECT, Reply(text='{"a": 1}'), "ok"),
        (OBJECT, Reply(text='{"b": 1}'), "invalid"),
        (OBJECT, Reply(text='{"a": '), "invalid"),
        (OBJECT, Reply(text='{"a": "\\ud800"}'), "invalid"),
        (OBJECT, Reply(), "invalid"),
        (SCORE, Reply(nats=-1.5), "ok"),
        (SCORE, Reply(nats=0), "ok"),
        (SCORE, Reply(nats=math.nan), "invalid"),
        (SCORE, Reply(nats=-math.inf), "invalid"),
        (SCORE, Reply(text="-1.5"), "invalid"),
    ],
)
def test_judge(prompt: Prompt, reply: Reply, status: str) -> None:
    assert judge(prompt, reply) == status


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (RuntimeError("kernel"), "status: failed"),
        (Reply(error="kernel"), "status: failed"),
        (Reply(text="short", finish_reason="stop"), "status: invalid"),
        (Reply(text=cited("You like wine and “Alien” best."), finish_reason="stop"), "words: wine"),
        (Reply(text=cited("You like “Alien” most"), finish_reason="length"), "unfinished: length"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_one_users_trouble_stays_with_that_user(fault: Any, reason: str, tmp_path: Path) -> None:
    """Both programs run at once; the engine breaks on what mentions Alien, and answers the other user well."""
    engine = Broken(fault, word="“Alien”")
    engine.answer = "You like drama titles most of all."
    people = [user("well"), user("ill", facts=[fact("favourite", "Alien", "e1"), fact("disliked", "Tron", "e2")])]
    memory, settings = Memory(engine), night(tmp_path, {}, explanations=0)
    well, ill = run(*[personalize(each, Session(memory, each.about, ()), settings) for each in people])
    assert (well["summary"]["source"], well["summary"]["summary"], well["fallbacks"]) == ("llm", engine.answer, [])
    prose = load_prose("en", "plain", settings.items.noun)
    assert ill["summary"]["summary"] == prose.summary(of_summary(people[1]), people[1].n_events, "ill")
    assert (ill["summary"]["source"], ill["summary"]["generation_id"], ill["fallbacks"]) == ("template", None, [reason])
    assert ill["summary"]["checks"][0] == reason
    assert [len(each["rankings"]) for each in (well, ill)] == [3, 3]


class Down(FakeEngine):
    """An engine that cannot be loaded."""

    async def complete(self, prompt, sampling, schema):
        self.requests += 1
        raise EngineDown("no weights")


def test_an_engine_that_is_down_ends_the_worker_not_the_call() -> None:
    memory = Memory(Down())
    users = [session(memory.engine, memory=memory) for _ in range(2)]

    async def both() -> list[object]:
        asked = [each.complete("summary", **SUMMARY) for each in users]
        return await asyncio.gather(*asked, return_exceptions=True)

    assert [type(answer) for answer in asyncio.run(both())] == [EngineDown, EngineDown]


def test_who_asks_before_a_worker_without_engine_has_ended_sends_nothing_again() -> None:
    memory = Memory(Down())

    async def in_turn() -> list[object]:
        users = [session(memory.engine, memory=memory) for _ in range(2)]
        return [(await asyncio.gather(each.complete("summary", **SUMMARY), return_exceptions=True))[0] for each in users]

    assert [type(answer) for answer in asyncio.run(in_turn())] == [EngineDown, EngineDown]
    assert memory.engine.requests == 1


class Clumsy(FakeEngine):
    """Gives these texts one after the other, and notes what it was sent."""

    def __init__(self, *texts: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.texts, self.sent = list(texts), []

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        self.sent.append(messages)
        return super().encode(messages)

    async def complete(self, prompt: tuple[int, ...], sampling: Sampling, schema: dict[str, Any]) -> Reply:
        self.requests += 1
        return Reply(text=self.texts.pop(0), finish_reason="length", prompt_tokens=len(prompt), output_tokens=2)


GENRES = {"type": "object", "properties": {"genre": {"enum": ["drama", "crime"]}}, "required": ["genre"]}
ASKED = {"name": "g", "version": 1, "task": "complete", "body": "# user\nGenre?\n"}
GENRE = Prompt(**ASKED, output=GENRES, sampling=Sampling(max_tokens=9))
GOOD = '{"genre": "crime"}'
REPAIRS = [
    ([GOOD], "ok", 1),
    (['{"genre": "cri', GOOD], "repaired", 2),
    (['{"genre": "war"}', GOOD], "repaired", 2),
    (["[]", '{"genre": 7}'], "invalid", 2),
]


@pytest.mark.parametrize(("texts", "status", "requests"), REPAIRS)
def test_a_structured_answer_is_repaired_once(texts: list[str], status: str, requests: int, monkeypatch: Any) -> None:
    monkeypatch.setattr("jobs.generate.session.load_prompt", lambda name: GENRE)
    engine = Clumsy(*texts)
    (answer,) = run(session(engine).complete("g"))
    assert (answer.status, answer.output, engine.requests) == (status, texts[-1], requests)
    assert answer.output_tokens == 2 * requests
    if requests == 2:
        (*before, asked) = engine.sent[-1]
        assert before[-1] == Message("assistant", texts[0])
        assert asked.content.startswith("That is not valid: ")


def test_no_room_for_a_repair(monkeypatch: Any) -> None:
    monkeypatch.setattr("jobs.generate.session.load_prompt", lambda name: GENRE)
    (answer,) = run(session(Clumsy("[]", max_model_len=11)).complete("g"))
    assert answer.status == "invalid"


def test_no_budget_for_a_repair(monkeypatch: Any) -> None:
    """It failed, so that it is asked again on the next night; what the first answer cost is counted."""
    monkeypatch.setattr("jobs.generate.session.load_prompt", lambda name: GENRE)
    engine = Clumsy("[]")
    purse = Purse(Budget(tokens=15), 1.0, lambda: 0.0)
    one = session(engine, memory=Memory(engine, purse))
    (answer,) = run(one.complete("g"))
    assert (answer.status, answer.finish_reason) == ("failed", "the shard's budget of 15 tokens is spent")
    assert (one.settled, purse.tokens) == (False, answer.prompt_tokens + 2)


def test_who_does_not_wait_any_longer_takes_nothing_from_others() -> None:
    """A program may give up a call: it is paid for once and kept, and whoever asks the same gets the answer."""
    engine, kept = Broken(Reply(), word="never"), list[Generation]()
    memory = Memory(engine, keep=kept.append)
    hasty, patient = session(engine, memory=memory), session(engine, memory=memory)

    async def both() -> Generation:
        hurried = asyncio.create_task(hasty.complete("summary", **SUMMARY))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(patient.complete("summary", **SUMMARY))
        await asyncio.sleep(0)
        hurried.cancel()
        return await waiting

    assert [asyncio.run(both())] == kept
    assert engine.requests == 1


def test_reasons_that_cannot_be_stored() -> None:
    engine, kept = Broken(RuntimeError("bad \ud83d")), list[Generation]()
    run(session(engine, memory=Memory(engine, keep=kept.append)).complete("summary", **SUMMARY))
    assert (kept[0].status, kept[0].finish_reason) == ("failed", "RuntimeError: bad ?")


def test_a_choice_is_kept_as_json(monkeypatch: Any) -> None:
    output = {"type": "object", "additionalProperties": {"type": "number", "maximum": 0}}
    prompt = Prompt(name="c", version=1, task="choose", output=output, body="# user\nA or B?\n")
    monkeypatch.setattr("jobs.generate.session.load_prompt", lambda name: prompt)
    (answer,) = run(session(FakeEngine()).choose("c", ("A", "B")))
    assert (answer.kind, answer.status, json.loads(answer.output or "").keys()) == ("choose", "ok", {"A", "B"})


@pytest.mark.parametrize(
    ("limits", "taken", "refused"),
    [
        ({}, 9, None),
        ({"calls": 4}, 2, "the shard's budget of 2 calls is spent"),
        ({"tokens": 100}, 5, "the shard's budget of 50 tokens is spent"),
        ({"seconds": 3.0}, 3, "the budget of 3 seconds is spent"),
    ],
)
def test_a_purse_gives_its_shards_part(limits: dict[str, Any], taken: int, refused: str | None) -> None:
    times = iter(range(100))
    purse = Purse(Budget(**limits), 0.5, lambda: next(times))
    answers = [purse.take(10) for _ in range(9)]
    assert answers == [None] * taken + [refused] * (9 - taken)
    assert purse.calls == taken


def test_what_was_not_used_is_given_back() -> None:
    purse = Purse(Budget(tokens=100), 1.0, lambda: 0)
    assert purse.take(90) is None
    assert purse.take(20)
    purse.settle(90, 30)
    assert purse.take(70) is None
