"""The users whose lists the model could make better or worse: those whose held-out item is among their candidates.

Of all others the held-out item is in no list whatever the model says, so they are counted, not asked about.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.contracts import contract
from jobs.prepare.contexts import assemble
from jobs.spark import keep

PARTS = ("validation", "test")  # shard 0: the weight is found on these; shard 1: it is judged on these


def write_trials(part: str, targets: DataFrame, histories: DataFrame, best: DataFrame, n_users: int, work: str) -> int:
    """Write contexts and targets of `n_users` users (in the order of a hash of their ids) of a part into the folder `work`.

    `targets` has user_id and item_id, `best` is `candidates`'. Returns how many of them are to be scored.
    """
    shard = F.lit(PARTS.index(part))
    some = keep(targets.orderBy(F.xxhash64("user_id"), "user_id").limit(n_users).withColumnRenamed("item_id", "target"))
    some.write.mode("overwrite").parquet(f"{work}/targets/shard={PARTS.index(part)}")
    reached = keep(best.join(some, "user_id", how="inner").where(F.array_contains("candidates.item_id", F.col("target"))))
    theirs = histories.join(reached.select("user_id"), "user_id", how="left_semi")
    none = theirs.select("user_id", *[F.array().alias(name) for name in ("facts", "common", "unseen", "known")])
    rows = assemble(theirs, none, reached.select("user_id", "candidates"), 1).withColumn("shard", shard.cast("int"))
    n = reached.count()
    if n:
        made = contract("contexts").conform(rows, without=("shard",))
        made.coalesce(1).sortWithinPartitions("user_id").write.mode("overwrite").parquet(
            f"{work}/contexts/shard={PARTS.index(part)}"
        )
    return n
