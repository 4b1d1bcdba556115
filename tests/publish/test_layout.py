"""Files and row groups of what publish writes: a reader of one user opens one file and decodes one group of a table."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

from jobs.publish import layout
from jobs.publish.layout import WRITER, laid_out, row_groups


@pytest.fixture
def written(spark, tmp_path, monkeypatch):
    """Write 40 users in files of ten and row groups of seven."""
    monkeypatch.setattr(layout, "USERS_A_FILE", 10)
    monkeypatch.setattr(layout, "ROWS_A_GROUP", 7)
    ids = spark.range(40).select(F.format_string("u%02d", (F.col("id") * 7) % 40).alias("user_id"))
    night = F.lit("2024-05-01").cast("date").alias("run_date")
    rows = ids.select(night, "user_id", F.explode(F.sequence(F.lit(3), F.lit(1))).alias("rank"))

    def write(users: int, table: str = "rankings") -> list[Path]:
        place = tmp_path / table / str(users)
        named = rows if table == "rankings" else rows.withColumnRenamed("user_id", "record")
        with row_groups(spark):
            laid_out(named, table, users).write.format("delta").options(**WRITER).partitionBy("run_date").save(str(place))
        return sorted(place.rglob("*.parquet"))

    return write


def test_a_file_has_a_range_of_users_in_order(written) -> None:
    files = written(40)
    assert len(files) == 4
    found = [pq.ParquetFile(file).read(["user_id", "rank"]).to_pylist() for file in files]
    users = [[row["user_id"] for row in rows] for rows in found]
    assert [rows == sorted(rows, key=lambda row: (row["user_id"], row["rank"])) for rows in found] == [True] * 4
    ends = sorted((each[0], each[-1]) for each in users)
    assert all(last < first for (_, last), (first, _) in pairwise(ends))
    assert sorted(user for each in users for user in each) == sorted(f"u{k:02}" for k in range(40) for _ in range(3))
    made = DeltaTable(str(files[0].parents[1]))
    assert made.metadata().configuration["delta.enableExpiredLogCleanup"] == "false"
    table = made.get_add_actions(flatten=True)
    assert sorted(zip(table["min.user_id"].to_pylist(), table["max.user_id"].to_pylist(), strict=True)) == ends


def test_row_groups_are_small_and_compressed(written) -> None:
    (file,) = written(10)
    about = pq.ParquetFile(file).metadata
    sizes = [about.row_group(k).num_rows for k in range(about.num_row_groups)]
    assert (sum(sizes), max(sizes)) == (120, 7)
    assert about.row_group(0).column(0).compression == "ZSTD"


def test_other_files_have_the_groups_they_had(spark, written, tmp_path) -> None:
    written(10)
    spark.range(100).coalesce(1).write.parquet(str(tmp_path / "other"))
    (file,) = (tmp_path / "other").glob("*.parquet")
    assert pq.ParquetFile(file).metadata.num_row_groups == 1


def test_what_has_no_users_has_no_order(written) -> None:
    (file,) = written(10, "rejected")
    assert pq.ParquetFile(file).metadata.num_rows == 120
