"""Rules across tables, judged like those within one: counts in = counts out, and nothing stands without its proof.

What the last release says of a night is in `drift`; which rules block is in `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.manifest import Manifest
from jobs.profile import Gates, Night, Profile
from jobs.publish.values import broken

SAMPLES = 3
SAME = 1e-6  # apart: what sums of doubles may be


@dataclass(frozen=True)
class Verdict:
    """What one rule said."""

    table: str
    rule: str
    passed: bool
    expected: str
    observed: str
    sample_keys: tuple[str, ...] = ()

    def row(self, manifest: Manifest, limits: Gates) -> dict[str, Any]:
        """A row of `validations`."""
        row = vars(self) | {"severity": limits.severity_of(f"{self.table}.{self.rule}"), "sample_keys": list(self.sample_keys)}
        return row | {"run_id": manifest.run_id, "run_date": manifest.run_date}


@dataclass(frozen=True)
class Absent:
    """A rule: no row of `offenders` may exist; `key` names one."""

    table: str
    rule: str
    offenders: DataFrame
    key: Column
    expected: str = "0 rows"

    def verdict(self, n: int) -> Verdict:
        """Of `n` offenders; their keys are looked up only where there are some."""
        keys = self.offenders.select(self.key.alias("key")).orderBy("key").limit(SAMPLES).collect() if n else ()
        return Verdict(self.table, self.rule, n == 0, self.expected, f"{n} rows", tuple(row["key"] for row in keys))


@dataclass(frozen=True)
class Proof:
    """What the night's rows are judged by, made by others than who made the rows.

    - `made`: user_id, settled, fallbacks of the users whose rows were made tonight; `carried`: user_id of the others
    - `catalogue`: item_id; `events`: user_id, event_id, item_id, time of the users of `made`, as prepare used them
    """

    made: DataFrame
    carried: DataFrame
    catalogue: DataFrame
    events: DataFrame


def read_proof(spark: SparkSession, profile: Profile, manifest: Manifest, made: DataFrame) -> Proof:
    """What prepare left in the night's folder; `made` has rows of `results`."""
    work = profile.work(str(manifest.run_date))
    carried, catalogue = (spark.read.parquet(f"{work}/{name}") for name in ("carried", "catalogue"))
    schema = "user_id string, event_id string, item_id string, time timestamp"
    events = spark.read.parquet(f"{work}/events") if manifest.users_changed else spark.createDataFrame([], schema)
    return Proof(made.select("user_id", "settled", "fallbacks"), carried, catalogue, events)


def judge_across(tables: dict[str, DataFrame], proof: Proof, manifest: Manifest, profile: Profile) -> list[Verdict]:
    """Every rule across the night's tables."""
    return [
        *_judged(consistent(tables) + accounted(tables, proof, manifest) + proven(tables, proof, manifest, profile.night)),
        _count("user_summaries", "every_user", tables["user_summaries"], manifest.users),
        _count("rejected", "counts_in_are_counts_out", tables["rejected"], manifest.rows_rejected),
        _at_most("rejected", "share", manifest.rejected_share, profile.gates.max_rejected_share),
    ]


def consistent(tables: dict[str, DataFrame]) -> list[Absent]:
    """Tables say the same of each other: a list for everyone, an explanation for each place, evidence for what is cited."""
    summaries, rankings, explanations = (tables[name] for name in ("user_summaries", "rankings", "explanations"))
    evidence, cited = tables["evidence"].select("user_id", "event_id"), _cited(summaries, explanations)
    user, item, event = _key("user_id"), _key("user_id", "item_id"), _key("user_id", "event_id")
    lists = rankings.select("user_id").distinct()
    parts = rankings.select("user_id", F.explode("contributions.event_id").alias("event_id")).where("event_id is not null")
    added = F.aggregate("contributions", F.lit(0.0), lambda total, each: total + each["amount"])
    apart = F.coalesce(F.abs(added - F.col("retrieval_score")) > SAME, F.lit(True))  # null: an amount is missing
    firsts = rankings.groupBy("user_id").agg(F.max("rank").alias("last"), F.count("*").alias("n"))
    place, cause = ["user_id", "item_id"], ["user_id", "event_id"]
    keys = {"user_summaries": user, "rankings": item, "explanations": item, "evidence": event}
    return [
        *[Absent(name, "values", tables[name].where(broken(name)), key) for name, key in keys.items()],
        Absent("rankings", "list_for_every_user", summaries.join(lists, "user_id", "left_anti"), user),
        Absent("rankings", "ranks_without_gap", firsts.where("last != n"), user),
        Absent("rankings", "contributions_add_up", rankings.where(apart), item),
        Absent("explanations", "every_ranked_item", rankings.join(explanations, place, "left_anti"), item),
        Absent("explanations", "only_ranked_items", explanations.join(rankings, place, "left_anti"), item),
        Absent("evidence", "every_contribution", parts.distinct().join(evidence, cause, "left_anti"), event),
        Absent("evidence", "every_cited_event", cited.join(evidence, cause, "left_anti"), event),
    ]


def accounted(tables: dict[str, DataFrame], proof: Proof, manifest: Manifest) -> list[Absent]:
    """Users in = made tonight + carried over, and who was made tonight has the status that the worker told.

    That status is a text's `checks` for each of the user's fallbacks, and a context_hash for who is settled.
    """
    summaries, carried = tables["user_summaries"], manifest.users - manifest.users_changed
    ways_in = proof.made.select("user_id").unionByName(proof.carried.select("user_id"))
    each = [
        ways_in.selectExpr("user_id", "1 as told", "0 as found"),
        summaries.selectExpr("user_id", "0 as told", "1 as found"),
    ]
    users = each[0].unionByName(each[1]).groupBy("user_id").agg(F.sum("told").alias("told"), F.sum("found").alias("found"))
    texts = [tables[name].select("user_id", F.size("checks").alias("checks")) for name in ("user_summaries", "explanations")]
    fallbacks = texts[0].unionByName(texts[1]).groupBy("user_id").agg(F.count_if(F.col("checks") > 0).alias("n"))
    settled = summaries.select("user_id", F.col("context_hash").isNotNull().alias("marked"))
    status = proof.made.join(fallbacks, "user_id", "left").join(settled, "user_id", "left")
    counts = f"{manifest.users_changed} users made tonight and {carried} carried over, once each"
    return [
        Absent("user_summaries", "made_or_carried_over", users.where("told != 1 or found != 1"), _key("user_id"), counts),
        Absent("user_summaries", "every_status", status.where("size(fallbacks) != n or settled != marked"), _key("user_id")),
    ]


def proven(tables: dict[str, DataFrame], proof: Proof, manifest: Manifest, night: Night) -> list[Absent]:
    """What rows name is real: items of the catalogue, events of that user before the night, nothing that was had already.

    Rows carried over were judged when they were made; only that their items still exist is not theirs to know.
    """
    rankings, evidence = (tables[name].join(proof.made, "user_id", "left_semi") for name in ("rankings", "evidence"))
    kept = tables["rankings"].join(proof.carried, "user_id", "left_semi")
    before = proof.events.where(F.col("time") < F.lit(str(manifest.run_date)).cast("timestamp"))
    known, item = proof.catalogue, _key("user_id", "item_id")
    again, may_not = _had(before, manifest, night)
    return [
        Absent("rankings", "items_exist", rankings.join(known, "item_id", "left_anti"), item),
        Absent("rankings", "items_withdrawn", kept.join(known, "item_id", "left_anti"), item),
        Absent("rankings", "nothing_consumed", rankings.join(again, ["user_id", "item_id"], "left_semi"), item, may_not),
        Absent("evidence", "items_exist", evidence.join(known, "item_id", "left_anti"), item),
        Absent("evidence", "events_of_the_user", evidence.join(before, ["user_id", "event_id", "item_id"], "left_anti"),
               _key("user_id", "event_id")),
    ]  # fmt: skip


def _had(before: DataFrame, manifest: Manifest, night: Night) -> tuple[DataFrame, str]:
    """Events whose items may not come again by `[night] repeat`, and that in words."""
    if night.repeat == "always":
        return before.limit(0), "any row (night.repeat is always)"
    if night.repeat == "never":
        return before, "0 rows"
    since = F.date_sub(F.lit(str(manifest.run_date)).cast("date"), int(night.repeat)).cast("timestamp")
    return before.where(F.col("time") > since), f"0 rows within {night.repeat} days"


def template_share(summaries: DataFrame, explanations: DataFrame) -> float:
    """Share of the texts asked of the model that a template wrote; 0 where none was asked."""
    texts = summaries.select("source", "checks").unionByName(explanations.select("source", "checks"))
    replaced = F.count_if((F.col("source") == "template") & (F.size("checks") > 0))
    row = texts.agg(replaced.alias("replaced"), F.count_if(F.col("source") != "template").alias("written")).first()
    assert row
    asked = row["replaced"] + row["written"]
    return row["replaced"] / asked if asked else 0.0


def judge_figures(run: dict[str, Any], limits: Gates) -> list[Verdict]:
    """Rules about columns of the run: the share of templates, and of new calls without a usable answer, since a model
    that answers nobody must not pass for a night of templates."""
    failed = run["calls_failed"] / run["calls_new"] if run["calls_new"] else 0.0
    return [
        _at_most("explanations", "template_share", run["template_share"], limits.max_template_share),
        _at_most("generations", "failed_share", failed, limits.max_failed_share),
    ]


def _cited(summaries: DataFrame, explanations: DataFrame) -> DataFrame:
    labels = summaries.select("user_id", F.explode(F.concat("interests", "dislikes")).alias("label"))
    told = labels.select("user_id", F.explode("label.evidence").alias("event_id"))
    told = told.unionByName(explanations.select("user_id", F.explode("evidence").alias("event_id")))
    for texts in (summaries, explanations):
        told = told.unionByName(texts.select("user_id", F.explode(F.flatten("claims.evidence")).alias("event_id")))
    return told.distinct()


def _key(*names: str) -> Column:
    """`user_id=7, item_id=12`."""
    return F.concat_ws(", ", *[F.concat(F.lit(f"{name}="), F.coalesce(name, F.lit("null"))) for name in names])


def _judged(rules: list[Absent]) -> list[Verdict]:
    """All rules, counted in one query."""
    named = [each.offenders.select(F.lit(place).alias("place")) for place, each in enumerate(rules)]
    counts = {row["place"]: row["count"] for row in reduce(DataFrame.unionAll, named).groupBy("place").count().collect()}
    return [each.verdict(counts.get(place, 0)) for place, each in enumerate(rules)]


def _count(table: str, rule: str, rows: DataFrame, expected: int) -> Verdict:
    n = rows.count()
    return Verdict(table, rule, n == expected, f"{expected} rows", f"{n} rows")


def _at_most(table: str, rule: str, share: float, limit: float) -> Verdict:
    return Verdict(table, rule, share <= limit, f"at most {limit:.2%}", f"{share:.2%}")
