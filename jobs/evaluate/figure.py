"""An evaluation as a picture: one panel a metric, one row a method, its value with the 95% interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

METRICS = ("ndcg@10", "recall@10", "mrr@10", "ndcg@20", "recall@20", "mrr@20")


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Write an SVG of the figures of all users: a row of panels a split. `rows` as in the table `evaluations`."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "nocturne"  # the same figures are the same file
    import matplotlib.pyplot as plt

    drawn = [row for row in rows if row["segment"] == "all" and row["metric"] in METRICS]
    shown = [row for row in drawn if row["against"] is None and row["low"] is not None]
    splits = list(dict.fromkeys(row["split"] for row in shown))
    methods = list(dict.fromkeys(row["method"] for row in shown))[::-1]
    figure, panels = plt.subplots(
        len(splits), len(METRICS), figsize=(3 * len(METRICS), 1 + 0.5 * len(methods) * len(splits)), sharey=True, squeeze=False
    )
    for line, split in zip(panels, splits, strict=True):
        for panel, metric in zip(line, METRICS, strict=True):
            for row in shown:
                if (row["split"], row["metric"]) == (split, metric):
                    place = methods.index(row["method"])
                    panel.plot([row["low"], row["high"]], [place, place], color="C0", linewidth=1.5)
                    panel.plot(row["value"], place, "o", color="C0", markersize=4)
            panel.set_title(f"{metric}, {split.replace('_', ' ')}", fontsize=9)
            panel.set_yticks(range(len(methods)), methods)
            panel.set_xlim(left=0)
            panel.grid(axis="x", linewidth=0.3)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
