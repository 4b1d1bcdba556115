"""Who is worked on although their history is the same: what everyone else does moves their list and what is told of them.

Three rules of `[night]`, of which any suffices:

- `refresh_days`: everyone comes once in so many days, each on a day of their own that follows from their id. A night takes
  those whose day is later than the release before and not later than the night: none is left out where nights are.
- `refresh_overlap`: of the released items that retrieval had among its first `list_length`, less than this share still is
- `refresh_exact`: the worker would be told anything else than it was told

The last two need everyone's context, the first does not. Answers that a refreshed user's calls had are known and not paid for
again: of likelihoods each that is about an item asked about before.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.contracts import contract
from jobs.profile import Night

EPOCH = date(1970, 1, 1)
CONTENT = ("facts", "candidates", "common", "unseen")  # what a worker is told that `context_hash` does not cover


def due(users: DataFrame, before: date, night: date, days: int) -> DataFrame:
    """Of `users` (user_id) those whose day is in (before, night]; none where `days` is 0."""
    if not days:
        return users.limit(0)
    own = F.pmod(F.xxhash64("user_id", F.lit("refresh")), F.lit(days))
    turns = [F.floor((own + (each - EPOCH).days) / days) for each in (before, night)]
    return users.where(turns[0] < turns[1])


def content_hash() -> Column:
    """Hash of what a worker is told, of rows as of `reasons.with_reasons`."""
    return F.sha2(F.to_json(F.struct(*CONTENT)), 256)


def moved(rows: DataFrame, summaries: DataFrame, rankings: DataFrame, night: Night) -> DataFrame:
    """user_id of those whose context is another than what was released, by `refresh_overlap` and `refresh_exact`.

    `rows` have user_id, candidates and content_hash; the others are the release's.
    """
    told = contract("user_summaries").conform(summaries).select("user_id", F.col("content_hash").alias("told"))
    found = rows.select("user_id", "content_hash").join(told, "user_id", how="inner")
    found = found.join(overlap(rows, rankings, night.list_length), "user_id", how="left")
    drifted = F.coalesce("overlap", F.lit(0.0)) < night.refresh_overlap
    differs = ~F.col("told").eqNullSafe(F.col("content_hash")) if night.refresh_exact else F.lit(False)
    return found.where(drifted | differs).select("user_id")


def overlap(rows: DataFrame, rankings: DataFrame, length: int) -> DataFrame:
    """user_id and `overlap`: of the released items among retrieval's first `length`, the share that still is (0 to 1)."""
    first = F.filter("candidates", lambda each: each["retrieval_rank"] <= length)
    now = rows.select("user_id", F.transform(first, lambda each: each["item_id"]).alias("now"))
    then = rankings.where(F.col("retrieval_rank") <= length).groupBy("user_id").agg(F.collect_set("item_id").alias("then"))
    both = F.size(F.array_intersect("now", "then")) / F.size("then")
    return now.join(then, "user_id", how="inner").select("user_id", both.alias("overlap"))
