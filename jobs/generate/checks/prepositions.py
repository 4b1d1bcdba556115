"""Prepositions and conjunctions have something behind them, and what they may have."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.generate.checks.evidence import Evidence
from jobs.generate.checks.grammar import FINITE, is_, pairs
from jobs.generate.checks.reading import END, Token
from jobs.generate.checks.vocabulary import words_of

TRANSITIVE = words_of("share combine include bring offer show make give mean suggest link connect enjoy like love")
NO_TO = words_of("enjoy like love tend want")  # verbs with no "to" before a name
WHEN = words_of("lately recently nowadays now daily weekly often less")  # nothing that a conjunction adds
ASKING = words_of("what which that who")  # what a preposition or verb belongs to may stand before it


def links(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """What links two things: not "enjoys to drama", "by Heat", "with Heat are", "and of", "in common" of nothing."""
    for place, left, right in pairs(sentence):
        before, after = ([END, *sentence][place], [*sentence[place + 2 :], END][0])
        had_of = any(token.text == "of" for token in sentence[:place])
        has = any(is_(token, "have") for token in sentence[:place])
        wrong = {
            "to": right.kind in ("tag", "title") and before.base in NO_TO,
            "by": (right.kind == "title" and not is_(before, "participle")) or after.kind == "era",
            "with": right.kind == "title" and sentence[0].text != "what" and is_(after, "be"),
            "and": right.text == "of" and after.text != "late" and not had_of,
            "in": right.text == "common" and not has,
        }
        if wrong.get(left.text):
            return f"{left.text} {right.text}"
        if evidence.new and left.kind == "title" and right.text == "and" and _is_bare(sentence[place + 2 :]):
            return f"{left.text} and {after.text}"
    return None


def _is_bare(behind: Sequence[Token]) -> bool:
    """Whether a tag in singular stands here by itself: "Heat" and drama."""
    tag, after = [*behind, END, END][:2]
    return tag.kind == "tag" and not tag.plural and not is_(after, "tag", "tags", "noun", "nouns", "title")


def endings(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """No clause ends in a preposition or a verb that wants an object, unless it asks: "what they are drawn to"."""
    texts = [token.text for token in sentence]
    asks = not ASKING.isdisjoint(texts)
    asks_of_verb = (
        asks or not {"they", "you", "one", "do", "does"}.isdisjoint(texts) or is_(sentence[-2:][0], "person", "adverb")
    )
    for place, left, right in pairs(sentence):
        if not is_(right, "end"):
            continue
        ends = right.text not in ("(", ":") and place and is_(left, "preposition") and not is_(left, "adverb")
        if ends and not asks and not {"kind", "kinds"} & {*texts}:
            return f"ends in {left.text}"
        if right is END and is_(left, "third", "base") and left.base in TRANSITIVE and not asks_of_verb:
            return f"ends in {left.text}"
    return _loose(sentence)


def _loose(sentence: Sequence[Token]) -> str | None:
    """ "with Heat and among their favourites", "and lately": a conjunction, then nothing to join."""
    for place, left, right in pairs(sentence):
        joins = left.text == "and" and right.text in ("among", "with") and place and sentence[place - 1].kind == "title"
        if left.text == "and" and right.text in WHEN and place + 2 == len(sentence):
            return f"and {right.text}"
        if joins and not any(is_(token, *FINITE) for token in sentence[place + 1 :]):
            return f"and {right.text}"
    return None
