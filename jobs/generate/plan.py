"""Predict what a night's calls will cost, from rehearsed users and from nights that were."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from statistics import fmean, stdev
from typing import Any

from pydantic import BaseModel

from jobs.generate.rehearsal import Load
from jobs.manifest import DECODE_COST, Past

WRITTEN = 0.6  # of the tokens an answer may have, where no past night tells
RESAMPLES = 500


class Prediction(BaseModel):
    """Figures with an interval of 95% (`low`, `high`); seconds are None without a night to tell how fast the model is."""

    users: int
    calls: tuple[float, float, float]
    prompt_tokens: tuple[float, float, float]
    output_tokens: tuple[float, float, float]
    seconds: tuple[float, float, float] | None

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
    where there is but one night.
    """
    share = past.written_share or WRITTEN
    figures = {
        "calls": [float(load.calls) for load in sample],
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


def _seconds(work: tuple[float, float, float], speeds: Sequence[float]) -> tuple[float, float, float] | None:
    if not speeds:
        return None
    speed = fmean(speeds)
    spread = min(0.9, 2 * stdev(speeds) / speed) if len(speeds) > 1 else 0.5
    middle, low, high = work
    return middle / speed, low / speed / (1 + spread), high / speed / (1 - spread)
