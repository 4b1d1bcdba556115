"""evaluate: what the lists are worth, on held-out events, beside what any list must beat; the first of its three stages.

    python -m jobs.evaluate --profile FILE --run-date 2016-10-17 --run-id ID --started-at 2016-10-17T02:00:00Z

Our lists are made by the night's own code. The settings of the baselines are chosen on validation events, each user's
last but one, by ndcg@10. Users whose lists the model could change go to the next stage, `jobs.evaluate.scores`. The last
line it prints is JSON: the run, how many figures there are, and how many users are to be scored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from jobs import generations
from jobs.arguments import run_parser
from jobs.errors import InputError, run_main
from jobs.evaluate.baselines import GRID, METHODS, Arrays
from jobs.evaluate.folds import arrays, ours, retrieved, table
from jobs.evaluate.hidden import OURS, hide, judged
from jobs.evaluate.metrics import by_user, compared, of_lists, places
from jobs.evaluate.splits import Fold, core, leave_one_out, temporal
from jobs.evaluate.trials import PARTS, write_summarized, write_trials
from jobs.faults import named, refuse
from jobs.locks import working
from jobs.prepare.content import NEW
from jobs.prepare.histories import describe, select_users
from jobs.prepare.sources import read_sources, readable
from jobs.prepare.validation import judge_events, judge_items
from jobs.profile import Profile, load_profile
from jobs.progress import Progress
from jobs.spark import keep, spark_session
from jobs.storage import put_rows, remove

Row = dict[str, Any]
BY_SCORE = "ours, no place kept"  # for new items
CHOSEN_BY = "ndcg@10"


def main() -> None:
    arguments = run_parser("evaluate", __doc__).parse_args()
    profile = load_profile(arguments.profile)
    progress = Progress("evaluate")
    work = profile.evaluation_work(str(arguments.run_date))
    remove(work)
    refuse(profile, arguments.run_date)
    about = {"run_id": arguments.run_id, "run_date": arguments.run_date}
    nothing = dict.fromkeys(("against", "low", "high", "settings"))
    with working(profile):
        with named(profile), spark_session(profile, "evaluate", scratch=f"{work}/scratch") as spark:
            progress("Spark is up")
            evaluation = Evaluation(spark, profile, str(arguments.run_date), arguments.started_at, progress)
            found, trials = evaluation.run(), evaluation.trials()
        put_rows(profile, "evaluations", [nothing | about | row for row in found], key="run_id")
    progress(f"{len(found)} figures")
    print(json.dumps({"run_id": arguments.run_id, "figures": len(found), "trials": trials}))


class Evaluation:
    """One date's evaluation: splits, methods, figures."""

    def __init__(self, spark: SparkSession, profile: Profile, run_date: str, started_at: datetime, progress: Progress) -> None:
        self.spark, self.profile, self.run_date, self.progress = spark, profile, run_date, progress
        self.events, self.items = self._sample(spark, started_at)
        names = table(self.events.select("item_id").distinct().orderBy("item_id"))["item_id"]
        self.catalogue = pd.Index(names)
        self.dense = core(self.events, profile.evaluation.min_events)

    def run(self) -> list[Row]:
        """Every figure: rows of `evaluations` but for the run and its date."""
        settings = self.profile.evaluation
        splits: dict[str, Callable[[str], Iterator[Fold]]] = {
            "leave_one_out": lambda part: leave_one_out(self.dense, part),
            "temporal": lambda part: temporal(self.events, part, settings.groups),
        }
        found = [row for name, made in splits.items() for row in self._split(name, made)] + self._cold_items()
        if not found:
            raise InputError(f"events.path: nobody has three events before {self.run_date}; nothing to evaluate")
        return found

    def trials(self) -> int:
        """Write the users that the model is asked about, of the split leave_one_out; of how many it scores candidates.

        That split has the most users whose held-out item is a candidate; that it flatters retrieval makes a weight smaller.
        """
        work, n_users = self.profile.evaluation_work(self.run_date), self.profile.evaluation.scored_users
        folds = {part: next(leave_one_out(self.dense, part)) for part in PARTS if n_users}
        if any(fold.targets.isEmpty() for fold in folds.values()):
            return 0
        written = 0
        for part, fold in folds.items():
            with retrieved(fold, self.items, self.profile.night, self.run_date) as (histories, best):
                written += write_trials(part, fold.targets, histories, best, n_users, work)
                if part == "test":
                    phrased = generations.phrasings(self.spark, self.profile, self.run_date)
                    write_summarized(fold, histories, self.items, n_users, work, phrased)
            self.progress(f"{written} users for the model to score, up to those of {part}")
        return written

    def _split(self, split: str, made: Callable[[str], Iterator[Fold]]) -> list[Row]:
        """Figures of one split; `made` gives its folds of a part."""
        night = self.profile.night
        validation = [arrays(fold, self.catalogue, night) for fold in made("validation") if not fold.targets.isEmpty()]
        self.progress(f"{split}: {len(validation)} folds to choose by")
        test, lists = [], []
        for fold in made("test"):
            if not fold.targets.isEmpty():
                test.append(arrays(fold, self.catalogue, night))
                lists.append(ours(fold, self.items, self.catalogue, night, self.run_date))
                self.progress(f"{split}: our lists of fold {len(test)}, {len(test[-1].target)} users")
        if validation and test:
            listed, by_score = map(np.concatenate, zip(*lists, strict=True))
            return self._figures(split, validation, test, {OURS: listed} | ({BY_SCORE: by_score} if night.new_places else {}))
        self.progress(f"{split}: nobody has events enough; no figures")
        return []

    def _cold_items(self) -> list[Row]:
        """Figures about hidden items (`hidden`)."""
        (fold,) = leave_one_out(self.dense, "test")
        values = judged(hide(fold), self.items, self.profile.night, self.run_date)
        everyone = np.ones(len(values[OURS]["ndcg@10"]) if values else 0, bool)
        self.progress(f"cold_items: {len(everyone)} users whose held-out item is hidden")
        return _compared(values, everyone, {"split": "cold_items", "segment": "all"}, {name: {} for name in values})

    def _sample(self, spark: SparkSession, started_at: datetime) -> tuple[DataFrame, DataFrame]:
        events, items = read_sources(spark, self.profile)
        with readable():
            catalogue = keep(judge_items(items).valid)
        log = judge_events(events, catalogue, self.profile, self.run_date, started_at).valid
        users = select_users(log, str(self.profile.evaluation.users))
        with readable():
            described = keep(describe(log.join(users, "user_id", how="left_semi"), catalogue))
        n = described.count()
        if not n:
            raise InputError(f"events.path: no usable event before {self.run_date}; nothing to evaluate")
        self.progress(f"{n} events of {described.select('user_id').distinct().count()} users")
        return described, catalogue

    def _figures(self, split: str, validation: list[Arrays], test: list[Arrays], lists: dict[str, np.ndarray]) -> list[Row]:
        """Figures of a split's methods; `lists` are ours."""
        chosen: dict[str, Row] = {method: {} for method in lists}
        for method, make in METHODS.items():
            chosen[method] = self._tuned(method, validation)
            lists[method] = np.concatenate([make(fold, **chosen[method]) for fold in test])
            self.progress(f"{split}: {method} {chosen[method] or ''}")
        target = np.concatenate([fold.target for fold in test])
        values = {method: by_user(places(each, target)) for method, each in lists.items()}
        rows = []
        for segment, members in self._segments(test).items():
            rows += _compared(values, members, {"split": split, "segment": segment}, chosen)
        learned = np.mean([fold.n_learned for fold in test], axis=0)
        users = np.mean([fold.learned.shape[0] for fold in test])
        for method, each in lists.items():
            about = {"split": split, "segment": "all", "method": method, "n_users": len(each)}
            rows += [about | {"metric": name, "value": value} for name, value in of_lists(each, learned, users).items()]
        return rows

    def _tuned(self, method: str, folds: list[Arrays]) -> Row:
        """The settings of the grid with the best mean on validation events."""

        target = np.concatenate([fold.target for fold in folds])

        def worth(settings: Row) -> float:
            made = np.concatenate([METHODS[method](fold, **settings) for fold in folds])
            return float(by_user(places(made, target))[CHOSEN_BY].mean())

        return max(GRID[method], key=worth) if len(GRID[method]) > 1 else GRID[method][0]

    def _segments(self, folds: list[Arrays]) -> dict[str, np.ndarray]:
        """Segment -> which of the judged users are in it; light and heavy: below the median of events, and not."""
        known = np.concatenate([np.asarray(fold.own.sum(axis=1)).ravel() for fold in folds])
        learned = np.concatenate([fold.n_learned[fold.target] for fold in folds])
        cold, half = known < self.profile.night.cold_events, np.median(known)
        light, everyone = ~cold & (known < half), np.ones(len(known), bool)
        return {"all": everyone, "cold": cold, "light": light, "heavy": ~cold & ~light, "new_items": learned < NEW}


def _compared(values: dict[str, dict[str, np.ndarray]], members: np.ndarray, about: Row, chosen: dict[str, Row]) -> list[Row]:
    """Each method's metrics among the members, and ours against each other method's, with and without a kept place."""
    if not members.any():
        return []
    mine = [method for method in (OURS, BY_SCORE) if method in values]
    theirs = {method: {metric: each[members] for metric, each in found.items()} for method, found in values.items()}
    pairs = [*combinations(mine, 2), *product(mine, [method for method in values if method not in mine])]
    return compared(theirs, pairs, about, chosen)


if __name__ == "__main__":
    run_main(main)
