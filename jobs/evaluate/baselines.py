"""What any list must beat, on arrays of one fold; every method answers with lists of the `LENGTH` best items of each user.

- `popularity`: items by their number of users
- `item_knn`: cosine between items, the nearest `K` kept (`implicit`)
- `ease`: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019: B = I - P / diag(P), P = (X'X + λI)^-1
- `ials`: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008 (`implicit`), the factors
  of each user computed from the user's own events
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from implicit.utils import ParameterWarning
from scipy.sparse import csr_matrix

LENGTH = 20
BLOCK = 1000  # users scored at a time
GRID: dict[str, list[dict[str, Any]]] = {
    "popularity": [{}],
    "item_knn": [{"k": k} for k in (20, 100, 500)],
    "ease": [{"l2": l2} for l2 in (30.0, 100.0, 300.0, 1000.0)],
    "ials": [
        {"factors": factors, "regularization": regularization, "alpha": alpha}
        for factors in (32, 64, 128)
        for regularization in (1.0, 10.0)
        for alpha in (1.0, 10.0)
    ],
}


@dataclass(frozen=True)
class Arrays:
    """One fold with users and items as numbers.

    `learned` (users x items, 1 where there was an event) is what may be learned from; `own` (judged users x items) what is
    known of those who are judged; `target` (judged users) the held-out item; `n_learned` (items) events to learn from.
    """

    learned: csr_matrix
    own: csr_matrix
    target: np.ndarray
    again: bool  # lists may show what is in `own`

    @cached_property
    def n_learned(self) -> np.ndarray:
        return np.asarray(self.learned.sum(axis=0)).ravel()


def popularity(fold: Arrays) -> np.ndarray:
    """Lists by number of users: (judged users, LENGTH) item numbers."""
    return _best(fold, lambda rows: np.repeat(fold.n_learned[None], rows.shape[0], axis=0))


def item_knn(fold: Arrays, k: int) -> np.ndarray:
    """The same by the sum of cosines to what the user had."""
    model = CosineRecommender(K=k)
    with warnings.catch_warnings(action="ignore", category=ParameterWarning):  # about its own conversion
        model.fit(fold.learned, show_progress=False)
    return _best(fold, lambda rows: (rows @ model.similarity).toarray())


def ease(fold: Arrays, l2: float) -> np.ndarray:
    """The same by EASE; with fewer users than items by the users' products (Woodbury): then no matrix of items is made."""
    learned = fold.learned.astype(np.float64)
    n_users, n_items = learned.shape
    if n_users < n_items:
        inverse = np.linalg.inv((learned @ learned.T).toarray() + l2 * np.eye(n_users))
        behind = learned.T @ inverse  # (items, users); P = (I - behind X) / l2
        diagonal = (1 - np.asarray(learned.T.multiply(behind).sum(axis=1)).ravel()) / l2

        def times_p(rows: csr_matrix) -> np.ndarray:
            return (rows.toarray() - (rows @ behind) @ learned) / l2
    else:
        p = np.linalg.inv((learned.T @ learned).toarray() + l2 * np.eye(n_items))
        diagonal = np.diag(p)

        def times_p(rows: csr_matrix) -> np.ndarray:
            return rows @ p

    return _best(fold, lambda rows: rows.toarray() - times_p(rows) / diagonal)


def ials(fold: Arrays, factors: int, regularization: float, alpha: float) -> np.ndarray:
    """The same by implicit ALS."""
    model = AlternatingLeastSquares(
        factors=factors, regularization=regularization, alpha=alpha, iterations=15, random_state=0, use_gpu=False
    )
    model.fit(fold.learned, show_progress=False)
    return _best(fold, lambda rows: model.recalculate_user(np.arange(rows.shape[0]), rows) @ model.item_factors.T)


METHODS: dict[str, Callable[..., np.ndarray]] = {
    "popularity": popularity, "item_knn": item_knn, "ease": ease, "ials": ials
}  # fmt: skip


def _best(fold: Arrays, scores: Callable[[csr_matrix], np.ndarray]) -> np.ndarray:
    """Lists of the highest scores, the lower item number first among equals; -1 where there are no more items."""
    lists = []
    for start in range(0, fold.own.shape[0], BLOCK):
        rows = fold.own[start : start + BLOCK]
        found = scores(rows).astype(np.float64)
        if not fold.again:
            found[rows.nonzero()] = -np.inf
        order = np.argsort(-found, axis=1, kind="stable")[:, :LENGTH]
        lists.append(np.where(np.isfinite(np.take_along_axis(found, order, axis=1)), order, -1))
    return np.concatenate(lists)
