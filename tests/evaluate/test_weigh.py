"""The weight of scores whose quality is known: it is found where there is something to gain, and is 0 where there is not."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from jobs.evaluate.weigh import Part, Trial, correlation, figures, fit, order_effects, shuffled
from jobs.fusion import PROMPTS, WEIGHT
from jobs.profile import load_profile
from jobs.progress import Progress
from tests.generate.rows import candidate, user

N = 20


def trial(name: str, target: int, scores: dict[str, list[float]], turns: list[list[float]] | None = None) -> Trial:
    """A user whose retrieval scores fall from 20 to 1, with the held-out item at place `target` of them."""
    one = user(name, candidates=[candidate(place, f"Title {place}", N + 1.0 - place) for place in range(1, N + 1)])
    named = {scorer: {f"new{place}": each for place, each in enumerate(nats, 1)} for scorer, nats in scores.items()}
    runs = [{f"new{place}": each for place, each in enumerate(turn, 1)} for turn in turns or []]
    return Trial(one, f"new{target}", named, runs)


def part(quality: float, users: int = 300, seed: int = 0) -> Part:
    """Users whose items score a standard normal, the held-out item `quality` more; half of them are out of reach."""
    draw = Random(seed)
    trials = []
    for number in range(users // 2):
        target = min(N, 1 + int(draw.expovariate(0.15)))
        nats = [draw.gauss(quality * (place == target), 1) for place in range(1, N + 1)]
        trials.append(trial(f"u{number}", target, dict.fromkeys(PROMPTS, nats)))
    return Part(trials, users)


@pytest.mark.parametrize("seed", range(5))
def test_scores_that_tell_nothing_count_nothing(seed):
    found = fit(part(0.0, seed=seed), "likelihood")
    assert found.weight == 0.0 and found.low <= 0


def test_the_better_the_scores_the_more_they_count_and_gain():
    found = [fit(part(quality), "likelihood") for quality in (0.0, 1.5, 3.0, 6.0)]
    assert [each.weight > 0 for each in found] == [False, True, True, True]
    assert sorted(each.gain for each in found) == [each.gain for each in found]
    assert found[3].best > found[1].best


def test_a_gain_on_validation_is_there_on_test():
    rows = figures(load_profile(), part(3.0, seed=1), part(3.0, seed=2), "m", Progress("test"))
    (gain,) = [row for row in rows if (row["method"], row["metric"], row.get("against")) == ("ours+labels", "ndcg@10", "ours")]
    (weight,) = [row for row in rows if (row["method"], row["metric"]) == ("ours+labels", WEIGHT)]
    assert gain["low"] > 0 and weight["value"] > 0
    (ours, random) = [
        next(row["value"] for row in rows if (row["method"], row["metric"], row.get("against")) == (method, "ndcg@10", None))
        for method in ("ours", "random order")
    ]
    assert ours > random


def test_users_out_of_reach_are_counted():
    one = trial("u", 1, {"likelihood": [0.0] * N})
    assert Part([one], 4).values("likelihood", 0.5)["recall@10"].tolist() == [1, 0, 0, 0]
    assert fit(Part([one], 4), "likelihood").gain == 0


@pytest.mark.parametrize(
    ("weight", "expected"), [(0.0, 3.0), (1.0, 1.0), (1e6, 1.0)], ids=["retrieval's place", "fused", "the scores alone"]
)
def test_place_of_the_held_out_item(weight, expected):
    one = trial("u", 3, {"likelihood": [0.0, 0.0, 1.0] + [0.0] * (N - 3)})
    assert one.place("likelihood", weight) == expected
    assert replace(one, target="elsewhere").place("likelihood", weight) == np.inf


def test_a_random_order_is_the_same_again():
    assert shuffled(part(1.0, 10)) == shuffled(part(2.0, 10))


def test_order_effects_by_hand():
    falling = [-float(place) for place in range(N)]
    same = [trial("u", 1, {}, [falling, falling])]
    turned = [trial("u", 1, {}, [falling, falling[::-1]])]

    def told(trials):
        return {row["metric"]: row["value"] for row in order_effects(Part(trials, 1))}

    assert told(same) == pytest.approx({"place_correlation": -1.0, "order_agreement": 1.0})
    assert told(turned) == pytest.approx({"place_correlation": 0.0, "order_agreement": -1.0})
    assert told([trial("u", 1, {}, [falling])]) == {}
    assert correlation([0, 1], [2.0, 2.0]) == 0.0
