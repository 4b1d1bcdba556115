"""All verdicts of a night as one page that needs nothing from outside; Great Expectations' own pages hang on it."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from jobs.manifest import Manifest

WORDS = ("grounding", "claims_resolved", "coverage", "faithfulness", "template_share", "accepted", "distinctness")  # shown


def write_page(folder: Path, manifest: Manifest, verdicts: list[dict[str, Any]], figures: list[dict[str, Any]]) -> Path:
    """Write `judged.html` into the folder of Data Docs: by table, what failed first; then what the words are worth."""
    by_table = sorted(verdicts, key=lambda each: (each["table"], each["passed"], each["rule"]))
    tables = [(name, list(rules)) for name, rules in groupby(by_table, key=itemgetter("table"))]
    details = {
        name: page.relative_to(folder).as_posix()
        for name, _ in tables
        for page in sorted((folder / "validations" / name).rglob("*.html"))
    }
    jinja = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    text = jinja.get_template("page.html").render(
        run_id=manifest.run_id,
        run_date=manifest.run_date,
        verdicts=verdicts,
        failed=[each for each in verdicts if not each["passed"]],
        tables=tables,
        details=details,
        words=_words(figures),
    )
    page = folder / "judged.html"
    page.write_text(text, encoding="utf-8")
    return page


def _words(figures: list[dict[str, Any]]) -> list[tuple[str, dict[str, dict[str, Any]]]]:
    """Metric -> segment -> row, of all texts; of faithfulness what cited events take off beyond random ones."""
    shown = [row for row in figures if (row["method"], row["against"]) in (("all", None), ("cited", "random"))]
    by_metric = [(name, {row["segment"]: row for row in shown if row["metric"] == name}) for name in WORDS]
    return [(name, rows) for name, rows in by_metric if rows]
