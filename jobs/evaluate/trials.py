"""Whom an evaluation asks the model about.

- of lists: users whose lists it could make better or worse, those whose held-out item is among their candidates; of all others
  the item is in no list whatever the model says, so they are counted, not asked about
- of summaries: everyone, since a summary is for those too whom retrieval does not understand
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.contracts import contract
from jobs.evaluate.splits import Fold
from jobs.evaluate.usefulness import FOLDER
from jobs.prepare.contexts import assemble
from jobs.prepare.facts import user_facts
from jobs.prepare.labels import everyones
from jobs.spark import keep

PARTS = ("validation", "test")  # shard 0: the weight is found on these; shard 1: it is judged on these


def write_trials(part: str, targets: DataFrame, histories: DataFrame, best: DataFrame, n_users: int, work: str) -> int:
    """Write contexts and targets of `n_users` users (in the order of a hash of their ids) of a part into the folder `work`.

    `targets` has user_id and item_id, `best` is `candidates`'. Returns how many of them are to be scored.
    """
    shard = F.lit(PARTS.index(part))
    some = _some(targets, n_users).withColumnRenamed("item_id", "target")
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


def write_summarized(
    fold: Fold, histories: DataFrame, items: DataFrame, n_users: int, work: str, phrased: DataFrame | None = None
) -> None:
    """Write contexts with facts and no candidates, and rows of `usefulness.Target`, of as many users of a fold; and `phrased`,
    answers of nights that may serve again.

    `histories` are those of its `own`, and facts the night's: neither knows of the events that are held out.
    """
    some = _some(fold.targets, n_users)
    theirs = keep(histories.join(some, "user_id", how="left_semi"))
    learned = fold.events.groupBy("item_id").agg(F.count("*").alias("n_events"))
    targets = (
        some.join(items.select("item_id", "title"), "item_id", how="inner")
        .join(learned, "item_id", how="left")
        .join(theirs.select("user_id", F.array_distinct("history.item_id").alias("had")), "user_id", how="inner")
        .select("user_id", "item_id", "title", F.coalesce("n_events", F.lit(0)).alias("n_events"), "had")
    )
    targets.coalesce(1).sortWithinPartitions("user_id").write.mode("overwrite").parquet(f"{work}/{FOLDER}/targets")
    none = theirs.select("user_id", *[F.array().alias(name) for name in ("candidates", "common", "unseen", "known")])
    rows = assemble(theirs, user_facts(theirs, everyones(fold.events, items)), none, 1)
    made = contract("contexts").conform(rows, without=("shard",))
    made.coalesce(1).sortWithinPartitions("user_id").write.mode("overwrite").parquet(f"{work}/{FOLDER}/contexts/shard=0")
    if phrased is not None:
        phrased.coalesce(1).write.mode("overwrite").parquet(f"{work}/{FOLDER}/phrasings")


def _some(targets: DataFrame, n_users: int) -> DataFrame:
    return keep(targets.orderBy(F.xxhash64("user_id"), "user_id").limit(n_users))
