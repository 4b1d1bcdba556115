"""Surprises computed by hand."""

import pytest
from pyspark.sql import functions as F

from jobs.prepare.surprise import surprise

SAMPLES = [  # samples of (k, n, p), surprise
    ([(5, 5, 0.2)], 4.0118),  # sqrt(2 * 5 ln 5)
    ([(7, 10, 0.2)], 3.4138),  # sqrt(2 (7 ln 3.5 + 3 ln 0.375))
    ([(0, 25, 0.2)], 3.3402),  # sqrt(2 * 25 ln 1.25)
    ([(2, 10, 0.2)], 0.0),
    ([(10, 10, 1.0)], 0.0),
    ([(12, 16, 0.38), (7, 34, 0.38)], 3.7198),  # sqrt(2 (12 ln 1.9737 + 4 ln .4032 + 7 ln .5418 + 27 ln 1.2808))
    ([(0, 5, 0.0), (0, 9, 0.0)], 0.0),
    ([(0, 0, 0.5)], 0.0),
]


@pytest.mark.parametrize(("samples", "expected"), SAMPLES)
def test_by_hand(spark, samples, expected):
    columns = [tuple(map(F.lit, sample)) for sample in samples]
    assert spark.range(1).select(surprise(*columns)).first()[0] == pytest.approx(expected, abs=1e-4)
