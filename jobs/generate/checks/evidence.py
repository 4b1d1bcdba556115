"""What a text may claim, and under which spellings its names are recognized."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain

from jobs.generate.checks.vocabulary import KNOWN

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
ARTICLES = ("the", "a", "an", "le", "la", "les", "el", "los", "las", "il", "lo", "der", "die", "das", "un", "une")
MOVED = re.compile(rf"^(.*), ({'|'.join(ARTICLES)}|l')$", re.I)  # "Matrix, The"
SHORT_ERA = re.compile(r"19[2-9]0s")  # 90s
BRACKETED = re.compile(r"^([^()]+) \(([^()]+)\)$")
SPOKEN = {"sci-fi": "science fiction", "science fiction": "sci-fi", "romance": "romantic", "comedy": "comedic"}


@dataclass(frozen=True, eq=False)  # hashed as itself: `reading.mark` remembers the last
class Evidence:
    """What a text may claim: `liked` and `disliked` names, and further `others` it may mention; it must name `needed`.

    A name is a title unless it is one of `tags`. What is not given of a title (its traits, year, creators) may not be told.
    """

    liked: tuple[str, ...] = ()
    disliked: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    needed: tuple[tuple[str, ...], ...] = ()  # of each group at least one
    new: str | None = None  # what is recommended: never told as something the user already has
    tags: tuple[str, ...] = ()  # those of the names that are tags, and further ones of `traits`
    common: tuple[str, ...] = ()  # tags that `new` shares with what the user has
    noun: str = ""  # what one item is called
    traits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # tags by title
    years: Mapping[str, int] = field(default_factory=dict)  # by title
    creators: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by title
    counts: Mapping[str, int] = field(default_factory=dict)  # liked events by tag
    events: int | None = None  # the length of the history
    makers: tuple[str, ...] = ()  # creators the user likes
    unliked_makers: tuple[str, ...] = ()  # creators the user dislikes
    eras: tuple[str, ...] = ()  # decades the user likes: `1990s`
    more: tuple[str, ...] = ()  # tags that are more frequent lately
    less: tuple[str, ...] = ()  # tags that are less frequent lately
    rhythms: tuple[str, ...] = ()  # when the user comes, as `jobs/prepare/rhythm.py` calls it
    unseen: tuple[str, ...] = ()  # tags of `new` that the user has had nothing of
    user: str = ""  # the user's id, which no text shows
    most: int = 400  # characters

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Every name, folded: title, tag, creator, era or noun."""
        makers = dict.fromkeys((*chain(*self.creators.values()), *self.makers, *self.unliked_makers), "creator")
        titles = dict.fromkeys((*self.liked, *self.disliked, *self.others), "title")
        tags = dict.fromkeys((*self.tags, *self.common, *self.more, *self.less, *self.unseen), "tag")
        found = makers | dict.fromkeys(self.eras, "era") | titles | tags | ({self.noun: "noun"} if self.noun else {})
        return {fold(name): kind for name, kind in found.items() if fold(name)}

    @cached_property
    def spellings(self) -> dict[str, str]:
        """Spelling -> name, both folded, longest first. A shorter form that could mean two names stands for neither."""
        forms = Counter(form for name, kind in self.kinds.items() for form in set(_forms(name, kind)) - {name})
        found = {form: name for name, kind in self.kinds.items() for form in _forms(name, kind) if forms[form] < 2}
        found |= {name: name for name in self.kinds}
        return dict(sorted(found.items(), key=lambda item: (-len(item[0]), item[0])))

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """Any name in a text, one group a spelling."""
        forms = [f"({_pattern(form, self.kinds[name])})" for form, name in self.spellings.items()]
        return re.compile("|".join(forms)) if forms else None

    def of(self, known: Mapping[str, tuple[str, ...]], name: str) -> set[str] | None:
        """What is known of a title, folded; None where nothing is given."""
        given = {fold(title): values for title, values in known.items()}
        return {fold(value) for value in given[name]} if name in given else None


@lru_cache(maxsize=10_000)
def fold(name: str) -> str:
    """A name as it is compared: in small letters without accents, one space between words."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each))
    return " ".join(plain.lower().replace("’", "'").split())


def folded(names: Iterable[str]) -> set[str]:
    return {fold(name) for name in names}


def _forms(name: str, kind: str) -> list[str]:
    """How a text may spell a folded name."""
    if kind == "title":
        return list(_titles(name))
    if kind == "creator":
        words = name.split()
        return [name, *(" ".join(words[-n:]) for n in (1, 2) if len(words) > n and len(words[-n]) > 1)]
    if kind == "era":
        return [name, name[2:]] if SHORT_ERA.match(name) else [name]
    singular = re.sub(r"(?<=[^s])s$", "", re.sub(r"ies$", "y", name)) if len(name) > 3 else name
    spoken = [SPOKEN[name]] if kind == "tag" and name in SPOKEN else []
    return [form for each in (name, singular, *spoken) for form in (each, each.replace("-", " "))]


def _titles(name: str) -> set[str]:
    """A title with its article in front, what stands in parentheses or after "or" by itself, and what a colon parts from it.

    What stands before a colon is often the name of another title ("Mad Max: Fury Road"), unless it ends in a number.
    """
    whole = re.sub(r"\s*\((?:1[89]|20)\d\d\)$", "", name)
    alternatives = re.split(r"\s*[()]\s*|, or ", whole)
    halves = [fronted(each).split(": ", 1) for each in alternatives if ": " in each]
    parts = [
        half for before, after in halves for half in (after, before) if _long(half) and (half is after or before[-1].isdigit())
    ]
    found = {name, whole, *map(fronted, (whole, *alternatives)), *filter(_long, parts)}
    bare = {form.split(" ", 1)[1] for form in found if form.split(" ")[0] in ARTICLES and " " in form}
    spoken = {name, whole, fronted(whole)}
    return {form for form in found | bare if form in spoken or (len(form) > 1 and not _is_common(form))}


def fronted(title: str) -> str:
    """A title as it is spoken: `Matrix, The` is `The Matrix`, `Postman, The (Postino, Il)` is `The Postman (Il Postino)`."""
    title = title.strip()
    if bracketed := BRACKETED.match(title):
        return f"{fronted(bracketed.group(1))} ({fronted(bracketed.group(2))})"
    before, colon, after = title.partition(": ")
    moved = MOVED.match(title) or (MOVED.match(before) if colon else None)
    if not moved:
        return title
    article = moved.group(2) if moved.group(2).endswith("'") else f"{moved.group(2)} "
    return article + moved.group(1) + (colon + after if colon and not MOVED.match(title) else "")


def _long(part: str) -> bool:
    """Whether a part of a title says which title is meant: two words or more."""
    return len([word for word in WORD.findall(part) if word not in ARTICLES]) > 1 and not _is_common(part)


def _is_common(form: str) -> bool:
    return all(word in KNOWN or word.isdecimal() for word in WORD.findall(form))


def _pattern(form: str, kind: str) -> str:
    """A whole name in a text without accents; one of common words only ("Big", "300") is meant where it is quoted."""
    words = re.sub(r"\\?-|–", "[-–]", r"\s+".join(map(re.escape, form.split()))).replace("'", "['’]")
    words = re.sub(r'["“”]', '["“”]', words).replace(r"\&", "(?:&|and)")
    if kind == "title" and _is_common(form):
        return rf"(?i:(?<=[\"“]){words}(?=[,.!?]?[\"”]))"
    if kind in ("title", "creator"):
        return rf"(?<!\w)(?:(?<=[\"“])(?i:{words})|(?-i:{_capital(form)})(?i:{words}))(?!\w)"
    if kind == "era":
        return rf"(?<!\w)['’]?{words}(?!\w)"
    plural = rf"|{words[:-1]}ies" if form.endswith("y") else rf"|{words}e?s"
    return rf"(?i:(?<!\w)(?:{words}(?!\w){plural}(?!\w)))"


def _capital(form: str) -> str:
    """Outside of quotes a title begins with a capital, a digit or a sign."""
    return f"(?={re.escape(form[0].upper())})" if form[0].isalpha() else ""
