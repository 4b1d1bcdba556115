"""Assemble the night's tables: rows made tonight, and rows of the release before for users whose history is the same."""

from __future__ import annotations

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs import generations
from jobs.contracts import contract
from jobs.errors import InputError
from jobs.manifest import Manifest
from jobs.profile import Profile
from jobs.releases import find, released
from jobs.suppressions import suppressed

MADE = ("user_summaries", "rankings", "explanations", "evidence")
HASHES = "user_id string, context_hash string, content_hash string"  # of contexts


def tonights_results(spark: SparkSession, profile: Profile, manifest: Manifest) -> DataFrame:
    """Of the rows of `results` that workers committed, one for every context of the night; the caller unpersists it.

    Raises:
        InputError: users are missing, as generate has not finished, or some were erased since.
    """
    made, _ = generations.committed(spark, profile, str(manifest.run_date), "users")
    contexts = spark.createDataFrame([], HASHES)
    if manifest.users_changed:
        contexts = spark.read.schema(HASHES).parquet(f"{profile.work(str(manifest.run_date))}/contexts")
    best = Window.partitionBy("user_id").orderBy(F.desc("settled"), F.to_json("summary"))
    ours = made.join(contexts, ["user_id", "context_hash"], how="inner")
    made = ours.withColumn("place", F.row_number().over(best)).where("place = 1").drop("place")
    made = made.persist(StorageLevel.DISK_ONLY)
    try:
        _refuse_incomplete(spark, profile, manifest, made)
    except Exception:
        made.unpersist()
        raise
    return made


def _refuse_incomplete(spark: SparkSession, profile: Profile, manifest: Manifest, made: DataFrame) -> None:
    n = made.count()
    if n != manifest.users_changed:
        missing = f"generate made {n} of {manifest.users_changed} users of {manifest.run_date}"
        raise InputError(f"{missing}; let it finish, or start the night again")
    users = made.select("user_id")
    if manifest.users_changed < manifest.users:
        users = users.unionByName(spark.read.parquet(f"{profile.work(str(manifest.run_date))}/carried"))
    if not suppressed(profile, users).where("suppressed").isEmpty():
        raise InputError(f"users of {manifest.run_date} were erased since prepare; start the night again")


def assemble(spark: SparkSession, profile: Profile, manifest: Manifest, made: DataFrame) -> dict[str, DataFrame]:
    """Every published table by name, as its contract says."""
    work = profile.work(str(manifest.run_date))
    tables = {name: _made(name, made) for name in MADE}
    if manifest.release_before and manifest.users_changed < manifest.users:
        before = find(profile, manifest.release_before)
        carried = spark.read.parquet(f"{work}/carried")
        for name, rows in tables.items():
            kept = released(spark, profile, before, name).drop("run_date").join(carried, "user_id", how="left_semi")
            tables[name] = rows.unionByName(kept, allowMissingColumns=True)
    night = F.lit(str(manifest.run_date)).cast("date")
    dated = {name: contract(name).conform(rows.withColumn("run_date", night)) for name, rows in tables.items()}
    return dated | {"rejected": contract("rejected").conform(spark.read.parquet(f"{work}/rejected"))}


def _made(name: str, made: DataFrame) -> DataFrame:
    """Tonight's rows of one table, without the night."""
    match name:
        case "user_summaries":
            hashes = [F.when(F.col("settled"), F.col(each)).alias(each) for each in ("context_hash", "content_hash")]
            return made.select("user_id", *hashes, "summary.*")
        case _:
            return made.select("user_id", F.inline(name))


def digest(rows: DataFrame) -> str:
    """Order-free hash of a table's rows but for the night: count and sum of the rows' 64-bit hashes.

    A row is hashed as JSON: hashed as values, a null or an empty array leaves no trace.
    """
    names = [name for name in rows.columns if name != "run_date"]
    text = F.to_json(F.struct(*names), {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"})
    found = rows.select(F.xxhash64(text).alias("hash")).agg(
        F.count("*").alias("n"), F.coalesce(F.sum(F.col("hash").cast("decimal(38,0)")), F.lit(0)).alias("total")
    )
    row = found.first()
    assert row
    return f"{row['n']}:{int(row['total']) % 2**64:016x}"
