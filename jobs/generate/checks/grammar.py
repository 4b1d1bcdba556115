"""What a token can be in a sentence: classes of its word, or of the name it stands for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from jobs.generate.checks.reading import END, Token

FINITE = frozenset({"third", "be", "modal", "have", "do"})
VERB = FINITE | {"base", "past"}
DETERMINERS = frozenset({"a", "the", "possessive", "determiner"})
NOMINAL = frozenset({"thing", "mass", "person", "plural", "tag", "tags", "noun", "nouns"})
COUNTABLE = frozenset({"thing", "person", "noun"})


@lru_cache(maxsize=10_000)
def classes(token: Token) -> frozenset[str]:
    """What a token can be."""
    if token.kind in ("tag", "noun"):
        return frozenset({token.kind + ("s" if token.plural else "")})
    if token.kind == "mark" or token.kind == "end":
        return frozenset({"end"})
    return token.sorts or frozenset({token.kind if token.kind != "word" else token.text})


def is_(token: Token, *names: str) -> bool:
    return bool(classes(token) & set(names))


def only(token: Token, names: frozenset[str] | set[str]) -> bool:
    found = classes(token)
    return bool(found) and found <= names


def pairs(sentence: Sequence[Token]) -> Iterator[tuple[int, Token, Token]]:
    for place, (left, right) in enumerate(zip(sentence, [*sentence[1:], END], strict=True)):
        yield place, left, right
