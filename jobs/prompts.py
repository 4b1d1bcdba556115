"""The prompts in prompts/: YAML front matter (what is asked, how it is sampled), then a Jinja2 body in sections.

A body is a conversation: a line `# system`, `# user` or `# assistant` begins a message. Sections are cut before anything
is filled in, so a title that contains such a line stays text. Undefined variables and unknown front-matter keys are errors.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Literal

import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.errors import PromptError
from jobs.home import PROMPTS

SECTION = re.compile(r"^# (system|user|assistant)\s*$", re.MULTILINE)
ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


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
    """One file of prompts/. `output` is the answer's JSON schema; for `score` the body ends where the continuation starts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: int = Field(ge=1)
    task: Literal["complete", "score"]
    output: dict[str, Any]
    sampling: Sampling | None = None
    body: str

    def render(self, **variables: Any) -> tuple[Message, ...]:
        """The conversation, filled in.

        Raises:
            PromptError: the body needs a variable that is not given.
        """
        parts = SECTION.split(self.body)
        try:
            texts = [ENVIRONMENT.from_string(text).render(**variables).strip() for text in parts[2::2]]
        except TemplateError as error:
            raise PromptError(f"prompts/{self.name}.md: {error}; given: {', '.join(sorted(variables))}") from error
        return tuple(Message(role, text) for role, text in zip(parts[1::2], texts, strict=True))


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
        for text in sections[1::2]:
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
def prompts_digest() -> str:
    """Hash of all prompts: part of every context's hash, so that an edited prompt reaches every user."""
    prompts = [load_prompt(name).model_dump() for name in prompt_names()]
    return hashlib.sha256(json.dumps(prompts, sort_keys=True).encode()).hexdigest()
