"""The scoring stage of an evaluation: rows of the contract `scores`, made by the night's worker."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from jobs.evaluate.scores import score
from jobs.generate.engine import Reply
from jobs.generate.fake_engine import FakeEngine
from jobs.profile import Profile
from jobs.progress import Progress
from tests.data.inputs import profile
from tests.generate.rows import CONTEXTS, RUN_DATE, candidate, row

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
