"""What a session keeps in files."""

from pathlib import Path
from urllib.parse import urlparse

import pytest
from pyspark.sql import functions as F

from jobs.spark import keep, kept


def files(rows) -> list[Path]:
    return [Path(urlparse(file).path) for file in rows.inputFiles()]


def test_kept_rows_are_computed_once(spark):
    drawn = spark.range(3).withColumn("drawn", F.rand())
    with kept(drawn) as rows:
        assert rows.collect() == rows.collect() and rows.schema.names == drawn.schema.names
        there = files(rows)
        assert there and all(file.exists() for file in there)
    assert not any(file.exists() for file in there)


def test_what_is_kept_goes_after_an_error_too(spark):
    with pytest.raises(ZeroDivisionError), kept(spark.range(3)) as rows:
        there = files(rows)
        raise ZeroDivisionError
    assert there and not any(file.exists() for file in there)


def test_what_a_session_keeps_stays(spark):
    assert all(file.exists() for file in files(keep(spark.range(3))))
