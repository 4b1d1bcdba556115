"""The Spark session of the jobs, and what it keeps in files while it lasts."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from jobs.home import REPOSITORY, home
from jobs.profile import Profile
from jobs.storage import remove

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SCRATCH = "spark.nocturne.scratch"
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",  # other readers
    "spark.databricks.delta.properties.defaults.enableExpiredLogCleanup": "false",  # kept versions are read by their log
    "spark.databricks.delta.skipRecordingEmptyCommits": "false",  # a night that rejects nothing has a version all the same
    "spark.sql.execution.replaceHashWithSortAgg": "true",  # lists of what a window has sorted: 1.35 times as fast
    "spark.ui.showConsoleProgress": "false",
}
LAPTOP = {
    "spark.master": "local[*]",
    "spark.driver.memory": "4g",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "2",
}


@contextmanager
def spark_session(profile: Profile, job: str, scratch: str | None = None) -> Iterator[SparkSession]:
    """A session with Delta for the length of one job; the profile's `runtime.spark_conf` wins over our defaults.

    `scratch` is a folder for what `kept` keeps; what an earlier session left in it is removed.
    Under spark-submit the master and the jars are the cluster's; otherwise everything runs in this process.
    """
    from pyspark.sql import SparkSession

    if profile.runtime.spark == "venv":
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # of Python workers
        os.environ.setdefault("SPARK_LOCAL_DIRS", str(home() / "spark"))
    settings = DELTA | ALWAYS | (laptop() if profile.runtime.spark == "venv" else {}) | profile.runtime.spark_conf
    if scratch:
        remove(scratch)
        settings |= {SCRATCH: f"{scratch}/{uuid.uuid4().hex}"}
    builder = SparkSession.builder.appName(f"nocturne-{job}")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield session
    finally:
        session.stop()
        if scratch:
            _cleared(settings[SCRATCH])


def keep(rows: DataFrame) -> DataFrame:
    """The same rows, computed now and once, in files of the session's `scratch`.

    Unlike `persist` that outlives an executor, and what is planned upon it does not plan again what led to it.
    """
    return _written(rows, _place(rows))


@contextmanager
def kept(rows: DataFrame) -> Iterator[DataFrame]:
    """`keep` for as long as the context lasts."""
    place = _place(rows)
    try:
        yield _written(rows, place)
    finally:
        _cleared(place)


def _cleared(place: str) -> None:
    with suppress(OSError):  # what is left costs room; the next session of that `scratch` removes it
        remove(place)


def _place(rows: DataFrame) -> str:
    return f"{rows.sparkSession.conf.get(SCRATCH)}/{uuid.uuid4().hex}"


def _written(rows: DataFrame, place: str) -> DataFrame:
    rows.write.parquet(place)
    return rows.sparkSession.read.schema(rows.schema).parquet(place)


def laptop() -> dict[str, str]:
    """Settings for one process on this machine: Delta's jars by name, a short start from the class-data archive."""
    jars = ":".join(sorted(map(str, (home() / "jars").glob("*.jar"))))
    archive = home() / "jars" / "nocturne.jsa"
    flags = [
        "-XX:+UseSerialGC",
        f"-Dlog4j.configurationFile={REPOSITORY}/infra/log4j2.properties",
    ]
    if archive.is_file():
        flags += [f"-XX:SharedArchiveFile={archive}", "-Xlog:disable", "-Xlog:all=off"]
    return LAPTOP | {"spark.driver.extraClassPath": jars, "spark.driver.extraJavaOptions": " ".join(flags)}
