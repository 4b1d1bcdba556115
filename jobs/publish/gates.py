"""Rules across tables, judged like those within one: counts in = counts out, and nothing stands without its proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.manifest import Manifest
from jobs.profile import Gates

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
    severity: str = "block"

    def row(self, manifest: Manifest) -> dict[str, Any]:
        """A row of `validations`."""
        row = vars(self) | {"sample_keys": list(self.sample_keys)}
        return row | {"run_id": manifest.run_id, "run_date": manifest.run_date}


def judge_across(tables: dict[str, DataFrame], manifest: Manifest, limits: Gates) -> list[Verdict]:
    """Every rule across the night's tables."""
    summaries, rankings, explanations = (tables[name] for name in ("user_summaries", "rankings", "explanations"))
    evidence, cited = tables["evidence"].select("user_id", "event_id"), _cited(summaries, explanations)
    user, item = _key("user_id"), _key("user_id", "item_id")
    lists = rankings.select("user_id").distinct()
    parts = rankings.select("user_id", F.explode("contributions.event_id").alias("event_id")).where("event_id is not null")
    added = F.aggregate("contributions", F.lit(0.0), lambda total, each: total + each["amount"])
    firsts = rankings.groupBy("user_id").agg(F.max("rank").alias("last"), F.count("*").alias("n"))
    return [
        _count("user_summaries", "every_user", summaries, manifest.users),
        _none("rankings", "list_for_every_user", summaries.join(lists, "user_id", "left_anti"), user),
        _none("rankings", "ranks_without_gap", firsts.where("last != n"), user),
        _none("rankings", "contributions_add_up", rankings.where(F.abs(added - F.col("retrieval_score")) > SAME), item),
        _none("evidence", "every_contribution", parts.distinct().join(evidence, ["user_id", "event_id"], "left_anti"),
              _key("user_id", "event_id")),
        _none("explanations", "every_ranked_item", rankings.join(explanations, ["user_id", "item_id"], "left_anti"), item),
        _none("explanations", "only_ranked_items", explanations.join(rankings, ["user_id", "item_id"], "left_anti"), item),
        _none("evidence", "every_cited_event", cited.join(evidence, ["user_id", "event_id"], "left_anti"),
              _key("user_id", "event_id")),
        _counts_in(manifest, tables["rejected"]),
        _rejected_share(manifest, limits),
    ]  # fmt: skip


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
    return told.unionByName(explanations.select("user_id", F.explode("evidence").alias("event_id"))).distinct()


def _key(*names: str) -> Column:
    """`user_id=7, item_id=12`."""
    return F.concat_ws(", ", *[F.concat(F.lit(f"{name}="), F.coalesce(name, F.lit("null"))) for name in names])


def _none(table: str, rule: str, offenders: DataFrame, key: Column) -> Verdict:
    """No row of `offenders` may exist."""
    n = offenders.count()
    samples = tuple(row["key"] for row in offenders.select(key.alias("key")).limit(SAMPLES).collect()) if n else ()
    return Verdict(table, rule, n == 0, "0 rows", f"{n} rows", samples)


def _count(table: str, rule: str, rows: DataFrame, expected: int) -> Verdict:
    n = rows.count()
    return Verdict(table, rule, n == expected, f"{expected} rows", f"{n} rows")


def _counts_in(manifest: Manifest, rejected: DataFrame) -> Verdict:
    """Records read = used + later + rejected."""
    return _count("rejected", "counts_in_are_counts_out", rejected, manifest.rows_rejected)


def _rejected_share(manifest: Manifest, limits: Gates) -> Verdict:
    total = manifest.rows_in - manifest.rows_later  # of which the night would have another share with every day that passes
    share = manifest.rows_rejected / total if total else 0.0
    return _at_most("rejected", "share", share, limits.max_rejected_share)


def _at_most(table: str, rule: str, share: float, limit: float) -> Verdict:
    return Verdict(table, rule, share <= limit, f"at most {limit:.2%}", f"{share:.2%}")
