"""A night against the last release: by tables of a few rows whose figures are computed by hand."""

from __future__ import annotations

from math import log, nextafter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.manifest import Manifest
from jobs.profile import Gates
from jobs.publish.drift import COMPARED, cuts, judge_columns, judge_drift, judge_people, judge_run, stability
from jobs.publish.gates import Verdict
from tests.publish.nights import NIGHT

WORDS = "some words on taste"
TEN = [float(score) for score in range(1, 11)]


def released(spark, lists: dict[str, str], scores: list[float] | None = None, words: str = WORDS) -> dict[str, Any]:
    """What is compared of a release: by user a list of items, a letter each; scores in the order of all places."""
    places = [(user, rank, item) for user, items in lists.items() for rank, item in enumerate(items, 1)]
    scored = [(*place, score) for place, score in zip(places, scores or [1.0] * len(places), strict=True)]
    people, reasons = [(user, words) for user in lists], [(user, words) for user, *_ in places]
    return {
        "user_summaries": spark.createDataFrame(people, "user_id string, summary string"),
        "rankings": spark.createDataFrame(scored, "user_id string, rank int, item_id string, score double"),
        "explanations": spark.createDataFrame(reasons, "user_id string, explanation string"),
    }


def by_rule(verdicts: list[Verdict]) -> dict[str, Verdict]:
    found = {f"{each.table}.{each.rule}": each for each in verdicts}
    assert len(found) == len(verdicts)
    return found


def test_without_a_release_before_all_pass_and_say_so(spark) -> None:
    found = judge_drift(released(spark, {"a": "x"}), None, Gates())
    assert [(each.table, each.rule) for each in found] == list(COMPARED)
    assert {(each.passed, each.observed) for each in found} == {(True, "no release before")}


FOUR, TWELVE = dict.fromkeys("abcd", "wxyz"), "abcdefghijkl"
PEOPLE: dict[str, tuple[dict[str, str], dict[str, str], str, str]] = {
    # before, tonight, seen of coverage, seen of overlap; ! where the rule fails, then its keys
    "the same": (FOUR, FOUR, "100.00% of 4", "100.00% of 4 users in both, 0 with another list"),
    "another order": (FOUR, FOUR | {"a": "zyxw"}, "100.00% of 4", "100.00% of 4 users in both, 0 with another list"),
    "newcomers": (FOUR, FOUR | {"e": "uvst"}, "100.00% of 4", "100.00% of 4 users in both, 0 with another list"),
    "one is gone": (FOUR, {"a": "wxyz", "b": "wxyz", "d": "wxyz"}, "!75.00% of 4 user_id=c", "100.00% of 3"),
    "nobody stays": ({"a": "wx"}, {"b": "wx"}, "!0.00% of 1 user_id=a", "100.00% of 0"),
    "half of one list": (FOUR, FOUR | {"a": "wxuv"}, "100.00% of 4", "87.50% of 4 users in both, 1 with another list"),
    "a shorter list": ({"a": "wxyz"}, {"a": "wx"}, "100.00% of 1", "50.00% of 1"),
    "a longer list": ({"a": "wx"}, {"a": "wxyz"}, "100.00% of 1", "50.00% of 1"),
    "no list now": (
        {"a": "wx"},
        {"a": ""},
        "100.00% of 1",
        "!0.00% of 1 users in both, 1 with another list user_id=a: 0%",
    ),
    "beyond the tenth place": ({"a": TWELVE}, {"a": TWELVE[:10] + "yz"}, "100.00% of 1", "100.00% of 1"),
    "other lists": (
        {"a": "wxyz", "b": "wxyz", "c": "wxyz", "d": "wxyz", "e": "wx"},
        {"a": "wuvs", "b": "stuv", "c": "wsuv", "d": "wxuv", "e": "st"},
        "100.00% of 5",
        "!20.00% of 5 users in both, 5 with another list user_id=b: 0%; user_id=e: 0%; user_id=a: 25%",
    ),
}


@pytest.mark.parametrize("case", PEOPLE)
def test_people_and_their_lists_are_still_there(spark, case: str) -> None:
    before, tonight, *expected = PEOPLE[case]
    found = by_rule(judge_people(released(spark, tonight), released(spark, before), Gates()))
    assert list(found) == ["user_summaries.coverage", "rankings.overlap"]
    for verdict, seen in zip(found.values(), expected, strict=True):
        assert verdict.passed is not seen.startswith("!")
        told = f"{verdict.observed} {'; '.join(verdict.sample_keys)}"
        assert told.replace(" users of the last release", "").startswith(seen.lstrip("!")), told
        assert bool(verdict.sample_keys) is not verdict.passed


@pytest.mark.parametrize(("limit", "passed"), [(0.75, True), (0.76, False)])
def test_limits_are_the_profiles(spark, limit: float, passed: bool) -> None:
    before, tonight = FOUR, {"a": "wxyz", "b": "wxyz", "c": "stuv", "e": "wxyz"}
    found = judge_people(released(spark, tonight), released(spark, before), Gates(min_coverage=limit, min_overlap=2 / 3))
    assert [each.passed for each in found] == [passed, True]


@pytest.mark.parametrize(
    ("scores", "passed", "seen", "keys"),
    [
        (TEN, True, "0.000 of 10 rows", ()),
        (TEN[::-1], True, "0.000 of 10 rows", ()),
        # all in the first of ten bins: .9 ln 10 + 9 (.1 - .0001) ln(.1 / .0001) = 2.0723 + 6.2108
        ([0.5] * 10, False, "8.283 of 10 rows", ("up to 1: 100.0% of rows, 10.0% before",)),
        ([2.5] * 10, False, "8.283 of 10 rows", ("above 2 up to 3: 100.0% of rows, 10.0% before",)),
        ([99.0] * 10, False, "8.283 of 10 rows", ("above 9: 100.0% of rows, 10.0% before",)),
        # two bins change places with nobody: 2 * ((.2 - .1) ln 2 + (.1 - .0001) ln 1000) < what chance may do to ten rows
        ([1.0, 1.0, 2.0, 2.0, *TEN[4:]], True, "1.519 of 10 rows", ()),
        ([float("nan")] * 10, True, "10 rows before, 0 tonight", ()),
    ],
)
def test_scores_are_spread_as_before(spark, scores, passed, seen, keys) -> None:
    was, now = (released(spark, {"a": "abcdefghij"}, each) for each in (TEN, scores))
    found = by_rule(judge_columns(now, was, Gates()))["rankings.score_psi"]
    assert (found.passed, found.observed, found.sample_keys) == (passed, seen, keys)
    assert "at most 0.250, and 3.384 by chance" in found.expected or "tonight" in seen


@pytest.mark.parametrize("words", [WORDS, f"{WORDS}, and more", "few"])
def test_texts_are_as_long_as_before(spark, words: str) -> None:
    """All of four words, so that every decile is the same: longer and shorter ones are both seen."""
    lists = {f"u{k}": "abcd" for k in range(20)}
    found = by_rule(judge_columns(released(spark, lists, words=words), released(spark, lists), Gates()))
    lengths = [found["user_summaries.length_psi"], found["explanations.length_psi"]]
    assert [each.passed for each in lengths] == [words == WORDS] * 2
    assert found["rankings.score_psi"].passed


def test_the_index_by_hand() -> None:
    """Halves become three quarters and one: .25 ln 1.5 + -.25 ln .5 = .25 ln 3."""
    assert sum(stability([50, 50], [75, 25])) == pytest.approx(0.25 * log(3))
    assert sum(stability([50, 50], [100, 0])) == pytest.approx(0.5 * log(2) + 0.4999 * log(5000))


COUNTS = st.lists(st.integers(0, 1000), min_size=1, max_size=10).filter(any)


@settings(deadline=None)
@given(counts=COUNTS, times=st.integers(1, 9))
def test_the_index_of_equal_samples_is_0(counts: list[int], times: int) -> None:
    assert sum(stability(counts, [times * n for n in counts])) == 0


@settings(deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=10))
def test_no_bin_lowers_the_index(pairs: list[tuple[int, int]]) -> None:
    was, now = map(list, zip(*pairs, strict=True))
    if any(was) and any(now):
        assert min(stability(was, now)) >= 0
        assert sum(stability(was, now)) == pytest.approx(sum(stability(now, was)))


@pytest.mark.parametrize(
    ("deciles", "edges"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
        ([2.0, 2.0], [nextafter(2.0, 0), 2.0]),
        ([1.0, 3.0, 3.0], [1.0, nextafter(3.0, 0), 3.0]),
    ],
)
def test_a_value_of_several_deciles_has_a_bin_of_its_own(deciles: list[float], edges: list[float]) -> None:
    assert cuts(deciles) == edges


def run(users: int = 100, tokens: int = 5000, **columns: Any) -> dict[str, Any]:
    about = {"run_id": "run-1", "release_id": "r-run-1", "users_changed": users, "prompt_tokens": tokens, "output_tokens": 0}
    return about | {"template_share": 0.1, "rows_in": 1000, "rows_rejected": 20} | columns


def judged(users: int = 100, tokens: int = 5000, templates: float = 0.1, rejected: int = 20, past=None, last="run-1"):
    counts = {"events": {"valid": 1000 - rejected, "bad_time": rejected}}
    about: dict[str, Any] = {"shards": [], "counts": counts, "release_before": "r-run-1", "seconds": {}}
    manifest = Manifest(run_id="run-9", run_date=NIGHT, users=1000, users_changed=users, **about)
    return by_rule(judge_run(manifest, templates, tokens, [run()] if past is None else past, last, Gates()))


TEMPLATES, REJECTED, TOKENS = "explanations.template_share_rise", "rejected.share_rise", "generations.tokens_a_user"
UNKNOWN = "no night before that made enough users"
DEARER = [run(tokens=5000 * n, run_id=f"run-{n}") for n in (9, 1, 2, 1, 1)]
RUNS: dict[str, tuple[dict[str, Any], str, bool, str]] = {
    "as before": ({}, TEMPLATES, True, "10.00%"),
    "a little more": ({"templates": 0.29}, TEMPLATES, True, "29.00%"),
    "much more": ({"templates": 0.31}, TEMPLATES, False, "31.00%"),
    "less": ({"templates": 0.0}, TEMPLATES, True, "0.00%"),
    "of few users": ({"templates": 1.0, "users": 29}, TEMPLATES, True, "29 users made tonight, too few to say"),
    "never told": ({"templates": 1.0, "past": [run(template_share=None)]}, TEMPLATES, True, "no release before"),
    "records as before": ({}, REJECTED, True, "2.00%"),
    "records worse": ({"rejected": 70}, REJECTED, True, "7.00%"),
    "records bad": ({"rejected": 71}, REJECTED, False, "7.10%"),
    "records of no run": ({"rejected": 71, "last": None}, REJECTED, True, "no release before"),
    "tokens as before": ({}, TOKENS, True, "50.0"),
    "three times the tokens": ({"tokens": 15_000}, TOKENS, True, "150.0"),
    "more": ({"tokens": 15_100}, TOKENS, False, "151.0"),
    "nothing to pay": ({"tokens": 0}, TOKENS, True, "0.0"),
    "tokens of few users": ({"tokens": 15_100, "users": 29}, TOKENS, True, "29 users made tonight, too few to say"),
    "against the middle one": ({"tokens": 15_100, "past": DEARER}, TOKENS, False, "151.0"),
    "against ten nights": ({"tokens": 15_100, "past": [*[run()] * 9, *[run(tokens=10_000)] * 10]}, TOKENS, True, "151.0"),
    "no other night": ({"tokens": 15_100, "past": []}, TOKENS, True, UNKNOWN),
    "blocked ones": (
        {"tokens": 15_100, "past": [run(release_id=None)]},
        TOKENS,
        True,
        UNKNOWN,
    ),
    "small ones": ({"tokens": 15_100, "past": [run(users=29)]}, TOKENS, True, UNKNOWN),
    "free ones": ({"tokens": 15_100, "past": [run(tokens=0)]}, TOKENS, True, UNKNOWN),
    "one without figures": ({"past": [run(users_changed=None), run()]}, TOKENS, True, "50.0"),
}


@pytest.mark.parametrize("case", RUNS)
def test_the_run_is_like_the_last_ones(case: str) -> None:
    about, rule, passed, seen = RUNS[case]
    verdict = judged(**about)[rule]
    assert (verdict.passed, verdict.observed) == (passed, seen)
