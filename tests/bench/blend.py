"""The numbers of retrieval (`jobs.prepare.blend`), each beside others in its place, on validation events.

Lists are made by the night's own code, in order of scores, as `evaluate` makes them. A number is judged by ndcg@10 in both of
its splits; one that concerns new items only by `found`: with a tenth of the items hidden, ten times, the reciprocal of the
hidden item's place among the new ones that content brings a user, 0 where it is not among the first 100.

A gain is that of the mean of both splits, or of `found`, over that of the numbers as they are; 95% intervals by a bootstrap
over users. Many events of MovieLens have the same second: with --orders N figures are the mean of N orders of those.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.evaluate.__main__ import Evaluation
from jobs.evaluate.folds import ours, retrieved, table
from jobs.evaluate.hidden import OF, hide
from jobs.evaluate.metrics import by_user, places
from jobs.evaluate.splits import Fold, core, leave_one_out, temporal
from jobs.intervals import intervals
from jobs.prepare.blend import BLEND, Blend
from jobs.profile import Night, load_profile
from jobs.progress import Progress
from jobs.spark import spark_session

PART = "validation"
TRIED: dict[str, tuple[float, ...]] = {
    "query": (10, 50),
    "half_life": (1.0, 3.0),
    "tail": (0.0, 0.1),
    "tail_half_life": (10.0, 40.0),
    "disliked": (0.0, 1.0),
    "popular": (0.03, 0.3),
    "popular_days": (60.0, 720.0),
    "window": (10, 40),
    "gap_decay": (0.9, 1.0),
    "popularity": (0.3, 0.6),
    "own": (0.0, 0.3),
    "neighbours": (200, 1000),
    "to_new": (0.5, 2.0),
    "from_new": (0.25, 1.0),
}
TRIED_ON_HIDDEN: dict[str, tuple[float, ...]] = {"like": (3, 10), "years_half": (2.0, 20.0), "reach": (10, 100)}
FIRST = 100  # new items of a user among which the hidden one is looked for


Values = tuple[pd.Series, ...]  # what one blend is worth to each user, by split; user_id -> value


def main() -> None:
    parser = argparse.ArgumentParser(prog="infra/bench blend", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", type=Path, default=Path("infra/profiles/demo.toml"))
    parser.add_argument("--date", default="2016-10-17")
    parser.add_argument("--only", nargs="*", default=[*TRIED, *TRIED_ON_HIDDEN], choices=[*TRIED, *TRIED_ON_HIDDEN])
    parser.add_argument("--sentence-models", nargs="*", default=[], help="folders; hidden items are judged with each, too")
    parser.add_argument("--groups", type=int, default=4, help="of users, in the temporal split")
    parser.add_argument("--orders", type=int, default=1, help="of the events of a second")
    arguments = parser.parse_args()
    profile, progress = load_profile(arguments.profile), Progress("bench")
    with tempfile.TemporaryDirectory() as folder, spark_session(profile, "bench", scratch=folder) as spark:
        sample = Evaluation(spark, profile, arguments.date, datetime.now(UTC), progress)
        orders = [Order(sample, reordered(sample.events, seed), arguments.groups) for seed in range(arguments.orders)]

        def mean(worth: Callable[[Order, Night, Blend], Values], blend: Blend, **night: str) -> Values:
            found = [worth(order, profile.night.model_copy(update={"repeat": "never"} | night), blend) for order in orders]
            return tuple(pd.concat(each, axis=1).mean(axis=1) for each in zip(*found, strict=True))

        chosen = [name for name in TRIED if name in arguments.only]
        if chosen:
            show("ndcg@10 leave_one_out, temporal", now := mean(ndcg, BLEND), now)
        for label, blend in variants(TRIED, chosen):
            show(label, mean(ndcg, blend), now)
        hidden = [name for name in TRIED_ON_HIDDEN if name in arguments.only]
        if hidden or arguments.sentence_models:
            show("found", now := mean(found, BLEND), now)
        for label, blend in variants(TRIED_ON_HIDDEN, hidden):
            show(label, mean(found, blend), now)
        for name in arguments.sentence_models:
            show(f"sentence_model {name}", mean(found, BLEND, sentence_model=name), now)


class Order:
    """The folds of the sample with its events of a second in one order."""

    def __init__(self, sample: Evaluation, events: DataFrame, groups: int) -> None:
        self.items, self.run_date = sample.items, sample.run_date
        self.catalogue = pd.Index(table(sample.items.select("item_id").orderBy("item_id"))["item_id"])
        (everyone,) = leave_one_out(core(events, sample.profile.evaluation.min_events), PART)
        self.splits = [everyone], [*temporal(events, PART, groups)]
        self.hidden = [fold for fold in (hide(everyone, tenth) for tenth in range(OF)) if not fold.targets.isEmpty()]

    def targets(self, fold: Fold) -> pd.Series:
        """The held-out item of each judged user, by id."""
        return table(fold.targets).set_index("user_id")["item_id"].sort_index()


def ndcg(order: Order, night: Night, blend: Blend) -> Values:
    """ndcg@10 of each user in either split, by score alone."""
    return tuple(pd.concat([of_fold(order, fold, night, blend) for fold in folds]) for folds in order.splits)


def of_fold(order: Order, fold: Fold, night: Night, blend: Blend) -> pd.Series:
    _, by_score = ours(fold, order.items, order.catalogue, night, order.run_date, blend)
    targets = order.targets(fold)
    return pd.Series(by_user(places(by_score, order.catalogue.get_indexer(targets)))["ndcg@10"], targets.index)


def found(order: Order, night: Night, blend: Blend) -> Values:
    """The reciprocal place of each user's hidden item among the new ones."""
    wide = night.model_copy(update={"candidates": FIRST, "list_length": 2 * FIRST, "new_items": FIRST})
    return (pd.concat([of_hidden(order, fold, wide, blend) for fold in order.hidden]),)


def of_hidden(order: Order, fold: Fold, night: Night, blend: Blend) -> pd.Series:
    by_content = F.filter("candidates", lambda each: F.array_contains(each["contributions"]["source"], "content"))
    with retrieved(fold, order.items, night, order.run_date, blend) as (_, best):
        judged = best.join(fold.targets, "user_id", how="inner")
        rows = table(judged.select("user_id", F.array_position(by_content["item_id"], F.col("item_id")).alias("place")))
    place = rows.set_index("user_id")["place"].reindex(order.targets(fold).index, fill_value=0)
    return (1 / place.clip(lower=1)).where(place > 0, 0.0)


def reordered(events: DataFrame, seed: int) -> DataFrame:
    """The same events with other ids, which order those of a second; seed 0: as they are."""
    return events.withColumn("event_id", F.xxhash64("event_id", F.lit(seed)).cast("string")) if seed else events


def variants(tried: dict[str, tuple[float, ...]], names: list[str]) -> Iterator[tuple[str, Blend]]:
    for name in names:
        for value in tried[name]:
            yield f"{name} {value:g}", replace(BLEND, **{name: value})


def show(label: str, values: Values, now: Values) -> None:
    """One line: the mean of each split, and the gain of all over those of `now`."""
    gain = pd.concat([each - before for each, before in zip(values, now, strict=True)], axis=1).mean(axis=1)
    (mean,), (low,), (high,) = intervals(gain.to_numpy()[:, None])
    means = "".join(f"{each.mean():9.4f}" for each in values)
    print(f"{label:44}{means}  {mean:+.4f} ({low:+.4f} to {high:+.4f})", flush=True)


if __name__ == "__main__":
    main()
