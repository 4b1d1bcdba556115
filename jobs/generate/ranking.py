"""Fuse what retrieval and the model say of a user's candidates into one list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import sqrt
from statistics import fmean, pstdev

from jobs.generate.context import Candidate
from jobs.profile import Night

Label = tuple[str, str]  # its kind and what it says


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
            "tags": self.item.tags,
            "score": self.score,
            "retrieval_rank": self.item.retrieval_rank,
            "retrieval_score": self.item.retrieval_score,
            "contributions": [vars(each) for each in self.item.contributions],
            "llm_score": self.llm_score,
            "source": self.source,
            "experiment_group": self.experiment_group,
        }


def rank(candidates: Sequence[Candidate], llm_scores: dict[str, float], group: str, night: Night) -> list[Ranked]:
    """The list: the first `night.list_length` of `ordered`."""
    return ordered(candidates, llm_scores, group, night)[: night.list_length]


def ordered(candidates: Sequence[Candidate], llm_scores: dict[str, float], group: str, night: Night) -> list[Ranked]:
    """All candidates, those of the list first (`chosen`).

    With weight 0, for a holdout user or without any model score the order is retrieval's; otherwise it is that of
    z(retrieval) + weight * z(model), each standardized over the user's candidates, unscored ones at the mean.
    """
    weight = night.fused_weight
    fused = weight > 0 and group != "holdout" and bool(llm_scores)
    scores = {each.item_id: each.retrieval_score for each in candidates}
    if fused:
        model = standardized(llm_scores)
        scores = {name: z + weight * model.get(name, 0.0) for name, z in standardized(scores).items()}
    best = sorted(candidates, key=lambda each: (-scores[each.item_id], each.retrieval_rank))
    places = chosen([each.tags for each in best], [each.creators for each in best], [each.by_content for each in best], night)
    return [
        Ranked(
            item=each,
            rank=place,
            score=scores[each.item_id],
            llm_score=llm_scores.get(each.item_id),
            source="fused" if fused else each.source,
            experiment_group=group,
        )
        for place, each in enumerate((best[place] for place in places), start=1)
    ]


def chosen(
    tags: Sequence[Sequence[str]], creators: Sequence[Sequence[str]], by_content: Sequence[bool], night: Night
) -> list[int]:
    """Places of an order, from 0, those of the list first; `tags`, `creators` and `by_content` are those of the items.

    Items that would be more than `night.most_per_tag` of the list with one tag, or `night.most_per_creator` with one creator,
    are put behind the others. `night.new_places` of the list are for the first that content brought and that keep to this.
    """
    most = {"tag": night.most_per_tag, "creator": night.most_per_creator}
    labels = [{*product(["tag"], own), *product(["creator"], makers)} for own, makers in zip(tags, creators, strict=True)]
    had: Counter[Label] = Counter()
    first = fitting(range(len(labels)), labels, night.list_length - night.new_places, most, had)
    new = [place for place, brought in enumerate(by_content) if brought]
    wanted = night.new_places - sum(by_content[place] for place in first)
    first += fitting([place for place in new if place not in first], labels, wanted, most, had)
    left = [place for place in range(len(labels)) if place not in first]
    first += fitting(left, labels, night.list_length - len(first), most, had)
    return sorted(first) + [place for place in left if place not in first]


def fitting(
    places: Iterable[int],
    labels: Sequence[Collection[Label]],
    length: int,
    most: Mapping[str, int | None],
    had: Counter[Label],
) -> list[int]:
    """The first `length` of some places whose items are not too many with one label; counts them into `had`.

    `labels` are those of each item, none twice; `most` says by kind how many are not too many, None any number.
    """
    first: list[int] = []
    for place in places:
        if len(first) < length and all(had[each] < (most[each[0]] or len(labels)) for each in labels[place]):
            had.update(labels[place])
            first.append(place)
    return first


def may_change(candidates: Sequence[Candidate], scored: int, weight: float, group: str) -> bool:
    """Whether any scores of the first `scored` candidates could put the list in another order.

    Of n standardized values the largest is at most sqrt(2 n) above the smallest, and the mean, where unscored ones stand,
    is between them: neighbours further apart than weight * sqrt(2 n) stay as they are, and so do those that are both unscored.
    """
    n = min(scored, len(candidates))
    if weight <= 0 or group == "holdout" or n < 2:
        return False
    reach = weight * sqrt(2 * n)
    places = sorted(standardized({each.item_id: each.retrieval_score for each in candidates}).values(), reverse=True)
    return any(above - below <= reach for above, below in pairwise(places[: n + 1]))


def standardized(scores: dict[str, float]) -> dict[str, float]:
    """Mean 0, standard deviation 1; all 0 where every score is the same."""
    if not scores:
        return {}
    mean, spread = fmean(scores.values()), pstdev(scores.values())
    return {name: (score - mean) / spread if spread else 0.0 for name, score in scores.items()}
