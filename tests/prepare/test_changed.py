"""Who is worked on and who is carried over; which worker takes whom."""

import pytest

from jobs.prepare.contexts import assemble, split_changed, told
from jobs.prepare.histories import describe, user_histories
from jobs.profile import Night
from tests.prepare.logs import events, items


def histories(spark, users):
    log, catalogue = events(spark, *[(user, "a") for user in users]), items(spark, ("a", []))
    return user_histories(describe(log, catalogue), log.select("user_id").distinct(), Night(), "s")


@pytest.mark.parametrize(
    ("before", "force", "changed"),
    [
        (None, False, {"u", "v", "w"}),
        ({}, False, {"u", "v", "w"}),
        ({"u": "same", "v": "same", "w": "same"}, False, set()),
        ({"u": "same", "v": "other"}, False, {"v", "w"}),
        ({"u": "same", "gone": "same"}, False, {"v", "w"}),
        ({"u": "same", "v": "same", "w": "same"}, True, {"u", "v", "w"}),
    ],
)
def test_who_changed(spark, before, force, changed):
    rows = histories(spark, "uvw")
    hashes = {row["user_id"]: row["context_hash"] for row in rows.collect()}
    old = None
    if before is not None:
        listed = [(user, hashes.get(user, "") if same == "same" else "0") for user, same in before.items()]
        old = spark.createDataFrame(listed, "user_id string, context_hash string")
    new, carried = split_changed(rows, old, force)
    assert {row["user_id"] for row in new.collect()} == changed
    assert {row["user_id"] for row in carried.collect()} == {"u", "v", "w"} - changed


def test_what_a_summary_told_travels_without_its_events(spark):
    claims = "array<struct<kind: string, claim: string, evidence: array<string>>>"
    rows = [("u", [("likes_tag", "Drama", ["e1"]), ("favourite", "Heat", ["e1"])]), ("v", [])]
    found = told(spark.createDataFrame(rows, f"user_id string, claims {claims}")).orderBy("user_id").collect()
    assert [(row["user_id"], [tuple(each) for each in row["told"]]) for row in found] == [
        ("u", [("likes_tag", "Drama"), ("favourite", "Heat")]),
        ("v", []),
    ]


@pytest.mark.parametrize("shards", [1, 3, 64])
def test_every_user_is_in_one_shard(spark, shards):
    users = [f"u{place}" for place in range(100)]
    rows = histories(spark, users)
    nothing = spark.createDataFrame([], "user_id string, facts array<string>")
    none = nothing.withColumnRenamed("facts", "candidates")
    placed = {row["user_id"]: row["shard"] for row in assemble(rows, nothing, none, shards).collect()}
    assert sorted(placed) == sorted(users) and set(placed.values()) <= set(range(shards))
    assert len(set(placed.values())) > shards // 2
    assert {row["user_id"]: row["shard"] for row in assemble(rows.repartition(3), nothing, none, shards).collect()} == placed
