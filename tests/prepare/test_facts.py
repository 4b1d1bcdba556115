"""Facts on tables of five lines, by hand; on random ones, what must hold of any."""

from collections import Counter
from datetime import datetime
from random import Random

import pytest
from pyspark.sql import functions as F

from jobs.prepare.facts import EVIDENCE, PER_KIND, user_facts
from jobs.prepare.histories import describe, user_histories
from jobs.prepare.labels import everyones
from jobs.profile import Night
from tests.prepare.logs import events, items

ITEMS = [("a", ["x"]), ("b", ["x", "y"]), ("c", ["y"]), ("d", ["z"]), ("e", [])]
COMPARED = ("more_lately", "less_lately", "era", "rhythm")
CALENDAR = ("daily", "weekly", "in bursts", "at once", "weekends", "weekdays")


def facts(spark, log, catalogue=None, night=None) -> dict[str, list[tuple]]:
    """A user's facts as (kind, label, n_events, share, lift, weight, evidence)."""
    catalogue = catalogue or items(spark, *ITEMS)
    described = describe(log, catalogue)
    histories = user_histories(described, log.select("user_id").distinct(), night or Night(), "s")
    rows = user_facts(histories, everyones(described, catalogue)).collect()
    return {row["user_id"]: [tuple(fact) for fact in row["facts"]] for row in rows}


def of(found: list[tuple], *kinds: str) -> list[tuple]:
    return [fact for fact in found if fact[0] in kinds]


def test_by_hand(spark):
    # of six events 4 have x, 3 have y, 1 has z; u likes a and b: x 2 of 2 liked, lift 1 / (4/6), strength 2 * 1.5
    log = events(spark, ("u", "a", 5), ("u", "b", 4), ("u", "c", 1), ("u", "d", 3), ("v", "a"), ("v", "b"))
    assert facts(spark, log) == {
        "u": [
            ("likes_tag", "x", 2, 1.0, 1.5, 1.0, ["e1", "e0"]),
            ("favourite", "A", 1, 0.25, None, 1.0, ["e0"]),
            ("favourite", "B", 1, 0.25, None, 0.5, ["e1"]),
            ("disliked", "C", 1, 0.25, None, 1.0, ["e2"]),
            ("recent", "D", 1, 0.25, None, 1.0, ["e3"]),
            ("recent", "C", 1, 0.25, None, 0.5, ["e2"]),
            ("recent", "B", 1, 0.25, None, 0.3333, ["e1"]),
        ],
        "v": [("recent", "B", 1, 0.5, None, 1.0, ["e5"]), ("recent", "A", 1, 0.5, None, 0.5, ["e4"])],
    }


def test_a_rare_tag_counts_more_than_a_common_one(spark):
    # x: 2 * (2/4) / (6/8) = 1.3333, z: 2 * (2/4) / (2/8) = 4
    log = [("u", "a", 5), ("u", "a", 5), ("u", "d", 5), ("u", "d", 5), *[("v", "a")] * 4]
    found = of(facts(spark, events(spark, *log))["u"], "likes_tag")
    assert [fact[1:6] for fact in found] == [("z", 2, 0.5, 2.0, 1.0), ("x", 2, 0.5, 0.6667, 0.3333)]


def test_creators_by_the_rules_of_tags(spark):
    # of eight events 3 are by Ann, 4 by Bob, 2 by Eve: u likes Ann's in 3 of 4, dislikes Eve's and Bob's in 2 of 2
    catalogue = items(spark, ("a", [], "A", None, ["Ann"]), ("b", [], "B", None, ["Bob"]), ("e", [], "E", None, ["Bob", "Eve"]))
    log = [*[("u", "a", 5)] * 3, ("u", "b", 5), *[("u", "e", 1)] * 2, ("v", "b", 5), ("v", "a", 3, 90)]
    found = facts(spark, events(spark, *log), catalogue)
    assert of(found["u"], "likes_creator", "dislikes_creator") == [
        ("likes_creator", "Ann", 3, 0.75, 1.5, 1.0, ["e2", "e1", "e0"]),
        ("dislikes_creator", "Bob", 2, 1.0, 2.0, 1.0, ["e5", "e4"]),
        ("dislikes_creator", "Eve", 2, 1.0, 4.0, 1.0, ["e5", "e4"]),
    ]
    assert not of(found["v"], "likes_creator", "dislikes_creator")


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
    told = {user: [label for kind, label, *_ in found[user] if kind == which] for user, which, *_ in ORDERS}
    assert told == {user: labels for user, _, _, labels in ORDERS}


def test_what_only_came_has_no_favourite_unless_it_came_again(spark):
    log = [("u", "a"), ("u", "b"), ("u", "c"), ("v", "a"), ("v", "b"), ("v", "a"), ("w", "a"), ("w", "b", 3)]
    liked = events(spark, *log).withColumn("positive", F.col("value").isNull())
    found = facts(spark, liked)
    told = {user: [label for kind, label, *_ in theirs if kind == "favourite"] for user, theirs in found.items()}
    assert told == {"u": [], "v": ["A"], "w": ["A"]}


def test_items_of_one_title_keep_their_order(spark):
    catalogue = items(spark, *[(item, [], "Same") for item in "abcd"])
    log = events(spark, *[("u", item, 4, 0) for item in "dbca"])
    found = [facts(spark, log.repartition(n), catalogue)["u"] for n in (1, 3)]
    assert found[0] == found[1]
    assert [fact[-1] for fact in of(found[0], "favourite")] == [["e3"], ["e1"], ["e2"], ["e0"]]


def test_at_most_five_events_are_evidence_the_latest_first(spark):
    found = facts(spark, events(spark, *[("u", "d", 5)] * 7))["u"]
    assert found[0] == ("likes_tag", "z", 7, 1.0, 1.0, 1.0, ["e6", "e5", "e4", "e3", "e2"])


def test_weights_are_shares_whatever_the_values_and_times(spark):
    epoch = -(datetime(2024, 3, 1) - datetime(1970, 1, 1)).days
    cases = [(value, day) for value in (-1000, -1, 0, 1, 2, 100, 1e300) for day in (0, epoch, -40_000)]
    log = [(str(case), item, value, case[1]) for case in cases for item, value in zip("abc", (case[0], 7, None), strict=True)]
    found = facts(spark, events(spark, *log))
    assert len(found) == len(cases)
    for theirs in found.values():
        assert {fact[1] for fact in theirs if fact[0] == "recent"} == {"A", "B", "C"}
        assert all(0 < share <= 1 and 0 < weight <= 1 for _, _, _, share, _, weight, _ in theirs)


LATELY = [  # (events before, newest ones), days between two events, what is told
    # y: 10 of 10 and 0 of 20, x: 0 of 10 and 20 of 20
    ("clear", ("a" * 20, "c" * 10), 1, [("more_lately", "y", 10, 1.0), ("less_lately", "x", 20, 1.0)]),
    ("in a sitting", ("a" * 20, "c" * 10), 0.01, []),
    ("at one time", ("a" * 20, "c" * 10), 0, []),
    ("short", ("a" * 9, "c" * 4), 1, []),
    # 5 of 10 and 1 of 20: sqrt(2 (5 ln(.5 / .2) + 5 ln(.5 / .8) + ln(.05 / .2) + 19 ln(.95 / .8))) = 2.87
    ("chance", ("a" * 19 + "c", "ac" * 5), 1, []),
    # 7 of 10 and 1 of 20: sqrt(2 (7 ln(.7 / .267) + 3 ln(.3 / .733) + ln(.05 / .267) + 19 ln(.95 / .733))) = 3.83
    ("mostly", ("a" * 19 + "c", "c" * 7 + "aaa"), 1, [("more_lately", "y", 7, 0.7), ("less_lately", "x", 19, 0.95)]),
]


def test_what_changed_lately(spark):
    log = [(user, item, None, days * place) for user, parts, days, _ in LATELY for place, item in enumerate("".join(parts))]
    found = facts(spark, events(spark, *log))
    told = {user: [fact[:4] for fact in of(found[user], "more_lately", "less_lately")] for user, *_ in LATELY}
    assert told == {user: expected for user, _, _, expected in LATELY}
    more, less = of(found["clear"], "more_lately", "less_lately")
    assert more[4:] == (None, 1.0, [f"e{place}" for place in range(29, 24, -1)])
    assert less[4:] == (None, 1.0, [f"e{place}" for place in range(19, 14, -1)])


def test_an_era_is_surely_more_than_everyones(spark):
    # 1990s: 6 of 6 where everyone has 6 of 30: lift 5, surprise sqrt(2 * 6 ln 5) = 4.39
    # 1980s: 24 of 24 where everyone has 24 of 30: lift 1.25, surprise sqrt(2 * 24 ln 1.25) = 3.27
    catalogue = items(spark, ("a", [], "A", 1990), ("b", [], "B", 1999), ("c", [], "C", 1980), ("d", [], "D", 0), ("e", []))
    log = events(spark, *[("u", item) for item in "ababab"], ("u", "d"), ("u", "e"), *[("v", "c")] * 24)
    found = facts(spark, log, catalogue)
    assert of(found["u"], "era") == [("era", "1990s", 6, 1.0, 5.0, 1.0, ["e5", "e4", "e3", "e2", "e1"])]
    assert not of(found["v"], "era")


SATURDAY = 1.5  # days from the log's start to a Saturday noon, UTC
RHYTHMS = [  # days of the events, what is told
    ("daily", range(14), ["daily"]),
    ("thirteen days", range(13), []),
    ("most days", [day for day in range(20) if day % 5], ["daily"]),
    ("Saturdays", [SATURDAY + 7 * week for week in range(8)], ["weekly", "weekends"]),
    ("Friday evenings, or Saturdays further east", [SATURDAY - 0.6 + 7 * week for week in range(8)], ["weekly"]),
    ("Sunday mornings", [SATURDAY + 0.9 + 14 * week for week in range(5)], ["weekends"]),
    ("four Saturdays", [SATURDAY + 7 * week for week in range(4)], []),
    ("one Saturday", [SATURDAY + 0.01 * event for event in range(9)], []),
    ("Monday to Thursday", [SATURDAY + 2.1 + day + 7 * week for week in range(7) for day in range(4)], ["weekdays"]),
    ("three sittings", [day + 0.01 * event for day in (0, 10, 20) for event in range(5)], ["in bursts"]),
    ("two sittings", [day + 0.01 * event for day in (0, 20) for event in range(9)], []),
    ("sittings in a row", [day + 0.01 * event for day in (0, 5, 10) for event in range(5)], []),
    ("one time", [0] * 10, ["at once"]),
    ("one sitting", [0.1 * event for event in range(10)], ["at once"]),
    ("more than a history", [0] * 51, []),
    ("one event", [0], []),
]


def test_rhythm(spark):
    found = facts(spark, events(spark, *[(user, "e", None, day) for user, days, _ in RHYTHMS for day in days]))
    told = {user: [label for _, label, *_ in of(found[user], "rhythm")] for user, *_ in RHYTHMS}
    assert told == {user: labels for user, _, labels in RHYTHMS}


def test_a_weekend_has_its_events(spark):
    days = [SATURDAY + 7 * week for week in range(9)] + [SATURDAY + 3, SATURDAY - 0.1]
    found = of(facts(spark, events(spark, *[("u", "e", None, day) for day in days]))["u"], "rhythm")
    assert found[1] == ("rhythm", "weekends", 9, 0.9, None, 0.5, ["e8", "e7", "e6", "e5", "e4"])


@pytest.fixture(scope="module")
def motley():
    """A catalogue with holes, and users with values or without, with one event or many, of a second or of years."""
    draw = Random(5)
    years = [None, 0, -5, 7, 1950, 1984, 1985, 2001, 99_999]
    catalogue = [
        (f"i{place}", draw.sample("xyz", draw.randrange(4)), "Same", draw.choice(years), draw.sample("AB", draw.randrange(3)))
        for place in range(30)
    ]
    log = []
    for user in range(40):
        values, spread = draw.choice([[None], [1, 3, 5], [5], [1e300, -1e300]]), draw.choice([0, 1, 1000])
        n = draw.choice([1, 2, 15, 60])
        log += [(f"u{user}", f"i{draw.randrange(30)}", draw.choice(values), int(draw.random() * spread)) for _ in range(n)]
    return catalogue, log


def test_of_any_log(spark, motley):
    catalogue, log = items(spark, *motley[0]), events(spark, *motley[1])
    found = facts(spark, log, catalogue)
    assert facts(spark, log.orderBy("item_id", "event_id").repartition(5), catalogue.repartition(3)) == found
    theirs = {user: set() for user, *_ in motley[1]}
    for place, (user, *_) in enumerate(motley[1]):
        theirs[user].add(f"e{place}")
    assert set(found) == set(theirs)
    for user, told in found.items():
        assert [fact[0] for fact in told] == sorted((fact[0] for fact in told), key=list(PER_KIND).index)
        for kind, label, n, share, lift, weight, evidence in told:
            assert len(of(told, kind)) <= PER_KIND[kind]
            assert 0 < len(evidence) == len(set(evidence)) == min(n, EVIDENCE) and set(evidence) <= theirs[user]
            assert 0 < share <= 1 and 0 < weight <= 1 and (lift is None or lift > 0)
            assert kind != "rhythm" or label in CALENDAR
    assert {kind for told in found.values() for kind, *_ in told} >= {"likes_creator", "dislikes_tag", "recent", "rhythm"}


def test_a_log_of_nothing_but_users_items_and_times(spark):
    found = facts(spark, events(spark, ("u", "a"), ("u", "b")), items(spark, ("a", []), ("b", [])))
    assert {kind for kind, *_ in found["u"]} == {"recent"}


def test_chance_is_seldom_told(spark):
    """Of 300 users with 50 events each, drawn alike: 20 tags, 6 decades, any time of two years; two in a hundred at most."""
    draw = Random(11)
    catalogue = []
    for place in range(500):
        tags = [f"t{tag}" for tag in range(20) if draw.random() < 0.4 / (tag + 1) + 0.02]
        catalogue.append((f"i{place}", tags, None, draw.choice([1930, 1970, 1980, 1980, 1990, 1990, 1990, 2000, 2010, 2010])))
    log = [(f"u{user}", f"i{draw.randrange(500)}", None, draw.random() * 730) for user in range(300) for _ in range(50)]
    found = facts(spark, events(spark, *log), items(spark, *catalogue))
    told = Counter(kind for theirs in found.values() for kind in COMPARED if of(theirs, kind))
    assert sum(told.values()) <= 6, told
