"""The memory of all calls: the Delta table `generations`, each call once, whatever happened to the night that paid it."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs.contracts import OF_THE_RUN, contract
from jobs.errors import Damaged
from jobs.manifest import DECODE_COST, FILE, Past
from jobs.profile import Profile
from jobs.prompts import load_prompt, prompt_names
from jobs.runs import find_run, runs
from jobs.storage import folders, read_json, remove, table_exists
from jobs.suppressions import suppressed

NIGHTS = 10  # past ones that tell how fast the model is
ENOUGH = 20  # calls of a night that tells it
PER_SUBJECT = 200  # newest answers that travel with a context
ANSWER = tuple(name for name in contract("generations").names if name not in OF_THE_RUN)


def committed(spark: SparkSession, profile: Profile, run_date: str, kind: str) -> tuple[DataFrame, int]:
    """All rows of one kind, `users` or `calls`, that workers have committed for a night, and how many files are not whole.

    Files are named by the sha256 of their bytes (jobs.generate.chunks): what is not what its name says is left out.
    """
    path = f"{profile.work(run_date)}/results"
    schema = (contract("results").spark() if kind == "users" else contract("generations").spark(OF_THE_RUN)).toNullable()
    if not folders(path):
        return spark.createDataFrame([], schema), 0
    files = spark.read.format("binaryFile").option("recursiveFileLookup", True).option("pathGlobFilter", f"{kind}-*.parquet")
    whole = F.sha2("content", 256) == F.regexp_extract("path", r"-([0-9a-f]{64})\.parquet$", 1)
    found = files.load(path).select("path", whole.alias("whole")).collect()  # a file for some users
    chunks = [row["path"] for row in found if row["whole"]]
    rows = spark.read.schema(schema).parquet(*chunks) if chunks else spark.createDataFrame([], schema)
    return rows, len(found) - len(chunks)


def new_calls(spark: SparkSession, profile: Profile, run_id: str, run_date: str) -> tuple[DataFrame, int]:
    """The calls that workers have paid for in a night, as rows of `generations`, each id once; and files that are not whole."""
    rows, torn = committed(spark, profile, run_date, "calls")
    order = Window.partitionBy("generation_id").orderBy(F.col("status") == "failed", "subject")
    once = rows.withColumn("place", F.row_number().over(order)).where(F.col("place") == 1)
    return once.select(*ANSWER, F.lit(run_id).alias("run_id"), F.lit(run_date).cast("date").alias("run_date")), torn


def remember(spark: SparkSession, profile: Profile, new: DataFrame, replace: bool = False) -> None:
    """Add calls to `generations`; a call that is there stays as it is, unless it had failed or `replace` says so.

    Calls about users who were erased since are not added.
    """
    from delta.tables import DeltaTable

    path = profile.table("generations")
    new = suppressed(profile, new, "subject").where("not (suppressed and subject_type = 'user')").drop("suppressed")
    if not table_exists(path):
        rows = contract("generations").conform(new)
        rows.write.format("delta").partitionBy(*contract("generations").partitions).save(path)
        return
    merge = DeltaTable.forPath(spark, path).alias("old").merge(new.alias("new"), "old.generation_id = new.generation_id")
    merge.withSchemaEvolution().whenMatchedUpdateAll(
        "old.status = 'failed'" + (" or new.status != 'failed'" if replace else "")
    ).whenNotMatchedInsertAll().execute()


def salvage(spark: SparkSession, profile: Profile, run_date: str) -> int:
    """Remember the calls of nights that never came to publish, and clear their results; returns how many calls.

    The results of another date whose run is still going on stay, and are not counted.
    """
    found = 0
    for night in folders(f"{profile.warehouse}/_work"):
        if not folders(f"{profile.work(night)}/results"):
            continue
        told = _manifest(profile, night)
        calls, _ = new_calls(spark, profile, told.get("run_id", "salvaged"), night)
        remember(spark, profile, calls, replace=bool(told.get("force")))
        run = find_run(profile, str(told.get("run_id"))) or {}
        if night == run_date or run.get("status") != "running":
            found += calls.count()
            remove(f"{profile.work(night)}/results")
    return found


def _manifest(profile: Profile, run_date: str) -> dict[str, Any]:
    """What is told of a night that was not published."""
    try:
        return dict(read_json(f"{profile.work(run_date)}/{FILE}"))
    except (FileNotFoundError, Damaged):
        return {}


def known(spark: SparkSession, profile: Profile, contexts: DataFrame, run_date: str, force: bool = False) -> DataFrame:
    """user_id and `known`: answers about the user or the user's candidates that may serve again; none with `force`.

    `contexts` has user_id and candidates; those of nights up to `run_date` come first, so that a night that is made again
    finds those it had.
    """
    path = profile.table("generations")
    if force or not table_exists(path):
        return contexts.select("user_id", F.array().alias("known"))
    answers = _newest(spark, path, run_date).select("subject_type", "subject", F.struct(*ANSWER).alias("answer"))
    users = contexts.select("user_id", F.lit("user").alias("subject_type"), F.col("user_id").alias("subject"))
    items = contexts.select("user_id", F.lit("item").alias("subject_type"), F.explode("candidates.item_id").alias("subject"))
    found = users.unionByName(items).join(answers, ["subject_type", "subject"], how="left")
    return found.groupBy("user_id").agg(F.collect_list("answer").alias("known"))


def phrasings(spark: SparkSession, profile: Profile, run_date: str, force: bool = False) -> DataFrame | None:
    """Answers about shapes of facts that may serve again, as of `known`; None where there are none to look for."""
    path, words = profile.table("generations"), profile.words
    if force or "phrasebook" not in (words.summary, words.explanation) or not table_exists(path):
        return None
    return _newest(spark, path, run_date).where("subject_type = 'pattern'").select(*ANSWER)


def _newest(spark: SparkSession, path: str, run_date: str) -> DataFrame:
    """The answers that may serve again, of each subject `PER_SUBJECT`: the newest up to `run_date`, then later ones."""
    usable = spark.read.format("delta").load(path).where("status != 'failed'")
    later = F.col("run_date") > F.lit(run_date).cast("date")
    newest = Window.partitionBy("subject_type", "subject").orderBy(later, F.desc("run_date"), "generation_id")
    return usable.withColumn("place", F.row_number().over(newest)).where(F.col("place") <= PER_SUBJECT)


def past(spark: SparkSession, profile: Profile) -> Past:
    """What the last nights tell of what calls cost."""
    path = profile.table("generations")
    if not table_exists(path):
        return Past()
    limits = {name: prompt.sampling.max_tokens for name in prompt_names() if (prompt := load_prompt(name)).sampling}
    written = spark.read.format("delta").load(path).where(F.col("prompt_name").isin(*limits)).groupBy("prompt_name")
    rows = written.agg(F.count("*").alias("n"), F.sum("output_tokens").alias("tokens")).collect()
    most = sum(row["n"] * limits[row["prompt_name"]] for row in rows)
    speeds = [speed for row in runs(profile) if (speed := _speed(row))]
    return Past(written_share=sum(row["tokens"] for row in rows) / most if most else None, work_per_second=speeds[-NIGHTS:])


def _speed(run: dict[str, Any]) -> float | None:
    """A worker's work a second on a night that made enough calls to tell."""
    seconds = dict(run["stage_seconds"] or ()).get("workers")
    if not seconds or (run["calls_new"] or 0) < ENOUGH:
        return None
    return float(run["prompt_tokens"] - run["cached_tokens"] + DECODE_COST * run["output_tokens"]) / seconds
