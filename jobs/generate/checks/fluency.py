"""Whether a text is English, as far as a small grammar sees it: what stands beside what, agreement, a main clause.

The vocabulary is closed, so every word's classes are known, and names have theirs: a title, a tag in singular or plural, a
creator. A pair is objected to only where no classes of the two may stand together.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.generate.checks.agreement import agreement
from jobs.generate.checks.evidence import Evidence
from jobs.generate.checks.grammar import DETERMINERS, END, FINITE, VERB, classes, is_, only, pairs
from jobs.generate.checks.phrases import articles, compounds, nouns
from jobs.generate.checks.reading import Token, sentences

# Classes that may not stand behind a class; `end` is a mark or the end of the sentence.
FORBIDDEN = {
    "a": VERB | {"subject", "object", "conjunction", "subordinator", "end", "a", "the", "possessive", "preposition"},
    "the": VERB | {"subject", "object", "conjunction", "subordinator", "end", "a", "the", "possessive", "preposition"},
    "possessive": VERB | {"subject", "object", "conjunction", "subordinator", "end", "a", "the", "possessive", "preposition"},
    "modal": {
        "third",
        "past",
        "ing",
        "participle",
        "title",
        "tag",
        "tags",
        "end",
        "a",
        "the",
        "possessive",
        "preposition",
        "thing",
    },
    "be": {"third", "base", "modal", "have", "do", "conjunction", "be"},
    "have": {"third", "base", "modal", "be", "conjunction", "ing"},
    "do": {"third", "past", "ing", "modal", "be", "have", "title", "tag", "tags", "a", "the", "possessive"},
    "third": {"third", "base", "modal", "be", "have", "do", "past"},
    "base": {"third", "base", "modal", "be", "have", "do", "past"},
    "past": {"third", "base", "modal", "be", "have", "do", "past"},
    "conjunction": {"conjunction", "end"},
    "preposition": {"third", "modal", "be", "have", "do", "conjunction", "past", "subject", "particle"},
    "subordinator": {"conjunction", "end"},
    "title": {"title", "tag", "tags", "object", "possessive", "thing"},
    "tag": {"object", "possessive", "a", "the", "creator"},
    "tags": {"tag", "tags", "third", "object", "a", "the", "possessive", "creator"},
    "adjective": {"a", "the", "possessive", "third", "modal", "have", "do", "title"},
    "thing": {"object"},
    "person": {"object", "a", "the", "possessive", "base"},
}
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
    for _, left, right in pairs(sentence):
        if left.text == right.text and left.kind == "word" and left.text != "that":
            return f"{left.text} {right.text}"
        if left.text in OWN and right.kind == "title":
            continue
        if all(one in FORBIDDEN and other in FORBIDDEN[one] for one in classes(left) for other in classes(right)):
            return f"{left.text} {right.text}".strip()
    return None


def subjects(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """A pronoun that begins a clause is followed by its verb, and "this person" by no further noun; an object stands alone."""
    for place, left, right in pairs(sentence):
        begins = place == 0 or only(sentence[place - 1], {"subordinator"})
        is_verb = is_(right, *VERB, "adverb") or right.text in ("both", "all", "'s")
        if left.text in ("you", "they", "it", "he", "she", "we") and begins and not is_verb:
            return f"{left.text} {right.text}"
        if (
            place == 1
            and is_(left, "person")
            and sentence[0].text == "this"
            and is_(right, *DETERMINERS)
            and not is_(right, *VERB, "adverb")
        ):
            return f"{left.text} {right.text}"
        if left.text in ("you", "it", "they") and (right.kind == "tag" or only(right, {"thing", "noun"})):
            return f"{left.text} {right.text}"
    return None


def endings(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """No clause ends in a preposition, unless it asks for what stands before: "what they are drawn to"."""
    asks = any(token.text in ("what", "which", "that", "who", "kind", "kinds") for token in sentence)
    for place, left, right in pairs(sentence):
        free = asks or is_(left, "adverb")
        if is_(right, "end") and right.text not in ("(", ":") and is_(left, "preposition") and not free and place:
            return f"ends in {left.text}"
        if left.text == "and" and is_(right, "preposition") and place and sentence[place - 1].kind == "title":
            rest = sentence[place + 1 :]
            if right.text in ("among", "with") and not any(is_(token, *FINITE) for token in rest):
                return f"and {right.text}"
    return None


def clauses(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """There is a main clause: more finite verbs than words that begin a subordinate clause."""
    finite = sum(_is_finite(sentence, place) for place in range(len(sentence)))
    below = sum(_is_below(sentence, place) for place in range(len(sentence)))
    return None if finite > below else f"{finite} verbs, {below} subordinate clauses"


def _is_finite(sentence: Sequence[Token], place: int) -> bool:
    token, before = sentence[place], sentence[place - 1] if place else END
    if is_(token, *FINITE):
        return not (is_(token, "third") and is_(token, "plural") and is_(before, *DETERMINERS, "adjective"))
    if is_(token, "past"):
        return not is_(before, "be", "have", "end", "preposition", "title") or before.text in (",", ")")
    if is_(token, "base") and before.text != "to":
        can_lead = is_(before, "plural", "nouns", "tags", "people", "adverb", "conjunction", "title", "tag", "end")
        return before.text in ("you", "they", "we", "who", "that", "which", "most", "all", "both", ")") or can_lead
    return False


def _is_below(sentence: Sequence[Token], place: int) -> bool:
    token, after = sentence[place], [*sentence[place + 1 :], END][0]
    if token.text in ("since", "because", "if", "while", "whereas", "although", "though", "when", "unless"):
        return after.text != "of" and not only(after, {"ing"})
    return token.text in ("who", "which", "what", "whose", "where") or (
        token.text == "as" and after.text in ("you", "it", "they")
    )


RULES = (neighbours, articles, nouns, compounds, agreement, subjects, endings, clauses)
