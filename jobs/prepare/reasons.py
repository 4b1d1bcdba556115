"""What a text about a candidate may say of user and item together: what is common to both, and what is new.

Which of it belongs to which candidate follows from the events behind that candidate, and those are told in one place
(`generate.context.Context.support`): so this is a row's, not a candidate's, and only for what everyone's events, or all of the
user's, are needed.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.prepare.labels import CREATOR, DECADE, TAG, labelled


def lifts(histories: DataFrame, everyone: DataFrame) -> DataFrame:
    """user_id and `lifts`: of each tag and creator of the history, share of liked events over everyone's (null: none liked)."""
    liked_all = F.size(F.filter("history.positive", lambda liked: liked)).alias("liked_all")
    events = labelled(histories.select("user_id", "history", liked_all), ["user_id", "liked_all"], ["positive"])
    opinions = events.where(F.col("of") != DECADE)
    counts = opinions.groupBy("user_id", "liked_all", "of", "label").agg(F.count_if("positive").alias("liked"))
    lift = F.round(F.try_divide("liked", "liked_all") / F.col("share"), 4).alias("lift")
    known = counts.join(everyone, ["of", "label"], how="inner").select("user_id", F.struct("of", "label", lift).alias("lift"))
    return known.groupBy("user_id").agg(F.array_sort(F.collect_list("lift")).alias("lifts"))


def tags_had(histories: DataFrame, described: DataFrame) -> DataFrame:
    """user_id and `had`: the tags of all of their events, those before the history among them."""
    theirs = described.join(histories.select("user_id"), "user_id", how="left_semi")
    return theirs.select("user_id", F.explode("tags").alias("tag")).groupBy("user_id").agg(F.collect_set("tag").alias("had"))


def with_reasons(rows: DataFrame, lifts: DataFrame, had: DataFrame) -> DataFrame:
    """Rows of `contexts.assemble` with `common` and `unseen` (`contexts`' contract says what they are)."""
    none = F.array().cast("array<string>")
    tags, creators = F.flatten("candidates.tags"), F.flatten("candidates.creators")
    every = rows.join(lifts, "user_id", how="left").join(had, "user_id", how="left")
    named = every.select("*", tags.alias("tags"), creators.alias("creators"))
    of_both = F.filter(
        "lifts",
        lambda each: F.when(each["of"] == TAG, F.array_contains("tags", each["label"])).when(
            each["of"] == CREATOR, F.array_contains("creators", each["label"])
        ),
    )
    return named.select(
        *rows.columns,
        F.coalesce(of_both, F.array()).alias("common"),
        F.array_except("tags", F.coalesce("had", none)).alias("unseen"),
    )
