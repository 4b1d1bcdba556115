"""Java's class-data archive for the sessions of jobs/: archive_classes.py FILE (spark runtime).

A JVM that maps the archive need not read and verify some twenty thousand classes again. It serves only JVMs with the
same class path and the same Java, so the session here takes its settings from `jobs.spark`. What it does does not
matter, only which classes it needs: those of the night's usual steps.
"""

import sys
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from jobs.spark import ALWAYS, DELTA, laptop

OPTIONS = "spark.driver.extraJavaOptions"


def recording_session(archive: Path) -> SparkSession:
    """A session of ours, whose JVM writes the archive when it ends."""
    settings = DELTA | ALWAYS | laptop()
    settings[OPTIONS] += f" -XX:ArchiveClassesAtExit={archive} -Xlog:disable"
    builder = SparkSession.builder.appName("nocturne-archive")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def typical_night(spark: SparkSession, folder: str) -> None:
    """Read a log, order it within users, write Parquet and Delta, replace a day, read it back."""
    spark.range(200).selectExpr("id % 7 user", "id item", "id * 60 at").write.csv(f"{folder}/log", header=True)
    log = spark.read.csv(f"{folder}/log", header=True, schema="user string, item string, at long")
    latest = Window.partitionBy("user").orderBy(F.desc("at"))
    ranked = log.withColumn("rank", F.row_number().over(latest)).where("rank <= 5")
    ranked.groupBy("user").agg(F.collect_list(F.struct("rank", "item"))).write.parquet(f"{folder}/histories")
    for day in ("2020-01-01", "2020-01-02", "2020-01-02"):
        rows = ranked.join(spark.read.parquet(f"{folder}/histories"), "user", "left").withColumn("day", F.lit(day))
        rows = rows.select("day", "user", "item", "rank")
        table = rows.write.format("delta").partitionBy("day").mode("overwrite")
        table.option("replaceWhere", f"day = '{day}'").save(f"{folder}/table")
    spark.read.format("delta").option("versionAsOf", 1).load(f"{folder}/table").where("rank = 1").toPandas()


def main(archive: Path) -> None:
    spark = recording_session(archive)
    jvm = spark.sparkContext._gateway
    with tempfile.TemporaryDirectory() as folder:
        typical_night(spark, folder)
        spark.stop()
    jvm.shutdown()
    jvm.proc.stdin.close()
    jvm.proc.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
