"""Whether a text is English, as far as a small grammar sees it: what stands beside what, agreement, a main clause.

The vocabulary is closed, so every word's classes are known, and names have theirs: a title, a tag in singular or plural, a
creator. A pair is objected to only where no classes of the two may stand together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from jobs.generate.checks.agreement import agreement
from jobs.generate.checks.clauses import clauses, joints, openings
from jobs.generate.checks.evidence import Evidence
from jobs.generate.checks.grammar import classes, is_, pairs
from jobs.generate.checks.phrases import articles, compounds, decades, nouns, senseless
from jobs.generate.checks.prepositions import endings, links
from jobs.generate.checks.reading import Token, sentences
from jobs.generate.checks.vocabulary import words_of

# Classes that may not stand behind a class; `end` is a mark or the end of the sentence.
NOUN_COMES = "third base past be modal have do subject object conjunction subordinator end a the possessive preposition"
VERB_CAME = "third base past modal be have do"
FORBIDDEN = {
    name: words_of(behind)
    for name, behind in {
        "a": NOUN_COMES,
        "the": NOUN_COMES,
        "possessive": NOUN_COMES,
        "modal": "third past ing participle title tag tags end a the possessive preposition thing",
        "be": "third base modal have do conjunction be",
        "have": "third base modal be conjunction ing",
        "do": "third past ing modal be have title tag tags a the possessive",
        "third": VERB_CAME,
        "base": VERB_CAME,
        "past": VERB_CAME,
        "conjunction": "conjunction end",
        "preposition": "third modal be have do conjunction past subject particle",
        "subordinator": "conjunction end",
        "title": "title tag tags object possessive thing",
        "creator": "title",
        "tag": "object possessive a the creator",
        "tags": "tag tags third object a the possessive creator",
        "adjective": "a the possessive third modal have do title",
        "thing": "object",
        "person": "object a the possessive base",
    }.items()
}
APART = {  # further pairs, by word or class
    ("common", "tag"), ("common", "tags"), ("well", "title"), ("well", "tag"), ("that", "tag"), ("most", "thing"),
    ("another", "third"), ("favourite", "this"), ("is", "fit"), ("are", "fit"), ("have", "taste"), ("has", "taste"),
    ("fond", "tag"), ("fond", "tags"), ("interested", "tag"), ("interested", "tags"), ("keen", "tag"), ("keen", "tags"),
    ("drawn", "tag"), ("drawn", "tags"), ("very", "tag"), ("very", "tags"), ("title", "it"), ("tag", "it"), ("tags", "it"),
    ("on", "daily"), ("on", "weekly"), ("tag", "new"), ("tags", "new"), ("the", "more"),
    ("preposition", "same"), ("lately", "of"), ("recently", "of"), ("fits", "good"), ("it", "title"),
}  # fmt: skip
OWN = frozenset({"favourite", "favorite", "such", "own", "next", "like", "than"})  # adjectives a title may follow


def fluency(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """The first thing that is not English."""
    for sentence in sentences(tokens):
        for rule in RULES:
            if found := rule(sentence, evidence):
                return f"fluency: {found}"
    return None


def neighbours(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """No word stands behind one that it cannot stand behind."""
    for place, left, right in pairs(sentence):
        if left.text == right.text and left.kind == "word" and left.text != "that":
            return f"{left.text} {right.text}"
        if left.text in OWN and right.kind == "title":
            continue
        what = any(token.text in ("what", "which", "who", "that") for token in sentence[:place])
        if what and is_(left, "third", "base", "past") and is_(right, "be"):
            continue
        if not APART.isdisjoint(product({left.text, *classes(left)}, {right.text, *classes(right)})):
            return f"{left.text} {right.text}"
        if all(one in FORBIDDEN and other in FORBIDDEN[one] for one in classes(left) for other in classes(right)):
            return f"{left.text} {right.text}".strip()
    return None


RULES = (neighbours, articles, decades, nouns, compounds, senseless, agreement, openings, links, endings, clauses, joints)
