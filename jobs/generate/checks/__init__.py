"""Mechanical checks of words against the facts they were made from. What does not pass is replaced by a template.

Each check returns the reason it objects, or nothing. Names, quotes, numbers and every word that is not in a small vocabulary
count as claims: each must be in the evidence. How well that works is measured on labelled sentences (tests/data).
"""

from __future__ import annotations

from collections.abc import Callable

from jobs.generate.checks import attributes, claims, fluency, form, history, likes, makers, times
from jobs.generate.checks.evidence import Evidence
from jobs.generate.checks.reading import Token, read

__all__ = ["CHECKS", "Evidence", "objections"]

CHECKS: tuple[Callable[[str, list[Token], Evidence], str | None], ...] = (
    form.characters,
    form.markup,
    form.links,
    form.personal,
    form.instructions,
    form.hostile,
    form.sentence_count,
    form.ending,
    claims.quotes,
    claims.names,
    claims.words,
    claims.sweeping,
    claims.needed,
    attributes.numbers,
    attributes.tags,
    makers.creators,
    makers.same,
    likes.polarity,
    likes.hedges,
    history.seen,
    history.new,
    times.lately,
    times.rhythms,
    times.eras,
    form.repetition,
    fluency.fluency,
)


def objections(text: str, finish_reason: str | None, evidence: Evidence) -> list[str]:
    """Every reason not to publish `text`, each as "name: detail"; empty where it may stand."""
    found = [] if finish_reason == "stop" else [f"unfinished: {finish_reason}"]
    if too_long := form.length(text, evidence):
        return [*found, too_long]  # and is not read: some checks take the square of its length
    tokens = read(text, evidence)
    return found + [reason for check in CHECKS if (reason := check(text, tokens, evidence))]
