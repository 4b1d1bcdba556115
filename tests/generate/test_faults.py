"""Workers that are killed, hang, lose their engine or their shard: nothing paid is lost, nobody else suffers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.errors import Busy, InputError
from jobs.fusion import Fusion
from jobs.generate import worker as worker_module
from jobs.generate.context import Context
from jobs.generate.engine import EngineDown, Reply
from jobs.generate.fake_engine import FakeEngine
from jobs.generate.programs import personalize
from jobs.generate.session import Session
from jobs.generate.told import Told
from jobs.manifest import made_with, read_manifest
from jobs.profile import Profile
from jobs.storage import read_json, write_json
from tests.generate.rows import RUN_DATE, calls, night, results, row
from tests.generate.test_worker import folder, paid, people, published, work

SCRIPT = Path(__file__).with_name("faulty_worker.py")
USERS, CHUNK, CALLS = 10, 4, 8  # calls a user: summary and one explanation, each refused once, two scores of two calls each


def start(profile: Profile, fault: str = "none", kv: int = 1, **more: str) -> subprocess.Popen[str]:
    """A worker of its own process; with `kv` 1, one user after the other."""
    command = [sys.executable, str(SCRIPT), "--profile", profile.file, "--run-date", RUN_DATE, "--run-id", "r1", "--shard", "0"]
    environment = os.environ | {"FAULT": fault, "DIARY": str(diary(profile)), "KV": str(kv), "PYTHONHASHSEED": "0"} | more
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(profile: Profile, fault: str = "none", kv: int = 1) -> tuple[int, str]:
    """Its exit code and what it complained of."""
    process = start(profile, fault, kv)
    return process.wait(timeout=60), process.communicate()[1]


def diary(profile: Profile) -> Path:
    return Path(profile.file).with_name("diary")


def requests(profile: Profile) -> Counter[str]:
    """How often each request was sent, by all workers together."""
    return Counter(diary(profile).read_text().split()) if diary(profile).exists() else Counter()


def state(profile: Profile, kind: str) -> Path:
    return Path(f"{profile.work(RUN_DATE)}/generate/0.{kind}.json")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Counter[str]]:
    """What nobody disturbed: results and paid calls."""
    profile = night(tmp_path_factory.mktemp("calm"), {0: people(USERS)})
    work(profile)
    assert sum(paid(profile).values()) == USERS * CALLS
    return published(profile), paid(profile)


KILLS = [
    ("lease written", 1),
    ("results read", 1),
    ("user about to start", 6),
    ("user in the journal", 6),
    ("completion asked", 9),
    ("score answered", 15),
    ("commit begins", 1),
    ("file written, not renamed", 1),
    ("file written, not renamed", 2),
    ("committed, not acknowledged", 1),
    ("committed, not acknowledged", 2),
    ("all committed", 1),
    ("journal closed", 1),
    ("lease given up", 1),
]


@pytest.mark.parametrize(("point", "time_"), KILLS)
def test_a_killed_worker_repeats_at_most_one_chunk(point: str, time_: int, calm: Any, tmp_path: Path) -> None:
    profile = night(tmp_path, {0: people(USERS)})
    assert run(profile, f"kill:{point}:{time_}")[0] == -signal.SIGKILL, "it did not come to that point"
    code, said = run(profile)
    assert code == 0, said
    assert (published(profile), paid(profile)) == calm
    repeated = sum(times - 1 for times in requests(profile).values())
    assert len(requests(profile)) == USERS * CALLS
    assert repeated <= CHUNK * CALLS


def test_answers_are_committed_before_their_users_are_complete(calm: Any, tmp_path: Path) -> None:
    """All users at once and none complete: what a commit by seconds has written is not asked again after a kill."""
    profile = night(tmp_path, {0: people(USERS)}, chunk_users=100, chunk_seconds=0.001)
    assert run(profile, "kill:committed, not acknowledged:3", kv=100_000)[0] == -signal.SIGKILL
    sent = requests(profile)
    assert paid(profile).total() == sent.total() > 0
    assert run(profile, kv=100_000)[0] == 0
    assert (published(profile), paid(profile)) == calm
    assert set(requests(profile).values()) == {1}


def until_committed(profile: Profile, process: subprocess.Popen[str]) -> None:
    while not list(folder(profile).glob("users-*.parquet")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


def test_sigterm_commits_what_is_complete(calm: Any, tmp_path: Path) -> None:
    profile = night(tmp_path, {0: people(USERS)}, chunk_users=3)
    process = start(profile, "slow:0.02")
    until_committed(profile, process)
    time.sleep(0.15)
    process.terminate()
    began = time.monotonic()
    assert process.wait(timeout=10) == 143
    assert time.monotonic() - began < 10
    assert "stopped by SIGTERM; what was complete is committed" in process.communicate()[1]
    assert read_json(str(state(profile, "journal")))["flying"] == [], "who was in flight is no suspect"
    assert not state(profile, "lease").exists()
    assert requests(profile).total() - paid(profile).total() <= 4, "all but what one user had in flight is committed"
    assert run(profile)[0] == 0
    assert (published(profile), paid(profile)) == calm


def test_sigterm_ends_a_worker_whose_engine_blocks(tmp_path: Path) -> None:
    profile = night(tmp_path, {0: people(USERS)}, chunk_users=1)
    process = start(profile, "block:“Heat")
    while not requests(profile):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    began = time.monotonic()
    process.terminate()
    assert process.wait(timeout=12) == 143
    assert time.monotonic() - began < 10
    assert "did not come to an end after SIGTERM" in process.communicate()[1]


FAULTS = {"hang": (75, "made no progress for 1"), "block": (75, "made no progress for 1"), "die": (75, "out of memory")}


@pytest.mark.parametrize("fault", FAULTS)
def test_who_kills_two_workers_is_quarantined(fault: str, tmp_path: Path) -> None:
    """Four users at a time, one of them poison: the third attempt ends, and nobody else is touched."""
    users = people(USERS)
    users[5]["facts"][1]["label"] = users[5]["facts"][1]["label"].replace("Heat", "Poison")
    profile = night(tmp_path, {0: users}, chunk_users=2, stall_seconds=1.0)
    code, message = FAULTS[fault]
    for _ in range(2):
        ended, said = run(profile, f"{fault}:“Poison", kv=700)
        assert (ended, message in said) == (code, True)
    assert run(profile, f"{fault}:“Poison", kv=700) == (0, "")
    (tmp_path / "calm").mkdir()
    undisturbed = night(tmp_path / "calm", {0: users}, chunk_users=2)
    work(undisturbed)
    poisoned = users[5]["user_id"]
    found = {each["user_id"]: each for each in published(profile)}
    assert found.pop(poisoned)["settled"] is False
    assert list(found.values()) == [each for each in published(undisturbed) if each["user_id"] != poisoned]
    (lost,) = [each for each in results(profile) if each["user_id"] == poisoned]
    assert lost["summary"]["checks"] == ["status: failed", "quarantined: in flight when 2 workers died"]
    assert lost["rankings"], "the list needs no model"


class Rubbish(FakeEngine):
    """Answers no contract knows."""

    async def complete(self, *_: Any) -> Reply:
        return Reply(text="\x00\ud800" * 10, finish_reason=None, prompt_tokens=3)

    async def score(self, *_: Any) -> Any:
        return Reply(nats=float("nan")) if self.requests % 2 else None


def test_rubbish_is_a_status(tmp_path: Path) -> None:
    profile = night(tmp_path, {0: people(3)})
    work(profile, engine=Rubbish())
    assert {call["status"] for call in calls(profile)} <= {"invalid", "failed"}
    assert {each["summary"]["source"] for each in results(profile)} == {"template"}


def test_two_workers_on_a_shard(tmp_path: Path) -> None:
    profile = night(tmp_path, {0: people(USERS)}, chunk_users=2)
    first = start(profile, "slow:0.1")
    until_committed(profile, first)
    with pytest.raises(Busy, match=f"another worker has this shard .process {first.pid} on "):
        work(profile)
    first.kill()
    first.wait()
    assert work(profile).resumed >= 2, "a dead one's lease is free at once"
    assert set(paid(profile).values()) == {1}


def test_a_worker_that_lost_its_shard_commits_no_more(tmp_path: Path) -> None:
    profile = night(tmp_path, {0: people(USERS)}, chunk_users=2)
    process = start(profile, "slow:0.05")
    until_committed(profile, process)
    lease = read_json(str(state(profile, "lease")))
    write_json(str(state(profile, "lease")), lease | {"owner": "another"})
    before = set(folder(profile).glob("users-*.parquet"))
    assert process.wait(timeout=30) == 75
    assert "another worker has this shard" in process.communicate()[1]
    assert len(set(folder(profile).glob("users-*.parquet")) - before) <= 1, "but for one that was just being renamed"


@pytest.mark.parametrize("changed", ["profile profile", "prompts/summary.md", "prompts/templates/en.yaml", "model"])
def test_what_changed_in_mid_run_is_refused(changed: str, tmp_path: Path) -> None:
    profile = night(tmp_path, {0: people(2)})
    made = made_with(profile, "none@", Fusion())
    manifest = read_manifest(profile, RUN_DATE, "r1").model_copy(update={"made_with": made})
    manifest.refuse_changed(made)
    with pytest.raises(InputError, match=f"changed since prepare: {changed}; start the night of {RUN_DATE} again"):
        manifest.refuse_changed(made | {changed: "other"})


@pytest.mark.parametrize(
    ("budget", "spent"), [({"calls": 20}, "20 calls"), ({"tokens": 900}, "900 tokens"), ({"seconds": 0.0}, "0 seconds")]
)
def test_who_is_beyond_the_budget_gets_templates(budget: dict[str, Any], spent: str, tmp_path: Path) -> None:
    profile = night(tmp_path, {0: people(USERS)}, budget=budget)
    worker = work(profile)
    found = results(profile)
    paid_for = calls(profile)
    assert len(found) == USERS
    assert worker.counts["refused"] == sum(each["calls_refused"] for each in found) > 0
    asked_again = sum(call["kind"] == "complete" for call in paid_for)  # unless beyond the budget too
    assert USERS * 6 <= worker.counts["refused"] + len(paid_for) <= USERS * 6 + asked_again
    assert sum(each["calls_answered"] for each in found) == len(paid_for) + worker.counts["cached"], "a refusal is no answer"
    assert len(paid_for) <= budget.get("calls", 1000)
    assert sum(call["prompt_tokens"] + call["output_tokens"] for call in paid_for) <= budget.get("tokens", 10**9)
    refused = [each for each in found if each["calls_refused"]]
    assert {each["settled"] for each in refused} == {False}
    assert {call["status"] for call in paid_for} <= {"ok", "invalid"}, "a refusal is no call"
    assert all(each["summary"]["source"] == "template" for each in refused if "status: refused" in each["fallbacks"][:1])


def test_a_budget_holds_over_attempts(tmp_path: Path) -> None:
    profile = night(tmp_path, {0: people(USERS)}, budget={"calls": 30}, chunk_users=1)
    process = start(profile, "kill:committed, not acknowledged:2")
    assert process.wait(timeout=60) == -signal.SIGKILL
    work(profile)
    assert sum(paid(profile).values()) == 30


ASKS = st.recursive(
    st.tuples(st.just("ask"), st.integers(0, 5)),
    lambda inner: st.one_of(
        st.tuples(st.just("together"), st.lists(inner, max_size=3)),
        st.tuples(st.just("in turn"), st.lists(inner, max_size=3)),
        st.tuples(st.just("if"), st.integers(0, 5), inner, inner),
    ),
    max_leaves=6,
)


async def perform(steps: Any, ask: Session) -> list[str]:
    """Run a random program; its answers in the order of the program."""
    match steps:
        case "ask", number:
            facts = [Told("likes_tag", f"l{number}")]
            answer = await ask.complete("summary", facts=facts, plural="films", tone="plain")
            return [f"{answer.output}"]
        case "together", parts:
            return [one for each in await asyncio.gather(*[perform(part, ask) for part in parts]) for one in each]
        case "in turn", parts:
            return [one for part in parts for one in await perform(part, ask)]
        case "if", number, one, other:
            (answer,) = await perform(("ask", number), ask)
            return [answer, *await perform(one if len(answer) % 2 else other, ask)]
    raise AssertionError(steps)


class Scripted(FakeEngine):
    """Answers out of order, notes what it is sent, and dies at the `last` request."""

    def __init__(self, delays: list[int], last: int | None = None) -> None:
        super().__init__()
        self.delays, self.last, self.sent = delays or [0], last, Counter[tuple[int, ...]]()
        self.answered = Counter[tuple[int, ...]]()

    async def complete(self, prompt: tuple[int, ...], *rest: Any) -> Reply:
        self.sent[prompt] += 1
        if self.sent.total() == self.last:
            raise EngineDown("gone")
        for _ in range(self.delays[self.sent.total() % len(self.delays)]):
            await asyncio.sleep(0)
        self.answered[prompt] += 1
        return await super().complete(prompt, *rest)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    programs=st.lists(ASKS, min_size=1, max_size=6),
    delays=st.lists(st.integers(0, 9), max_size=5),
    last=st.none() | st.integers(1, 12),
    kv=st.sampled_from([1, 900, 100_000]),
)
def test_any_programs_in_any_order_give_what_they_give_one_by_one(
    programs: Any, delays: Any, last: Any, kv: int, tmp_path_factory: Any
) -> None:
    users = [row(f"u{place}", facts=[], candidates=[]) for place in range(len(programs))]

    async def program(user: Context, ask: Session, profile: Profile) -> dict[str, Any]:
        answers = await perform(programs[int(user.user_id[1:])], ask)
        return await personalize(user, ask, profile) | {"fallbacks": answers}

    profile = night(tmp_path_factory.mktemp("any"), {0: users}, chunk_users=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_module, "personalize", program)
        patch.setattr("jobs.generate.lease.SETTLE_S", 0.0)
        engines = [Scripted(delays, last), Scripted(delays)]
        for engine in engines:
            engine.kv_tokens = kv
            try:
                work(profile, engine=engine)
            except EngineDown:
                continue
            break
    assert all(set(engine.sent.values()) <= {1} for engine in engines), "equal requests leave once"
    both = engines[0].answered + engines[1].answered
    assert set(both.values()) <= {1}, "what was answered before the crash is not asked again"
    assert both.total() == paid(profile).total()
    found = results(profile)
    assert [each["user_id"] for each in found] == [f"u{place}" for place in range(len(programs))]
    for each, steps in zip(found, programs, strict=True):
        assert each["fallbacks"] == asyncio.run(sequential(steps, Scripted([0])))


async def sequential(steps: Any, engine: FakeEngine) -> list[str]:
    """The program alone, one request after the other."""
    from jobs.generate.session import Memory
    from tests.generate.rows import user

    return await perform(steps, Session(Memory(engine), user().about, ()))
