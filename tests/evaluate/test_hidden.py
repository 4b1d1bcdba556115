"""Hidden items: nobody's events of them are learned from, and content finds them all the same."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from jobs.evaluate import folds
from jobs.evaluate.__main__ import _compared
from jobs.evaluate.hidden import OF, WITHOUT, WORDS_ONLY, hide, judged
from jobs.evaluate.splits import Fold, leave_one_out
from jobs.prepare.histories import describe
from jobs.profile import Night
from tests.prepare.logs import events, frame

KINDS = ("red", "blue")  # ten items of each; who likes one kind has items of that kind only
SHELF = [(f"{kind}{n}", f"{kind} {n}", [kind], None, None) for kind in KINDS for n in range(10)]
LOG = [(f"{kind}-{user}", f"{kind}{(user + step) % 10}") for kind in KINDS for user in range(10) for step in range(6)]
NIGHT = Night(list_length=10, new_items=2)


@pytest.fixture(scope="module")
def items(spark):
    return frame(spark, "items", SHELF)


@pytest.fixture(scope="module")
def fold(spark, items) -> Fold:
    """The first tenth of the items that hides any held-out one."""
    (whole,) = leave_one_out(describe(events(spark, *LOG), items), "test")
    return next(each for each in (hide(whole, tenth) for tenth in range(OF)) if not each.targets.isEmpty())


@pytest.fixture(scope="module")
def values(fold, items) -> dict:
    return judged(fold, items, NIGHT, "2024-09-01")


def test_what_is_hidden_is_neither_learned_nor_known(fold):
    hidden = {row["item_id"] for row in fold.targets.collect()}
    known = {row["item_id"] for row in fold.events.collect()} | {row["item_id"] for row in fold.own.collect()}
    assert hidden and known and not hidden & known


def test_every_item_is_hidden_in_one_of_the_tenths(spark, items):
    log = describe(events(spark, *LOG), items)
    whole = Fold(log, log, log.select("user_id", "item_id"))
    seen = [row["item_id"] for tenth in range(OF) for row in hide(whole, tenth).targets.select("item_id").distinct().collect()]
    assert sorted(seen) == sorted(item for item, *_ in SHELF)


def test_content_finds_what_nobody_had(values):
    assert values["ours"]["recall@10"].mean() > 0
    assert not values[WITHOUT]["recall@20"].any() and not values[WITHOUT]["new_items@20"].any()
    assert ((values["ours"]["new_items@10"] > 0) & (values["ours"]["new_items@10"] <= 1)).all()


@pytest.mark.parametrize(
    ("rule", "kept_place", "none_kept"),
    [
        ({}, [0, 3, 1, 2], [0, 1, 2, 3]),
        ({"most_per_tag": 1}, [0, 3, 1, 2], [0, 2, 1, 3]),
        ({"most_per_creator": 1}, [0, 3, 1, 2], [0, 3, 1, 2]),
    ],
    ids=["no rule", "a tag once", "a creator once"],
)
def test_lists_with_a_kept_place_and_without(spark, fold, monkeypatch, rule, kept_place, none_kept):
    """Of every user's candidates a to d, best first, content brought the last; a and b share a tag, a to c their creator."""
    labels = {"a": (["t"], ["c"]), "b": (["t"], ["c"]), "c": ([], ["c"]), "d": ([], [])}
    best = [(item, *labels[item], [("content" if item == "d" else "x",)]) for item in "abcd"]
    parts = "item_id string, tags array<string>, creators array<string>, contributions array<struct<source string>>"
    schema = f"candidates array<struct<{parts}>>"
    candidates = fold.targets.select("user_id").join(spark.createDataFrame([(best,)], schema))
    monkeypatch.setattr(folds, "retrieved", lambda *_: nullcontext((None, candidates)))
    kept, by_score = folds.ours(fold, None, pd.Index(list("abcd")), Night(list_length=2, **rule), "2024-09-01")
    for lists, order in ((kept, kept_place), (by_score, none_kept)):
        assert lists[:, :4].tolist() == [order] * fold.targets.count() and (lists[:, 4:] == -1).all()


def test_differences_are_paired(values):
    n = len(values["ours"]["recall@10"])
    rows = _compared(values, np.ones(n, bool), {"split": "cold_items", "segment": "all"}, {name: {} for name in values})
    (gain,) = [row for row in rows if (row["metric"], row["against"]) == ("recall@10", WITHOUT)]
    assert gain["value"] == pytest.approx(values["ours"]["recall@10"].mean()) and gain["n_users"] == n


def test_a_sentence_model_is_judged_beside_words_alone(fold, items, values):
    both = judged(fold, items, NIGHT.model_copy(update={"sentence_model": "models/minilm-l6-static"}), "2024-09-01")
    assert both.keys() == {"ours", WITHOUT, WORDS_ONLY}
    assert all((both[WORDS_ONLY][metric] == found).all() for metric, found in values["ours"].items())


def test_without_content_there_is_nothing_to_compare(fold, items):
    assert judged(fold, items, NIGHT.model_copy(update={"new_items": 0}), "2024-09-01") == {}
    nobody = Fold(fold.events, fold.own, fold.targets.where(F.lit(False)))
    assert judged(nobody, items, NIGHT, "2024-09-01") == {}
