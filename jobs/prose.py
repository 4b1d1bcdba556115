"""Our own sentences, a file for each language in prompts/templates/, in the tones that it holds.

Variants are `str.format` texts. What each sentence names is fixed here: every variant has each of these placeholders once, so
that no fact is lost, and beside them only {nouns}, the plural of what an item is called, by the English rule.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from jobs.errors import PromptError
from jobs.home import TEMPLATES

PLAIN = "plain"  # the tone that every language has, in full
NOUNS = "nouns"
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
SENTENCES: dict[str, tuple[str, ...]] = {
    "likes": ("likes",),
    "likes_favourite": ("likes", "titles"),
    "favourite": ("titles",),
    "recent_one": ("titles",),
    "recent": ("n", "titles"),
    "latest": ("titles",),
    "dislikes": ("dislikes",),
    "disliked": ("titles",),
    "likes_creator": ("creator",),
    "more_lately": ("tag",),
    "less_lately": ("tag",),
    "era": ("year",),  # the decade's first: 1990
    **{f"rhythm {label}": () for label in ("daily", "weekly", "in bursts", "at once", "weekends", "weekdays")},
    "event": ("titles", "item"),
    "event_shared_tag": ("titles", "item", "tags"),
    "shared_creator": ("creator",),
    "new_tag": ("tag",),
    "popular": ("item",),
    "recommended": ("item",),
}
Sentences = Mapping[str, Sequence[str]]  # variants by the names of SENTENCES


class Language(BaseModel):
    """One file: how names are listed (`a, b and c`) and quoted, whether tags are written small, what is said of liked tags
    and creators, and variants of every sentence by tone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    between: str
    last: str
    quotes: tuple[str, str]
    lower_tags: bool
    tags: str
    creators: str
    tones: dict[str, dict[str, tuple[str, ...]]]

    @model_validator(mode="after")
    def says_all(self) -> Self:
        wrong = [*_misplaced("tags", self.tags, ("tags",)), *_misplaced("creators", self.creators, ("creators",))]
        wrong += [f"tones.{PLAIN}.{kind}: missing" for kind in SENTENCES if kind not in self.tones.get(PLAIN, {})]
        for tone, said in self.tones.items():
            for kind, variants in said.items():
                wrong += _wrong(f"tones.{tone}.{kind}", variants, SENTENCES.get(kind))
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def sentences(self, tone: str) -> Sentences:
        """What is said in a tone of `tones`, in `plain` where that has nothing of its own."""
        return self.tones[PLAIN] | self.tones[tone]


def _wrong(key: str, variants: Sequence[str], names: Sequence[str] | None) -> list[str]:
    if names is None:
        return [f"{key}: unknown sentence; allowed: {', '.join(SENTENCES)}"]
    return [fault for each in variants for fault in _misplaced(key, each, names)] if variants else [f"{key}: has no variant"]


def _misplaced(key: str, text: str, names: Sequence[str]) -> list[str]:
    """What is wrong with the placeholders of one text."""
    found = [name for name in PLACEHOLDER.findall(text) if name != NOUNS]
    if sorted(found) == sorted(names) and not set("{}") & set(PLACEHOLDER.sub("", text)):
        return []
    needed = f"needed is {' and '.join(f'{{{name}}}' for name in names)} once, and" if names else "there may be"
    return [f"{key}: {text!r}: {needed} nothing else in braces but {{{NOUNS}}}"]


def languages() -> list[str]:
    """Those that have a file."""
    return sorted(file.stem for file in TEMPLATES.glob("*.yaml"))


@functools.cache
def load_language(name: str) -> Language:
    """The sentences of a language.

    Raises:
        PromptError: there is no such file, or it is not as this module says; all faults are named by their keys.
    """
    file = TEMPLATES / f"{name}.yaml"
    if not file.is_file():
        raise PromptError(f"prompts/templates/: no language {name!r}; there are {', '.join(languages())}")
    try:
        return Language.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise PromptError(f"prompts/templates/{file.name}: {error}") from error


@functools.cache
def language_digest(name: str) -> str:
    """Hash of a language's file as it is understood."""
    return hashlib.sha256(load_language(name).model_dump_json().encode()).hexdigest()
