"""How far a count is from what chance would make of it."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

SURE = 3.3  # standard deviations from which a difference is told: by chance it is one time in a thousand, either way


def surprise(*samples: tuple[Column, Column, Column]) -> Column:
    """Root of the likelihood ratio of samples (k of n events, where p is expected): 0 where k = n p.

        sqrt(2 * sum of k ln(k / np) + (n - k) ln((n - k) / n(1 - p)))

    By chance it is as large as a standard normal number, and unlike the z of two proportions also where k is small (Dunning,
    Accurate methods for the statistics of surprise and coincidence, 1993).
    """
    terms = [term for k, n, p in samples for term in (_term(k, n * p), _term(n - k, n * (1 - p)))]
    return F.sqrt(F.greatest(2 * sum(terms[1:], terms[0]), F.lit(0.0)))


def _term(found: Column, expected: Column) -> Column:
    return F.when(found > 0, found * F.ln(F.try_divide(found, expected))).otherwise(F.lit(0.0))
