"""A text as the checks read it: words, names that the evidence knows, numbers and marks, in sentences."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from jobs.generate.checks.evidence import Evidence, fold
from jobs.generate.checks.vocabulary import COUNTED, FORMS, KNOWN, SORTS, words_of

PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "‑": "-", "‐": "-"})
SHORT = {"n't": "not", "'ll": "will", "'ve": "have", "'re": "are", "'d": "would", "'m": "am"}
NAME = re.compile("\ue000\\d+\ue001")  # private use characters: stands for a name we gave
SINGULAR = words_of("politics physics mathematics economics electronics athletics gymnastics linguistics news series")
PARTS = (*",;:()–—", "but", "while", "whereas", "although", "though", "yet", "however")  # each says something of its own
PIECE = re.compile(
    rf"(?P<name>{NAME.pattern})|(?P<year>(?<![\d,.])\d+(?![\d%]|[.,]\d))|(?P<short>n't\b|'(?:ll|ve|re|d|m|s)\b)"
    r"|(?P<word>[^\W_]+?(?=n't\b)|[^\W_]+(?:-[^\W_]+)*)|(?P<mark>\S)"
)


@dataclass(frozen=True)
class Token:
    """A piece of a text. `kind`: title, tag, creator, noun, word, number or mark."""

    text: str
    kind: str
    name: str = ""  # the evidence's, folded
    plural: bool = False
    quoted: bool = False
    capital: bool = False

    @property
    def sorts(self) -> frozenset[str]:
        """What a word can be in a sentence."""
        return SORTS.get(self.text, frozenset()) if self.kind == "word" else frozenset()

    @property
    def base(self) -> str:
        """A verb's base, else the word."""
        return FORMS.get(self.text, self.text) if self.kind == "word" else ""

    @property
    def value(self) -> int | None:
        """Of a number."""
        return COUNTED.get(self.text) or (int(self.text) if self.text.isdecimal() else None) if self.kind == "number" else None


END = Token("", "end")


def read(text: str, evidence: Evidence) -> list[Token]:
    """The tokens of `text`; quotation marks are no tokens, but a name knows whether it stood in some."""
    marked, found = mark(text, evidence)
    tokens: list[Token] = []
    for piece in PIECE.finditer(marked):
        kind, written = str(piece.lastgroup), piece.group()
        if kind == "name":
            name, spelled = found[int(written[1:-1])]
            quoted = marked[max(0, piece.start() - 1) : piece.start()] == '"'
            token = _name(spelled, name, quoted, evidence)
            tokens.append(token if not _is_whose(token, tokens) else _plain_token("word", token.text, tokens))
        elif written != '"':
            tokens.append(_plain_token(kind, written, tokens))
    return tokens


@lru_cache(maxsize=1)  # a text is read, and its quotes are checked
def mark(text: str, evidence: Evidence) -> tuple[str, list[tuple[str, str]]]:
    """`text` with a number between marks for each name in it, the longest that fits; and those names, as folded, as written."""
    spelled = list(evidence.spellings.values())
    found: list[tuple[str, str]] = []

    def number(match: re.Match[str]) -> str:
        found.append((spelled[(match.lastindex or 1) - 1], match.group()))
        return f"\ue000{len(found) - 1}\ue001"

    plain = _plain(text)
    return evidence.pattern.sub(number, plain) if evidence.pattern else plain, found


def _plain(text: str) -> str:
    """`text` without accents and typographic quotes; what stands for names is taken out."""
    apart = unicodedata.normalize("NFKD", text.translate(PLAIN))
    return "".join("\ufffd" if each in "\ue000\ue001" else each for each in apart if not unicodedata.combining(each))


def _is_whose(token: Token, before: Sequence[Token]) -> bool:
    """Whether a tag is the word here: "in your history"."""
    owner = before[-1] if before else END
    return token.kind == "tag" and fold(token.text) == "history" and ("possessive" in owner.sorts or owner.text == "'s")


def _name(written: str, name: str, quoted: bool, evidence: Evidence) -> Token:
    kind = evidence.kinds[name]
    low = fold(written)
    plural = kind in ("tag", "noun") and low.endswith("s") and not low.endswith("ss") and low not in SINGULAR
    return Token(written, kind, name, plural, quoted, written[:1].isupper())


def _plain_token(kind: str, written: str, before: list[Token]) -> Token:
    low = written.lower()
    if kind == "short":
        is_verb = low == "'s" and before and before[-1].text in ("it", "that", "what", "who", "he", "she", "there", "here")
        return Token(SHORT.get(low, "is" if is_verb else low), "word")
    if kind == "year" or low in COUNTED:
        return Token(low, "number")
    return Token(low, kind, capital=written[0].isupper())


def sentences(tokens: Iterable[Token]) -> list[list[Token]]:
    """Without the marks that end them; never empty."""
    return split(tokens, ".!?")


def split(tokens: Iterable[Token], marks: Iterable[str]) -> list[list[Token]]:
    """The parts between these marks or words, without them and without empty ones."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind in ("mark", "word") and token.text in marks:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def titles(tokens: Iterable[Token]) -> list[Token]:
    return [token for token in tokens if token.kind == "title"]


def row(tokens: Sequence[Token]) -> list[Token]:
    """The titles in a row that begins here: "A", "B" and "C"; a comma before "and" ends it."""
    found: list[Token] = []
    for token, following in zip(tokens, [*tokens[1:], END], strict=False):
        if token.kind == "title":
            found.append(token)
        elif (
            (token.kind not in ("number", "mark") and token.text != "and")
            or (token.text == "," and following.kind != "title")
            or (token.text == "and" and following.kind != "title")
        ):
            break
    return found


def unknown(tokens: Iterable[Token]) -> Iterator[Token]:
    """Words that are neither in the vocabulary nor in the evidence."""
    return (token for token in tokens if token.kind == "word" and token.text not in KNOWN and token.text != "not")
