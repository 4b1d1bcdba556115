"""What is named resolves to the evidence: quotes, names, words, numbers, years, creators, and tags of titles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from jobs.generate.checks.evidence import Evidence, fold, folded
from jobs.generate.checks.reading import NAME, Token, mark, sentences, split, titles, unknown
from jobs.generate.checks.vocabulary import words_of

QUOTED = re.compile(r'"([^"]*)"')
ALONE = re.compile(rf"{NAME.pattern}[,.!?]?$")
SHARING = words_of("share both same common another too also like similar their combine")  # tell of more than one title


# What is named


def quotes(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """Every quoted string is a name we gave, whole."""
    marked, _ = mark(text, evidence)
    for quote in QUOTED.findall(marked):
        if not ALONE.match(quote):
            return f"quotes: {NAME.sub('…', quote)}"
    return "quotes: one is open" if marked.count('"') % 2 else None


def names(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """A word that begins with a capital and no sentence is a name."""
    for sentence in sentences(tokens):
        for before, token in pairwise(sentence):
            if token.kind == "word" and token.capital and token.text != "i" and before.text not in (":", "(", "-"):
                return f"names: {token.text.capitalize()}"
    return None


def words(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """Every word is in the vocabulary or in the evidence."""
    return next((f"words: {token.text}" for token in unknown(tokens)), None)


def needed(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """The text is about this user: of each group it names one."""
    told = {token.name for token in tokens}
    missing = [group for group in evidence.needed if not told & folded(group)]
    return f"needed: none of {', '.join(missing[0])[:80]}" if missing else None


# Numbers, years, creators


def numbers(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """A number is the year of the title beside it, how many of a tag were liked, how many titles are named, or all events."""
    for sentence in sentences(tokens):
        for place, token in enumerate(sentence):
            if token.value is not None and not (_is_year(sentence, place, evidence) or _is_count(sentence, place, evidence)):
                return f"numbers: {token.text}"
    digits = re.search(r"\d", "".join(token.text for token in tokens if token.kind in ("word", "mark")))
    return f"numbers: {digits.group()}" if digits else None


def _is_year(sentence: Sequence[Token], place: int, evidence: Evidence) -> bool:
    years = {fold(title): year for title, year in evidence.years.items()}
    near = [token for token in sentence[max(0, place - 3) : place][::-1] if token.text not in ("(", ",", "from", "of", "in")]
    ahead = [token for token in sentence[place + 1 : place + 5] if token.kind in ("title", "noun", "tag")]
    title = near[0] if near and near[0].kind == "title" else next(iter(titles(ahead)), None)
    return title is not None and sentence[place].value == years.get(title.name)


def _is_count(sentence: Sequence[Token], place: int, evidence: Evidence) -> bool:
    counts = {fold(tag): count for tag, count in evidence.counts.items()}
    number, after = sentence[place].value, sentence[place + 1 : place + 3]
    tag = next((token for token in after if token.kind == "tag"), None)
    if tag:
        return number == counts.get(tag.name)
    named = {token.name for token in titles(sentence)} - {fold(evidence.new or "")}
    earlier = [counts.get(token.name) for token in sentence[:place] if token.kind == "tag"][-1:]
    whole = any(token.text == "history" for token in sentence[place : place + 5]) and not evidence.new
    of_what = bool(after) and (after[0].kind == "noun" or "plural" in after[0].sorts or after[0].text in ("of", "clear"))
    return of_what and (number == evidence.events if whole else number == len(named) or [number] == earlier)


def creators(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """Who is told to have made a title has made it; alone, one who made something liked, or the new one, is named."""
    for sentence in sentences(tokens):
        for place, token in enumerate(sentence):
            if token.kind == "creator":
                title = _made(sentence, place)
                if title and token.name not in (evidence.of(evidence.creators, title.name) or ()):
                    return f"creators: {token.text} for {title.text}"
                if not title and any(token.name in (evidence.of(evidence.creators, name) or ()) for name in _not_had(evidence)):
                    return f"creators: {token.text} alone"
    return None


def _not_had(evidence: Evidence) -> list[str]:
    return [fold(name) for name in (*evidence.disliked, evidence.new or "") if name]


def _made(sentence: Sequence[Token], place: int) -> Token | None:
    """The title that a creator at `place` is told to have made."""
    if [token.text for token in sentence[place + 1 : place + 2]] == ["'s"]:
        return next(iter(titles(sentence[place + 2 : place + 4])), None)
    before = [token for token in sentence[:place] if token.kind not in ("number", "mark")]
    if before[-1:] and before[-1].text in ("by", "from") and before[-2:-1]:
        return before[-2] if before[-2].kind == "title" else None
    return None


# Tags of titles


def tags(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """A tag told of a title is that title's; in an explanation any other is one that the new title shares."""
    for sentence in sentences(tokens):
        for clause in split(sentence, ",;:"):
            for place, token in enumerate(clause):
                if token.kind == "tag" and (title := _not_of(clause, place, evidence)):
                    return f"tags: {token.text} of {title}"
    return None


def _not_of(clause: Sequence[Token], place: int, evidence: Evidence) -> str | None:
    """The title that has not the tag at `place`, though told so."""
    tag, new = clause[place].name, fold(evidence.new or "")
    beside = _beside(clause, place)
    if beside:
        has = evidence.of(evidence.traits, beside.name)
        return beside.text if has is not None and tag not in has else None
    if not evidence.new:
        return None
    told = {token.name for token in titles(clause)}
    if tag in folded(evidence.common):
        known = [has for name in told - {new} if (has := evidence.of(evidence.traits, name)) is not None]
        return "all that is named" if known and not any(tag in has for has in known) else None
    alone = told == {new} and not SHARING & {token.base for token in clause}
    return None if alone and tag in (evidence.of(evidence.traits, new) or ()) else "what is named"


def _beside(clause: Sequence[Token], place: int) -> Token | None:
    """The title right behind a tag: the crime drama "Heat", dramas such as "Heat", the drama of "Heat"."""
    for token in clause[place + 1 : place + 5]:
        if token.kind == "title":
            return token
        if token.kind not in ("tag", "noun") and token.text not in ("such", "as", "like", "of"):
            return None
    return None
