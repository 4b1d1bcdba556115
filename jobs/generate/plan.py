"""Predict what a night's calls will cost, from rehearsed users and from nights that were.

    python -m jobs.generate.plan --profile FILE --work FOLDER

reads what prepare left in FOLDER, loads no model, and prints the prediction as JSON in its last line.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from random import Random
from statistics import fmean, stdev
from typing import Any

from pydantic import BaseModel

from jobs.errors import run_main
from jobs.generate.book import known_phrasings
from jobs.generate.context import Context
from jobs.generate.engines import make_engine
from jobs.generate.phrasing import foreseen
from jobs.generate.programs import personalize
from jobs.generate.rehearsal import Load, rehearse
from jobs.generate.session import Memory
from jobs.manifest import DECODE_COST, FILE, Manifest, Past
from jobs.profile import Profile, load_profile
from jobs.progress import Progress
from jobs.storage import parquet, read_json
from jobs.weights import model_digest

SAMPLE = 64  # users of a shard that are rehearsed; contexts are in the order of their ids, so of any cost
WRITTEN = 0.6  # of the tokens an answer may have, where no past night tells
RESAMPLES = 500
FIGURES = ("calls", "calls_known", "prompt_tokens", "output_tokens")
COSTS = (*FIGURES, "seconds")
Interval = tuple[float, float, float]  # the figure, low, high


class Prediction(BaseModel):
    """Figures with an interval of 95% (`low`, `high`); seconds are None without a night to tell how fast the model is."""

    users: int
    calls: tuple[float, float, float]
    calls_known: tuple[float, float, float]
    prompt_tokens: tuple[float, float, float]
    output_tokens: tuple[float, float, float]
    seconds: tuple[float, float, float] | None

    def and_once(self, load: Load, past: Past) -> Prediction:
        """With what is asked for all users together; what is known of that counts for nobody, as in `runs.calls_cached`."""
        return self.plus(predict([load], 1, past)).model_copy(update={"calls_known": self.calls_known})

    def plus(self, more: Prediction) -> Prediction:
        """The same users, with more calls about them."""
        figures: dict[str, Any] = {name: _sum(getattr(self, name), getattr(more, name)) for name in FIGURES}
        seconds = _sum(self.seconds, more.seconds) if self.seconds and more.seconds else None
        return Prediction(users=self.users, **figures, seconds=seconds)

    def refused(self) -> Prediction:
        """Of calls that come only after a refused answer: half of them, none to all."""
        told: dict[str, Any] = {name: (value[0] / 2, 0.0, value[2]) for name in COSTS if (value := getattr(self, name))}
        return self.model_copy(update=told)

    def columns(self) -> dict[str, float]:
        """As `runs.predicted` keeps it."""
        told: dict[str, Any] = self.model_dump(exclude={"users"})
        names = ("", "_low", "_high")
        return {
            f"{name}{end}": round(value, 1)
            for name, figures in told.items()
            if figures
            for end, value in zip(names, figures, strict=True)
        }


def predict(sample: Sequence[Load], users: int, past: Past) -> Prediction:
    """What `users` will cost of which `sample` are some, drawn without regard to their cost.

    Intervals come from resampling the sampled users (only those not seen vary: a whole sample has no spread); that of
    seconds also from how much past nights differed in their speed, twice their standard deviation, half of the mean
    where there is but one night. Of answers that may be refused half are expected to be asked for again, none to all.
    """
    first, seconds = _predict(sample, users, past), [load.second for load in sample]
    return first.plus(_predict(seconds, users, past).refused()) if any(load.calls for load in seconds) else first


def _predict(sample: Sequence[Load], users: int, past: Past) -> Prediction:
    share = past.written_share or WRITTEN
    figures = {
        "calls": [float(load.calls) for load in sample],
        "calls_known": [float(load.known) for load in sample],
        "prompt_tokens": [float(load.prompt) for load in sample],
        "output_tokens": [load.decode * share for load in sample],
    }
    work = [load.distinct + DECODE_COST * load.decode * share for load in sample]
    told: dict[str, Any] = {name: interval(values, users) for name, values in figures.items()}
    return Prediction(users=users, **told, seconds=_seconds(interval(work, users), past.work_per_second))


def interval(values: Sequence[float], users: int) -> tuple[float, float, float]:
    """The total over `users` of whom `values` are known, and its 95% interval."""
    known, unseen = sum(values), max(0, users - len(values))
    if not values or not unseen:
        return known, known, known
    draw = Random(7)
    means = sorted(fmean(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    low, high = means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES)]
    return known + fmean(values) * unseen, known + low * unseen, known + high * unseen


def _sum(one: Interval, other: Interval) -> Interval:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _seconds(work: tuple[float, float, float], speeds: Sequence[float]) -> tuple[float, float, float] | None:
    if not speeds:
        return None
    speed = fmean(speeds)
    spread = min(0.9, 2 * stdev(speeds) / speed) if len(speeds) > 1 else 0.5
    middle, low, high = work
    return middle / speed, low / speed / (1 + spread), high / speed / (1 - spread)


def together(shards: Sequence[Prediction]) -> Prediction:
    """The night of all shards, worked on at once: sums, intervals too, which makes them wide; seconds of the slowest."""
    figures: dict[str, Any] = {}
    for name in FIGURES:
        figures[name] = tuple(map(sum, zip(*[getattr(shard, name) for shard in shards], strict=True))) or (0, 0, 0)
    seconds = [shard.seconds for shard in shards if shard.seconds]
    slowest = max(seconds, default=(0.0, 0.0, 0.0)) if len(seconds) == len(shards) else None
    return Prediction(users=sum(shard.users for shard in shards), **figures, seconds=slowest)


def main() -> None:
    parser = argparse.ArgumentParser(prog="jobs.generate.plan", description="Predict what a prepared night will cost.")
    parser.add_argument("--profile", required=True)
    parser.add_argument("--work", required=True)
    arguments = parser.parse_args()
    profile = load_profile(arguments.profile)
    manifest = Manifest.model_validate(read_json(f"{arguments.work}/{FILE}"))
    memory = Memory(make_engine(profile.model, model_digest(profile.model), Progress("plan")))
    fused = manifest.fusion.applied(profile)
    past = manifest.past
    once = asyncio.run(foreseen(memory, known_phrasings(arguments.work), fused.words))
    folders = [f"{arguments.work}/contexts/shard={shard}" for shard in manifest.shards]
    shards = [asyncio.run(_shard(folder, fused, memory, past)) for folder in folders]
    print(together(shards).and_once(once, past).model_dump_json())


async def _shard(folder: str, profile: Profile, memory: Memory, past: Past) -> Prediction:
    data = parquet(folder)
    sample = [Context.from_row(row) for row in data.head(SAMPLE).to_pylist()]
    rehearsals = [await rehearse(lambda user, ask: personalize(user, ask, profile), user, memory) for user in sample]
    seen: set[str] = set()
    return predict([Load.of(each, seen) for each in rehearsals], data.count_rows(), past)


if __name__ == "__main__":
    run_main(main)
