"""Our own prose, from the same facts as the model's: what stands where its words did not pass, or where it was not asked.

The sentences are those of prompts/templates (`jobs/prose.py`); a name is filled in as it stands, once, whatever it holds.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jobs.generate.checks.evidence import fronted
from jobs.generate.checks.form import inert
from jobs.generate.told import ASIDES, Told, labels
from jobs.prompts import in_place
from jobs.prose import Language, Sentences, load_language

MOST = 600  # characters of a text, by its contract
LONGEST, SHORTER = 72, 40  # characters of a name; the shorter where a text would have more than MOST
LAST = (*ASIDES, "shared_creator", "new_tag")  # kinds that a last sentence tells


@dataclass(frozen=True)
class Prose:
    """Sentences of a language in a tone, about items that are called `noun`; `longest` characters of a name are told."""

    language: Language
    sentences: Sentences
    noun: str
    longest: int = LONGEST

    @property
    def nouns(self) -> str:
        """More than one item, in English."""
        stem = re.sub(r"(?<=[^aeiou])y$", "ie", self.noun)
        return stem + ("es" if re.search(r"(?:s|x|z|ch|sh)$", stem) else "s")

    def summary(self, told: Sequence[Told], n_events: int, key: str) -> str:
        """One to three sentences that tell the facts `of_summary` of somebody with `n_events`; `key` chooses among variants."""
        return self._fitting(lambda prose: prose._summary(told, n_events, key))

    def explanation(self, told: Sequence[Told], key: str, popular: bool = False) -> str:
        """A sentence or two that tell the facts `of_explanation`, of an item that may be there because it is popular."""
        return self._fitting(lambda prose: prose._explanation(told, key, popular))

    def asides(self, told: Sequence[Told], key: str) -> list[str]:
        """The last sentence: about a creator, an era, what is new or how often, if there is such a fact."""
        about = told[-1]
        is_taste = about.kind == "likes_creator" and not labels(told, "likes_tag")
        if about.kind not in LAST or is_taste:
            return []
        kind = f"rhythm {about.label}" if about.kind == "rhythm" else about.kind
        year = about.label.removesuffix("s")
        return [self._say(kind, key, tag=self.tags([about.label]), creator=self._name(about.label), year=year)]

    def liked(self, told: Sequence[Told]) -> str:
        """`drama films`, or `films by Ann Lee` where the taste is in creators; nothing where it is in titles alone."""
        return self._kinds(labels(told, "likes_tag"), labels(told, "likes_creator"))

    def disliked(self, told: Sequence[Told]) -> str:
        """Likewise what is not liked."""
        return self._kinds(labels(told, "dislikes_tag"), labels(told, "dislikes_creator"))

    def tags(self, names: Sequence[str]) -> str:
        """Tags as a text lists them."""
        small = self.language.lower_tags
        return self.listed([self._name(name.lower() if small and not name.isupper() else name) for name in names])

    def quoted(self, titles: Sequence[str]) -> str:
        """Titles as a text lists them."""
        before, after = self.language.quotes
        return self.listed([f"{before}{shortened(fronted(title), self.longest)}{after}" for title in titles])

    def listed(self, words: Sequence[str]) -> str:
        """Nothing, `a`, `a and b`, `a, b and c`."""
        return self.language.last.join([self.language.between.join(words[:-1]), words[-1]] if len(words) > 1 else words)

    def _summary(self, told: Sequence[Told], n_events: int, key: str) -> str:
        likes, titles = self.liked(told), self.quoted(labels(told, "favourite"))
        dislikes, disliked = self.disliked(told), self.quoted(labels(told, "disliked"))
        newest = self.quoted(labels(told, "recent"))
        opening = "_".join(kind for kind, names in (("likes", likes), ("favourite", titles)) if names)
        parts = [self._say(opening, key, likes=likes, titles=titles)] if opening else []
        if newest:
            kind = "latest" if likes else "recent" if n_events > 1 else "recent_one"
            parts.append(self._say(kind, key, n=str(n_events), titles=newest))
        if dislikes or disliked:
            parts.append(self._say("dislikes" if dislikes else "disliked", key, dislikes=dislikes, titles=disliked))
        return " ".join([*parts, *self.asides(told, key)])

    def _explanation(self, told: Sequence[Told], key: str, popular: bool) -> str:
        titles, item = self.quoted(labels(told, "event")), self.quoted(labels(told, "recommended"))
        tags = self.tags(labels(told, "shared_tag"))
        alone = "popular" if popular else "recommended"
        kind = alone if not titles else "event_shared_tag" if tags else "event"
        return " ".join([self._say(kind, key, titles=titles, item=item, tags=tags), *self.asides(told, key)])

    def _say(self, kind: str, key: str, **names: str) -> str:
        """One of a sentence's variants, always the same for a key."""
        variants = self.sentences[kind]
        place = hashlib.sha256(f"{kind} {key}".encode()).digest()[0] % len(variants)
        text = variants[place].format(nouns=self.nouns, **names)
        return text[:1].upper() + text[1:]

    def _kinds(self, tags: Sequence[str], creators: Sequence[str]) -> str:
        """`drama and crime films`, `board games`: what is meant by tags that someone likes; else by creators."""
        ends = rf"\b{re.escape(self.noun)}$"
        if tags and self.language.lower_tags and re.search(ends, tags[-1].lower()):
            return self.tags([re.sub(ends, self.nouns, tag.lower()) for tag in tags])
        if tags:
            return self.language.tags.format(tags=self.tags(tags), nouns=self.nouns)
        names = self.listed([self._name(each) for each in creators])
        return self.language.creators.format(creators=names, nouns=self.nouns) if names else ""

    def _name(self, name: str) -> str:
        """A name without quotes, unless it needs them to stay inert."""
        plain = shortened(name, self.longest)
        return plain if inert(name) and inert(plain) else self.quoted([name])

    def _fitting(self, tell: Callable[[Prose], str]) -> str:
        text = tell(self)
        return text if len(text) <= MOST else tell(replace(self, longest=SHORTER))


@functools.cache
def load_prose(language: str, tone: str, noun: str) -> Prose:
    """The prose of a profile's `[words]` about what its `[items]` are called.

    Raises:
        PromptError: there is no such language, or its file is wrong.
    """
    found = load_language(language)
    return Prose(found, found.sentences(tone), noun)


def shortened(name: str, longest: int = LONGEST) -> str:
    """`name` as it stands in prompts (`in_place`), one that is too long with an ellipsis."""
    name = " ".join(in_place(name).split())
    return name if len(name) <= longest else f"{name[: longest - 1].rstrip()}…"
