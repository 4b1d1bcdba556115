"""Who writes a text, what it tells, and what becomes of it: the model's words where they pass every check, else a template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jobs.generate import grounds
from jobs.generate.checks import Evidence, objections
from jobs.generate.checks.citations import cited, miscited
from jobs.generate.checks.evidence import fronted
from jobs.generate.checks.reading import read
from jobs.generate.context import Candidate, Context, Generation
from jobs.generate.phrasebook import Pattern, fill
from jobs.generate.session import UNPAID, USABLE, Session
from jobs.generate.templates import Prose, load_prose
from jobs.generate.told import Told, labels, named, of_explanation, of_summary
from jobs.profile import Profile
from jobs.prompts import in_place, load_prompt


@dataclass(frozen=True)
class Words:
    """A text, who wrote it, the facts that it tells, and why not the model where it was asked and a template stands."""

    text: str
    source: str
    told: Sequence[Told]
    generation_id: str | None = None
    checks: list[str] = field(default_factory=list)

    def row(self, column: str) -> dict[str, Any]:
        words = {"source": self.source, "generation_id": self.generation_id, "checks": self.checks}
        return {column: self.text, "claims": [each.row() for each in self.told]} | words


async def summarize(user: Context, ask: Session, profile: Profile) -> Words:
    """The user's taste in words."""
    noun, way, told, prose = profile.items.noun, profile.words.summary, of_summary(user), _prose(profile)
    template = Words(prose.summary(told, user.n_events, user.user_id), "template", told)
    if way == "template" or not labels(told, "favourite"):
        return template
    evidence = grounds.of_summary(user, noun)
    if way == "personal":
        return await _personal("summary", ask, template, evidence, plural=prose.nouns, tone=profile.words.tone)
    names = titled(labels(told, "favourite")) | {"L": prose.liked(told), "D": prose.disliked(told)}
    pattern, asides = Pattern.of("summary", names), prose.asides(told, user.user_id)
    return _filled(ask, pattern, names, asides, evidence, template, user.user_id)


async def explain(user: Context, ask: Session, item: Candidate, profile: Profile, way: str) -> Words:
    """Why `item` is in the user's list, in the `way` given; a template where there is nothing to tell."""
    told, prose, key = of_explanation(user, item), _prose(profile), user.user_id + item.item_id
    template = Words(prose.explanation(told, key, is_popular(user, item)), "template", told)
    because = labels(told, "event")
    if way == "template" or not because:
        return template
    evidence = grounds.of_explanation(user, item, named(user, item), profile.items.noun)
    if way == "personal":
        return await _personal("explanation", ask, template, evidence, tone=profile.words.tone)
    names = titled(because) | {"T": prose.tags(labels(told, "shared_tag")), "X": quoted(item.title)}
    liked = {*map(in_place, because)} <= {*evidence.liked}
    pattern, asides = Pattern.of("explanation", names, liked), prose.asides(told, key)
    return _filled(ask, pattern, names, asides, evidence, template, key)


def is_popular(user: Context, item: Candidate) -> bool:
    """Whether an item is among the more popular ones: at least half as much as the most popular candidate."""
    return 0 < item.popularity >= max(each.popularity for each in user.candidates) / 2


def _prose(profile: Profile) -> Prose:
    return load_prose(profile.words.language, profile.words.tone, profile.items.noun)


def titled(titles: Sequence[str]) -> dict[str, str]:
    """Titles as they stand for {A} and {B}."""
    return {slot: quoted(title) for slot, title in zip("AB", titles, strict=False)}


def quoted(title: str) -> str:
    """A whole title as a text says it; one that is too long for a text is not told by the model."""
    return f"“{fronted(in_place(title))}”"


def _filled(
    ask: Session,
    pattern: Pattern,
    names: dict[str, str],
    asides: Sequence[str],
    evidence: Evidence,
    template: Words,
    key: str,
) -> Words:
    """A phrasing with its names and `asides` where there is one and it passes every check, else `template` with the reasons."""
    phrasing = ask.book.pick(pattern, key)
    if phrasing is None:
        ask.settled = ask.settled and pattern not in ask.book.unanswered
        return replace(template, checks=[f"phrasebook: none of {len(ask.book.phrasings.get(pattern, ()))} phrasings"])
    text = " ".join([fill(phrasing.text, names), *asides])
    if found := objections(text, "stop", evidence):
        return replace(template, checks=found)
    told = [each for each in template.told if each.kind != "disliked"]  # of which patterns have no slot
    return Words(text, "phrasebook", told, phrasing.generation_id)


async def _personal(prompt: str, ask: Session, template: Words, evidence: Evidence, **shown: Any) -> Words:
    """The model's words from numbered facts; where they do not pass it is told why and asked once more."""
    facts = template.told
    first = await ask.complete(prompt, facts=facts, **shown)
    words = _judged(first, facts, evidence)
    if words.checks and first.status in USABLE and load_prompt(prompt).again:
        again = await ask.complete(prompt, refused=(first.output or "", words.checks), facts=facts, **shown)
        second = _judged(again, facts, evidence)
        words = replace(second, checks=[*words.checks, *second.checks]) if second.checks else second
    return replace(template, checks=words.checks) if words.checks else words


def _judged(answer: Generation, facts: Sequence[Told], evidence: Evidence) -> Words:
    """An answer's text with the facts it cites, and what is found in it."""
    if answer.status not in USABLE:
        why = [answer.finish_reason] if answer.status in UNPAID and answer.finish_reason else []
        return Words("", "llm", (), answer.generation_id, [f"status: {answer.status}", *why])
    said = json.loads(answer.output or "")
    text = " ".join(said["text"].split())
    tokens = read(text, evidence)
    found = objections(text, answer.finish_reason, evidence) + miscited(tokens, said["facts"], facts)
    return Words(text, "llm", cited(tokens, said["facts"], facts), answer.generation_id, found)
