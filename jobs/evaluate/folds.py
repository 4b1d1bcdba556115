"""A fold brought to arrays: an evaluation is about a sample of users, so all of it fits one machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix

from jobs.evaluate.baselines import LENGTH, Arrays
from jobs.evaluate.splits import Fold
from jobs.generate.ranking import chosen
from jobs.prepare.blend import BLEND, Blend
from jobs.prepare.candidates import candidates
from jobs.prepare.histories import user_histories
from jobs.profile import Night
from jobs.spark import kept


def arrays(fold: Fold, catalogue: pd.Index, night: Night) -> Arrays:
    """Collect a fold, judged users in the order of their ids; `catalogue` has the items' ids by number."""
    targets = table(fold.targets.orderBy("user_id"))
    learners = pd.Index(table(fold.events.select("user_id").distinct())["user_id"])
    return Arrays(
        learned=_matrix(fold.events, learners, catalogue),
        own=_matrix(fold.own, pd.Index(targets["user_id"]), catalogue),
        target=catalogue.get_indexer(targets["item_id"]),
        again=night.repeat == "always",
    )


@contextmanager
def retrieved(
    fold: Fold, items: DataFrame, night: Night, run_date: str, blend: Blend = BLEND
) -> Iterator[tuple[DataFrame, DataFrame]]:
    """Histories and candidates of the judged users, made by the night's own code; what they had does not come again."""
    rule = night.model_copy(update={"repeat": "always" if night.repeat == "always" else "never"})
    made = user_histories(fold.own, fold.targets.select("user_id"), night, "evaluation")
    with kept(made) as histories, candidates(histories, fold.own, fold.events, items, rule, run_date, blend) as best:
        yield histories, best


def ours(
    fold: Fold, items: DataFrame, catalogue: pd.Index, night: Night, run_date: str, blend: Blend = BLEND
) -> tuple[np.ndarray, np.ndarray]:
    """Our lists, and those of the same candidates without places kept for new ones (`night.new_places`).

    Each is (judged users, LENGTH) item numbers, -1 after a list's end; users as in `arrays`. The first `night.list_length` are
    the list that is published, the others the candidates after it.
    """
    users = pd.Index(table(fold.targets.select("user_id").orderBy("user_id"))["user_id"])
    names = "item_id", "tags", "creators"
    found = F.transform(
        "candidates",
        lambda each: F.struct(*(each[name] for name in names), F.exists(each["contributions"], _by_content).alias("new")),
    )
    rule = night.model_copy(update={"list_length": min(night.list_length, LENGTH)})
    rules = rule, rule.model_copy(update={"new_items": 0})
    lists = np.full((2, len(users), LENGTH), -1)
    with retrieved(fold, items, night.model_copy(update={"candidates": LENGTH}), run_date, blend) as (_, best):
        rows = table(best.select("user_id", found.alias("found")))
    for user, each in rows.itertuples(index=False):
        tags, creators, new = ([item[name] for item in each] for name in ("tags", "creators", "new"))
        for made, one in zip(lists, rules, strict=True):
            order = chosen(tags, creators, new, one)
            made[users.get_loc(user), : len(order)] = catalogue.get_indexer([each[n]["item_id"] for n in order])
    return lists[0], lists[1]


def _by_content(part: Column) -> Column:
    return part["source"] == "content"


def table(rows: DataFrame) -> pd.DataFrame:
    """Rows of a sample."""
    found: Any = rows.toArrow()
    return found.to_pandas()


def _matrix(events: DataFrame, users: pd.Index, catalogue: pd.Index) -> csr_matrix:
    pairs = table(events.select("user_id", "item_id").distinct())
    places = users.get_indexer(pairs["user_id"]), catalogue.get_indexer(pairs["item_id"])
    return csr_matrix((np.ones(len(pairs), np.float32), places), shape=(len(users), len(catalogue)))
