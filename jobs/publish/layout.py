"""How published tables lie on disk: written once, read by user.

A night's rows are range-partitioned by user into files of so many users and sorted within, so Delta's least and greatest
user of a file leave one file to a reader of one user, and Parquet's of a row group one group of it (`infra/bench read`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame, SparkSession

from jobs.contracts import contract

USERS_A_FILE = 25_000  # a night of fewer is one file a table
ROWS_A_GROUP = 2_000  # a reader of one user decodes so many rows of each table
WRITER = {"compression": "zstd"}


def laid_out(rows: DataFrame, table: str, users: int) -> DataFrame:
    """The rows of `table`, of a night of so many users, in the files they are to be written as."""
    files, keys = max(1, math.ceil(users / USERS_A_FILE)), contract(table).keys
    if "user_id" not in keys:
        return rows.coalesce(files)
    ranged = rows.repartitionByRange(files, "user_id") if files > 1 else rows.coalesce(1)
    return ranged.sortWithinPartitions(*keys)  # run_date first: or Spark sorts by the partition anew, and loses the rest


@contextmanager
def row_groups(spark: SparkSession) -> Iterator[None]:
    """While it lasts, what `spark` writes as Parquet has `ROWS_A_GROUP` rows a group: Delta takes it from nowhere else."""
    name = "parquet.block.row.count.limit"
    spark.conf.set(name, str(ROWS_A_GROUP))
    try:
        yield
    finally:
        spark.conf.unset(name)
