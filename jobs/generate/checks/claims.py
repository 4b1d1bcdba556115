"""What is named and said resolves to the evidence: quotes, names, words, and nothing is told of all there is."""

from __future__ import annotations

import re
from itertools import pairwise

from jobs.generate.checks.evidence import Evidence, folded
from jobs.generate.checks.reading import END, NAME, Token, mark, sentences, unknown
from jobs.generate.checks.vocabulary import words_of

COMING = words_of("first back close next up from in most mostly on")  # behind "come": none of it compares
QUOTED = re.compile(r'"([^"]*)"')
ALONE = re.compile(rf"{NAME.pattern}[,.!?]?\s*$")


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


def sweeping(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """Nothing is told of all there is, of what else there is, or to be the best: evidence holds a few events only."""
    for before, token, after in zip([END, *tokens], tokens, [*tokens[1:], END], strict=False):
        counted = before.text in ("of", "above", "in") or after.text == "at" or after.kind == "number"
        if (token.text == "all" and not counted) or (token.text == "only" and before.text != "not"):
            return f"sweeping: {token.text}"
        if (
            token.text in ("best", "first", "top", "most")
            and before.text in ("the", "a", "an")
            and after.kind in ("tag", "noun")
        ):
            return f"sweeping: {before.text} {token.text}"
        crowd = token.text in ("many", "several", "most") and "person" in after.sorts
        if token.text in ("leads", "leading") or crowd:
            return f"sweeping: {token.text}"
        if token.base == "come" and after.text not in COMING:
            return f"sweeping: {token.text} {after.text}"
    return None
