"""Facts on tables of five lines, by hand."""

from datetime import datetime

import pytest

from jobs.prepare.facts import tag_shares, user_facts
from jobs.prepare.histories import describe, user_histories
from jobs.profile import Night
from tests.prepare.logs import events, items

ITEMS = [("a", ["x"]), ("b", ["x", "y"]), ("c", ["y"]), ("d", ["z"]), ("e", [])]


def facts(spark, log, catalogue=None) -> dict[str, list[tuple]]:
    """A user's facts as (kind, label, n_events, weight, evidence)."""
    described = describe(log, catalogue or items(spark, *ITEMS))
    histories = user_histories(described, log.select("user_id").distinct(), Night(), "s")
    rows = user_facts(histories, tag_shares(described)).collect()
    return {row["user_id"]: [tuple(fact) for fact in row["facts"]] for row in rows}


def test_by_hand(spark):
    # of six events 4 have x, 3 have y, 1 has z; u likes a and b: x 2 of 2 liked, lift 1 / (4/6), strength 2 * 1.5
    log = events(spark, ("u", "a", 5), ("u", "b", 4), ("u", "c", 1), ("u", "d", 3), ("v", "a"), ("v", "b"))
    assert facts(spark, log) == {
        "u": [
            ("likes_tag", "x", 2, 1.0, ["e1", "e0"]),
            ("favourite", "A", 1, 1.0, ["e0"]),
            ("favourite", "B", 1, 0.5, ["e1"]),
            ("disliked", "C", 1, 1.0, ["e2"]),
            ("recent", "D", 1, 1.0, ["e3"]),
            ("recent", "C", 1, 0.5, ["e2"]),
            ("recent", "B", 1, 0.3333, ["e1"]),
        ],
        "v": [("recent", "B", 1, 1.0, ["e5"]), ("recent", "A", 1, 0.5, ["e4"])],
    }


def test_a_rare_tag_counts_more_than_a_common_one(spark):
    # x: 2 * (2/4) / (6/8) = 1.3333, z: 2 * (2/4) / (2/8) = 4
    log = [("u", "a", 5), ("u", "a", 5), ("u", "d", 5), ("u", "d", 5), *[("v", "a")] * 4]
    found = facts(spark, events(spark, *log))["u"]
    assert [fact[:4] for fact in found if fact[0] == "likes_tag"] == [("likes_tag", "z", 2, 1.0), ("likes_tag", "x", 2, 0.3333)]


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ([5, 5], {"likes_tag", "favourite", "recent"}),
        ([5], {"favourite", "recent"}),
        ([5, 5, 1, 1], {"recent"}),  # as often liked as not
        ([1, 1], {"dislikes_tag", "disliked", "recent"}),
        ([1, 1, 1, 5], {"dislikes_tag", "recent"}),
        ([3, 3, 3], {"recent"}),
        ([None], {"recent"}),
    ],
)
def test_which_kinds(spark, values, kinds):
    log = events(spark, *[("u", "d", value) for value in values])
    assert {fact[0] for fact in facts(spark, log)["u"]} == kinds


@pytest.mark.parametrize(
    ("log", "kind", "labels"),
    [
        # the highest value, then the most events, then the latest
        ([("u", "a", 4), ("u", "b", 5), ("u", "c", 4.01)], "favourite", ["B", "C", "A"]),
        ([("u", "a", 4), ("u", "b", 4), ("u", "a", 4, 0)], "favourite", ["A", "B"]),
        ([("u", "a", 4), ("u", "b", 4), ("u", "c", 4)], "favourite", ["C", "B", "A"]),
        ([("u", "a", 2), ("u", "b", -100), ("u", "c", 0)], "disliked", ["B", "C"]),  # at most two
        ([("u", "a"), ("u", "b"), ("u", "c"), ("u", "a"), ("u", "d")], "recent", ["D", "A", "C"]),
    ],
)
def test_their_order(spark, log, kind, labels):
    found = facts(spark, events(spark, *log))["u"]
    assert [label for of, label, *_ in found if of == kind] == labels


def test_items_of_one_title_keep_their_order(spark):
    catalogue = items(spark, *[(item, [], "Same") for item in "abcd"])
    log = events(spark, *[("u", item, 4, 0) for item in "dbca"])
    found = [facts(spark, log.repartition(n), catalogue)["u"] for n in (1, 3)]
    assert found[0] == found[1]
    assert [fact[4] for fact in found[0] if fact[0] == "favourite"] == [["e3"], ["e1"], ["e2"], ["e0"]]


def test_at_most_five_events_are_evidence_the_latest_first(spark):
    found = facts(spark, events(spark, *[("u", "d", 5)] * 7))["u"]
    assert found[0] == ("likes_tag", "z", 7, 1.0, ["e6", "e5", "e4", "e3", "e2"])


@pytest.mark.parametrize("value", [-1000, -1, 0, 1, 2, 100, 1e300])
@pytest.mark.parametrize("day", [0, -(datetime(2024, 3, 1) - datetime(1970, 1, 1)).days, -40_000])
def test_weights_are_shares_whatever_the_values_and_times(spark, value, day):
    log = events(spark, ("u", "a", value, day), ("u", "b", value * 2, day), ("u", "c", None, day))
    found = facts(spark, log)["u"]
    assert {fact[1] for fact in found if fact[0] == "recent"} == {"A", "B", "C"}
    assert all(0 < fact[3] <= 1 for fact in found)
