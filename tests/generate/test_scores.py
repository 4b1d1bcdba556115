"""The scoring stage of an evaluation: rows of the contract `scores`, made by the night's worker."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from jobs.evaluate.scores import score
from jobs.evaluate.usefulness import FOLDER, figures, read_targets
from jobs.generate.engine import Reply
from jobs.generate.fake_engine import FakeEngine
from jobs.profile import Profile
from jobs.progress import Progress
from jobs.prompts import Message, Sampling
from tests.data.inputs import profile
from tests.generate.rows import CONTEXTS, RUN_DATE, candidate, fact, row
from tests.generate.test_phrasebook import Writer

FILMS = [candidate(1, "Ronin") | {"year": 1998}, candidate(2, "Fargo") | {"year": 1996}, candidate(3, "Speed")]


def trials(folder: Path, shards: dict[int, list[dict[str, Any]]], **night: Any) -> Profile:
    one = profile(folder, night={"list_length": 3, "chunk_users": 1} | night)
    for shard, rows in shards.items():
        path = Path(f"{one.evaluation_work(RUN_DATE)}/contexts/shard={shard}")
        path.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=CONTEXTS), path / "part-0.parquet")
    return one


def scored(one: Profile, engine: FakeEngine) -> dict[str, int]:
    return score(one, date.fromisoformat(RUN_DATE), "e1", engine, Progress("test"))


def written(one: Profile, shard: int = 0) -> list[dict[str, Any]]:
    files = [str(file) for file in Path(f"{one.evaluation_work(RUN_DATE)}/results/shard={shard}").glob("users-*")]
    return sorted(ds.dataset(files, format="parquet").to_table().to_pylist(), key=lambda each: str(each["user_id"]))


def test_both_ways_and_what_is_known_by_heart(tmp_path: Path) -> None:
    one = trials(tmp_path, {0: [row("u1", candidates=FILMS)], 1: [row("u1", candidates=FILMS), row("u2", candidates=FILMS)]})
    engine = FakeEngine()
    assert scored(one, engine) == {"users": 3, "calls": engine.requests}
    (said,) = written(one)
    assert [len(written(one, shard)) for shard in (0, 1)] == [1, 2]
    likelihoods = [each for each in said["scores"] if each["scorer"] == "likelihood"]
    assert [each["item_id"] for each in likelihoods] == ["new1", "new2", "new3"]
    turns: dict[int, list[str]] = {}
    for each in said["scores"]:
        if each["scorer"] == "labels":
            turns.setdefault(each["turn"], []).append(each["item_id"])
    assert sorted(turns) == [0, 1, 2] and {tuple(sorted(turn)) for turn in turns.values()} == {("new1", "new2", "new3")}
    assert [(each["probe"], each["item_id"]) for each in said["probes"]] == [
        ("knows_id", "new1"), ("knows_year", "new1"), ("knows_id", "new2"), ("knows_year", "new2")
    ]  # fmt: skip


def test_a_second_run_asks_nothing(tmp_path: Path) -> None:
    one = trials(tmp_path, {0: [row(f"u{n}", candidates=FILMS) for n in range(3)]})
    scored(one, FakeEngine())
    engine = FakeEngine()
    assert (scored(one, engine), engine.requests) == ({"users": 0, "calls": 0}, 0)
    assert len(written(one)) == 3


@pytest.mark.parametrize("n", [0, 1])
def test_few_candidates(n: int, tmp_path: Path) -> None:
    one = trials(tmp_path, {0: [row(candidates=FILMS[:n])]})
    scored(one, FakeEngine())
    (said,) = written(one)
    assert (len([each for each in said["scores"] if each["scorer"] == "likelihood"]), said["probes"]) == (n, [])


def test_what_knows_ids_is_told_from_what_does_not(tmp_path: Path) -> None:
    class Learned(FakeEngine):
        async def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> Reply:
            ids = {self.encode_text("Ronin"): "new1", self.encode_text("Fargo"): "new2"}
            known = continuation in ids and self.encode_text(ids[continuation])[0] in prompt
            return Reply(nats=-1.0 if known else -9.0, finish_reason="length", prompt_tokens=len(prompt), output_tokens=1)

    one = trials(tmp_path, {0: [row(candidates=FILMS)]})
    scored(one, Learned())
    (said,) = written(one)
    assert {(each["probe"], each["nats"]) for each in said["probes"]} == {("knows_id", 8.0), ("knows_year", 0.0)}


def test_the_budget_of_a_night_is_not_the_evaluations(tmp_path: Path) -> None:
    one = trials(tmp_path, {0: [row(candidates=FILMS)]}, budget={"calls": 1})
    assert scored(one, FakeEngine())["calls"] > 1


def test_nothing_to_score(tmp_path: Path) -> None:
    assert scored(profile(tmp_path), FakeEngine()) == {"users": 0, "calls": 0}


def summarized(folder: Path, words: str = "template") -> Profile:
    """Users who like drama and a kind of their own, and whose next title has both words."""
    one = profile(folder, night={"chunk_users": 1}, words={"summary": words})
    work = Path(f"{one.evaluation_work(RUN_DATE)}/{FOLDER}")
    kinds = {f"u{n}": kind for n, kind in enumerate(("Western", "Horror", "Crime"))}
    facts = {user: [fact("likes_tag", kind, "e1"), fact("likes_tag", "Drama", "e1")] for user, kind in kinds.items()}
    rows = [row(user, facts=[*facts[user], fact("favourite", "Heat", "e1")], candidates=[]) for user in kinds]
    targets = [
        {"user_id": user, "item_id": kind, "title": f"{kind} Drama", "n_events": n, "had": ["had1"]}
        for n, (user, kind) in enumerate(kinds.items())
    ]
    for name, table in (("contexts/shard=0", pa.Table.from_pylist(rows, CONTEXTS)), ("targets", pa.Table.from_pylist(targets))):
        (work / name).mkdir(parents=True)
        pq.write_table(table, work / name / "part-0.parquet")
    return one


def worth(one: Profile) -> dict[tuple[str, str, str | None], float]:
    """Figures by method, metric and what they are against."""
    work = one.evaluation_work(RUN_DATE)
    files = [str(file) for file in Path(f"{work}/{FOLDER}/results/shard=0").glob("users-*")]
    said = ds.dataset(files, format="parquet").to_table().to_pylist()
    rows = figures(read_targets(work), said, {})
    assert {row["n_users"] for row in rows} == {3}
    return {(row["method"], row["metric"], row["against"]): row["value"] for row in rows}


class Reader(Writer):
    """Finds a title likelier by a nat for each word of it in what it is shown; `read` has what that was."""

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[tuple[int, ...], str] = {}

    def encode_text(self, text: str) -> tuple[int, ...]:
        return super().encode_text(" ".join(re.findall(r"\w+", text.lower())))

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        tokens = super().encode(messages)
        self.read[tokens] = next(each.content for each in reversed(messages) if each.role == "user")
        return tokens

    async def complete(self, prompt: tuple[int, ...], sampling: Sampling, schema: dict[str, Any]) -> Reply:
        likes = re.findall("likes (.+) titles", self.read[prompt])
        if not likes:
            return await super().complete(prompt, sampling, schema)
        told = {"text": f"This person is fond of {' and '.join(likes).lower()}, “Heat” above all.", "facts": [1, 2, 3]}
        return Reply(text=json.dumps(told), finish_reason="stop")

    async def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> Reply:
        if "What comes next?" not in self.read[prompt]:  # a phrasing is judged
            return await super().score(prompt, continuation)
        self.requests += 1
        return Reply(nats=len({*prompt} & {*continuation}) - 9.0)


@pytest.mark.parametrize(
    ("words", "part"),
    [("template", "“Heat”"), ("phrasebook", "most of all, and “Heat” in particular"), ("personal", "is fond of")],
)
def test_a_summary_that_is_read_is_worth_what_it_tells_of_its_user(words: str, part: str, tmp_path: Path) -> None:
    one, engine = summarized(tmp_path, words), Reader()
    assert scored(one, engine)["users"] == 3
    assert worth(one) == pytest.approx({
        ("summary", "nats", None): -7.0, ("stranger", "nats", None): -8.0, ("none", "nats", None): -9.0,
        ("summary", "nats", "stranger"): 1.0, ("summary", "nats", "none"): 2.0, ("summary", "beats_stranger", None): 1.0,
    })  # fmt: skip
    assert any("About this person" in text and part in text for text in engine.read.values())
    again = Reader()
    assert (scored(one, again), again.requests) == ({"users": 0, "calls": 0}, 0)


class Deaf(Writer):
    async def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> Reply:
        return Reply(nats=-float(len(continuation)))


def test_a_summary_that_is_not_read_is_worth_nothing(tmp_path: Path) -> None:
    one = summarized(tmp_path)
    scored(one, Deaf())
    found = worth(one)
    differences = {key: value for key, value in found.items() if key[2]}
    assert set(differences.values()) == {0.0}
    assert found["summary", "beats_stranger", None] == 0.5
