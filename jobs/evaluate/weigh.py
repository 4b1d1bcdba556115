"""The last of an evaluation's three stages: what the model's scores are worth, and the weight that nights give them.

    python -m jobs.evaluate.weigh --profile FILE --run-date 2016-10-17 --run-id ID

Lists are fused by the night's own code. For each way of scoring, the weight is the one of `WEIGHTS` with the best mean
ndcg@10 on validation users; it is 0 unless it is better than 0 at 95%. To choose and to judge on the same users would
flatter it: the gain is that of cross-fitting, each tenth of the users with the weight that is best on the others. What then
stands in `evaluations` is measured on test users. So is what summaries are worth (`usefulness`). The last line it prints is
JSON: the figures and the weights.
"""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow.dataset as ds
from pyarrow import fs

from jobs.arguments import run_parser
from jobs.contracts import contract
from jobs.errors import run_main
from jobs.evaluate.figure import draw
from jobs.evaluate.metrics import by_user, compared
from jobs.evaluate.trials import PARTS
from jobs.evaluate.usefulness import FOLDER, read_targets
from jobs.evaluate.usefulness import figures as useful
from jobs.fusion import PROMPTS, WEIGHT, conditions
from jobs.generate.chunks import is_chunk
from jobs.generate.context import Context
from jobs.generate.ranking import ordered
from jobs.home import home
from jobs.intervals import intervals
from jobs.locks import working
from jobs.profile import Night, Profile, load_profile
from jobs.progress import Progress
from jobs.prompts import prompt_digest
from jobs.storage import filesystem, parquet, put_rows, read_rows, remove
from jobs.weights import local_digest

WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
ALONE = 1e6  # a weight that leaves retrieval nothing but ties
PARTS_OF_USERS = 10  # of cross-fitting
SPLIT, OURS = "model", "ours"

Row = dict[str, Any]
Scores = dict[str, float]


@dataclass(frozen=True)
class Trial:
    """A user with a held-out item among the candidates, and what the model said: scores by scorer, label scores by order."""

    user: Context
    target: str
    scores: dict[str, Scores]
    turns: list[Scores]

    def place(self, scorer: str | None, night: Night) -> float:
        """Place of the held-out item in the fused order of the candidates, from 1; inf where it is not among them."""
        scores = self.scores.get(scorer, {}) if scorer else {}
        listed = ordered(self.user.candidates, scores, "treatment", night)
        return next((float(each.rank) for each in listed if each.item.item_id == self.target), np.inf)


@dataclass(frozen=True)
class Part:
    """The users of one part: `trials`, and how many there are with those whom no score concerns (their metrics are 0).

    Lists are made by the rules of `night`.
    """

    trials: list[Trial]
    n: int
    night: Night

    def values(self, scorer: str | None, weight: float) -> dict[str, np.ndarray]:
        """Metric -> value of each user, those without a trial last."""
        night = self.night.model_copy(update={"model_weight": weight})
        places = [trial.place(scorer, night) for trial in self.trials]
        return by_user(np.array(places + [np.inf] * (self.n - len(places))))


@dataclass(frozen=True)
class Fitted:
    """A weight found on validation users: the best of the grid, its cross-fitted gain in ndcg@10 with a 95% interval, and
    what nights use: `best` where the whole interval is above 0, else 0."""

    best: float
    gain: float
    low: float
    high: float

    @property
    def weight(self) -> float:
        return self.best if self.low > 0 else 0.0


def main() -> None:
    arguments = run_parser("evaluate.weigh", __doc__, started_at=False).parse_args()
    profile = load_profile(arguments.profile)
    with working(profile):
        weigh(profile, arguments, Progress("evaluate"))


def weigh(profile: Profile, arguments: Namespace, progress: Progress) -> None:
    run_id = arguments.run_id
    work = profile.evaluation_work(str(arguments.run_date))
    validation, test = (read_part(work, shard, profile.night) for shard in range(len(PARTS)))
    model = local_digest(profile.model)
    rows: list[Row] = []
    if validation.trials and test.trials:
        rows = figures(profile, validation, test, model, progress) + probed(work)
    rows += summarized(profile, work, model)
    blank = dict.fromkeys(contract("evaluations").names) | {"run_id": run_id, "run_date": arguments.run_date, "split": SPLIT}
    before = [row for row in read_rows(profile, "evaluations") if row["run_id"] == run_id and row["split"] != SPLIT]
    found = before + [blank | row for row in rows]
    put_rows(profile, "evaluations", found, key="run_id")
    picture = home() / "docs" / profile.name / f"evaluation-{run_id}.svg"
    draw(found, picture)
    remove(work)
    progress(f"{len(rows)} figures of the model; {picture}")
    weights = {row["method"]: row["value"] for row in rows if row["metric"] == WEIGHT}
    print(json.dumps({"figures": len(found), "weights": weights}))


def figures(profile: Profile, validation: Part, test: Part, model: str | None, progress: Progress) -> list[Row]:
    """Rows of `evaluations` about the scores: each way of scoring fused and alone, controls, weights."""
    rows: list[Row] = []
    lists = {OURS: test.values(None, 0.0), "random order": shuffled(test).values("random", ALONE)}
    settings: dict[str, Row] = {}
    for scorer in PROMPTS:
        name, found = f"{OURS}+{scorer}", fit(validation, scorer)
        told = {"scorer": scorer, "best": found.best, "gain": found.gain, "low": found.low, "high": found.high}
        settings[name] = told | {"users": validation.n, "trials": len(validation.trials)}
        about = conditions(profile, scorer, model)
        rows.append(
            {"method": name, "segment": "all", "metric": WEIGHT, "value": found.weight, "n_users": validation.n}
            | {"settings": json.dumps(settings[name] | about)}
        )
        progress(
            f"{scorer}: best weight {found.best:g}, ndcg@10 {found.gain:+.4f} ({found.low:+.4f} to {found.high:+.4f}) on "
            f"{validation.n} users, {len(validation.trials)} of them scored: nights use {found.weight:g}"
        )
        lists |= {name: test.values(scorer, found.best), scorer: test.values(scorer, ALONE)}
    gains = [(method, OURS) for method in lists if method != OURS]
    return rows + compared(lists, gains, {"segment": "all"}, settings) + order_effects(test)


def fit(part: Part, scorer: str) -> Fitted:
    """The weight of one way of scoring; users are dealt into parts in the order they come."""
    values = np.stack([part.values(scorer, weight)["ndcg@10"] for weight in WEIGHTS])  # (weights, users)
    deal = np.arange(part.n) % PARTS_OF_USERS
    gain = np.zeros(part.n)
    for each in range(PARTS_OF_USERS):
        chosen = values[:, deal != each].mean(axis=1).argmax() if (deal != each).any() else 0
        gain[deal == each] = (values[chosen] - values[0])[deal == each]
    mean, low, high = intervals(gain[:, None])
    return Fitted(WEIGHTS[int(values.mean(axis=1).argmax())], float(mean[0]), float(low[0]), float(high[0]))


def shuffled(part: Part) -> Part:
    """The same users with random scores, `random`: what any order of the candidates is worth."""

    def one(trial: Trial) -> Trial:
        draw = Random(trial.user.user_id)
        scores = {item.item_id: draw.random() for item in trial.user.candidates}
        return Trial(trial.user, trial.target, {"random": scores}, [])

    return Part([one(trial) for trial in part.trials], part.n, part.night)


def order_effects(part: Part) -> list[Row]:
    """Of the label scores: how they go with the place in the list (`place_correlation`: 0 not at all, -1 the earlier the
    better), and how two orders of the same list agree about its items (`order_agreement`: 1 wholly, 0 not at all)."""
    several = [trial.turns for trial in part.trials if len(trial.turns) > 1]
    places = [fmean(correlation(list(range(len(turn))), list(turn.values())) for turn in turns) for turns in several]
    agreed = [
        fmean(correlation([one[name] for name in one], [other[name] for name in one]) for one, other in pairs(turns))
        for turns in several
    ]
    return [
        summary("labels", metric, values)
        for metric, values in (("place_correlation", places), ("order_agreement", agreed))
        if values
    ]


def pairs(turns: list[Scores]) -> list[tuple[Scores, Scores]]:
    return [(one, other) for at, one in enumerate(turns) for other in turns[at + 1 :]]


def correlation(one: list[int] | list[float], other: list[float]) -> float:
    """Pearson's; 0 where either does not vary."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def probed(work: str) -> list[Row]:
    """What the model knew by heart: share of items whose title is likelier by their own id than by another's, and whose
    year is likelier by their own title; .5 is chance."""
    told: dict[str, dict[str, float]] = {}
    for shard in range(len(PARTS)):
        for row in results(work, shard):
            for each in row["probes"]:
                told.setdefault(each["probe"], {})[each["item_id"]] = each["nats"]
    return [summary("model", probe, [float(nats > 0) for nats in found.values()]) for probe, found in sorted(told.items())]


def summarized(profile: Profile, work: str, model: str | None) -> list[Row]:
    """What summaries are worth, and with which model, prompts and way of writing them that was measured."""
    prompts = {name: prompt_digest(name) for name in ("next_by_summary", "prior")}
    settings = {"words": profile.words.summary, "model": model or profile.model.identity, "prompts": prompts}
    return useful(read_targets(work), results(f"{work}/{FOLDER}", 0), settings)


def summary(method: str, metric: str, values: list[float]) -> Row:
    """The mean of some values with its interval."""
    mean, low, high = intervals(np.array(values)[:, None])
    about = {"method": method, "segment": "all", "metric": metric, "n_users": len(values)}
    return about | {"value": float(mean[0]), "low": float(low[0]), "high": float(high[0])}


def read_part(work: str, shard: int, night: Night) -> Part:
    """What the first two stages left of a part."""
    try:
        targets = parquet(f"{work}/targets/shard={shard}").to_table().to_pylist()
    except FileNotFoundError:
        return Part([], 0, night)
    target = {row["user_id"]: row["target"] for row in targets}
    said = {row["user_id"]: row["scores"] for row in results(work, shard)}
    contexts = parquet(f"{work}/contexts/shard={shard}").to_table().to_pylist() if said else []
    users = [Context.from_row(row) for row in contexts if row["user_id"] in said]
    return Part([trial(user, target[user.user_id], said[user.user_id]) for user in users], len(target), night)


def trial(user: Context, target: str, said: list[Row]) -> Trial:
    """A trial of what a worker wrote: the label scores of an item are their mean over the orders."""
    turns: dict[int, Scores] = {}
    nats: dict[str, dict[str, list[float]]] = {scorer: {} for scorer in PROMPTS}
    for row in said:
        nats[row["scorer"]].setdefault(row["item_id"], []).append(row["nats"])
        if row["scorer"] == "labels":
            turns.setdefault(row["turn"], {})[row["item_id"]] = row["nats"]
    means = {scorer: {name: fmean(values) for name, values in found.items()} for scorer, found in nats.items()}
    return Trial(user, target, means, [turns[turn] for turn in sorted(turns)])


def results(work: str, shard: int) -> list[Row]:
    """Rows of the contract `scores` that the worker has committed."""
    files, folder = filesystem(f"{work}/results/shard={shard}")
    there = files.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    paths = [entry.path for entry in there if is_chunk("users", entry.path)]
    rows = ds.dataset(paths, schema=contract("scores").arrow(), filesystem=files, format="parquet") if paths else None
    return list(rows.to_table().to_pylist()) if rows else []


if __name__ == "__main__":
    run_main(main)
