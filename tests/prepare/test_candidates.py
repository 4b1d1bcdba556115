"""Candidates against a plain-Python reading of the formula in the module's docstring."""

from collections import Counter, defaultdict
from math import fsum
from random import Random

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from jobs.prepare import candidates as module
from jobs.prepare import cooccurrence
from jobs.prepare.best import BEST, pieces
from jobs.prepare.blend import BLEND, Blend
from jobs.prepare.candidates import candidates
from jobs.prepare.histories import describe, user_histories
from jobs.profile import Night
from tests.prepare.logs import events, frame, items

RUN_DATE = "2024-06-01"
CATALOGUE = [(item, ["t"]) for item in "abcdefgh"]
SMALL = [("u", "a"), ("u", "b"), ("v", "b"), ("v", "c"), ("v", "d"), ("w", "a"), ("w", "c"), ("cold", "h")]


def found(spark, log, catalogue=CATALOGUE, blend=BLEND, **night) -> dict[str, list]:
    """A user's candidates."""
    rows, every, one = events(spark, *log), items(spark, *catalogue), Night(**({"list_length": 1} | night))
    described = describe(rows, every)
    histories = user_histories(described, rows.select("user_id").distinct(), one, "s")
    with candidates(histories, described, described, every, one, RUN_DATE, blend) as best:
        return {row["user_id"]: row["candidates"] for row in best.collect()}


def reference(log) -> dict[str, dict[str, dict[str, float]]]:
    """user -> item -> event -> r(e) * w(item(e), item) of the neighbours within reach, consumed ones too."""
    theirs: dict[str, list[tuple]] = defaultdict(list)
    for place, (user, item, *more) in enumerate(log):
        theirs[user].append((item, bool(more) and more[0] is not None and more[0] <= 2, f"e{place}"))
    n = Counter(item for _, item, *_ in log)
    together: Counter = Counter()
    for history in theirs.values():
        for first, (a, *_) in enumerate(history):
            for gap, (b, *_) in enumerate(history[first + 1 : first + 1 + BLEND.window], 1):
                if a != b:
                    together[a, b] += BLEND.gap_decay**gap
                    together[b, a] += BLEND.gap_decay**gap
    scores: dict = defaultdict(lambda: defaultdict(dict))
    for user, history in theirs.items():
        for place, (item, negative, event) in enumerate(reversed(history[-BLEND.query :])):
            recency = (0.5 ** (place / 2) + 0.05 * 0.5 ** (place / 20)) * (BLEND.disliked if negative else 1)
            near = {b: c / n[b] ** BLEND.popularity / n[a] ** BLEND.own for (a, b), c in together.items() if a == item}
            for b in sorted(near, key=lambda b: (-near[b], b))[: int(BLEND.neighbours * recency)]:
                scores[user][b][event] = recency * near[b]
    return scores


def lately(log) -> dict[str, float]:
    """item -> its part of a score for being popular; events of `log` are a day apart."""
    sums: dict[str, float] = defaultdict(float)
    for place, (_, item, *_) in enumerate(log):
        sums[item] += 0.5 ** ((len(log) - 1 - place) / BLEND.popular_days)
    return {item: BLEND.popular * each / max(sums.values()) for item, each in sums.items()}


def parts(row, source: str = "cooccurrence") -> dict:
    """event -> amount, of one source."""
    return {part["event_id"]: part["amount"] for part in row["contributions"] if part["source"] == source}


def random_log(seed: int, length: int = 60) -> list[tuple]:
    draw = Random(seed)
    return [(draw.choice("uvwxyz"), draw.choice("abcdefgh"), draw.choice([1, 3, 5])) for _ in range(length)]


@pytest.mark.parametrize("log", [SMALL, random_log(2, 150)], ids=["by hand", "150 events"])
def test_contributions_are_those_of_the_formula_and_add_up(spark, log):
    best, expected, popular = found(spark, log, repeat="always"), reference(log), lately(log)
    for user, rows in best.items():
        assert {row["item_id"] for row in rows} == {*expected[user], *popular}
        for row in rows:
            item = row["item_id"]
            assert parts(row) == pytest.approx(expected[user].get(item, {}), rel=1e-4)
            assert parts(row, "popularity") == {None: pytest.approx(popular[item], rel=1e-6)}
            amounts = [part["amount"] for part in row["contributions"]]
            assert amounts == sorted(amounts, reverse=True)
            assert fsum(amounts) == pytest.approx(row["retrieval_score"], abs=1e-12)
            assert row["source"] == ("retrieval" if expected[user].get(item) else "popularity")


@pytest.fixture(scope="module")
def small(spark) -> dict[str, list]:
    return found(spark, SMALL)


def test_by_hand(small):
    # u: b is latest; c(b,c) = .95, c(b,d) = .9025, c(a,c) = .95 half a half-life earlier; n(a) = n(b) = n(c) = 2, n(d) = 1
    rows = small["u"]
    assert [(row["item_id"], row["source"], list(parts(row))) for row in rows] == [
        ("c", "retrieval", ["e1", "e0"]),
        ("d", "retrieval", ["e1"]),
        ("h", "popularity", []),
    ]
    before = 0.5**0.5 + 0.05 * 0.5**0.05
    assert parts(rows[0]) == pytest.approx({"e1": 1.05 * 0.95 / 2**0.6, "e0": before * 0.95 / 2**0.6}, rel=1e-5)
    assert parts(rows[1]) == pytest.approx({"e1": 1.05 * 0.9025 / 2**0.15}, rel=1e-5)
    assert [row["retrieval_rank"] for row in rows] == [1, 2, 3]


def test_a_candidate_has_what_is_known_of_its_item(spark):
    shelf = frame(spark, "items", [("a", "Alien", ["Space"], 1979, "In space", ["Scott"]), ("b", "Boat", [])])
    catalogue = shelf.withColumn("number", F.when(F.col("item_id") == "a", 1).otherwise(2))
    ranked = spark.createDataFrame([("u", 1, 2, 2.0, "retrieval", []), ("u", 2, 1, 1.0, "retrieval", [])], BEST)
    (row,) = module.described(ranked, catalogue).collect()
    about = [(each["title"], each["tags"], each["creators"], each["year"], each["text"]) for each in row["candidates"]]
    assert about == [("Boat", [], [], None, None), ("Alien", ["Space"], ["Scott"], 1979, "In space")]


def test_a_far_neighbour_of_an_old_event_brings_nothing(spark):
    # v: a beside b (.95) and c (.9025); u had a long ago: 0.5 ^ (2 / 2) of two neighbours is one
    log = [("v", "a"), ("v", "b"), ("v", "c"), ("u", "a"), ("u", "g"), ("u", "h")]
    best = found(spark, log, blend=Blend(neighbours=2), repeat="always")
    assert {row["item_id"] for row in best["u"] if "e3" in parts(row)} <= {"b", "g", "h"}


def test_only_the_newest_events_of_a_heavy_user_pair(spark, monkeypatch):
    log = [("u", "a"), ("u", "b"), ("u", "c"), ("u", "d"), ("v", "b"), ("w", "d")]
    monkeypatch.setattr(cooccurrence, "HEAVY", 2)
    rows = found(spark, log)
    assert {row["item_id"] for row in rows["w"] if parts(row)} == {"c"} and not [row for row in rows["v"] if parts(row)]


def test_pairs_are_the_same_however_the_work_is_cut(spark, monkeypatch):
    log = random_log(3, 150)
    whole = found(spark, log, repeat="always")
    batches = "spark.sql.execution.arrow.maxRecordsPerBatch"
    monkeypatch.setattr(cooccurrence, "PIECE", 7)  # 22 blocks; workers cut users by the PIECE they know
    spark.conf.set(batches, 4)
    try:
        assert found(spark, log, repeat="always") == whole
    finally:
        spark.conf.unset(batches)


def test_events_come_in_pieces_cut_between_users():
    draw = Random(4)
    lengths = [draw.randint(1, 6) for _ in range(30)]
    place = [n for length in lengths for n in range(1, length + 1)]
    rows = pa.RecordBatch.from_pydict({"number": range(len(place)), "first": [n == 1 for n in place]})
    batches = [rows.slice(start, 4) for start in range(0, len(rows), 4)]
    cut = [piece.to_pydict() for piece in pieces(batches, size=7)]
    assert [n for piece in cut for n in piece["number"]] == list(range(len(place)))
    assert all(piece["first"][0] for piece in cut) and 7 < len(cut) < len(lengths)
    assert list(pieces([], size=7)) == []


def test_whom_nobody_resembles_gets_what_is_popular_lately(small):
    rows = small["cold"]
    assert {row["source"] for row in rows} == {"popularity"} and not any(parts(row) for row in rows)
    popular = lately(SMALL)
    assert [row["item_id"] for row in rows] == sorted(set(popular) - {"h"}, key=lambda item: (-popular[item], item))


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
        assert all(set(parts(row)) <= own[user] for row in rows)
        assert [row["retrieval_score"] for row in rows] == sorted((row["retrieval_score"] for row in rows), reverse=True)


REPEATS = [("always", {"a", "b"}), (91, {"a", "b"}), (92, {"a"}), (93, set()), ("never", set())]


@pytest.mark.parametrize(("repeat", "again"), REPEATS)
def test_what_was_consumed_returns_when_the_profile_says_so(spark, repeat, again):
    # u had a 92 and b 91 days before the run's date
    assert {row["item_id"] for row in found(spark, SMALL, repeat=repeat)["u"]} & {"a", "b"} == again


def test_a_disliked_event_brings_half(spark):
    liked, disliked = [("u", "a", 5), ("v", "a"), ("v", "b")], [("u", "a", 1), ("v", "a"), ("v", "b")]
    whole, half = (parts(found(spark, log)["u"][0])["e0"] for log in (liked, disliked))
    assert (whole, half) == (pytest.approx(1.05 * 0.95 / 2**0.15), pytest.approx(whole / 2))


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
        with candidates(histories, described, described, every, one, RUN_DATE) as best:
            seen.append({row["user_id"]: row for row in best.collect()})
    assert seen[0] == seen[1]


def test_no_more_than_were_asked_for(spark):
    assert [len(rows) for rows in found(spark, SMALL, candidates=2).values()] == [2, 2, 2, 2]
