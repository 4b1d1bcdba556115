"""Clauses: how they begin, that there is a main one, and what joins them."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.generate.checks.evidence import Evidence
from jobs.generate.checks.grammar import DETERMINERS, FINITE, VERB, is_, only, pairs
from jobs.generate.checks.reading import END, Token

PRONOUNS = frozenset({"you", "they", "it", "he", "she", "we"})


def openings(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """A pronoun that begins a clause is followed by its verb, "this person" by no further noun, and no verb comes first."""
    first, second, third, fourth = [*sentence, END, END, END][:4]
    if first.text == "this" and is_(second, "person") and fourth.text not in ("longer", "who"):
        determined = is_(third, *DETERMINERS) and not is_(third, *VERB, "adverb")
        if determined or third.text in ("like", "love", ","):
            return f"{first.text} {second.text} {third.text}"
    if is_(first, "third") and (second.text in ("this", "the") or (second.text == "a" and first.text != "has")):
        return f"{first.text} {second.text}"
    if second.text == "and" and third.text == "it":
        return "and it"
    for place, left, right in pairs(sentence):
        begins = place == 0 or only(sentence[place - 1], {"subordinator"})
        is_verb = is_(right, *VERB, "adverb") or right.text in ("both", "all", "'s", "no")
        if left.text in PRONOUNS and begins and not is_verb:
            return f"{left.text} {right.text}"
        if left.text in ("you", "it", "they") and (right.kind == "tag" or only(right, {"thing", "noun"})):
            return f"{left.text} {right.text}"
    return None


def clauses(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """There is a main clause: more finite verbs than words that begin a subordinate clause."""
    opens = _is_below(sentence, 0) and not is_([*sentence, END][1], "ing")
    ends = any(token.text == "," or (token.text in ("you", "they") and place > 2) for place, token in enumerate(sentence))
    if opens and sentence[0].text != "what" and not ends:
        return "no end of the first clause"
    finite = sum(_is_finite(sentence, place) for place in range(len(sentence)))
    below = sum(_is_below(sentence, place) for place in range(len(sentence)))
    return None if finite > below else f"{finite} verbs, {below} subordinate clauses"


def joints(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """Two clauses are joined by one word, not by two and not by none."""
    return _twice_joined(sentence) or _not_joined(sentence)


def _twice_joined(sentence: Sequence[Token]) -> str | None:
    """ "Since you like Heat, so Ronin fits"."""
    if sentence[0].text in ("since", "because", "if", "while", "given", "although"):
        for place, left, right in pairs(sentence[:-1]):
            if left.text == "," and right.text == "so" and not is_(sentence[place + 2], "be", "do"):
                return f"{sentence[0].text} … so"
    return None


def _not_joined(sentence: Sequence[Token]) -> str | None:
    """Two clauses with nothing but a comma between: "Heat is a drama, Ronin is a thriller"."""
    if any(is_(token, "conjunction", "subordinator") or token.text in (";", ":", "with", "after") for token in sentence):
        return None
    for place, left, right in pairs(sentence):
        begins = left.text == "," and right.kind == "title" and is_([*sentence[place + 2 :], END][0], *FINITE)
        if begins and any(_is_finite(sentence, at) for at in range(place)):
            return f", {right.text} {sentence[place + 2].text}"
    return None


def _is_finite(sentence: Sequence[Token], place: int) -> bool:
    token, before = sentence[place], sentence[place - 1] if place else END
    if is_(token, *FINITE):
        return not (is_(token, "third") and is_(token, "plural") and is_(before, *DETERMINERS, "adjective"))
    if is_(token, "past"):
        return not is_(before, "be", "have", "end", "preposition", "title") or before.text in (",", ")")
    if token.text == "like" and not place:
        return False
    if token.text == "like" and is_(before, "tag", "tags", "title", "noun", "nouns"):
        return any(is_(each, "plural", "nouns", "tags") for each in sentence[:place])
    if is_(token, "base") and before.text != "to":
        can_lead = is_(before, "plural", "nouns", "tags", "adverb", "conjunction", "title", "tag", "era", "end")
        return before.text in ("you", "they", "we", "who", "that", "which", "most", "all", "both", ")") or can_lead
    return False


def _is_below(sentence: Sequence[Token], place: int) -> bool:
    token, after = sentence[place], [*sentence[place + 1 :], END][0]
    if token.text in ("since", "because", "if", "while", "whereas", "although", "though", "when", "unless"):
        return after.text != "of" and not only(after, {"ing"})
    return token.text in ("who", "which", "what", "whose", "where") or (
        token.text == "as" and after.text in ("you", "it", "they")
    )
