"""Put a user's history, facts, candidates and known answers into one row, for the users whose history changed."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def split_changed(histories: DataFrame, before: DataFrame | None, force: bool) -> tuple[DataFrame, DataFrame]:
    """Histories of users to work on, and ids of users whose rows of the release before still hold.

    `before` has that release's user_id and context_hash; None where there is no release.
    """
    if before is None or force:
        return histories, histories.select("user_id").limit(0)
    same = before.select("user_id", "context_hash")
    keys = ["user_id", "context_hash"]
    return histories.join(same, keys, how="left_anti"), histories.join(same, keys, how="left_semi").select("user_id")


def told(summaries: DataFrame) -> DataFrame:
    """user_id and `told`: what each summary of a release tells."""
    claims = F.transform("claims", lambda each: F.struct(each["kind"].alias("kind"), each["claim"].alias("claim")))
    return summaries.select("user_id", claims.alias("told"))


def assemble(histories: DataFrame, facts: DataFrame, candidates: DataFrame, shards: int) -> DataFrame:
    """Rows of the contract `contexts`, but for `known`."""
    rows = histories.join(facts, "user_id", how="left").join(candidates, "user_id", how="left")
    arrays = {name: F.coalesce(name, F.array()) for name in ("facts", "candidates")}
    return rows.withColumns(arrays).withColumn("shard", F.pmod(F.xxhash64("user_id"), F.lit(shards)).cast("int"))
