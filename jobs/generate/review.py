"""What people say of phrasings: a file of verdicts, which stand above the model's, and of sentences of their own.

`infra/nocturne phrasings` prints what the last night had in this form, YAML, an entry a phrasing:

    - pattern: explanation ABX liked      # the shape of the facts
      text: You liked {A} and {B}, so {X} may be next.
      use: true                           # or false
      why: reads well                     # anything; not needed

A phrasing that may be used has each placeholder of its pattern once and passes the checks with stand-in names, as every text
must that a night makes of it; what the model's likelihoods or the grammar of slots have against it does not count then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from jobs.errors import ProfileError
from jobs.generate.phrasebook import Pattern, Phrasing, every_pattern, unusable
from jobs.profile import Words

BY_HAND = "by hand"


class Verdict(BaseModel):
    """One entry of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: str
    text: Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]
    use: bool
    why: str = ""


def verdicts(words: Words) -> list[Verdict]:
    """The entries of a profile's file, none without one.

    Raises:
        ProfileError: the file cannot be read, or an entry is not as above; each is named.
    """
    file = words.file
    try:
        found = [Verdict.model_validate(entry) for entry in yaml.safe_load(words.reviewed) or []]
    except (yaml.YAMLError, ValidationError, TypeError) as error:
        raise ProfileError(f"words.phrasings: {file}: a list of pattern, text, use and why is needed: {error}") from error
    if wrong := [f"  {each.pattern}: {each.text}: {against}" for each in found if (against := _against(each))]:
        raise ProfileError("\n".join([f"words.phrasings: {file}:", *wrong]))
    return found


def reviewed(book: Mapping[Pattern, Sequence[Phrasing]], said: Iterable[Verdict]) -> dict[Pattern, list[Phrasing]]:
    """A book with the verdicts on its phrasings in place of the model's, and with those that only people have written."""
    shapes, found = by_name(), {pattern: {each.text: each for each in phrasings} for pattern, phrasings in book.items()}
    for each in said:
        if (pattern := shapes[each.pattern]) in found:
            written = found[pattern].get(each.text, Phrasing(each.text, None))
            against = () if each.use else (": ".join(filter(None, (BY_HAND, each.why))),)
            found[pattern][each.text] = Phrasing(each.text, written.generation_id, against)
    return {pattern: list(phrasings.values()) for pattern, phrasings in found.items()}


def by_name() -> dict[str, Pattern]:
    """Every pattern by the name that files and tables have for it."""
    return {pattern.about[1]: pattern for pattern in every_pattern()}


def _against(verdict: Verdict) -> str | None:
    pattern = by_name().get(verdict.pattern)
    if pattern is None:
        return f"no such pattern; there are {', '.join(by_name())}"
    return next(iter(unusable(pattern, verdict.text)), None) if verdict.use else None
