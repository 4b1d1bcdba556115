"""New items by content, against likenesses and weights worked out by hand."""

from math import fsum, log
from random import Random

import pytest
from pyspark.sql import Window
from pyspark.sql import functions as F

from jobs.errors import ProfileError
from jobs.home import home
from jobs.prepare import content
from jobs.prepare.blend import BLEND
from jobs.prepare.candidates import candidates
from jobs.prepare.content import likeness
from jobs.prepare.histories import describe, user_histories
from jobs.profile import Night
from tests.prepare.logs import events, frame

RUN_DATE = "2024-06-01"
# item, title, tags, year, text; nobody had n and o
SHELF = [
    ("a", "Red fox", ["Tale"], 2000, None),
    ("b", "Blue owl", ["Song"], 2000, None),
    ("n", "Red wolf", ["tale"], 2005, None),
    ("o", "Grey cat", ["song", "tale"], None, None),
]
LOG = [(user, item) for user in "pqrst" for item in "ab"] + [("u", "a")]
TALE, SONG, RED, OTHER = log(4 / 3), log(2), log(2), log(4)  # ln(items / items that have it)
O_TO_A, O_TO_B = (each / (TALE + SONG) for each in (TALE, SONG))
HOSTILE = {
    "control characters": "\x00\x01\x1b[31m\u202e",
    "blank": " \t\n",
    "very long": "x " * 100_000 + "x" * 100_000,
    "no words": "\U0001f98a",
    "quotes": "' OR 1 = 1; \\Q",
}


def shares(spark, shelf, log_=LOG, sentence_model=None) -> dict[str, dict[str, float]]:
    """New item -> what it resembles -> share."""
    ids = sorted(row[0] for row in shelf)
    found: dict[str, dict[str, float]] = {}
    like = likeness(*numbered(spark, shelf, log_), sentence_model)
    for row in like.collect() if like else []:
        found.setdefault(ids[row["number"] - 1], {})[ids[row["like"] - 1]] = row["share"]
    return found


def numbered(spark, shelf, log_):
    """A catalogue and its events, the items numbered in the order of their ids."""
    items = frame(spark, "items", shelf).withColumn("number", F.row_number().over(Window.orderBy("item_id")))
    return items, events(spark, *log_).join(items.select("item_id", "number"), "item_id", how="inner")


def listed(spark, shelf, log_, partitions: int = 1, **night) -> dict[str, list]:
    """A user's candidates."""
    one = Night(**({"list_length": 4, "candidates": 8} | night))
    items, rows = (each.repartition(partitions) for each in (frame(spark, "items", shelf), events(spark, *log_)))
    described = describe(rows, items)
    histories = user_histories(described, rows.select("user_id").distinct(), one, "s")
    with candidates(histories, described, described, items, one, RUN_DATE) as best:
        return {row["user_id"]: row["candidates"] for row in best.collect()}


def by_content(rows) -> dict[str, dict[str, float]]:
    """Item -> event -> amount."""
    found = {
        row["item_id"]: {part["event_id"]: part["amount"] for part in row["contributions"] if part["source"] == "content"}
        for row in rows
    }
    return {item: amounts for item, amounts in found.items() if amounts}


def test_shares_by_hand(spark):
    found = shares(spark, SHELF)
    assert found == {"n": {"a": 1.0}, "o": pytest.approx({"a": O_TO_A, "b": O_TO_B}, rel=1e-5)}


def test_a_new_item_resembles_what_shares_tags_and_rare_words_and_is_as_old(spark):
    # n to a: the same tag, one of two words, five years apart; n to c, as old as n: the tag; both by half
    shelf = [*SHELF[:3], ("c", "Green", ["tale"], 2005, None)]
    words = RED**2 / (RED**2 + OTHER**2)
    to_a, to_c = (1 + words) / 2 / 2, 1 / 2
    found = shares(spark, shelf, [*LOG, *[(user, "c") for user in "pqrst"]])
    assert found == {"n": pytest.approx({"a": to_a / (to_a + to_c), "c": to_c / (to_a + to_c)}, rel=1e-5)}


def test_weights_by_hand(spark):
    # a then b five times; n(a) = 6, n(b) = 5. u had a, whose neighbour is b; p had b after a
    to_b, to_a = 4.75 / (5**0.45 * 6**0.15), 4.75 / (6**0.45 * 5**0.15)
    latest, before = 1.05, 0.5**0.5 + 0.05 * 0.5**0.05
    best = listed(spark, SHELF, LOG)
    assert by_content(best["u"]) == {"o": pytest.approx({"e10": latest * O_TO_B * to_b}, rel=1e-5)}
    assert by_content(best["p"]) == {
        "n": pytest.approx({"e1": latest * to_a}, rel=1e-5),
        "o": pytest.approx({"e1": latest * O_TO_A * to_a, "e0": before * O_TO_B * to_b}, rel=1e-5),
    }
    assert {row["item_id"]: row["source"] for row in best["p"]} == {"n": "retrieval", "o": "retrieval"}


def test_who_had_a_new_item_only_finds_what_goes_with_those_it_resembles(spark):
    # n is a for w, and a has b beside it; n(a) = 6, n(b) = 5
    (row,) = (row for row in listed(spark, SHELF, [*LOG, ("w", "n")])["w"] if row["item_id"] == "b")
    amount = BLEND.from_new * 1.05 * 4.75 / (5**0.45 * 6**0.15)
    assert [(part["source"], part["event_id"]) for part in row["contributions"]] == [("alike", "e11"), ("popularity", None)]
    assert row["contributions"][0]["amount"] == pytest.approx(amount, rel=1e-5) and row["source"] == "retrieval"


def test_without_content_nobody_finds_what_nobody_had(spark):
    best = listed(spark, SHELF, LOG, new_items=0)
    assert {user: [row["item_id"] for row in rows] for user, rows in best.items()} == {"u": ["b"]}


def test_a_place_is_kept_for_the_best_new_item(spark):
    # c to f stand beside a more often than b, whom o resembles
    shelf = [*SHELF, *[(each, each * 3, ["other"], None, None) for each in "cdef"]]
    log_ = [*LOG, *[(f"{user}{each}", item) for user in range(9) for each in "cdef" for item in ("a", each)]]
    full = {"list_length": 2, "candidates": 3}
    kept, free = (listed(spark, shelf, log_, new_items=n, **full)["u"] for n in (1, 0))
    assert not by_content(free) and [row["item_id"] for row in kept][:2] == [row["item_id"] for row in free][:2]
    assert list(by_content(kept)) == [kept[2]["item_id"]]
    assert [row["retrieval_rank"] for row in kept] == [1, 2, 3]
    one = listed(spark, shelf, log_, new_items=1, list_length=1, candidates=3)["u"]
    assert [row["item_id"] for row in one] == [row["item_id"] for row in free], "at most half of a list"


def random_shelf(draw: Random) -> list[tuple]:
    words = ["red", "blue", "old", "new", "fox"]
    return [
        (
            f"i{n}",
            " ".join(draw.sample(words, draw.randint(1, 3))),
            draw.sample(["t1", "t2", "t3"], draw.randint(0, 2)),
            draw.choice([None, 1990, 2000]),
            draw.choice([None, " ".join(draw.sample(words, 2))]),
        )
        for n in range(16)
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_contributions_add_up_however_the_work_is_cut(spark, monkeypatch, seed):
    draw = Random(seed)
    shelf = random_shelf(draw)
    log_ = [(draw.choice("uvwxyz"), f"i{draw.choice([*range(5)] * 4 + [*range(5, 11)])}") for _ in range(60)]
    whole = listed(spark, shelf, log_, repeat="always", candidates=16)
    assert sum(len(by_content(rows)) for rows in whole.values()) > 10
    for rows in whole.values():
        for row in rows:
            assert fsum(part["amount"] for part in row["contributions"]) == pytest.approx(row["retrieval_score"], abs=1e-12)
    monkeypatch.setattr(content, "BLOCK", 2)
    assert listed(spark, shelf, log_, partitions=3, repeat="always", candidates=16) == whole


@pytest.mark.parametrize(
    ("missing", "found"),
    [
        ({2}, {"n": {"a"}}),
        ({3}, {"n": {"a"}, "o": {"a", "b"}}),
        ({1}, {"n": {"a"}, "o": {"a", "b"}}),
        ({1, 2, 3}, {}),
    ],
    ids=["no tags", "no years", "no words", "nothing"],
)
def test_what_is_missing_says_nothing(spark, missing, found):
    none = {1: "!", 2: [], 3: None}
    shelf = [tuple(none[n] if n in missing else value for n, value in enumerate(row)) for row in SHELF]
    assert {item: set(like) for item, like in shares(spark, shelf).items()} == found


def test_text_is_read_too(spark):
    shelf = [(item, "!", [], None, text) for item, text in (("a", "of foxes"), ("b", "of owls"), ("n", "FOXES, again"))]
    assert shares(spark, shelf) == {"n": {"a": 1.0}}


def test_a_sentence_model_knows_what_words_and_tags_do_not(spark):
    shelf = [("a", "Kitten", [], None, None), ("b", "Locomotive", [], None, None), ("n", "Cats", [], None, None)]
    assert shares(spark, shelf) == {}
    found = shares(spark, shelf, sentence_model=str(home() / "models" / "minilm-l6-static"))["n"]
    assert found["a"] > 0.7 and sum(found.values()) == pytest.approx(1)


def test_no_sentence_model(spark, tmp_path):
    with pytest.raises(ProfileError, match=f"night.sentence_model: no Model2Vec model in {tmp_path}"):
        shares(spark, SHELF, sentence_model=str(tmp_path))


@pytest.mark.parametrize("title", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text(spark, title):
    shelf = [*SHELF[:3], ("o", title, [title, "Tale"], -(2**31), title), ("p", title, ["tale"], 2**31 - 1, title)]
    found = shares(spark, shelf)
    assert found["n"] == {"a": 1.0} and all(0 < share <= 1 for like in found.values() for share in like.values())


def test_nothing_new_costs_nothing(spark, monkeypatch):
    monkeypatch.setattr(content, "_vectors", None)
    assert likeness(*numbered(spark, SHELF[:2], LOG), None) is likeness(*numbered(spark, SHELF[2:], LOG), None) is None
