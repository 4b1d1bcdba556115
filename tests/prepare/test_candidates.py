"""Candidates against a plain-Python reading of the formula in the module's docstring."""

from collections import Counter, defaultdict
from datetime import date
from random import Random

import pytest

from jobs.prepare import candidates as module
from jobs.prepare.candidates import candidates
from jobs.prepare.histories import describe, user_histories
from jobs.profile import Night
from tests.prepare.logs import START, events, items

RUN_DATE = "2024-06-01"
CATALOGUE = [(item, ["t"]) for item in "abcdefgh"]
SMALL = [("u", "a"), ("u", "b"), ("v", "b"), ("v", "c"), ("v", "d"), ("w", "a"), ("w", "c"), ("cold", "h")]


def found(spark, log, catalogue=CATALOGUE, **night) -> dict[str, list]:
    """A user's candidates."""
    rows, every, one = events(spark, *log), items(spark, *catalogue), Night(**({"list_length": 1} | night))
    described = describe(rows, every)
    histories = user_histories(described, rows.select("user_id").distinct(), one, "s")
    best = candidates(histories, described, every, one, RUN_DATE).collect()
    return {row["user_id"]: row["candidates"] for row in best}


def reference(log) -> dict[str, dict[str, float]]:
    """user -> item -> s(u, b), consumed ones too."""
    theirs: dict[str, list[tuple]] = defaultdict(list)
    for place, (user, item, *more) in enumerate(log):
        theirs[user].append((item, bool(more) and more[0] is not None and more[0] <= 2, f"e{place}"))
    n = Counter(item for _, item, *_ in log)
    together: Counter = Counter()
    for history in theirs.values():
        for first, (a, *_) in enumerate(history):
            for gap, (b, *_) in enumerate(history[first + 1 : first + 1 + module.WINDOW], 1):
                if a != b:
                    together[a, b] += module.GAP_DECAY**gap
                    together[b, a] += module.GAP_DECAY**gap
    scores: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for user, history in theirs.items():
        for place, (item, negative, _) in enumerate(reversed(history[-module.QUERY :])):
            for (a, b), weight in together.items():
                if a == item and not negative:
                    recency = 0.5 ** (place / module.QUERY_HALF_LIFE)
                    scores[user][b] += recency * weight / n[b] ** module.POPULARITY
    return scores


def random_log(seed: int, length: int = 60) -> list[tuple]:
    draw = Random(seed)
    return [(draw.choice("uvwxyz"), draw.choice("abcdefgh"), draw.choice([1, 3, 5])) for _ in range(length)]


@pytest.mark.parametrize("log", [SMALL, random_log(2, 150)], ids=["by hand", "150 events"])
def test_scores_are_those_of_the_formula(spark, log):
    best, expected = found(spark, log, allow_consumed=True), reference(log)
    for user, rows in best.items():
        retrieved = {row["item_id"]: row["retrieval_score"] for row in rows if row["source"] == "retrieval"}
        assert retrieved == pytest.approx(expected[user], rel=1e-4)


@pytest.fixture(scope="module")
def small(spark) -> dict[str, list]:
    return found(spark, SMALL)


def test_by_hand(small):
    # u: b is latest; c(b,c) = .95, c(b,d) = .9025, c(a,c) = .95 half a half-life earlier; n(c) = 2, n(d) = 1
    rows = small["u"]
    assert [(row["item_id"], row["source"], row["support"]) for row in rows] == [
        ("c", "retrieval", ["e1", "e0"]),
        ("d", "retrieval", ["e1"]),
        ("h", "popularity", []),
    ]
    assert rows[0]["retrieval_score"] == pytest.approx(0.95 / 2**0.7 * (1 + 0.5**0.5), rel=1e-5)
    assert rows[1]["retrieval_score"] == pytest.approx(0.9025, rel=1e-5)
    assert [row["retrieval_rank"] for row in rows] == [1, 2, 3]


def test_whom_nobody_resembles_gets_what_is_popular_lately(small):
    rows = small["cold"]
    assert {row["source"] for row in rows} == {"popularity"} and {tuple(row["support"]) for row in rows} == {()}
    days = {item: [] for item in "abcd"}
    for place, (_, item) in enumerate(SMALL[:-1]):
        days[item].append((date.fromisoformat(RUN_DATE) - START.date()).days - place)
    recent = {item: sum(0.5 ** (day / module.POPULAR_HALF_LIFE_DAYS) for day in those) for item, those in days.items()}
    assert [row["item_id"] for row in rows] == sorted(recent, key=lambda item: (-recent[item], item))


@pytest.mark.parametrize("seed", [0])
def test_never_what_was_consumed_and_always_with_their_own_events(spark, seed):
    log = random_log(seed, 25)
    consumed, own = defaultdict(set), defaultdict(set)
    for place, (user, item, _) in enumerate(log):
        consumed[user].add(item)
        own[user].add(f"e{place}")
    best = found(spark, log, candidates=5)
    for user, rows in best.items():
        ids = [row["item_id"] for row in rows]
        assert len(ids) == len(set(ids)) <= 5 and not consumed[user] & set(ids)
        assert all(set(row["support"]) <= own[user] for row in rows)
        assert all(len(row["support"]) > 0 for row in rows if row["source"] == "retrieval")
        assert [row["retrieval_score"] for row in rows] == sorted((row["retrieval_score"] for row in rows), reverse=True)


def test_what_was_consumed_may_return_where_the_profile_allows_it(spark):
    assert {row["item_id"] for row in found(spark, SMALL, allow_consumed=True)["u"]} >= {"a", "b", "c", "d"}


def test_a_disliked_event_brings_nothing(spark):
    liked, disliked = [("u", "a", 5), ("v", "a"), ("v", "b")], [("u", "a", 1), ("v", "a"), ("v", "b")]
    assert [found(spark, log)["u"][0]["source"] for log in (liked, disliked)] == ["retrieval", "popularity"]


def test_what_is_older_than_the_history_is_consumed_all_the_same(spark):
    log = [("u", "a"), ("u", "b"), ("v", "a"), ("v", "b")]
    assert "u" not in found(spark, log, catalogue=CATALOGUE[:2], history_length=1)


def test_the_order_does_not_depend_on_the_order_of_rows(spark):
    log = random_log(7, 80)
    every, one = items(spark, *CATALOGUE), Night(list_length=1)
    rows, seen = events(spark, *log), []
    for shuffled in (rows, rows.orderBy("item_id", "event_id").repartition(5)):
        described = describe(shuffled, every)
        histories = user_histories(described, rows.select("user_id").distinct(), one, "s")
        seen.append({row["user_id"]: row for row in candidates(histories, described, every, one, RUN_DATE).collect()})
    assert seen[0] == seen[1]


def test_no_more_than_were_asked_for(spark):
    assert [len(rows) for rows in found(spark, SMALL, candidates=2).values()] == [2, 2, 2, 2]
