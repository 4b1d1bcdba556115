"""Rules against the last release: are its people still there, are their lists, scores and texts like its own?

Which release that is stands in the manifest: the one whose rows were carried over. Without one every rule passes and says so.
Tables are compared in three queries; what is collected is one row of figures, nine deciles a column and the counts between
them, and keys of what failed.

- `coverage`: share of the last release's users who are there tonight
- `overlap`: of a user in both |A ∩ B| / max(|A|, |B|) of the first `TOP` places of both lists, the mean over these users
- `score_psi`, `length_psi` (in words): population stability index of a column, the sum over bins of (p - q) ln(p / q), where p
  is the share of tonight's rows in the bin, q that of the last release's, and its deciles are the edges (N. Siddiqi, Credit
  Risk Scorecards, 2006: from .25 on a population has moved). Of two samples of one population it is distributed like
  (1/n + 1/m) chi-squared with a degree of freedom less than bins (B. Yurdakul, Statistical Properties of Population Stability
  Index, 2018): the limit is raised by the 95% quantile of that, so that small nights are not warned of by chance
- `template_share_rise`: of texts asked of the model tonight (those carried over would hide it), above the last release's share
- `share_rise`: of the records read, above that of the last release's run
- `tokens_a_user`: tokens read and written in new calls over users made tonight, over the median of the last `NIGHTS` runs that
  were released. To cost less is no fault: answers are remembered. A new phrasebook is paid at once for all, however few changed

What is about users made tonight is not judged where these are fewer than `[gates] min_users`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from math import inf, log, nextafter
from statistics import median
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.manifest import Manifest
from jobs.profile import Gates, Profile
from jobs.publish.gates import SAMPLES, Verdict, template_share
from jobs.releases import find, released
from jobs.runs import runs

TOP = 10
DECILES = [n / 10 for n in range(1, 10)]
CHANCE = (3.84, 5.99, 7.81, 9.49, 11.07, 12.59, 14.07, 15.51, 16.92)  # 95% quantiles of chi-squared, one degree of freedom on
FLOOR = 1e-4  # share of an empty bin, since a logarithm must exist
NIGHTS = 10
NONE = "no release before"
COLUMNS = {  # (table, rule): the column
    ("rankings", "score_psi"): "score",
    ("user_summaries", "length_psi"): "size(split(trim(summary), ' +'))",
    ("explanations", "length_psi"): "size(split(trim(explanation), ' +'))",
}
COMPARED = (("user_summaries", "coverage"), ("rankings", "overlap"), *COLUMNS)

Tables = Mapping[str, DataFrame]
Row = Mapping[str, Any]


def judge_against_last(
    spark: SparkSession, profile: Profile, manifest: Manifest, tables: Tables, made: DataFrame, tokens: int
) -> list[Verdict]:
    """Every rule of this module; `made` has tonight's rows of `results`, `tokens` are those of its new calls."""
    limits, last = profile.gates, find(profile, manifest.release_before) if manifest.release_before else None
    names = dict.fromkeys(table for table, _ in COMPARED)
    before = {name: released(spark, profile, last, name) for name in names} if last else None
    enough = manifest.users_changed >= limits.min_users
    templates = template_share(made.select("summary.*"), made.select(F.inline("explanations"))) if enough else 0.0
    of_run = judge_run(manifest, templates, tokens, runs(profile), last.run_id if last else None, limits)
    return judge_drift(tables, before, limits) + of_run


def judge_drift(tables: Tables, before: Tables | None, limits: Gates) -> list[Verdict]:
    """Rules about tables; `before` has those of the last release, None where there is none."""
    if before is None:
        return [_passed(*each, NONE) for each in COMPARED]
    return judge_people(tables, before, limits) + judge_columns(tables, before, limits)


def judge_people(tables: Tables, before: Tables, limits: Gates) -> list[Verdict]:
    """Coverage, and overlap of lists."""
    people = everyone(tables, before)
    found = people.agg(
        F.count_if("was").alias("were"),
        F.count_if(F.col("was") & F.col("stays")).alias("stay"),
        F.count("overlap").alias("both"),
        F.avg("overlap").alias("overlap"),
        F.count_if(F.col("overlap") < 1).alias("other"),
    ).first()
    assert found
    were, both = (
        f"{found['were']} users of the last release",
        f"{found['both']} users in both, {found['other']} with another list",
    )
    coverage, overlap = found["stay"] / max(found["were"], 1), found["overlap"]
    gone = people.where("was and not stays").orderBy("user_id").select(F.concat(F.lit("user_id="), "user_id"))
    told = F.format_string("user_id=%s: %.0f%%", "user_id", 100 * F.col("overlap"))
    least = people.where("overlap < 1").orderBy("overlap", "user_id").select(told)
    return [
        _at_least("user_summaries", "coverage", coverage if found["were"] else 1.0, limits.min_coverage, were, gone),
        _at_least("rankings", "overlap", 1.0 if overlap is None else overlap, limits.min_overlap, both, least),
    ]


def everyone(tables: Tables, before: Tables) -> DataFrame:
    """user_id, `was` in the last release, `stays` tonight, `overlap` of both lists; null where there are no two."""
    rows = reduce(DataFrame.unionAll, [_listed(before, tonight=False), _listed(tables, tonight=True)])
    users = rows.groupBy("user_id").agg(
        F.bool_or(F.expr("summarized and not tonight")).alias("was"),
        F.bool_or(F.expr("summarized and tonight")).alias("stays"),
        F.collect_set(F.expr("if(tonight, null, item_id)")).alias("theirs"),
        F.collect_set(F.expr("if(tonight, item_id, null)")).alias("ours"),
    )
    longest = F.greatest(F.size("theirs"), F.size("ours"))
    overlap = F.size(F.array_intersect("theirs", "ours")) / F.nullif(longest, F.lit(0))
    return users.select("user_id", "was", "stays", F.when(F.col("was") & F.col("stays"), overlap).alias("overlap"))


def _listed(tables: Tables, tonight: bool) -> DataFrame:
    people = tables["user_summaries"].selectExpr("user_id", "null as item_id", "true as summarized")
    places = tables["rankings"].where(F.col("rank") <= TOP).selectExpr("user_id", "item_id", "false as summarized")
    return people.unionByName(places).withColumn("tonight", F.lit(tonight))


def judge_columns(tables: Tables, before: Tables, limits: Gates) -> list[Verdict]:
    """Population stability of `COLUMNS`."""
    stacked = reduce(DataFrame.unionAll, [_values(before, *key) for key in COLUMNS])
    deciles = F.percentile_approx("value", DECILES, 10_000).alias("deciles")
    found = stacked.groupBy("table", "rule").agg(deciles).collect()
    edges = {(row["table"], row["rule"]): cuts(row["deciles"]) for row in found}
    counts = _counts(tables, before, edges) if edges else Counter()
    return [_stable(*key, edges.get(key, []), counts, limits) for key in COLUMNS]


def _values(tables: Tables, table: str, rule: str) -> DataFrame:
    values = tables[table].select(F.expr(COLUMNS[table, rule]).cast("double").alias("value"))
    about = [F.lit(table).alias("table"), F.lit(rule).alias("rule")]
    return values.where("value is not null and not isnan(value)").select(*about, "value")


def cuts(deciles: Sequence[float]) -> list[float]:
    """Edges of bins, each bin up to and with its edge; a value that is several deciles is a bin of its own."""
    often = [value for value, n in Counter(deciles).items() if n > 1]
    return sorted({*deciles, *(nextafter(value, -inf) for value in often)})


def _counts(tables: Tables, before: Tables, edges: Mapping[tuple[str, str], Sequence[float]]) -> Counter[tuple[Any, ...]]:
    """Rows by table, rule, whether of tonight, and place of their bin."""
    binned = []
    for key, own in edges.items():
        place = F.size(F.filter(F.array(*map(F.lit, own)), lambda edge: edge < F.col("value"))).alias("place")
        for of, tonight in ((before, False), (tables, True)):
            binned.append(_values(of, *key).select("table", "rule", F.lit(tonight).alias("tonight"), place))
    names = ["table", "rule", "tonight", "place"]
    rows = reduce(DataFrame.unionAll, binned).groupBy(*names).count().collect()
    return Counter({tuple(row[name] for name in names): row["count"] for row in rows})


def _stable(table: str, rule: str, edges: Sequence[float], counts: Counter[tuple[Any, ...]], limits: Gates) -> Verdict:
    was, now = ([counts[table, rule, tonight, place] for place in range(len(edges) + 1)] for tonight in (False, True))
    if not sum(was) or not sum(now):
        return _passed(table, rule, f"{sum(was)} rows before, {sum(now)} tonight")
    parts, chance = stability(was, now), CHANCE[len(edges) - 1] * (1 / sum(was) + 1 / sum(now))
    index, worst = sum(parts), max(range(len(parts)), key=parts.__getitem__)
    key = f"{_span(edges, worst)}: {now[worst] / sum(now):.1%} of rows, {was[worst] / sum(was):.1%} before"
    expected = f"a PSI of at most {limits.max_psi:.3f}, and {chance:.3f} by chance"
    passed = index <= limits.max_psi + chance
    return Verdict(table, rule, passed, expected, f"{index:.3f} of {sum(now)} rows", () if passed else (key,))


def _span(edges: Sequence[float], place: int) -> str:
    """`above 2 up to 3`."""
    above = [f"above {edge:.4g}" for edge in edges[:place][-1:]]
    return " ".join([*above, *[f"up to {edge:.4g}" for edge in edges[place : place + 1]]])


def stability(before: Sequence[int], now: Sequence[int]) -> list[float]:
    """What each bin adds to the population stability index of two samples, given as their counts by bin."""
    shares = [[max(n / sum(counts), FLOOR) for n in counts] for counts in (before, now)]
    return [(p - q) * log(p / q) for q, p in zip(*shares, strict=True)]


def judge_run(
    manifest: Manifest, templates: float, tokens: int, past: Sequence[Row], last: str | None, limits: Gates
) -> list[Verdict]:
    """Rules about the run: `templates` is the share of them among texts made tonight, `tokens` those of its new calls; among
    `past`, rows of `runs`, is the `last` release's run."""
    few = f"{manifest.users_changed} users made tonight, too few to say" if manifest.users_changed < limits.min_users else None
    before = next((row for row in past if row["run_id"] == last), {})
    texts, records = before.get("template_share"), (before.get("rows_in") or 0) - (before.get("rows_later") or 0)
    rejected = before["rows_rejected"] / records if records else None
    usual = [spent for row in past if (spent := spent_on_a_user(row, limits.min_users))][-NIGHTS:]
    return [
        _at_most_above("explanations", "template_share_rise", templates, texts, limits.max_template_share_rise, few),
        _at_most_above("rejected", "share_rise", manifest.rejected_share, rejected, limits.max_rejected_share_rise),
        _spent(tokens / max(manifest.users_changed, 1), usual, limits.max_tokens_ratio, few),
    ]


def spent_on_a_user(run: Row, min_users: int) -> float | None:
    """Tokens of new calls over users made, of a run that was released and made enough users to tell."""
    if not run["release_id"] or (run["users_changed"] or 0) < min_users:
        return None
    return float(run["prompt_tokens"] + run["output_tokens"]) / run["users_changed"]


def _spent(tokens: float, usual: Sequence[float], limit: float, few: str | None) -> Verdict:
    if few or not usual:
        return _passed("generations", "tokens_a_user", few or "no night before that made enough users")
    most = limit * median(usual)
    return Verdict(
        "generations", "tokens_a_user", tokens <= most, f"at most {limit:g} times the usual, {most:.1f}", f"{tokens:.1f}"
    )


def _at_most_above(table: str, rule: str, share: float, before: float | None, limit: float, few: str | None = None) -> Verdict:
    if few or before is None:
        return _passed(table, rule, few or NONE)
    expected = f"at most {limit:.2%} above the last release's {before:.2%}"
    return Verdict(table, rule, share - before <= limit, expected, f"{share:.2%}")


def _at_least(table: str, rule: str, share: float, limit: float, of: str, offenders: DataFrame) -> Verdict:
    """`offenders` has one column of keys, worst first."""
    passed = share >= limit
    keys = () if passed else tuple(row[0] for row in offenders.limit(SAMPLES).collect())
    return Verdict(table, rule, passed, f"at least {limit:.2%}", f"{share:.2%} of {of}", keys)


def _passed(table: str, rule: str, why: str) -> Verdict:
    return Verdict(table, rule, True, "like the last release", why)
