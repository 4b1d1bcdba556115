"""Facts on tables of five lines, by hand."""

from datetime import datetime

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


KINDS = [
    ([5, 5], {"likes_tag", "favourite", "recent"}),
    ([5], {"favourite", "recent"}),
    ([5, 5, 1, 1], {"recent"}),  # as often liked as not
    ([1, 1], {"dislikes_tag", "disliked", "recent"}),
    ([1, 1, 1, 5], {"dislikes_tag", "recent"}),
    ([3, 3, 3], {"recent"}),
    ([None], {"recent"}),
]


def test_which_kinds(spark):
    log = [(str(values), "d", value) for values, _ in KINDS for value in values]
    found = {user: {fact[0] for fact in theirs} for user, theirs in facts(spark, events(spark, *log)).items()}
    assert found == {str(values): kinds for values, kinds in KINDS}


ORDERS = [
    # the highest value, then the most events, then the latest
    ("value", "favourite", [("a", 4), ("b", 5), ("c", 4.01)], ["B", "C", "A"]),
    ("often", "favourite", [("a", 4), ("b", 4), ("a", 4, 0)], ["A", "B"]),
    ("latest", "favourite", [("a", 4), ("b", 4), ("c", 4)], ["C", "B", "A"]),
    ("lowest", "disliked", [("a", 2), ("b", -100), ("c", 0)], ["B", "C"]),  # at most two
    ("recent", "recent", [("a",), ("b",), ("c",), ("a",), ("d",)], ["D", "A", "C"]),
]


def test_their_order(spark):
    log = [(user, *event) for user, _, theirs, _ in ORDERS for event in theirs]
    found = facts(spark, events(spark, *log))
    of = {user: [label for kind, label, *_ in found[user] if kind == which] for user, which, *_ in ORDERS}
    assert of == {user: labels for user, _, _, labels in ORDERS}


def test_items_of_one_title_keep_their_order(spark):
    catalogue = items(spark, *[(item, [], "Same") for item in "abcd"])
    log = events(spark, *[("u", item, 4, 0) for item in "dbca"])
    found = [facts(spark, log.repartition(n), catalogue)["u"] for n in (1, 3)]
    assert found[0] == found[1]
    assert [fact[4] for fact in found[0] if fact[0] == "favourite"] == [["e3"], ["e1"], ["e2"], ["e0"]]


def test_at_most_five_events_are_evidence_the_latest_first(spark):
    found = facts(spark, events(spark, *[("u", "d", 5)] * 7))["u"]
    assert found[0] == ("likes_tag", "z", 7, 1.0, ["e6", "e5", "e4", "e3", "e2"])


def test_weights_are_shares_whatever_the_values_and_times(spark):
    epoch = -(datetime(2024, 3, 1) - datetime(1970, 1, 1)).days
    cases = [(value, day) for value in (-1000, -1, 0, 1, 2, 100, 1e300) for day in (0, epoch, -40_000)]
    log = [(str(case), item, value, case[1]) for case in cases for item, value in zip("abc", (case[0], 7, None), strict=True)]
    found = facts(spark, events(spark, *log))
    assert len(found) == len(cases)
    for theirs in found.values():
        assert {fact[1] for fact in theirs if fact[0] == "recent"} == {"A", "B", "C"}
        assert all(0 < fact[3] <= 1 for fact in theirs)
