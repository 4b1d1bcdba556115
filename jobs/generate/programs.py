"""What a night makes for one user, as plain async Python; a further output is a further await, a prompt and a contract."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import Any

from jobs.generate.context import Context, Event
from jobs.generate.ranking import Ranked, may_change, rank
from jobs.generate.scoring import METHODS, Scores
from jobs.generate.session import Session
from jobs.generate.words import Words, explain, summarize
from jobs.profile import Night, Profile


async def personalize(user: Context, ask: Session, profile: Profile) -> dict[str, Any]:
    """Summary, list and explanations of one user: a row of the contract `results`."""
    night = profile.night
    summary = await summarize(user, ask, profile)
    scores = await score(user, ask, night)
    ranked = rank(user.candidates, scores, user.experiment_group, night)
    way = profile.words.explanation
    ways = [way if each.rank <= night.explanations or way == "phrasebook" else "template" for each in ranked]
    told = await asyncio.gather(*[explain(user, ask, each.item, profile, way) for each, way in zip(ranked, ways, strict=True)])
    interests = taste(user, ("likes_tag", "likes_creator"), "favourite")
    dislikes = taste(user, ("dislikes_tag", "dislikes_creator"), "disliked")
    cited = [each["evidence"] for each in (*interests, *dislikes)] + [each.item.events for each in ranked]
    cited += [fact.evidence for words in (summary, *told) for fact in words.told]
    return {
        "user_id": user.user_id,
        "context_hash": user.context_hash,
        "summary": summary.row("summary")
        | {"interests": interests, "dislikes": dislikes, "n_events": user.n_events, "cold": user.cold},
        "rankings": [each.row() for each in ranked],
        "explanations": [_explanation_row(user, each, words) for each, words in zip(ranked, told, strict=True)],
        "evidence": [_evidence_row(user.events[name]) for name in dict.fromkeys(chain.from_iterable(cited))],
        "calls_answered": ask.answered,
        "calls_refused": ask.refused,
        "settled": ask.settled,
        "fallbacks": [reason for words in (summary, *told) for reason in words.checks[:1]],
    }


async def score(user: Context, ask: Session, night: Night) -> Scores:
    """What the model says of the first `scored` candidates; nothing is asked where no answer could change the list."""
    if not may_change(user.candidates, night.scored, night.fused_weight, user.experiment_group):
        return {}
    return await METHODS[night.scorer](user, ask, user.candidates[: night.scored], night.permutations)


def taste(user: Context, kinds: Sequence[str], items: str) -> list[dict[str, Any]]:
    """Labels with weight and evidence: tags and creators where the user has a taste of any, else items."""
    facts = [fact for fact in user.facts if fact.kind in kinds] or [fact for fact in user.facts if fact.kind == items]
    return [{"label": fact.label, "weight": fact.weight, "evidence": list(fact.evidence)} for fact in facts]


def _explanation_row(user: Context, ranked: Ranked, words: Words) -> dict[str, Any]:
    return {"item_id": ranked.item.item_id, "evidence": user.support(ranked.item)} | words.row("explanation")


def _evidence_row(event: Event) -> dict[str, Any]:
    names: Sequence[str] = ("event_id", "item_id", "title", "tags", "creators", "year", "time", "value", "type")
    return {name: getattr(event, name) for name in names} | {"liked": event.positive or (False if event.negative else None)}
