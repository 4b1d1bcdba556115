"""What the model's scores count in lists: as much as the newest evaluation found, or as the profile says.

An evaluation writes, for each way of scoring, a row with the metric `weight`: its value is 0 unless lists were better with
the scores at 95%. It holds for the model, the prompts and the settings that it was made with.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from pydantic import BaseModel

from jobs.profile import Profile
from jobs.prompts import prompt_digest
from jobs.storage import read_rows

WEIGHT = "weight"  # the metric
RULES = {"new_items", "sentence_model", "most_per_tag", "most_per_creator"}
LISTS = {"scored", "candidates", "list_length", "history_length"} | RULES  # settings of a night that a weight holds for
PROMPTS = {"likelihood": ("next", "prior"), "labels": ("pick",)}  # of each way of scoring


class Fusion(BaseModel):
    """The way of scoring, what its standardized scores count, and why."""

    scorer: str = "likelihood"
    weight: float = 0.0
    why: str = "weight of the model's scores 0"

    def applied(self, profile: Profile) -> Profile:
        """A profile in which it is decided."""
        night = profile.night.model_copy(update={"model_weight": self.weight, "scorer": self.scorer})
        return profile.model_copy(update={"night": night})


def conditions(profile: Profile, scorer: str, model: str | None) -> dict[str, Any]:
    """What a weight holds for; `model` is the digest of the weights, None where only its name is known."""
    night = profile.night.model_dump(include=LISTS | ({"permutations"} if scorer == "labels" else set()))
    prompts = {name: prompt_digest(name) for name in PROMPTS[scorer]}
    return {"model": model or profile.model.identity, "prompts": prompts} | night


def decide(profile: Profile, until: date, model: str | None) -> Fusion:
    """By the newest evaluation not after `until` that holds; of several ways to score the one that gains most."""
    night = profile.night
    if isinstance(night.model_weight, float):
        why = f"weight of the model's scores {night.model_weight:g} ({night.scorer}), by the profile"
        return Fusion(scorer=night.scorer, weight=night.model_weight, why=why)
    rows = [row for row in read_rows(profile, "evaluations") if row["metric"] == WEIGHT and row["run_date"] <= until]
    found = [(row, json.loads(row["settings"])) for row in rows]
    holds = [(row, told) for row, told in found if conditions(profile, told["scorer"], model).items() <= told.items()]
    if not holds:
        stale = "; others are of another model, other prompts or settings" if found else ""
        return Fusion(why=f"weight of the model's scores 0: no evaluation has measured it{stale} (infra/nocturne evaluate)")
    newest = max((row["run_date"], row["run_id"]) for row, _ in holds)
    told = [(row, each) for row, each in holds if (row["run_date"], row["run_id"]) == newest]
    row, best = max(told, key=lambda pair: (pair[0]["value"] > 0, pair[1]["gain"]))
    gains = ", ".join(f"{each['scorer']} {each['gain']:+.4f} ({each['low']:+.4f} to {each['high']:+.4f})" for _, each in told)
    why = f"weight of the model's scores {row['value']:g} ({best['scorer']}): ndcg@10 on validation {gains}, {row['run_id']}"
    return Fusion(scorer=best["scorer"], weight=row["value"], why=why)
