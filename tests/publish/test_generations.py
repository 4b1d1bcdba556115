"""The memory of calls: each once, whatever happened to the night that paid for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import generations
from jobs.contracts import contract
from jobs.profile import Words
from jobs.runs import put_run
from jobs.storage import folders, read_rows
from tests.publish.nights import NEXT, NIGHT, STARTED, call, made, prepared, sha


def remember(spark, profile, calls: list[dict], run_id: str = "run-1", replace: bool = False) -> None:
    prepared(profile, NIGHT, [made("a") | {"calls": calls}], run_id)
    new, torn = generations.new_calls(spark, profile, run_id, str(NIGHT))
    generations.remember(spark, profile, new, replace)
    assert torn == 0


def stored(profile) -> dict[str, tuple[str, str]]:
    return {row["generation_id"]: (row["status"], row["run_id"]) for row in read_rows(profile, "generations")}


def test_a_call_is_remembered_once_and_only_a_failed_one_is_replaced(spark, profile) -> None:
    remember(spark, profile, [call("x", "a"), call("y", "a", status="failed", output=None), call("z", "a", status="invalid")])
    remember(spark, profile, [call(name, "a", output="another") for name in "wxyz"], run_id="run-2")
    expected = {"w": ("ok", "run-2"), "x": ("ok", "run-1"), "y": ("ok", "run-2"), "z": ("invalid", "run-1")}
    assert stored(profile) == {sha(name): row for name, row in expected.items()}
    assert len(read_rows(profile, "generations")) == 4


def test_who_asks_again_by_force_replaces_what_is_remembered(spark, profile) -> None:
    remember(spark, profile, [call("x", "a"), call("y", "a")])
    remember(spark, profile, [call("x", "a", output="another")], "run-2", replace=True)
    assert {row["output"]: row["run_id"] for row in read_rows(profile, "generations")} == {
        "another": "run-2", "words of y": "run-1"
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "key"), [("users", "user_id"), ("calls", "subject")])
def test_torn_and_foreign_chunks_are_not_read(kind: str, key: str, spark, profile) -> None:
    prepared(profile, NIGHT, [made("a"), made("b")])
    folder = Path(f"{profile.work(str(NIGHT))}/results/shard=0")
    (good,) = folder.glob(f"{kind}-*")
    (folder / f"{kind}-0.parquet").write_bytes(good.read_bytes())
    (folder / f"{kind}-{'0' * 64}.parquet").write_bytes(good.read_bytes()[:-9])
    rows, torn = generations.committed(spark, profile, str(NIGHT), kind)
    assert (sorted(row[key] for row in rows.collect()), torn) == (["a", "b"], 2)
    good.unlink()
    rows, torn = generations.committed(spark, profile, str(NIGHT), kind)
    assert (rows.count(), torn) == (0, 2)


def test_of_two_answers_to_one_call_the_one_that_did_not_fail_is_kept(spark, profile) -> None:
    remember(spark, profile, [call("x", "a", status="failed"), call("x", "b"), call("x", "c", status="failed")])
    (row,) = read_rows(profile, "generations")
    assert (row["status"], row["subject"]) == ("ok", "b")


def test_salvage_keeps_the_answers_of_unpublished_nights_and_clears_them(spark, profile) -> None:
    prepared(profile, NIGHT, [made("a")])
    prepared(profile, NEXT, [made("a"), made("b")])
    assert generations.salvage(spark, profile, str(NIGHT)) == 3
    assert set(stored(profile).values()) == {("ok", "run-1")}
    assert len(stored(profile)) == 2
    assert [folders(f"{profile.work(str(night))}/results") for night in (NIGHT, NEXT)] == [[], []]
    assert generations.salvage(spark, profile, str(NIGHT)) == 0
    assert len(stored(profile)) == 2


def test_salvage_leaves_a_night_alone_that_is_still_going_on(spark, profile) -> None:
    """Its answers are remembered, should it die; its results stay where its publish will look for them."""
    prepared(profile, NEXT, [made("a")], run_id="running")
    put_run(profile, "running", NEXT, STARTED, "running")
    for _ in range(2):
        assert generations.salvage(spark, profile, str(NIGHT)) == 0
    assert folders(f"{profile.work(str(NEXT))}/results") == ["shard=0"]
    assert len(stored(profile)) == 1
    assert generations.salvage(spark, profile, str(NEXT)) == 1, "prepared again"
    assert folders(f"{profile.work(str(NEXT))}/results") == []


CALLS = [
    call("of user 7", "7"),
    call("of item 7", "7", "item"),
    call("of user 8", "8"),
    call("of item 8", "8", "item"),
    call("failed", "7", status="failed"),
    call("invalid", "7", status="invalid"),
]
KNOWN = {
    # user: (candidates, what comes with its context)
    "7": (["8"], {"of user 7", "of item 8", "invalid"}),
    "8": (["7", "9"], {"of user 8", "of item 7"}),
    "9": (["9"], set()),
    "10": ([], set()),
}


@pytest.mark.parametrize(("calls", "force"), [([], False), (CALLS, False), (CALLS, True)])
def test_answers_known_of_a_user_and_its_candidates(spark, profile, calls: list[dict], force: bool) -> None:
    if calls:
        remember(spark, profile, calls)
    empty = force or not calls
    rows = [(user, [{"item_id": item} for item in items]) for user, (items, _) in KNOWN.items()]
    contexts = spark.createDataFrame(rows, "user_id string, candidates array<struct<item_id string>>")
    found = {row["user_id"]: row["known"] for row in generations.known(spark, profile, contexts, str(NIGHT), force).collect()}
    for user, (_, expected) in KNOWN.items():
        assert {answer["generation_id"] for answer in found[user]} == (set() if empty else {sha(name) for name in expected})
        assert len(found[user]) == (0 if empty else len(expected))


def test_answers_known_of_shapes_of_facts(spark, profile) -> None:
    about = "explanation AX", "pattern"
    remember(spark, profile, [*CALLS, call("of AX", *about), call("lost", *about, status="failed")])
    phrased = profile.model_copy(update={"words": Words(explanation="phrasebook")})
    found = generations.phrasings(spark, phrased, str(NIGHT))
    assert [row["generation_id"] for row in found.collect()] == [sha("of AX")]
    assert generations.phrasings(spark, phrased, str(NIGHT), force=True) is None
    assert generations.phrasings(spark, profile, str(NIGHT)) is None


@pytest.mark.parametrize(("night", "expected"), [(NIGHT, "early"), (NEXT, "late")])
def test_what_later_nights_asked_displaces_nothing(spark, profile, monkeypatch, night, expected) -> None:
    monkeypatch.setattr(generations, "PER_SUBJECT", 1)
    remember(spark, profile, [call("early", "a")])
    new = spark.createDataFrame([call("late", "a") | {"run_id": "run-2", "run_date": NEXT}], contract("generations").spark())
    generations.remember(spark, profile, new)
    contexts = spark.createDataFrame([("a", [])], "user_id string, candidates array<struct<item_id string>>")
    (row,) = generations.known(spark, profile, contexts, str(night)).collect()
    assert [answer["generation_id"] for answer in row["known"]] == [sha(expected)]
