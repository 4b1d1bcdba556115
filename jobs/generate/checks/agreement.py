"""A verb agrees with its subject."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.generate.checks.evidence import Evidence
from jobs.generate.checks.grammar import VERB, is_, only, pairs
from jobs.generate.checks.reading import Token

SINGLE = frozenset({"this", "a", "another", "their", "your", "'s"})
OWNER = frozenset({"'s", "this"})


def agreement(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """A verb agrees with its subject: names in a list, this person, you."""
    for place, token in enumerate(sentence):
        if not place or not is_(token, *VERB):
            continue
        number = _subject(sentence, place)
        subject = sentence[place - 1].text
        if number == 1 and (token.text in ("are", "were", "have", "do") or only(token, {"base"})):
            return f"{subject} {token.text}"
        if number == 2 and (token.text in ("is", "was", "has", "does") or only(token, {"third"})):
            return f"{subject} {token.text}"
    return _coordinated(sentence)


def _subject(sentence: Sequence[Token], verb: int) -> int:
    """1 where the verb's subject is one, 2 where it is more, 0 where that is not plain."""
    end = verb
    while end and only(sentence[end - 1], {"adverb"}):
        end -= 1
    if not end:
        return 0
    last = sentence[end - 1]
    if last.text in ("you", "they", "we") and _is_start(sentence, end - 1):
        return 2
    if last.text in ("he", "she", "it") and _is_start(sentence, end - 1):
        return 1
    if is_(last, "person", "noun", "thing") and not is_(last, "plural"):
        begin = end - 1
        while begin and is_(sentence[begin - 1], "adjective", "person", "thing", "noun"):
            begin -= 1
        single = begin and sentence[begin - 1].text in SINGLE and _is_start(sentence, _owner(sentence, begin - 1))
        return 1 if single else 0
    if only(last, {"plural", "nouns"}):
        begin = end - 1
        while begin and (
            is_(sentence[begin - 1], "adjective", "person", "possessive") or sentence[begin - 1].text in ("'s", "this")
        ):
            begin -= 1
        return 2 if _is_start(sentence, begin) else 0
    return _listed(sentence, end)


def _owner(sentence: Sequence[Token], place: int) -> int:
    """Where a noun phrase begins whose determiner stands at `place`: before the owner, in "this person's favourite"."""
    while (sentence[place].text == "'s" and place > 1) or (place and is_(sentence[place], "person")):
        place -= 1
    return place


def _is_start(sentence: Sequence[Token], place: int) -> bool:
    """Whether a subject may begin here."""
    return place == 0 or is_(sentence[place - 1], "subordinator", "end", "conjunction") or sentence[place - 1].text == "as"


def _listed(sentence: Sequence[Token], end: int) -> int:
    """The number of a list of names that ends here and begins a clause: "A" and "B", the crime and drama of "A"."""
    place, items, joined, plural, described = end - 1, 0, False, False, False
    while place >= 0:
        token = sentence[place]
        if token.kind == "number" or token.text in ("(", ")", "'s") or token.kind == "creator":
            place -= 1
        elif token.kind in ("title", "tag", "noun"):
            items += 1
            plural = plural or token.plural
            while place and sentence[place].kind in ("tag", "noun") and sentence[place - 1].kind == "tag":
                place -= 1
            place -= 1
        elif items and token.text == "and" and not joined and place and sentence[place - 1].kind != "mark":
            joined, place = True, place - 1
        elif items and token.text == "," and joined:
            place -= 1
        elif items and token.text in ("of", "as", "like") and (head := _described(sentence, place)) >= 0:
            if described:
                return 0
            items, joined, plural, described, place = 0, False, False, True, head
        elif items and is_(token, "the", "possessive", "a") and place and not is_(sentence[place - 1], "preposition"):
            place -= 1
        else:
            break
    begins = (
        place < 0
        or only(sentence[place], {"subordinator", "end", "determiner", "object", "pronoun"})
        or sentence[place].text == "as"
    )
    if not items or not begins or (items > 1 and not joined):
        return 0
    return 2 if items > 1 or plural else 1


def _described(sentence: Sequence[Token], place: int) -> int:
    """Where a noun stands that "of", "such as" or "like" at `place` describes; -1 where none does."""
    head = place - 2 if sentence[place].text == "as" and place > 1 and sentence[place - 1].text == "such" else place - 1
    return head if head >= 0 and sentence[head].kind in ("tag", "noun") else -1


def _coordinated(sentence: Sequence[Token]) -> str | None:
    """ "loves Big and enjoy Heat", "they enjoy Big but avoids Heat": both verbs of one subject have its number."""
    if sentence[0].text in ("they", "you"):
        verbs = [(left, right) for _, left, right in pairs(sentence) if left.text in ("and", "but")]
        if wrong := next((f"{left.text} {right.text}" for left, right in verbs if only(right, {"third"})), None):
            return wrong
    for place, left, right in pairs(sentence):
        if left.text in ("and", "but") and (only(right, {"base"}) or right.text in ("are", "have")):
            earlier = [token for token in sentence[:place] if is_(token, "third", "base", "modal", "be")]
            if earlier and only(earlier[-1], {"third"}) and not any(token.text in ("to", "do") for token in sentence[:place]):
                return f"{left.text} {right.text}"
    return None
