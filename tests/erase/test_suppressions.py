"""Who was erased does not come back: not by the log, not by a night under way, not by saved answers."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import pytest

from jobs import generations
from jobs.contracts import contract
from jobs.erase.people import People
from jobs.errors import InputError
from jobs.prepare.__main__ import prepare
from jobs.profile import load_profile
from jobs.progress import Progress
from jobs.publish.tables import tonights_results
from jobs.storage import read_rows
from jobs.suppressions import hash_of, hashed, let_back, suppress, suppressed
from tests.data import shop
from tests.data.inputs import profile as write
from tests.publish.nights import NIGHT, STARTED, call, made, prepared

ERASED = frozenset({"007", 'Dwayne "The Rock"', "🦊🦊"})


@pytest.fixture
def profile(tmp_path, monkeypatch):
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    return write(tmp_path)


def test_the_next_night_leaves_them_out_and_counts_them(spark, tmp_path, monkeypatch) -> None:
    """Of 007 the log has events before and after the night, and records that are wrong in five ways, torn ones too."""
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    one = load_profile(shop.write_shop(tmp_path))
    suppress(one, ERASED, STARTED, "erasure-1")
    about = {"run_id": "r", "run_date": date.fromisoformat(shop.RUN_DATE), "started_at": STARTED, "shards": None, "users": None}
    manifest = prepare(spark, one, argparse.Namespace(**about, force=False, into=None), Progress("test"))
    contexts = spark.read.schema(contract("contexts").spark()).parquet(f"{one.work(shop.RUN_DATE)}/contexts")
    assert {row["user_id"] for row in contexts.select("user_id").collect()} == set(shop.CUSTOMERS) - ERASED
    lines = Path(one.events.path).read_text().splitlines()
    theirs = [line for line in lines if '"007"' in line or "Dwayne" in line or "\\ud83e\\udd8a\\ud83e\\udd8a" in line]
    counts = manifest.counts["events"]
    assert (counts["erased"], sum(counts.values())) == (len(theirs), len(lines)) == (manifest.rows_erased, len(lines))
    assert (counts.get("later"), manifest.rows_later) == (None, 0)
    records = [row["record"] for row in spark.read.parquet(f"{one.work(shop.RUN_DATE)}/rejected").collect()]
    assert len(records) == manifest.rows_rejected > 0
    assert not [record for record in records if record in theirs]


def test_a_hash_in_spark_is_the_same_as_here(spark, profile) -> None:
    users = [*shop.CUSTOMERS, "", "a\nb"]
    frame = spark.createDataFrame([(user,) for user in users], "user_id string")
    assert [row[0] for row in frame.select(hash_of("user_id", "salt")).collect()] == [hashed(user, "salt") for user in users]


def test_who_is_suppressed_stays_so_since_then_and_no_id_is_kept(spark, profile) -> None:
    first = suppress(profile, frozenset({"a"}), STARTED, "one")
    again = suppress(profile, frozenset({"a", "b"}), STARTED.replace(year=2025), "two")
    assert again["a"] == first["a"]
    rows = {row["user_hash"]: (row["receipt_id"], row["salt"]) for row in read_rows(profile, "suppressions")}
    assert rows.keys() == {again["a"], again["b"]}
    assert [rows[again[user]][0] for user in "ab"] == ["one", "two"]
    assert len({salt for _, salt in rows.values()}) == 1
    frame = spark.createDataFrame(
        [("a", None), ("c", None), (None, 'x,"b"'), (None, "bb"), (None, None)], "user_id string, line string"
    )
    marked = suppressed(profile, frame, unread="line").collect()
    assert {(row["user_id"], row["line"]): row["suppressed"] for row in marked} == {
        ("a", None): True, ("c", None): False, (None, 'x,"b"'): True, (None, "bb"): False, (None, None): False
    }  # fmt: skip


def test_who_is_let_back_is_suppressed_no_longer(profile) -> None:
    assert let_back(profile, frozenset({"a"})) == 0
    hashes = suppress(profile, frozenset({"a", "b"}), STARTED, "one")
    assert let_back(profile, frozenset({"a", "c"})) == 1
    assert [row["user_hash"] for row in read_rows(profile, "suppressions")] == [hashes["b"]]


def test_answers_about_them_are_not_remembered(spark, profile) -> None:
    suppress(profile, frozenset({"gone"}), STARTED, "one")
    calls = [call("x", "gone"), call("y", "a"), call("z", "gone", "item")]
    prepared(profile, NIGHT, [made("a") | {"calls": calls}])
    new, _ = generations.new_calls(spark, profile, "run-1", str(NIGHT))
    for _ in range(2):
        generations.remember(spark, profile, new)
        assert sorted(row["subject_type"] for row in read_rows(profile, "generations")) == ["item", "user"]


@pytest.mark.parametrize(("rows", "carried"), [(["a", "gone"], []), (["a"], ["gone"])], ids=["made", "carried"])
def test_a_night_under_way_cannot_bring_them_back(spark, profile, rows, carried) -> None:
    manifest = prepared(profile, NIGHT, [made(user) for user in rows], carried=carried)
    suppress(profile, frozenset({"gone"}), STARTED, "one")
    with pytest.raises(InputError, match="users of 2024-05-01 were erased since prepare; start the night again"):
        tonights_results(spark, profile, manifest)


def test_ids_that_hold_separators_are_found_in_lines_that_cannot_be_read(spark, profile) -> None:
    users = {"auth0|5f7c", "urn:user:5", "Anna Ek", "a,b"}
    suppress(profile, frozenset(users), STARTED, "one")
    lines = [
        "auth0|5f7c,1,,,,",
        '{"user": "urn:user:5", "item": ',
        "Anna Ek;3;;",
        '"a,b",3,,,,',
        "auth0|5f7d,1,,,",
        "Anna,Ek,b,,,",
    ]
    frame = spark.createDataFrame([(None, line) for line in lines], "user_id string, line string")
    found = {row["line"]: row["suppressed"] for row in suppressed(profile, frame, unread="line").collect()}
    assert [found[line] for line in lines] == [True] * 4 + [False] * 2
    people = People.of(list(users), "user")
    assert [people.is_theirs(line) for line in lines] == [True] * 4 + [False] * 2
