"""Noun phrases: articles, number, and tags in a row."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.generate.checks.evidence import Evidence, fold
from jobs.generate.checks.grammar import COUNTABLE, DETERMINERS, END, NOMINAL, VERB, is_, only, pairs
from jobs.generate.checks.reading import Token


def articles(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """A title has no article: not "a Heat"; "the" only before a thing that is no work (no year, no creator)."""
    works = {fold(title) for title in (*evidence.years, *evidence.creators)}
    for place, left, right in pairs(sentence):
        alone = not (place + 2 < len(sentence) and is_(sentence[place + 2], "thing", "noun", "nouns", "tag", "tags", "plural"))
        if right.kind == "title" and alone and (is_(left, "a") or (left.text == "the" and right.name in works)):
            return f"{left.text} {right.text}"
    return None


def nouns(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """A noun phrase agrees in number: a film, these films, one of their films; a countable noun is never bare."""
    start = 0
    while start < len(sentence):
        phrase = _phrase(sentence, start)
        if not phrase:
            start += 1
            continue
        if found := _disagrees(sentence, start, phrase, evidence):
            return found
        start += len(phrase)
    return None


def _phrase(sentence: Sequence[Token], start: int) -> list[Token]:
    """A determiner, numbers, adjectives and nouns in a row."""
    phrase: list[Token] = []
    for token in sentence[start:]:
        begins = only(token, DETERMINERS | {"object", "pronoun", "adjective", "adverb", "subordinator", "subject"}) and is_(
            token, *DETERMINERS
        )
        inner = is_(token, "adjective", *NOMINAL) or token.kind == "number"
        if (begins and phrase and not only(phrase[-1], DETERMINERS | {"object", "pronoun"})) or not (begins or inner):
            break
        phrase.append(token)
    return phrase


def _disagrees(sentence: Sequence[Token], start: int, phrase: list[Token], evidence: Evidence) -> str | None:
    first, last = phrase[0], phrase[-1]
    after = [*sentence[start + len(phrase) :], END][0]
    before = sentence[start - 1].text if start else ""
    spelled = " ".join(token.text for token in phrase)
    plural = only(last, {"plural", "tags", "nouns", "third", "people", "base"}) and is_(
        last, "plural", "tags", "nouns", "people"
    )
    is_head = is_(last, *NOMINAL)
    if first.text in ("a", "an", "another", "each", "every", "this", "that") and len(phrase) > 1:
        if plural and last.text not in ("few", "lot"):
            return spelled
        if not is_head and first.text in ("a", "an") and (is_(after, "end", "preposition", "conjunction") or only(after, VERB)):
            return spelled
    if first.text == "the" and len(phrase) > 1 and not is_head and is_(after, "preposition") and not is_(after, "subordinator"):
        return spelled if last.text == "next" else None
    many = first.text in ("these", "those", "many", "several", "few") or (first.value or 0) > 1
    if (many or (before == "of" and start > 1 and sentence[start - 2].text == "one" and after.text != "'s")) and len(
        phrase
    ) > 1:
        return spelled if is_head and only(last, COUNTABLE | {"tag", "mass", "adjective"}) and last.text != "kind" else None
    bare = not (is_(first, *DETERMINERS) or first.kind == "number" or before == "'s" or is_(first, "possessive"))
    if bare and before not in ("of", "as") and is_head and only(last, COUNTABLE) and not is_(after, "creator"):
        return f"{before} {spelled}".strip()
    if bare and last.kind == "tag" and not last.plural and last.name.endswith("s") and not last.name.endswith("ss"):
        return spelled if len(last.name) > len(fold(last.text)) else None
    return None


def compounds(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """Tags in a list are nothing that one title is: not "a comedy and drama "Heat"", not "is a crime and drama of"."""
    kinds = [token.kind for token in sentence]
    for place in range(len(sentence) - 2):
        if kinds[place] == "tag" and sentence[place + 1].text in ("and", "or") and kinds[place + 2] == "tag":
            last = place + 2
            while last + 1 < len(sentence) and kinds[last + 1] == "tag":
                last += 1
            after = [*sentence[last + 1 :], END][0]
            first = place
            while first and kinds[first - 1] == "tag":
                first -= 1
            one = first and (is_(sentence[first - 1], "a") or (first > 1 and is_(sentence[first - 2], "a")))
            if after.kind == "title" or (
                one and not is_(after, "noun", "nouns", "thing", "mass") and not sentence[last].plural
            ):
                return " ".join(token.text for token in sentence[place : last + 1])
        if kinds[place : place + 3] == ["tag"] * 3:
            return " ".join(token.text for token in sentence[place : place + 3])
    for place, left, right in pairs(sentence):
        if (
            is_(left, "tags")
            and right.kind == "title"
            and not any(is_(token, *DETERMINERS) for token in sentence[max(0, place - 2) : place])
        ):
            return f"{left.text} {right.text}"
        about = place and (sentence[place - 1].kind == "title" or sentence[place - 1].text == "it")
        after = [*sentence[place + 2 :], END][0]
        if (
            about
            and is_(left, "be")
            and right.kind == "tag"
            and not right.plural
            and not is_(after, "tag", "tags", "noun", "nouns")
        ):
            return f"{left.text} {right.text}"
    return None
