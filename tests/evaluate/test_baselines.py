"""Baselines on matrices small enough to see through."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from jobs.evaluate.baselines import GRID, METHODS, Arrays, ease, popularity

# two tastes: items 0-2 and items 3-5, item 6 nobody had
LEARNED = csr_matrix(np.array([[1, 1, 1, 0, 0, 0, 0]] * 4 + [[0, 0, 0, 1, 1, 1, 0]] * 3 + [[1, 0, 0, 1, 0, 0, 0]], np.float32))
OWN = csr_matrix(np.array([[1, 1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 1, 0]], np.float32))


def arrays(again: bool = False) -> Arrays:
    return Arrays(LEARNED, OWN, np.array([2, 4]), again)


@pytest.mark.parametrize("method", ["item_knn", "ease", "ials"])
def test_what_goes_with_what_the_user_had_is_first(method):
    assert METHODS[method](arrays(), **GRID[method][0])[:, 0].tolist() == [2, 4]


@pytest.mark.parametrize("method", METHODS)
def test_what_the_user_had_is_not_in_the_list(method):
    lists = METHODS[method](arrays(), **GRID[method][0])
    assert not {0, 1} & set(lists[0].tolist()) and not {3, 5} & set(lists[1].tolist())
    assert lists.shape[0] == 2 and lists.min() >= -1


def test_popularity_counts_users():
    assert popularity(arrays())[0][:3].tolist() == [2, 3, 4]
    assert popularity(arrays(again=True))[0][:4].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("users", "items"), [(40, 12), (12, 40)])
def test_ease_is_its_closed_form(users, items):
    draw = np.random.default_rng(0)
    learned, own = (draw.random((users, items)) < 0.3).astype(np.float32), (draw.random((5, items)) < 0.2).astype(np.float32)
    p = np.linalg.inv(learned.T @ learned + 2.0 * np.eye(items))
    b = np.array([[0 if i == j else -p[i, j] / p[j, j] for j in range(items)] for i in range(items)])
    scores = np.where(own > 0, -np.inf, own @ b)
    fold = Arrays(csr_matrix(learned), csr_matrix(own), np.zeros(5, int), False)
    assert (ease(fold, 2.0)[:, :5] == np.argsort(-scores, axis=1, kind="stable")[:, :5]).all()
