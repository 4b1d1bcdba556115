"""What a night makes for one user, as plain async Python; a further output is a further await, a prompt and a contract."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from jobs.generate import grounds, templates
from jobs.generate.checks import Evidence, objections
from jobs.generate.checks.evidence import fronted
from jobs.generate.context import Candidate, Context, Event, Generation
from jobs.generate.phrasebook import Pattern, fill
from jobs.generate.ranking import Ranked, may_change, rank
from jobs.generate.scoring import METHODS, Scores
from jobs.generate.session import UNPAID, USABLE, Session
from jobs.profile import Night, Profile
from jobs.prompts import in_place

NAMED = 2  # events an explanation names


@dataclass(frozen=True)
class Words:
    """A text, who wrote it, and why not the model where it was asked and a template stands."""

    text: str
    source: str
    generation_id: str | None = None
    checks: list[str] = field(default_factory=list)

    def row(self, column: str) -> dict[str, Any]:
        words = {"source": self.source, "generation_id": self.generation_id, "checks": self.checks}
        return {column: self.text} | words


async def personalize(user: Context, ask: Session, profile: Profile) -> dict[str, Any]:
    """Summary, list and explanations of one user: a row of the contract `results`."""
    night, noun = profile.night, profile.items.noun
    summary = await summarize(user, ask, noun, profile.words.summary)
    scores = await score(user, ask, night)
    ranked = rank(user.candidates, scores, user.experiment_group, night)
    way = profile.words.explanation
    ways = [way if each.rank <= night.explanations or way == "phrasebook" else "template" for each in ranked]
    told = await asyncio.gather(*[explain(user, ask, each.item, noun, way) for each, way in zip(ranked, ways, strict=True)])
    interests, dislikes = taste(user, "likes_tag", "favourite"), taste(user, "dislikes_tag", "disliked")
    cited = [each["evidence"] for each in (*interests, *dislikes)] + [each.item.events for each in ranked]
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


async def summarize(user: Context, ask: Session, noun: str, way: str) -> Words:
    """The user's taste in words; `way` as in `[words]` of the profile."""
    likes, favourites = user.labels("likes_tag", 3), user.labels("favourite", 2)
    dislikes = user.labels("dislikes_tag", 2)
    template = templates.summary(user)
    if not favourites or way == "template":
        return Words(template, "template")
    evidence = grounds.of_summary(user, noun)
    if way == "phrasebook":
        names = titled(favourites) | {"L": templates.kinds(likes, noun), "D": templates.kinds(dislikes, noun)}
        return filled(ask, Pattern.of("summary", names), names, evidence, template, user.user_id)
    answer = await ask.complete("summary", likes=likes, favourites=favourites, dislikes=dislikes, noun=noun)
    return checked(answer, evidence, template)


async def score(user: Context, ask: Session, night: Night) -> Scores:
    """What the model says of the first `scored` candidates; nothing is asked where no answer could change the list."""
    if not may_change(user.candidates, night.scored, night.fused_weight, user.experiment_group):
        return {}
    return await METHODS[night.scorer](user, ask, user.candidates[: night.scored], night.permutations)


async def explain(user: Context, ask: Session, item: Candidate, noun: str, way: str) -> Words:
    """Why `item` is in the user's list; a template where there is nothing to tell."""
    support = [user.events[name] for name in user.support(item)]
    because = list(dict.fromkeys(event.title for event in support))[:NAMED]
    named = [event for event in support if event.title in because]
    shared = [each.label for each in user.shared(item) if each.of == "tag" and all(each.label in event.tags for event in named)]
    template = templates.explanation(user, item, because, shared)
    if not because or way == "template":
        return Words(template, "template")
    evidence = grounds.of_explanation(user, item, named, noun)
    if way == "phrasebook":
        names = titled(because) | {"T": templates.tags(shared[:2]), "X": quoted(item.title)}
        liked = {*map(in_place, because)} <= {*evidence.liked}
        return filled(ask, Pattern.of("explanation", names, liked), names, evidence, template, user.user_id + item.item_id)
    answer = await ask.complete("explanation", item=item, because=because, shared=shared, noun=noun)
    return checked(answer, evidence, template)


def titled(titles: Sequence[str]) -> dict[str, str]:
    """Titles as they stand for {A} and {B}."""
    return {slot: quoted(title) for slot, title in zip("AB", titles, strict=False)}


def quoted(title: str) -> str:
    """A whole title as a text says it; one that is too long for a text is not told by the model."""
    return f"“{fronted(in_place(title))}”"


def filled(ask: Session, pattern: Pattern, names: dict[str, str], evidence: Evidence, template: str, key: str) -> Words:
    """A phrasing with its names where there is one and it passes every check, else `template` with the reasons."""
    phrasing = ask.book.pick(pattern, key)
    if phrasing is None:
        ask.settled = ask.settled and pattern not in ask.book.unanswered
        return Words(template, "template", checks=[f"phrasebook: none of {len(ask.book.phrasings.get(pattern, ()))} phrasings"])
    text = fill(phrasing.text, names)
    found = objections(text, "stop", evidence)
    return Words(template, "template", checks=found) if found else Words(text, "phrasebook", phrasing.generation_id)


def checked(answer: Generation, evidence: Evidence, template: str) -> Words:
    """The model's words where they pass every check, else `template` with the reasons."""
    if answer.status not in USABLE:
        why = [answer.finish_reason] if answer.status in UNPAID and answer.finish_reason else []
        return Words(template, "template", checks=[f"status: {answer.status}", *why])
    text = " ".join((answer.output or "").split())
    found = objections(text, answer.finish_reason, evidence)
    return Words(template, "template", checks=found) if found else Words(text, "llm", answer.generation_id)


def taste(user: Context, tags: str, items: str) -> list[dict[str, Any]]:
    """Labels with weight and evidence: tags where the user has a taste of any, else items."""
    facts = [fact for fact in user.facts if fact.kind == tags] or [fact for fact in user.facts if fact.kind == items]
    return [{"label": fact.label, "weight": fact.weight, "evidence": list(fact.evidence)} for fact in facts]


def _explanation_row(user: Context, ranked: Ranked, words: Words) -> dict[str, Any]:
    return {"item_id": ranked.item.item_id, "evidence": user.support(ranked.item)} | words.row("explanation")


def _evidence_row(event: Event) -> dict[str, Any]:
    names: Sequence[str] = ("event_id", "item_id", "title", "time", "value", "type")
    return {name: getattr(event, name) for name in names}
