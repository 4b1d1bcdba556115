"""Do lists reach items that nobody had yet? A tenth of the items is hidden, and lists are made with content and without it.

Of hidden items (a hash of the item's id picks them) nobody's events are learned from or known; they stay in the catalogue.
Judged are the users whose held-out item of `leave_one_out` is a hidden one. `new_items@k` is the share of the first k places
of a list that hold an item with fewer than `content.NEW` events, hidden or not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.evaluate.folds import ours, table
from jobs.evaluate.metrics import KS, by_user, places
from jobs.evaluate.splits import Fold
from jobs.prepare.content import NEW
from jobs.profile import Night

OF = 10  # items, of which one is hidden
OURS, WITHOUT, WORDS_ONLY = "ours", "ours without content", "ours without the sentence model"


def hide(fold: Fold, tenth: int = 0) -> Fold:
    """The fold without the events of the hidden items; judged are those whose target is one and of whom something is known."""
    hidden = F.pmod(F.xxhash64("item_id", F.lit("hidden")), F.lit(OF)) == tenth
    known = fold.events.where(~hidden)
    targets = fold.targets.where(hidden).join(known.select("user_id").distinct(), "user_id", how="left_semi")
    return Fold(known, known, targets)


def judged(fold: Fold, items: DataFrame, night: Night, run_date: str) -> dict[str, dict[str, np.ndarray]]:
    """Method -> metric -> value of each judged user, in the order of their ids; nothing where nobody is judged.

    `fold` is `hide`'s; without `night.new_items` all methods would be the same, and nothing is made.
    """
    targets = table(fold.targets.orderBy("user_id")) if night.new_items else pd.DataFrame()
    if targets.empty:
        return {}
    catalogue = pd.Index(table(items.select("item_id").orderBy("item_id"))["item_id"])
    counts = table(fold.events.groupBy("item_id").agg(F.count("*").alias("n"))).set_index("item_id")["n"]
    new = counts.reindex(catalogue, fill_value=0).to_numpy() < NEW
    values: dict[str, dict[str, Any]] = {}
    rules: dict[str, dict[str, Any]] = {OURS: {}, WITHOUT: {"new_items": 0}}
    if night.sentence_model:
        rules[WORDS_ONLY] = {"sentence_model": None}
    for method, update in rules.items():
        lists, _ = ours(fold, items, catalogue, night.model_copy(update=update), run_date)
        values[method] = by_user(places(lists, catalogue.get_indexer(targets["item_id"])))
        for k in KS:
            values[method][f"new_items@{k}"] = (new[lists[:, :k]] & (lists[:, :k] >= 0)).mean(axis=1)
    return values
