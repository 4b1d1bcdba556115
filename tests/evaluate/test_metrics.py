"""Metrics by hand, and beside a library's."""

import numpy as np
import pytest
from implicit.evaluation import ranking_metrics_at_k
from scipy.sparse import csr_matrix

from jobs.evaluate.metrics import by_user, of_lists, places

LISTS = np.array([[4, 2, 0], [1, 3, -1], [0, 1, 2]])
TARGET = np.array([2, 4, 0])


def test_by_hand():
    place = places(LISTS, TARGET)
    assert place.tolist() == [2, np.inf, 1]
    found = by_user(place)
    assert found["ndcg@10"].tolist() == pytest.approx([1 / np.log2(3), 0, 1])
    assert found["recall@20"].tolist() == [1, 0, 1]
    assert found["mrr@10"].tolist() == [0.5, 0, 1]


def test_a_place_beyond_k_is_none():
    found = by_user(np.array([11.0]))
    assert (found["ndcg@10"][0], found["recall@10"][0]) == (0, 0) and found["recall@20"][0] == 1


@pytest.mark.parametrize("seed", range(3))
def test_beside_a_library(seed):
    """`implicit` has ndcg, and with one relevant item its precision is our recall, its map our mrr."""
    draw = np.random.default_rng(seed)
    users, items, k = 60, 40, 10
    lists = np.stack([draw.permutation(items)[:k] for _ in range(users)]).astype(np.int32)
    target = draw.integers(0, items, users)

    class Listed:
        def recommend(self, ids, *_, **__):
            return lists[ids], np.ones((len(ids), k))

    held = csr_matrix((np.ones(users), (np.arange(users), target)), shape=(users, items))
    told = ranking_metrics_at_k(Listed(), held, held, K=k, show_progress=False, num_threads=1)
    ours = {name: float(each.mean()) for name, each in by_user(places(lists, target)).items()}
    assert (ours["ndcg@10"], ours["recall@10"], ours["mrr@10"]) == pytest.approx((told["ndcg"], told["precision"], told["map"]))


def test_of_all_lists():
    found = of_lists(LISTS, n_learned=np.array([2, 1, 1, 0, 4]), n_users=4)
    assert found["coverage@10"] == 1.0
    shown = np.array([4, 2, 0, 1, 3, 0, 1, 2])
    assert found["novelty@10"] == pytest.approx(np.mean(-np.log2(np.maximum([2, 1, 1, 0, 4], 1) / 4)[shown]))
    counts = np.array([2, 2, 2, 1, 1])
    gini = np.abs(counts[:, None] - counts[None]).mean() / (2 * counts.mean())
    assert found["gini@10"] == pytest.approx(gini)


def test_one_item_for_all_is_the_least_equal():
    found = of_lists(np.zeros((5, 3), int) + np.array([[0, -1, -1]]), np.ones(10), 5)
    assert (found["coverage@10"], found["gini@10"]) == (0.1, pytest.approx(0.9))
