"""What a user will ask is known before a model is asked; from it follow order, room and prediction."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.generate.admission import Place, Room, ordered
from jobs.generate.context import Generation
from jobs.generate.fake_engine import FakeEngine
from jobs.generate.plan import interval, predict
from jobs.generate.programs import personalize
from jobs.generate.rehearsal import Load, distinct_tokens, rehearse
from jobs.generate.session import Memory, Session
from jobs.manifest import DECODE_COST, Past
from jobs.profile import Words
from tests.generate.rows import fact, night, user

TOKENS = st.lists(st.lists(st.integers(0, 2), max_size=6).map(tuple), max_size=8)


@given(TOKENS)
def test_distinct_tokens_are_the_nodes_of_the_prefix_tree(prompts: list[tuple[int, ...]]) -> None:
    nodes = {prompt[:end] for prompt in prompts for end in range(1, len(prompt) + 1)}
    assert distinct_tokens(prompts) == len(nodes)


def test_a_rehearsal_asks_what_the_program_will_ask(tmp_path: Path) -> None:
    profile, memory = night(tmp_path, {}), Memory(FakeEngine())
    profile = profile.model_copy(update={"words": Words(summary="template", explanation="template")})
    one = user()
    paid: list[Generation] = []
    asyncio.run(personalize(one, Session(Memory(FakeEngine(), keep=paid.append), one.about, ()), profile))
    rehearsal = asyncio.run(rehearse(lambda each, ask: personalize(each, ask, profile), one, memory))
    assert {request.id for request in rehearsal.new} == {answer.generation_id for answer in paid}
    assert memory.engine.requests == 0
    load = Load.of(rehearsal, set())
    assert (load.calls, load.prompt) == (len(paid), sum(answer.prompt_tokens for answer in paid))
    assert load.distinct < load.prompt
    assert Load.of(rehearsal, {request.id for request in rehearsal.new}).calls == 0, "others have asked already"
    assert load.decode >= sum(answer.output_tokens for answer in paid if answer.kind == "complete")


def test_what_a_refused_answer_costs_is_foreseen(tmp_path: Path) -> None:
    profile, memory = night(tmp_path, {}, model_weight=0.0), Memory(FakeEngine())
    one, refused, paid = user(), Memory(FakeEngine()), []
    refused.keep = paid.append  # no answer of the fake passes the checks
    asyncio.run(personalize(one, Session(refused, one.about, ()), profile))
    load = Load.of(asyncio.run(rehearse(lambda each, ask: personalize(each, ask, profile), one, memory)), set())
    assert (load.calls, load.again, load.second.calls, len(paid)) == (3, 3, 3, 6)
    found = predict([load], 1, Past())
    assert found.calls == (4.5, 3, 6)
    assert found.prompt_tokens[1] == load.prompt
    assert load.prompt <= sum(answer.prompt_tokens for answer in paid) <= found.prompt_tokens[2]


def test_known_answers_are_not_asked(tmp_path: Path) -> None:
    profile = night(tmp_path, {})
    one = user()
    paid: list[Generation] = []
    asyncio.run(personalize(one, Session(Memory(FakeEngine(), keep=paid.append), one.about, ()), profile))
    memory = Memory(FakeEngine())
    memory.paid = {paid[1].generation_id: paid[1]}
    again = user(known=[vars(answer) for answer in paid[2:]])
    rehearsal = asyncio.run(rehearse(lambda each, ask: personalize(each, ask, profile), again, memory))
    assert [request.id for request in rehearsal.new] == [paid[0].generation_id]


def place(name: str, decode: int, prefix: tuple[int, ...] = ()) -> Place:
    return Place(user(name), Load(1, 0, 10, 10, decode), prefix)


def test_most_to_decode_first_then_like_prefixes_together() -> None:
    places = [place("a", 5, (1, 2)), place("b", 9), place("c", 5, (7,)), place("d", 5, (1, 2)), place("e", 5, (1, 3))]
    assert [each.user.user_id for each in ordered(places)] == ["b", "a", "d", "e", "c"]


@given(st.lists(st.integers(1, 120), min_size=1, max_size=30), st.integers(1, 9))
def test_the_room_is_never_overfilled_and_nobody_waits_for_ever(sizes: list[int], slots: int) -> None:
    room, most, capacity = Room(), [], 100

    async def one(size: int) -> None:
        most.append((room.used, room.users))
        await asyncio.sleep(0)
        room.leave(size)

    async def everyone() -> None:
        async with asyncio.TaskGroup() as group:
            for size in sizes:
                await room.enter(size, capacity, slots)
                group.create_task(one(size))

    asyncio.run(asyncio.wait_for(everyone(), 5))
    assert len(most) == len(sizes)
    assert all(used <= 90 or users == 1 for used, users in most)
    assert max(users for _, users in most) <= slots
    assert (room.used, room.users) == (0, 0)


LOADS = [Load(calls=4, known=1, prompt=100 + 10 * n, distinct=50, decode=30) for n in range(20)]


def test_a_whole_sample_is_no_estimate() -> None:
    told = predict(LOADS, 20, Past(written_share=0.5))
    assert told.calls == (80, 80, 80)
    assert told.prompt_tokens == (3900, 3900, 3900)
    assert told.output_tokens == (300, 300, 300)
    assert told.seconds is None, "no night tells how fast the model is"
    assert not {name for name in told.columns() if name.startswith("seconds")}


def test_a_sample_is_drawn_out_with_an_interval() -> None:
    told = predict(LOADS, 200, Past(written_share=0.5, work_per_second=[100.0, 110.0, 90.0]))
    middle, low, high = told.prompt_tokens
    assert middle == 39_000
    assert 33_000 < low < middle < high < 45_000
    assert told.calls == (800, 800, 800), "all sampled users ask as often"
    work = 200 * (50 + DECODE_COST * 15)
    assert told.seconds is not None
    assert told.seconds[0] == pytest.approx(work / 100)
    assert told.seconds[1] < told.seconds[0] < told.seconds[2]
    assert told.columns()["calls_high"] == 800


def test_the_interval_holds_what_it_says() -> None:
    """Of samples of 40 out of 400, at least nine in ten intervals hold the true total."""
    from random import Random

    draw = Random(3)
    population = [draw.expovariate(0.01) for _ in range(400)]
    hits: list[Any] = []
    for _ in range(100):
        _, low, high = interval(draw.sample(population, 40), 400)
        hits.append(low <= sum(population) <= high)
    assert sum(hits) >= 90


def test_an_empty_sample() -> None:
    assert predict([], 0, Past()).calls == (0, 0, 0)


def test_cold_users_cost_nothing(tmp_path: Path) -> None:
    profile = night(tmp_path, {}, scored=0)
    one = user(facts=[fact("likes_tag", "Drama", "e1")], candidates=[])
    rehearsal = asyncio.run(rehearse(lambda each, ask: personalize(each, ask, profile), one, Memory(FakeEngine())))
    assert Load.of(rehearsal, set()).room == 0
