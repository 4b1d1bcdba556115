"""Rows of `evaluations` as the page's tables have them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

METRICS = ("ndcg@10", "recall@10", "mrr@10", "coverage@20")  # of lists; the first has the picture
WORDS = ("grounding", "claims_resolved", "coverage", "faithfulness", "accepted", "template_share", "distinctness")
SEGMENTS = ("summaries", "explanations")


@dataclass(frozen=True)
class Split:
    """One split of an evaluation: figures by method and metric, ours by segment as well; differences of the first metric; and
    what has no cutoff."""

    name: str
    n_users: int
    methods: dict[str, dict[str, Row]]
    differences: list[Row]
    others: list[Row]


def splits(rows: list[Row]) -> list[Split]:
    """Each split of an evaluation."""
    names = dict.fromkeys(row["split"] for row in rows)
    return [_split(name, [row for row in rows if row["split"] == name]) for name in names]


def _split(name: str, rows: list[Row]) -> Split:
    methods: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row["against"] is None and row["metric"] in METRICS and (row["segment"] == "all" or row["method"] == "ours"):
            segment = "" if row["segment"] == "all" else f", {row['segment'].replace('_', ' ')}"
            methods.setdefault(row["method"] + segment, {})[row["metric"]] = row
    methods = {label: found for label, found in methods.items() if METRICS[0] in found}
    of_all = [row for row in rows if row["segment"] == "all"]
    return Split(
        name=name.replace("_", " "),
        n_users=max((found[METRICS[0]]["n_users"] for found in methods.values()), default=0),
        methods=methods,
        differences=[row for row in of_all if row["against"] and row["metric"] == METRICS[0]],
        others=[row for row in of_all if "@" not in row["metric"]],
    )


def words(rows: list[Row]) -> list[Row]:
    """Figures of all texts in their order; of faithfulness what cited events take off beyond random ones."""
    shown = [row for row in rows if (row["method"], row["against"]) in (("all", None), ("cited", "random"))]
    found = {(row["metric"], row["segment"]): row for row in shown}
    keys = [(metric, segment) for metric in WORDS for segment in SEGMENTS]
    return [found[key] for key in keys if key in found]


def scale(rows: Iterable[Row]) -> tuple[float, float]:
    """From the least to the most of some figures, their intervals and 0."""
    ends = [row[name] for row in rows for name in ("low", "value", "high") if row[name] is not None]
    return min([0.0, *ends]), max([0.0, *ends])
