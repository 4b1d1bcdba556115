"""Noun phrases: articles, number, and tags in a row."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.generate.checks.evidence import Evidence, fold
from jobs.generate.checks.grammar import COUNTABLE, DETERMINERS, NOMINAL, VERB, is_, only, pairs
from jobs.generate.checks.reading import END, Token

ONE = frozenset({"a", "an", "another", "this", "that", "every", "each"})
MANY = frozenset({"these", "those", "many", "several", "few"})
PLURAL = frozenset({"plural", "tags", "nouns"})
NAMED = ("thing", "noun", "nouns", "tag", "tags", "plural")


def articles(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """A title has no article: not "a Heat"; "the" only before a thing that is no work (no year, no creator)."""
    works = {fold(title) for title in (*evidence.years, *evidence.creators)}
    for place, left, right in pairs(sentence):
        if place + 2 < len(sentence) and is_(sentence[place + 2], *NAMED):
            continue
        whose = is_(left, "the") or (is_(left, "possessive") and left.text not in ("whose", "his")) or left.text == "its"
        if right.kind == "title" and (is_(left, "a") or (whose and right.name in works)):
            return f"{left.text} {right.text}"
        if right.kind == "creator" and is_(left, "a", "the") and not right.name.startswith("the "):
            return f"{left.text} {right.text}"
    return None


def decades(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """A decade has "the" or a noun: the 1990s, 1990s films, the 1980s and 1990s."""
    for place, left, right in pairs([END, *sentence]):
        listed = left.text in ("and", ",") and place > 1 and sentence[place - 2].kind == "era"
        after = [*sentence[place + 1 :], END][0]
        if right.kind == "era" and left.text != "the" and not listed and not is_(after, *NAMED):
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
        begins = is_(token, *DETERMINERS) and not is_(token, *VERB)
        inner = is_(token, "adjective", "era", *NOMINAL) or token.kind == "number"
        if phrase and is_(phrase[-1], "person") and is_(token, "third"):  # this reader picks
            break
        if (begins and phrase and not only(phrase[-1], DETERMINERS | {"object", "pronoun"})) or not (begins or inner):
            break
        phrase.append(token)
    return phrase


def _disagrees(sentence: Sequence[Token], start: int, phrase: list[Token], evidence: Evidence) -> str | None:
    after = [*sentence[start + len(phrase) :], END][0]
    before = sentence[start - 1].text if start else ""
    one_of = before == "of" and start > 1 and sentence[start - 2].text == "one" and after.text != "'s"
    wrong = _number(phrase, after, one_of) if len(phrase) > 1 else _lone(phrase[0], before)
    shared = before in ("and", "or") and any(is_(token, *DETERMINERS) for token in sentence[max(0, start - 4) : start - 1])
    wrong = wrong or (not shared and _bare(phrase, before, after))
    return f"{before} {' '.join(token.text for token in phrase)}".strip() if wrong else None


def _number(phrase: list[Token], after: Token, one_of: bool) -> bool:
    """Whether the first word asks for another number than the last one has, or for a noun that is not there."""
    first, last = phrase[0], phrase[-1]
    is_head = is_(last, *NOMINAL)
    if first.text in ONE and is_(last, *PLURAL) and only(last, PLURAL | {"third", "base"}) and last.text not in ("few", "lot"):
        return True
    if first.text in ("a", "an") and not is_head:
        return is_(after, "end", "preposition", "conjunction") or only(after, VERB)
    if first.text == "the" and last.text == "next":
        return is_(after, "preposition") and not is_(after, "subordinator")
    many = first.text in MANY or (first.value or 0) > 1 or one_of
    return many and is_head and only(last, COUNTABLE | {"tag", "mass", "adjective"})


def _lone(word: Token, before: str) -> bool:
    """A tag that is plural in the catalogue is a thing: in singular it has an article or a noun behind it."""
    was_plural = word.name.endswith("s") and not word.name.endswith("ss") and len(word.name) > len(fold(word.text))
    return word.kind == "tag" and not word.plural and was_plural and before not in ("of", "'s")


def _bare(phrase: list[Token], before: str, after: Token) -> bool:
    """A countable noun in singular without anything before it: "enjoys drama film"."""
    first, last = phrase[0], phrase[-1]
    determined = is_(first, *DETERMINERS) or first.kind == "number" or before in ("'s", "of", "as")
    return not determined and is_(last, *NOMINAL) and only(last, COUNTABLE) and not is_(after, "creator")


def compounds(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """Tags in a list are nothing that one title is: not "a comedy and drama "Heat""; a plural has no noun: "comedies films"."""
    kinds = [token.kind for token in sentence]
    for place, left, right in pairs(sentence):
        if kinds[place : place + 3] == ["tag"] * 3:
            return " ".join(token.text for token in sentence[place : place + 3])
        if is_(left, "tags") and is_(right, "noun", "nouns") and _is_counted(left):
            return f"{left.text} {right.text}"
        joined = left.kind == "tag" and right.text in ("and", "or") and kinds[place + 2 : place + 3] == ["tag"]
        if joined and (found := _as_one(sentence, place)):
            return found
        determined = any(is_(token, *DETERMINERS) for token in sentence[max(0, place - 2) : place])
        if is_(left, "tags") and right.kind == "title" and not determined:
            return f"{left.text} {right.text}"
        after = [*sentence[place + 2 :], END][0]
        about = place and (kinds[place - 1] in ("title", "tag") or sentence[place - 1].text == "it")
        about = (about and sentence[0].text not in ("what", "new")) or (place == 2 and is_(sentence[1], "person"))
        alone = right.kind == "tag" and not right.plural and not is_(after, "tag", "tags", "noun", "nouns")
        if about and is_(left, "be") and alone:
            return f"{left.text} {right.text}"
    return None


def _is_counted(tag: Token) -> bool:
    """Whether a tag is plural here only: documentaries, not classics; what is called so may name a kind, power tools."""
    return len(fold(tag.text)) > len(tag.name)


def _as_one(sentence: Sequence[Token], place: int) -> str | None:
    """Two tags joined at `place` that have one article, or one title behind them."""
    first, last = place, place + 2
    while last + 1 < len(sentence) and sentence[last + 1].kind == "tag":
        last += 1
    while first and sentence[first - 1].kind == "tag":
        first -= 1
    after = [*sentence[last + 1 :], END][0]
    article = any(is_(token, "a") for token in sentence[max(0, first - 2) : first])
    single = article and not is_(after, "noun", "nouns", "thing", "mass") and not sentence[last].plural
    return " ".join(token.text for token in sentence[place : last + 1]) if after.kind == "title" or single else None


def senseless(sentence: Sequence[Token], evidence: Evidence) -> str | None:
    """A tag is no thing of another: not "a crime of drama", not "the drama of Heat is your crime", not "in your crime"."""
    for place, left, right in pairs(sentence):
        if left.text == "of" and right.kind == "tag" and place and sentence[place - 1].kind == "tag":
            return f"{sentence[place - 1].text} of {right.text}"
        after = [*sentence[place + 2 :], END][0]
        makes = place > 1 and sentence[place - 1].kind == "title" and sentence[place - 2].base == "make"
        if makes and is_(left, "a") and right.kind == "tag" and after is END:
            return f"makes {left.text} {right.text}"
        if left.text == "new" and right.kind == "tag" and place and sentence[place - 1].text == "something":
            return f"something new {right.text}"
        if place == 1 and sentence[0].kind == "creator" and is_(left, "be") and right.kind == "title":
            return f"{sentence[0].text} {left.text} {right.text}"
        if left.text == "your" and right.kind == "tag" and not right.plural and after.kind not in ("tag", "noun", "title"):
            return f"{left.text} {right.text}" if not is_(after, "thing", "mass", "plural") else None
        if is_(left, "be") and is_(right, "a", "the", "possessive") and _head(sentence[:place]) == "tag":
            last = place + 2
            while last < len(sentence) and is_(sentence[last], "adjective", "tag"):
                last += 1
            if sentence[last - 1].kind == "tag" and not is_([*sentence[last:], END][0], "noun", "nouns", "thing", "mass"):
                return f"{left.text} {right.text} {sentence[last - 1].text}"
    return None


def _head(before: Sequence[Token]) -> str:
    """The kind of what a verb's subject is about: of "the drama of Heat" the tag."""
    place = len(before) - 1
    while place > 0 and (before[place].kind == "title" or before[place].text in ("and", "of")):
        place -= 1
    return before[place].kind if before and place >= 0 else ""
