"""95% intervals by a bootstrap over users: percentiles of what so many resamples of the same users give."""

from __future__ import annotations

import numpy as np

RESAMPLES = 2000


def intervals(values: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, low and high of each column of `values` (users, columns), all columns over the same resampled users.

    A column that is a difference of two methods so becomes a paired test: they differ at 95% where 0 lies outside.
    """
    return ratios(values, np.ones(values.shape), seed)


def ratios(totals: np.ndarray, of: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of each column's sum of `totals` over its sum of `of`, both (users, columns): a share of what users have many
    of, or a mean over those who have a value (`of` 1, else both 0). At least one user must have some."""
    n = len(totals)
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    with np.errstate(invalid="ignore"):
        found = (draws @ totals) / (draws @ of)  # a resample may have none
    low, high = np.nanpercentile(found, [2.5, 97.5], axis=0)
    return totals.sum(axis=0) / of.sum(axis=0), low, high
