"""Lists worked out by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.generate.context import Contribution
from jobs.generate.ranking import rank, standardized, varied
from tests.generate.rows import candidate, user

USER = user()  # Ronin 3, Fargo 2, Speed 1 by retrieval
ROOT = 1.5**0.5  # standardized, these are ROOT, 0, -ROOT
WORST_FIRST = {"new1": -30.0, "new2": -20.0, "new3": -10.0}


@pytest.mark.parametrize(
    ("scores", "weight", "group", "order", "source"),
    [
        (WORST_FIRST, 0.0, "treatment", [("new1", 3.0), ("new2", 2.0), ("new3", 1.0)], "retrieval"),
        (WORST_FIRST, 2.0, "holdout", [("new1", 3.0), ("new2", 2.0), ("new3", 1.0)], "retrieval"),
        ({}, 2.0, "treatment", [("new1", 3.0), ("new2", 2.0), ("new3", 1.0)], "retrieval"),
        (WORST_FIRST, 2.0, "treatment", [("new3", ROOT), ("new2", 0.0), ("new1", -ROOT)], "fused"),
        (WORST_FIRST, 1.0, "treatment", [("new1", 0.0), ("new2", 0.0), ("new3", 0.0)], "fused"),
        ({"new2": -1.0, "new3": -3.0}, 3.0, "treatment", [("new2", 3.0), ("new1", ROOT), ("new3", -ROOT - 3)], "fused"),
        ({"new3": -5.0}, 9.0, "treatment", [("new1", ROOT), ("new2", 0.0), ("new3", -ROOT)], "fused"),
    ],
    ids=["weight 0", "holdout", "no scores", "turned round", "a tie goes to retrieval", "unscored at the mean", "one score"],
)
def test_order(scores: dict[str, float], weight: float, group: str, order: list[tuple[str, float]], source: str) -> None:
    ranked = rank(USER.candidates, scores, weight, group, 3)
    assert [each.item.item_id for each in ranked] == [name for name, _ in order]
    assert [each.score for each in ranked] == pytest.approx([score for _, score in order])
    assert [each.rank for each in ranked] == [1, 2, 3]
    assert {(each.source, each.experiment_group) for each in ranked} == {(source, group)}
    assert {each.item.item_id: each.llm_score for each in ranked} == dict.fromkeys(["new1", "new2", "new3"]) | scores


def test_length() -> None:
    assert [each.item.item_id for each in rank(USER.candidates, {}, 0, "treatment", 2)] == ["new1", "new2"]
    assert rank((), {}, 1, "treatment", 5) == []


@pytest.mark.parametrize(
    ("length", "new", "scores", "order"),
    [
        (2, 0, {}, ["new1", "new2"]),
        (2, 1, {}, ["new1", "new3"]),
        (3, 1, {}, ["new1", "new2", "new3"]),
        (1, 1, {}, ["new3"]),
        (2, 1, WORST_FIRST, ["new3", "new2"]),
    ],
    ids=["none kept", "one kept", "all fit", "nothing else", "the model put it first"],
)
def test_places_are_kept_for_what_content_brought(length, new, scores, order) -> None:
    brought = replace(USER.candidates[2], contributions=(Contribution("content", "e1", 1.0),))
    ranked = rank((*USER.candidates[:2], brought), scores, 2.0, "treatment", length, new=new)
    assert [each.item.item_id for each in ranked] == order
    assert [each.rank for each in ranked] == [*range(1, length + 1)]
    assert [each.score for each in ranked] == sorted((each.score for each in ranked), reverse=True)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([], []), ([7.0], [0.0]), ([0.1, 0.1, 0.1], [0.0] * 3), ([1.0, 3.0], [-1.0, 1.0]), ([3.0, 2.0, 1.0], [ROOT, 0.0, -ROOT])],
)
def test_standardized(scores: list[float], expected: list[float]) -> None:
    names = list("abc")[: len(scores)]
    assert list(standardized(dict(zip(names, scores, strict=True))).values()) == pytest.approx(expected)


TAGGED = [("a", ["Drama"]), ("b", ["Drama", "Crime"]), ("c", ["Drama"]), ("d", ["Crime"]), ("e", []), ("f", ["War"])]


@pytest.mark.parametrize(
    ("most", "length", "expected"),
    [
        (None, 4, "abcd"),
        (1, 4, "adef"),
        (2, 4, "abde"),
        (1, 5, "adefb"),
        (1, 6, "adefbc"),
        (9, 6, "abcdef"),
    ],
    ids=["no rule", "one of each", "two of each", "too few fit: the next best", "all of them", "a rule that nothing breaks"],
)
def test_at_most_so_many_of_a_tag(most: int | None, length: int, expected: str) -> None:
    rows = [candidate(n, name, 9.0 - n) | {"tags": tags} for n, (name, tags) in enumerate(TAGGED, 1)]
    listed = rank(user(candidates=rows).candidates, {}, 0.0, "treatment", length, most)
    assert "".join(each.item.title for each in listed) == expected
    assert [each.rank for each in listed] == list(range(1, length + 1))


@given(st.lists(st.lists(st.sampled_from("pqrs"), max_size=3), max_size=8), st.integers(1, 8), st.integers(1, 3) | st.none())
def test_the_rule_loses_nobody_and_is_kept_as_far_as_it_can_be(tags: list[list[str]], length: int, most: int | None) -> None:
    rows = [candidate(n, "x", 9.0 - n) | {"tags": each} for n, each in enumerate(tags, 1)]
    items = list(user(candidates=rows).candidates)
    found = varied(items, length, most)
    assert sorted(each.item_id for each in found) == sorted(each.item_id for each in items)
    if most and found:
        fitting = 0
        while (
            fitting < min(length, len(found))
            and max(Counter(tag for item in found[: fitting + 1] for tag in set(item.tags)).values(), default=0) <= most
        ):
            fitting += 1
        left = Counter(tag for item in found[:fitting] for tag in set(item.tags))
        behind = found[fitting:]
        assert fitting == min(length, len(found)) or all(any(left[tag] >= most for tag in item.tags) for item in behind)
