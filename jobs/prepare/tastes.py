"""Facts about tags, creators and decades: what a user's events are about, beside everyone's and beside what was before.

`facts` says the rules.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.prepare.labels import CREATOR, DECADE, TAG, dated, labelled
from jobs.prepare.surprise import SURE, surprise

MIN_EVENTS = 2  # that make a taste of a tag or creator
MIN_COMPARED = 5  # that make a change or an era; and a newest third
MIN_LIFT = 1.25  # of an era
LATELY_DAYS = 7  # from the middle event of before to that of the newest third: within one sitting nothing changes
US_PER_DAY = 86_400_000_000


def taste_facts(histories: DataFrame, everyone: DataFrame) -> DataFrame:
    """user_id, kind, label, ids (latest first), compared, lift, strength; `everyone` is `labels.everyones`."""
    totals = ["n", "n_liked", "n_disliked", "n_dated", "n_late"]
    did = ["time", "event_id", "positive", "negative"]
    event = F.struct(*did, (F.col("time") > F.col("since")).alias("late"))
    mine = (
        labelled(with_totals(histories), ["user_id", *totals, "since"], did)
        .groupBy("user_id", "of", "label")
        .agg(F.sort_array(F.collect_list(event), asc=False).alias("events"), *[F.first(name).alias(name) for name in totals])
        .join(everyone, ["of", "label"], how="inner")
        .select(
            "*",
            F.filter("events", lambda event: event["positive"])["event_id"].alias("liked"),
            F.filter("events", lambda event: event["negative"])["event_id"].alias("disliked"),
            F.filter("events", lambda event: event["late"])["event_id"].alias("late"),
            F.filter("events", lambda event: ~event["late"])["event_id"].alias("before"),
        )
    )
    facts = F.array_compact(F.array(_likes(), _dislikes(), *_lately(), _era()))
    return mine.select("user_id", F.explode(facts).alias("fact")).select("user_id", "fact.*")


def with_totals(histories: DataFrame) -> DataFrame:
    """user_id, history, how many of its events are what, and `since`: what is later is the newest third, null without one."""
    third = F.floor(F.size("history") / 3).cast("int")
    until = F.get("history.time", F.size("history") - third - 1)
    counted = histories.select("user_id", "history", until.alias("until")).select(
        "*",
        F.size("history").alias("n"),
        F.size(F.filter("history.positive", lambda liked: liked)).alias("n_liked"),
        F.size(F.filter("history.negative", lambda disliked: disliked)).alias("n_disliked"),
        F.size(F.filter("history.year", dated)).alias("n_dated"),
        F.size(F.filter("history.time", lambda time: time > F.col("until"))).alias("n_late"),
    )
    before = F.col("n") - F.col("n_late")
    between = _middle_us(before, F.col("n_late")) - _middle_us(F.lit(0), before)
    changed = (F.col("n_late") >= MIN_COMPARED) & (between >= LATELY_DAYS * US_PER_DAY)
    return counted.select("*", F.when(changed, F.col("until")).alias("since"))


def _middle_us(start: Column, n: Column) -> Column:
    """When the middle one of `n` events was, in microseconds."""
    return F.unix_micros(F.get("history.time", start + F.floor(n / 2).cast("int")))


def _likes() -> Column:
    n, lift = F.size("liked"), _lift("liked", "n_liked")
    rule = F.col("of").isin(TAG, CREATOR) & (n >= MIN_EVENTS) & (n > F.size("disliked"))
    return _fact(F.concat(F.lit("likes_"), "of"), rule, "liked", F.col("n_liked"), lift, n * lift)


def _dislikes() -> Column:
    n = F.size("disliked")
    rule = F.col("of").isin(TAG, CREATOR) & (n >= MIN_EVENTS) & (n > F.size("liked"))
    return _fact(F.concat(F.lit("dislikes_"), "of"), rule, "disliked", F.col("n_disliked"), _lift("disliked", "n_disliked"), n)


def _lately() -> list[Column]:
    late, before, n_late = F.size("late"), F.size("before"), F.col("n_late")
    n_before, both = F.col("n") - n_late, (late + before) / F.col("n")
    strength = surprise((late, n_late, both), (before, n_before, both))
    sure = (F.col("of") == TAG) & (strength >= SURE)
    more, no_lift = late * n_before > before * n_late, F.lit(None).cast("double")
    return [
        _fact(F.lit("more_lately"), sure & more & (late >= MIN_COMPARED), "late", n_late, no_lift, strength),
        _fact(F.lit("less_lately"), sure & ~more & (before >= MIN_COMPARED), "before", n_before, no_lift, strength),
    ]


def _era() -> Column:
    n, compared, lift = F.size("events"), F.col("n_dated"), _lift("events", "n_dated")
    strength = surprise((n, compared, F.col("share")))
    rule = (F.col("of") == DECADE) & (n >= MIN_COMPARED) & (lift >= MIN_LIFT) & (strength >= SURE)
    return _fact(F.lit("era"), rule, "events.event_id", compared, lift, strength)


def _lift(events: str, total: str) -> Column:
    """Share among the user's events of a sort over the share among everyone's events."""
    return F.try_divide(F.size(events), F.col(total)) / F.col("share")


def _fact(kind: Column, rule: Column, ids: str, compared: Column, lift: Column, strength: Column) -> Column:
    """A fact where `rule` holds, else null."""
    parts = {"kind": kind, "label": F.col("label"), "ids": F.col(ids), "compared": compared}
    parts |= {"lift": lift, "strength": strength.cast("double")}
    return F.when(rule, F.struct(*[part.alias(name) for name, part in parts.items()]))
