"""Intervals beside scipy's, of means and of shares of what users have many of."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from jobs.intervals import intervals, ratios


def test_intervals_are_those_of_scipy():
    values = np.random.default_rng(1).random((300, 2))
    mean, low, high = intervals(values)
    told = [bootstrap((each,), np.mean, method="percentile", n_resamples=4000, rng=0).confidence_interval for each in values.T]
    assert mean == pytest.approx(values.mean(axis=0))
    assert low == pytest.approx([each.low for each in told], abs=3e-3)
    assert high == pytest.approx([each.high for each in told], abs=3e-3)


def test_a_difference_is_paired():
    """Two methods that differ by the same for every user differ surely, however much users differ."""
    users = np.random.default_rng(2).random(50) * 100
    _, low, high = intervals(np.stack([users + 0.1 - users, users], axis=1))
    assert (low[0], high[0]) == pytest.approx((0.1, 0.1)) and high[1] - low[1] > 1


def test_a_share_of_what_users_have_many_of():
    """Those who have none of it, and resamples of only them, change nothing."""
    totals, of = np.array([[1.0], [3.0], [0.0]]), np.array([[1.0], [4.0], [0.0]])
    share, low, high = ratios(totals, of)
    assert share == pytest.approx(4 / 5)
    assert (low[0], high[0]) == pytest.approx((3 / 4, 1))
