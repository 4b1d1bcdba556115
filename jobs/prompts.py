"""The prompts in prompts/: YAML front matter (what is asked, how it is sampled), then a Jinja2 body in sections.

A body is a conversation: a line `# system`, `# user` or `# assistant` begins a message. Sections are cut before anything
is filled in, so a title that contains such a line stays text. Undefined variables and unknown front-matter keys are errors.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from unicodedata import category

import yaml
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.errors import PromptError
from jobs.home import PROMPTS

SECTION = re.compile(r"^# (system|user|assistant)\s*$", re.MULTILINE)
LONGEST = 600  # characters that one value may fill in


def in_place(value: Any) -> Any:
    """A value as it stands in a prompt: on one line, without characters that are not seen, and not endless.

    Unseen are Unicode's control and format characters: bidirectional marks, zero-width ones but the joiner of emoji
    and of scripts that need it, byte order marks, tags.
    """
    if not isinstance(value, str) or (value.isprintable() and "  " not in value and len(value) <= LONGEST):
        return value
    line = re.sub(r"\s+", " ", value)
    seen = "".join(each for each in line if each in JOINERS or category(each) not in ("Cc", "Cf", "Cs", "Co"))
    return seen if len(seen) <= LONGEST else f"{seen[: LONGEST - 1].rstrip()}…"


JOINERS = "\u200c\u200d"
ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=in_place)


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


class Sampling(BaseModel):
    """How an answer is drawn; temperature 0 is greedy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(default=0.0, ge=0)
    max_tokens: int = Field(ge=1)
    stop: list[str] = []
    repetition_penalty: float = Field(default=1.0, gt=0)
    seed: int = 0


class Prompt(BaseModel):
    """One file of prompts/. `output` is the answer's JSON schema; for `score` the body ends where the continuation starts.

    Another `version` or `salt` asks everyone again; a salt is for asking again what has not changed. With `again` an answer
    that the checks refuse is asked for once more: it is what the model is then told, with their `reasons`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: int = Field(ge=1)
    task: Literal["complete", "score", "choose"]
    output: dict[str, Any]
    sampling: Sampling | None = None
    salt: str = ""
    again: str = ""
    body: str

    @property
    def structured(self) -> Literal["json", "choice"] | None:
        """How `output` constrains what a completion may be: JSON of that shape, one of some strings, or any text."""
        if self.task != "complete":
            return None
        return "json" if self.output.get("type") == "object" else "choice" if "enum" in self.output else None

    def render(self, **variables: Any) -> tuple[Message, ...]:
        """The conversation, filled in.

        Raises:
            PromptError: the body needs a variable that is not given.
        """
        parts = SECTION.split(self.body)
        return tuple(Message(role, self._filled(text, variables)) for role, text in zip(parts[1::2], parts[2::2], strict=True))

    def objection(self, reasons: Sequence[str]) -> Message:
        """What the model is told of an answer that the checks refused."""
        return Message("user", self._filled(self.again, {"reasons": reasons}))

    def _filled(self, text: str, variables: dict[str, Any]) -> str:
        try:
            return _template(text).render(**variables).strip()
        except TemplateError as error:
            raise PromptError(f"prompts/{self.name}.md: {error}; given: {', '.join(sorted(variables))}") from error


@functools.cache
def _template(text: str) -> Template:
    return ENVIRONMENT.from_string(text)


@functools.cache
def load_prompt(name: str) -> Prompt:
    """The prompt of that name.

    Raises:
        PromptError: there is no such file, or it is not as this module says.
    """
    file = PROMPTS / f"{name}.md"
    if not file.is_file():
        raise PromptError(f"prompts/: no prompt {name!r}; there are {', '.join(prompt_names())}")
    start, *parts = re.split(r"^---\n", file.read_text(encoding="utf-8"), maxsplit=2, flags=re.MULTILINE)
    if start or len(parts) != 2:
        raise PromptError(f"{file.name}: front matter between two lines `---` must come first")
    prompt = _parse(file.name, *parts)
    if prompt.name != name or (prompt.task == "complete") != (prompt.sampling is not None):
        raise PromptError(f"{file.name}: name must be {name!r}, and sampling is needed exactly for task complete")
    return prompt


def _parse(file: str, front: str, body: str) -> Prompt:
    try:
        prompt = Prompt.model_validate({**yaml.safe_load(front), "body": body})
        before, *sections = SECTION.split(body)
        for text in (*sections[1::2], prompt.again):
            ENVIRONMENT.parse(text)
    except (ValidationError, TypeError, yaml.YAMLError) as error:
        raise PromptError(f"{file}: front matter: {error}") from error
    except TemplateError as error:
        raise PromptError(f"{file}: {error}") from error
    if before.strip() or not sections:
        raise PromptError(f"{file}: the body must begin with a line `# system`, `# user` or `# assistant`")
    return prompt


def prompt_names() -> list[str]:
    return sorted(file.stem for file in PROMPTS.glob("*.md"))


@functools.cache
def prompt_digest(name: str) -> str:
    """Hash of a prompt's file as it is understood."""
    return hashlib.sha256(json.dumps(load_prompt(name).model_dump(), sort_keys=True).encode()).hexdigest()
