"""What all tests share. Other runtimes read this file too: nothing of Spark's is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one Spark session of all tests, with Delta, as the jobs start it."""
    from jobs.spark import spark_session
    from tests.data.inputs import profile

    # Compiling a plan costs more than running it on five lines.
    tiny = {
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }
    settings = {"spark_conf": tiny | {"spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("none"))}}
    made, scratch = profile(tmp_path_factory.mktemp("session"), runtime=settings), str(tmp_path_factory.mktemp("scratch"))
    with spark_session(made, "tests", scratch) as session:
        yield session
