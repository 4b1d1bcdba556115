"""The model writes phrasings, a sentence per pattern and opening, and judges how fluent they are.

A phrasing is used where

- every placeholder of the pattern stands in it once, and no other, and with stand-in names nothing objects to it (`faults`)
- no minimal pair is likelier by more than `PAIR` nats: the same sentence with one word of its grammar changed
- it is not less likely than our own sentence of that pattern by more than `BELOW` nats a token

Likelihoods are those of the night's model given the prompt `fluency`. A night asks only for what has no answer yet. What people
say of a phrasing (`review`) stands above all this.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from jobs.generate.context import Generation, Subject
from jobs.generate.phrasebook import STAND_INS, Pattern, Phrasebook, Phrasing, faults, fill, patterns
from jobs.generate.rehearsal import Load, Rehearsal
from jobs.generate.review import reviewed, verdicts
from jobs.generate.session import UNPAID, USABLE, Memory, Session
from jobs.profile import Words

OPENINGS = {
    "explanation": ("Because", "Since", "If", "As", "Given", "You"),
    "summary": ("This person", "Likes", "Enjoys", "Loves", "Has", "They", "They enjoy", "They have"),
}
PAIR, BELOW = 2.0, 1.0
JUDGING, TOKENS_JUDGED = 1.8, 40  # calls that judge a phrasing and their tokens: 199 for 112 by the demo's model
PATTERNS: Subject = ("pattern", "all")  # what a session of phrasings is about
SWAPS = {"is": "are", "are": "is", "has": "have", "have": "has", "share": "shares", "shares": "share", "who love": "who loves"}
SWAPS |= {"loves": "love", "their": "its", "it has": "they have"}


class Likelihood(NamedTuple):
    """Of a sentence, in nats, and of its mean token."""

    nats: float
    mean: float


async def foreseen(memory: Memory, known: Sequence[Generation], words: Words) -> Load:
    """What a phrasebook will cost; calls that judge are counted as they are on average."""
    rehearsal = Rehearsal(memory, PATTERNS, known)
    await written(rehearsal, words)
    load = Load.of(rehearsal, set())
    judging = round(load.calls * JUDGING)
    tokens = judging * TOKENS_JUDGED
    return replace(load, calls=load.calls + judging, prompt=load.prompt + tokens, distinct=load.distinct + tokens)


async def written(ask: Session, words: Words) -> Phrasebook:
    """The phrasebook of a night."""
    shapes, said = patterns(words), verdicts(words)
    answers = await asyncio.gather(*[_answers(pattern, ask, words.tone) for pattern in shapes])
    found = await asyncio.gather(*[_phrasings(*each, ask) for each in zip(shapes, answers, strict=True)])
    unanswered = {pattern for pattern, told in zip(shapes, answers, strict=True) if any(each.status in UNPAID for each in told)}
    return Phrasebook(reviewed(dict(zip(shapes, found, strict=True)), said), frozenset(unanswered))


async def _answers(pattern: Pattern, ask: Session, tone: str) -> list[Generation]:
    name, shown = f"phrase_{pattern.kind}", pattern.variables() | {"tone": tone}
    asked = [ask.complete(name, pattern.about, opening=opening, **shown) for opening in OPENINGS[pattern.kind]]
    return list(await asyncio.gather(*asked))


async def _phrasings(pattern: Pattern, answers: Sequence[Generation], ask: Session) -> list[Phrasing]:
    once = {answer.output: answer for answer in answers if answer.status in USABLE and answer.output}
    return list(await asyncio.gather(*[_judged(pattern, answer, ask) for answer in once.values()]))


async def _judged(pattern: Pattern, answer: Generation, ask: Session) -> Phrasing:
    text = " ".join((answer.output or "").split())
    against = faults(pattern, text, answer.finish_reason) or await unlikely(pattern, text, ask)
    return Phrasing(text, answer.generation_id, tuple(against))


async def unlikely(pattern: Pattern, text: str, ask: Session) -> list[str]:
    """What the model's likelihoods have against a phrasing; nothing where it gives none, as some servers do not."""
    pairs, own = minimal_pairs(text), await _nats(ask, pattern, text)
    if own is None:
        return []
    plain, *others = await asyncio.gather(*[_nats(ask, pattern, each) for each in (pattern.plain(), *pairs)])
    if plain is None:
        return []
    if own.mean < plain.mean - BELOW:
        return [f"fluency: {own.mean - plain.mean:+.2f} nats a token against our own sentence"]
    gains = [(each.nats - own.nats, pair) for each, pair in zip(others, pairs, strict=True) if each]
    gain, likelier = max(gains, default=(0.0, ""))
    return [f"fluency: {gain:+.1f} nats if it were: {likelier}"] if gain > PAIR else []


async def _nats(ask: Session, pattern: Pattern, text: str) -> Likelihood | None:
    whole = fill(text, STAND_INS)
    answer = await ask.score("fluency", whole, pattern.about)
    nats = float(answer.output or 0)
    return Likelihood(nats, nats / ask.tokens(whole)) if answer.status in USABLE else None


def minimal_pairs(text: str) -> list[str]:
    """The sentence with one word of its grammar changed, each way of changing one."""
    found = {text[: at.start()] + text[at.end() :] for at in re.finditer(r"\b(?:a|an|the) ", text)}
    found |= {text[: at.start()] + "a " + text[at.start() :] for at in re.finditer(r"\{[ABX]\}", text)}
    for old, new in SWAPS.items():
        found |= {text[: at.start()] + new + text[at.end() :] for at in re.finditer(rf"\b{old}\b", text)}
    return sorted(found - {text})
