"""Lists worked out by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.generate.context import Contribution
from jobs.generate.ranking import Label, chosen, fitting, ordered, rank, standardized
from jobs.profile import Night
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
    ranked = rank(USER.candidates, scores, group, Night(list_length=3, model_weight=weight))
    assert [each.item.item_id for each in ranked] == [name for name, _ in order]
    assert [each.score for each in ranked] == pytest.approx([score for _, score in order])
    assert [each.rank for each in ranked] == [1, 2, 3]
    assert {(each.source, each.experiment_group) for each in ranked} == {(source, group)}
    assert {each.item.item_id: each.llm_score for each in ranked} == dict.fromkeys(["new1", "new2", "new3"]) | scores


def test_length() -> None:
    assert [each.item.item_id for each in rank(USER.candidates, {}, "treatment", Night(list_length=2))] == ["new1", "new2"]
    assert rank((), {}, "treatment", Night(model_weight=1.0)) == []


@pytest.mark.parametrize(
    ("length", "new", "scores", "order"),
    [
        (2, 0, {}, ["new1", "new2"]),
        (2, 1, {}, ["new1", "new3"]),
        (3, 1, {}, ["new1", "new2", "new3"]),
        (1, 1, {}, ["new1"]),
        (2, 1, WORST_FIRST, ["new3", "new2"]),
    ],
    ids=["none kept", "one kept", "all fit", "at most half of a list", "the model put it first"],
)
def test_places_are_kept_for_what_content_brought(length, new, scores, order) -> None:
    brought = replace(USER.candidates[2], contributions=(Contribution("content", "e1", 1.0),))
    rule = Night(list_length=length, new_items=new, model_weight=2.0)
    ranked = rank((*USER.candidates[:2], brought), scores, "treatment", rule)
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


LABELLED = [("a", ["Drama"]), ("b", ["Drama", "Crime"]), ("c", ["Drama"]), ("d", ["Crime"]), ("e", []), ("f", ["War"])]


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
@pytest.mark.parametrize("kind", ["tag", "creator"])
def test_at_most_so_many_of_a_label(kind: str, most: int | None, length: int, expected: str) -> None:
    rows = [candidate(n, name, 9.0 - n) | {"tags": [], f"{kind}s": own} for n, (name, own) in enumerate(LABELLED, 1)]
    rule = Night(list_length=length, **{f"most_per_{kind}": most})
    listed = rank(user(candidates=rows).candidates, {}, "treatment", rule)
    assert "".join(each.item.title for each in listed) == expected
    assert [each.rank for each in listed] == list(range(1, length + 1))


MADE = [("a", ["War"], ["Ann"]), ("b", ["War"], ["Bea"]), ("c", [], ["Ann", "Ann"]), ("d", ["Art"], ["War"]), ("e", [], [])]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, "abc"),
        ({"most_per_tag": 1}, "acd"),
        ({"most_per_creator": 1}, "abd"),
        ({"most_per_tag": 1, "most_per_creator": 1}, "ade"),
        ({"most_per_tag": 1, "most_per_creator": 2}, "acd"),
    ],
    ids=["no rule", "tags", "creators", "both, of one name too", "each its own limit"],
)
def test_at_most_so_many_of_a_tag_and_of_a_creator(rule: dict[str, int], expected: str) -> None:
    rows = [candidate(n, name, 9.0 - n) | {"tags": tags, "creators": by} for n, (name, tags, by) in enumerate(MADE, 1)]
    listed = rank(user(candidates=rows).candidates, {}, "treatment", Night(list_length=3, **rule))
    assert "".join(each.item.title for each in listed) == expected


LABELS = st.sets(st.tuples(st.sampled_from(["tag", "creator"]), st.sampled_from("pqr")), max_size=4)
MOST = st.fixed_dictionaries(dict.fromkeys(["tag", "creator"], st.integers(1, 3) | st.none()))


@given(st.lists(LABELS, max_size=8), st.integers(1, 8), MOST)
def test_the_rules_lose_nobody_and_are_kept_as_far_as_they_can_be(
    labels: list[set[Label]], length: int, most: dict[str, int | None]
) -> None:
    found = fitting(range(len(labels)), labels, length, most, Counter())
    assert found == sorted(set(found)) and len(found) <= length and within(labels, found, most)
    left = [place for place in range(len(labels)) if place not in found] if len(found) < length else []
    assert not any(within(labels, [*found, place], most) for place in left)
    if set(most.values()) == {None}:
        assert found == list(range(min(length, len(labels))))


NAMES = st.lists(st.sampled_from("pqr"), max_size=2)
RULES = st.fixed_dictionaries(dict.fromkeys(["most_per_tag", "most_per_creator"], st.integers(1, 3) | st.none()))


@given(st.lists(st.tuples(NAMES, NAMES, st.booleans()), max_size=8), st.integers(1, 8), st.integers(0, 3), RULES)
def test_a_list_and_what_follows_it_lose_nobody(
    made: list[tuple[list[str], list[str], bool]], length: int, new_items: int, rules: dict[str, int | None]
) -> None:
    tags, creators, by_content = ([row[part] for row in made] for part in range(3))
    found = chosen(tags, creators, by_content, Night(list_length=length, new_items=new_items, **rules))
    assert sorted(found) == list(range(len(made)))


def within(labels: list[set[Label]], places: list[int], most: dict[str, int | None]) -> bool:
    counts = Counter(label for place in places for label in labels[place])
    return all(n <= (most[kind] or n) for (kind, _), n in counts.items())


def test_the_order_goes_on_after_the_list() -> None:
    whole = ordered(USER.candidates, {}, "treatment", Night(list_length=1))
    assert [(each.rank, each.item.item_id) for each in whole] == [(1, "new1"), (2, "new2"), (3, "new3")]


@pytest.mark.parametrize(
    ("tags", "by_content", "order"),
    [
        (["t", "", "t"], [False, False, True], [0, 1, 2]),  # the new one would be a second t
        (["t", "", "u"], [False, False, True], [0, 2, 1]),
        (["t", "", "t", "u"], [False, False, True, True], [0, 3, 1, 2]),  # the first new one that keeps to the rule
        (["", "t", "t"], [False, True, True], [0, 1, 2]),
        (["t", "t", "t"], [False, False, True], [0, 1, 2]),  # there are no others
    ],
)
def test_the_kept_place_keeps_to_the_rule(tags: list[str], by_content: list[bool], order: list[int]) -> None:
    night = Night(list_length=2, most_per_tag=1, new_items=1)
    assert chosen([[each] if each else [] for each in tags], [[]] * len(tags), by_content, night) == order
