"""Fuse what retrieval and the model say of a user's candidates into one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from jobs.generate.context import Candidate


@dataclass(frozen=True)
class Ranked:
    """A row of `rankings` but for its night and user; `item` is the candidate behind it."""

    item: Candidate
    rank: int
    score: float
    llm_score: float | None
    source: str
    experiment_group: str

    def row(self) -> dict[str, object]:
        return {
            "rank": self.rank,
            "item_id": self.item.item_id,
            "title": self.item.title,
            "score": self.score,
            "retrieval_rank": self.item.retrieval_rank,
            "retrieval_score": self.item.retrieval_score,
            "contributions": [vars(each) for each in self.item.contributions],
            "llm_score": self.llm_score,
            "source": self.source,
            "experiment_group": self.experiment_group,
        }


def rank(
    candidates: Sequence[Candidate], llm_scores: dict[str, float], weight: float, group: str, length: int, new: int = 0
) -> list[Ranked]:
    """The best `length` candidates, among them the best `new` of those that content brought, whatever their score.

    With weight 0, for a holdout user or without any model score the order is retrieval's; otherwise it is that of
    z(retrieval) + weight * z(model), each standardized over the user's candidates, unscored ones at the mean.
    """
    fused = weight > 0 and group != "holdout" and bool(llm_scores)
    scores = {each.item_id: each.retrieval_score for each in candidates}
    if fused:
        model = standardized(llm_scores)
        scores = {name: z + weight * model.get(name, 0.0) for name, z in standardized(scores).items()}
    ordered = sorted(candidates, key=lambda each: (-scores[each.item_id], each.retrieval_rank))
    return [
        Ranked(
            item=each,
            rank=place,
            score=scores[each.item_id],
            llm_score=llm_scores.get(each.item_id),
            source="fused" if fused else each.source,
            experiment_group=group,
        )
        for place, each in enumerate((ordered[n] for n in chosen([each.by_content for each in ordered], length, new)), start=1)
    ]


def chosen(by_content: Sequence[bool], length: int, new: int) -> list[int]:
    """Which places of an order, from 0, make a list of `length`: the first, with the first `new` that content brought."""
    kept = [place for place, found in enumerate(by_content) if found][:new]
    others = [place for place in range(len(by_content)) if place not in kept]
    return sorted(kept + others[: length - len(kept)])


def standardized(scores: dict[str, float]) -> dict[str, float]:
    """Mean 0, standard deviation 1; all 0 where every score is the same."""
    if not scores:
        return {}
    mean, spread = fmean(scores.values()), pstdev(scores.values())
    return {name: (score - mean) / spread if spread else 0.0 for name, score in scores.items()}
