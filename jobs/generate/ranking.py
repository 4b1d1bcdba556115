"""Fuse what retrieval and the model say of a user's candidates into one list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
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
    candidates: Sequence[Candidate],
    llm_scores: dict[str, float],
    weight: float,
    group: str,
    length: int,
    most_per_tag: int | None = None,
    new: int = 0,
) -> list[Ranked]:
    """The best `length` candidates, at most `most_per_tag` of them with one tag as far as there are others (`varied`),
    and the best `new` of those that content brought in any case (`chosen`).

    With weight 0, for a holdout user or without any model score the order is retrieval's; otherwise it is that of
    z(retrieval) + weight * z(model), each standardized over the user's candidates, unscored ones at the mean.
    """
    fused = weight > 0 and group != "holdout" and bool(llm_scores)
    scores = {each.item_id: each.retrieval_score for each in candidates}
    if fused:
        model = standardized(llm_scores)
        scores = {name: z + weight * model.get(name, 0.0) for name, z in standardized(scores).items()}
    ordered = varied(sorted(candidates, key=lambda each: (-scores[each.item_id], each.retrieval_rank)), length, most_per_tag)
    listed = [ordered[place] for place in chosen([each.by_content for each in ordered], length, new)]
    return [
        Ranked(
            item=each,
            rank=place,
            score=scores[each.item_id],
            llm_score=llm_scores.get(each.item_id),
            source="fused" if fused else each.source,
            experiment_group=group,
        )
        for place, each in enumerate(listed, start=1)
    ]


def chosen(by_content: Sequence[bool], length: int, new: int) -> list[int]:
    """Which places of an order, from 0, make a list of `length`: the first, with the first `new` that content brought."""
    kept = [place for place, found in enumerate(by_content) if found][:new]
    others = [place for place in range(len(by_content)) if place not in kept]
    return sorted(kept + others[: length - len(kept)])


def varied(ordered: Sequence[Candidate], length: int, most_per_tag: int | None) -> list[Candidate]:
    """The same items, those put behind of which `most_per_tag` of the first `length` have a tag of theirs already.

    Items are taken in their order; where too few fit, those that were put behind fill the list, in their order too.
    """
    if most_per_tag is None:
        return list(ordered)
    tags: Counter[str] = Counter()
    first: list[Candidate] = []
    for item in ordered:
        if len(first) < length and all(tags[tag] < most_per_tag for tag in item.tags):
            tags.update(set(item.tags))
            first.append(item)
    taken = {item.item_id for item in first}
    return first + [item for item in ordered if item.item_id not in taken]


def may_change(candidates: Sequence[Candidate], scored: int, weight: float, group: str) -> bool:
    """Whether any scores of the first `scored` candidates could put the list in another order.

    Of n standardized values the largest is at most sqrt(2 n) above the smallest, and the mean, where unscored ones stand,
    is between them: neighbours further apart than weight * sqrt(2 n) stay as they are.
    """
    n = min(scored, len(candidates))
    if weight <= 0 or group == "holdout" or n < 2:
        return False
    reach = weight * sqrt(2 * n)
    places = sorted(standardized({each.item_id: each.retrieval_score for each in candidates}).values())
    return any(above - below <= reach for below, above in pairwise(places))


def standardized(scores: dict[str, float]) -> dict[str, float]:
    """Mean 0, standard deviation 1; all 0 where every score is the same."""
    if not scores:
        return {}
    mean, spread = fmean(scores.values()), pstdev(scores.values())
    return {name: (score - mean) / spread if spread else 0.0 for name, score in scores.items()}
