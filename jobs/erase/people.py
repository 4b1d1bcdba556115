"""Who is to be erased, and how bytes, texts and rows name them.

An id that no text holds by chance is looked for everywhere, in all its spellings. Any other ("15", "anna") would be found
in every log: it counts where a column of users holds it as a whole value, and where a text names it as a user's
(`user_id=15`, `"user": "15"`, `user 15`).
"""

from __future__ import annotations

import html
import json
import math
import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from jobs.erase.fields import fields
from jobs.errors import InputError
from jobs.report.page import spelled_here

ENOUGH_BITS = 40  # in an id, so that a terabyte of other text does not hold it by chance
STATISTIC = 32  # characters of a text that Delta's statistics keep
LEAST_TEXT = 20  # characters of a text that tells one person
ESCAPED = r"(?:(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4})|(?<=\\x[0-9a-fA-F]{2})|(?<=%[0-9a-fA-F]{2}))"
FILLER = b"x"


@dataclass(frozen=True)
class People:
    """Users by id; `column` is what the profile's log calls that. `texts` are what only they are told, to be taken out of
    pages and logs as well. `longer` are others' ids that hold one of theirs ("j.ann@example.com", for "ann@example.com")."""

    ids: frozenset[str]
    column: str
    texts: frozenset[str] = frozenset()
    longer: frozenset[str] = frozenset()

    @classmethod
    def of(cls, ids: list[str], column: str) -> People:
        """Raises InputError where that is nobody, or no text."""
        if not ids:
            raise InputError("nobody to erase: name a user, or several")
        for each in ids:
            if not each.strip() or "\x00" in each or any("\ud800" <= letter <= "\udfff" for letter in each):
                raise InputError(f"{each!r} is no user's id")
        return cls(frozenset(ids), column)

    @cached_property
    def rare(self) -> frozenset[str]:
        """Ids that no text holds by chance."""
        return frozenset(filter(is_rare, self.ids))

    def may_name(self, content: bytes) -> bool:
        """A first look at bytes whose texts follow each other without a gap; what does not pass names nobody."""
        return self._holds(content) and bool(self._hint.search(content))

    def names(self, content: bytes) -> bool:
        """Whether bytes name one of them."""
        return self._holds(content) and any(_finds(pattern, content) for pattern in self._patterns)

    def names_text(self, text: str | None) -> bool:
        return bool(text) and self.names(str(text).encode("utf-8", "replace"))

    def redacted(self, content: bytes) -> bytes:
        """The same number of bytes without their names and texts; what writes on at the end of a file is not disturbed."""
        patterns = self._patterns if self._holds(content) else []
        told = self._told if any(each in content for each in self._texts) else []
        for pattern in (*patterns, *told):
            while (less := pattern.sub(_blotted, content)) != content:
                content = less
        return content

    def is_theirs(self, record: str) -> bool:
        """Whether a record of the log is one of theirs: its user is, or it cannot be read and has the id as a whole field."""
        user = self.user_of(record)
        if user is not None:
            return user in self.ids
        return bool(self.ids & set(fields(record))) or self.names_text(record)

    def user_of(self, record: str) -> str | None:
        """Whose a record is, in JSON ("" nobody's); None where it cannot be read."""
        try:
            row = json.loads(record, parse_int=str, parse_float=str)
        except ValueError:
            return None
        return str(row.get(self.column) or "") if isinstance(row, dict) else None

    def is_longer(self, user: str | None) -> bool:
        """Whether that is another's id which holds one of theirs."""
        return user is not None and user not in self.ids and any(each in user for each in self.rare)

    def rare_in(self, content: bytes) -> bool:
        """Whether bytes hold an id that none hold by chance."""
        return any(each in content for each in self._rare) and _finds(self._patterns[0], content)

    def _holds(self, content: bytes) -> bool:
        """Whether bytes hold what any of the patterns needs; they take a hundred times as long to say no."""
        if any(each in content for each in self._rare):
            return True
        return any(each in content for each in self._others) and any(each in content.lower() for each in self._words)

    @cached_property
    def _rare(self) -> list[bytes]:
        return [spelling.encode() for each in self.rare for spelling in spellings(each)]

    @cached_property
    def _others(self) -> list[bytes]:
        return [spelling.encode() for each in self.ids - self.rare for spelling in spellings(each)]

    @cached_property
    def _words(self) -> list[bytes]:
        """Of which one stands before an id that is not rare, in small letters."""
        return [b"user", self.column.encode().lower()]

    @cached_property
    def _patterns(self) -> list[re.Pattern[bytes]]:
        own = {spelling for each in self.rare for spelling in spellings(each)}
        longer = {spelling for each in self.longer for spelling in spellings(each)} - own
        others = [re.escape(each).encode() for each in sorted(longer, key=len, reverse=True)]
        found = [re.compile(b"|".join([*others, b"(?P<id>" + b"|".join(map(_token, sorted(own))) + b")"]))] if own else []
        if self._common:
            listed = rf"""(?i:\busers)[\\"'\s:=]*\[[^\]]*?(?P<id>(?<=["'])(?:{self._common})(?=\\*["']))"""
            found += [re.compile(rf"{self._named}(?![\w-])".encode()), re.compile(listed.encode())]
        return found

    @cached_property
    def _hint(self) -> re.Pattern[bytes]:
        found = sorted(re.escape(spelling) for each in self.rare for spelling in spellings(each))
        return re.compile("|".join([*found, *([self._named] if self._common else [])]).encode())

    @cached_property
    def _common(self) -> str:
        return "|".join(sorted(re.escape(spelling) for each in self.ids - self.rare for spelling in spellings(each)))

    @property
    def _named(self) -> str:
        """Where a text calls one who is not rare a user."""
        names = "|".join(map(re.escape, sorted({"user_id", "user", "userId", self.column})))
        return rf"""(?i:\b(?:{names}))[\\"'\s:=]{{1,8}}(?P<id>{self._common})"""

    @cached_property
    def _told(self) -> list[re.Pattern[bytes]]:
        return [re.compile(b"|".join(map(re.escape, self._texts)))] if self._texts else []

    @cached_property
    def _texts(self) -> list[bytes]:
        """Spellings of what only they are told, the longest first."""
        told = {spelling.encode() for text in self.texts if len(text) >= LEAST_TEXT for spelling in spellings(text)}
        return sorted(told, key=len, reverse=True)


def is_rare(user: str) -> bool:
    """Whether an id carries enough to be found by itself; words of any language do not."""
    alphabet = 10 if user.isdecimal() else 16 if re.fullmatch("[0-9a-fA-F]+", user) else 62
    return not user.isalpha() and len(user) * math.log2(alphabet) >= ENOUGH_BITS


def spellings(text: str) -> set[str]:
    """A text as files have it: as it is, in JSON (twice too), HTML, the page of a night, CSV, a shell's command, an address, as
    `repr` and where control characters were taken out; and what Delta's statistics keep of it."""
    jsons = {json.dumps(text, ensure_ascii=ascii)[1:-1] for ascii in (True, False)}
    again = {json.dumps(each, ensure_ascii=ascii)[1:-1] for each in jsons for ascii in (True, False)}
    inert = "".join(each if each.isprintable() else "\ufffd" for each in text)
    short = {text[:STATISTIC], json.dumps(text[:STATISTIC])[1:-1], json.dumps(json.dumps(text[:STATISTIC])[1:-1])[1:-1]}
    more = {html.escape(text), html.escape(text, quote=False), text.replace('"', '""'), repr(text)[1:-1], inert}
    return {text, *jsons, *again, *more, *short, *spelled_here(text), shlex.quote(text).strip("'"), quote(text, safe="")}


def _token(spelling: str) -> bytes:
    """Not within a longer id: "user-1" is not in "user-12", and stands in the JSON text "\\nuser-1"."""
    before = rf"(?:(?<!\w)|{ESCAPED})" if _is_word(spelling[0]) else ""
    after = r"(?!\w)" if _is_word(spelling[-1]) and len(spelling) != STATISTIC else ""
    return f"{before}{re.escape(spelling)}{after}".encode()


def _is_word(letter: str) -> bool:
    return bool(re.match(r"\w", letter, re.ASCII))


def _finds(pattern: re.Pattern[bytes], content: bytes) -> bool:
    return any(match["id"] is not None for match in pattern.finditer(content))


def _blotted(match: re.Match[bytes]) -> bytes:
    """The match, or the part of it that is an id, overwritten; another's id stays."""
    if "id" in match.re.groupindex and match["id"] is None:
        return match[0]
    start, end = match.span("id") if "id" in match.re.groupindex else match.span()
    whole, offset = match[0], match.start()
    return whole[: start - offset] + FILLER * (end - start) + whole[end - offset :]
