"""Who is made anew although their history is the same."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import pytest

from jobs.contracts import contract
from jobs.prepare.refresh import due, moved, overlap
from jobs.profile import Night

START = date(2024, 3, 1)


def users(spark, n: int):
    return spark.createDataFrame([(f"u{place}",) for place in range(n)], "user_id string")


def test_everyone_comes_once_in_so_many_days_and_not_all_at_once(spark):
    rows, nights = users(spark, 200), [START + timedelta(days=day) for day in (0, 1, 2, 5, 6, 7)]  # none on days 3 and 4
    found = [due(rows, *pair, days=7).collect() for pair in pairwise(nights)]
    times = Counter(row["user_id"] for night in found for row in night)
    assert len(times) == 200 and set(times.values()) == {1}
    sizes = [len(night) for night in found]
    assert all(size > 0 for size in sizes) and sizes[2] == max(sizes), "the night after two without one has three days' users"
    assert due(rows, START, START, days=7).count() == due(rows, START, START + timedelta(days=99), days=0).count() == 0
    assert due(rows, START, START + timedelta(days=7), days=7).count() == 200


def rows_of(spark, lists: dict[str, str], hashes: dict[str, str]):
    """A context a user, candidates in the order of a word's letters."""
    rows = [(user, [(item, place) for place, item in enumerate(items, 1)], hashes.get(user)) for user, items in lists.items()]
    kind = "user_id string, candidates array<struct<item_id: string, retrieval_rank: int>>, content_hash string"
    return spark.createDataFrame(rows, kind)


def ranked(spark, lists: dict[str, str]):
    """What was released: a capital is an item that stood beyond the first two of retrieval."""
    rows = [
        (user, item.lower(), 9 if item.isupper() else place)
        for user, items in lists.items()
        for place, item in enumerate(items, 1)
    ]
    return spark.createDataFrame(rows, "user_id string, item_id string, retrieval_rank int")


NOW = {"same": "abcd", "swapped": "bacd", "half": "acbd", "other": "xyab", "fused": "abcd", "new": "abcd"}
THEN = {"same": "ab", "swapped": "ab", "half": "ab", "other": "ab", "fused": "aC"}


def test_overlap_is_of_what_retrieval_had_first(spark):
    found = overlap(rows_of(spark, NOW, {}), ranked(spark, THEN), 2)
    expected = {"same": 1.0, "swapped": 1.0, "half": 0.5, "other": 0.0, "fused": 1.0}
    assert {row["user_id"]: row["overlap"] for row in found.collect()} == expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, set()),
        ({"refresh_overlap": 0.5}, {"other"}),
        ({"refresh_overlap": 0.6}, {"other", "half"}),
        ({"refresh_exact": True}, {"swapped", "fused"}),
        ({"refresh_exact": True, "refresh_overlap": 0.5}, {"swapped", "fused", "other"}),
    ],
)
def test_whose_context_moved(spark, rules, expected):
    rows = rows_of(spark, NOW, dict.fromkeys(NOW, "a") | {"swapped": "b"})
    old = [(user, None if user == "fused" else "a") for user in THEN]
    summaries = spark.createDataFrame(old, "user_id string, content_hash string")
    night = Night(list_length=2, candidates=4, **rules)
    found = moved(rows, contract("user_summaries").conform(summaries), ranked(spark, THEN), night)
    assert {row["user_id"] for row in found.collect()} == expected


def test_a_release_of_before_there_were_hashes_is_another(spark):
    rows = rows_of(spark, {"same": "ab"}, {"same": "a"})
    summaries = spark.createDataFrame([("same",)], "user_id string")
    night = Night(list_length=2, candidates=4, refresh_exact=True)
    assert moved(rows, summaries, ranked(spark, {"same": "ab"}), night).count() == 1
