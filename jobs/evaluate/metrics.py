"""How good lists are, with one held-out item a user, over the full catalogue.

With the held-out item at place r of a list (from 1): ndcg@k = 1 / log2(r + 1), recall@k = 1, mrr@k = 1 / r where r <= k, else 0
(Järvelin and Kekäläinen, TOIS 2002, with a single relevant item). coverage@k is the share of the catalogue that is in any
list, gini@k that of the counts of items in lists (0 all alike, 1 one item only), novelty@k the mean of -log2(share of users
who had the item).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from jobs.intervals import intervals

KS = (10, 20)


def places(lists: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Place of each user's target in the user's list, from 1; inf where it is not there. Shapes (n, length) and (n,)."""
    hit = lists == target[:, None]
    return np.where(hit.any(axis=1), hit.argmax(axis=1) + 1.0, np.inf)


def by_user(place: np.ndarray) -> dict[str, np.ndarray]:
    """Metric -> value of each user."""
    found = {}
    for k in KS:
        inside = place <= k
        found[f"ndcg@{k}"] = np.where(inside, 1 / np.log2(place + 1), 0.0)
        found[f"recall@{k}"] = inside.astype(float)
        found[f"mrr@{k}"] = np.where(inside, 1 / place, 0.0)
    return found


def of_lists(lists: np.ndarray, n_learned: np.ndarray, n_users: int) -> dict[str, float]:
    """Metric -> value of all lists together; `n_learned` (items) has users a item, of `n_users`."""
    found = {}
    for k in KS:
        shown = lists[:, :k][lists[:, :k] >= 0]
        counts = np.sort(np.bincount(shown, minlength=len(n_learned)))
        ranks = np.arange(1, len(counts) + 1)
        found[f"coverage@{k}"] = float((counts > 0).mean())
        found[f"gini@{k}"] = float(((2 * ranks - len(counts) - 1) * counts).sum() / (len(counts) * max(1, counts.sum())))
        found[f"novelty@{k}"] = float(-np.log2(np.maximum(n_learned[shown], 1) / n_users).mean()) if len(shown) else 0.0
    return found


def compared(
    values: Mapping[str, Mapping[str, np.ndarray]],
    differences: list[tuple[str, str]],
    about: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Rows of `evaluations`: each method's metrics (`values`, arrays of the same users), and those of the first method of each
    pair of `differences` less the second's, all over the same resampled users. `settings` are those chosen for a method."""
    keys: list[tuple[str, str, str | None]] = [(method, metric, None) for method in values for metric in values[method]]
    keys += [(method, metric, other) for method, other in differences for metric in values[method]]
    columns = [values[method][metric] - (values[other][metric] if other else 0) for method, metric, other in keys]
    mean, low, high = intervals(np.stack(columns, axis=1))
    return [
        dict(about)
        | {"method": method, "metric": metric, "against": other, "n_users": len(columns[n])}
        | {"value": float(mean[n]), "low": float(low[n]), "high": float(high[n])}
        | {"settings": json.dumps(settings[method]) if settings.get(method) else None}
        for n, (method, metric, other) in enumerate(keys)
    ]
