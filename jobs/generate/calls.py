"""One call to a model: what determines its answer, how a prompt is made to fit, and how the answer is judged."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from unicodedata import category

import jsonschema

from jobs.generate.engine import Reply
from jobs.prompts import Message, Prompt

USABLE = ("ok", "repaired")
UNPAID = ("failed", "refused")  # no answer came: asked again as soon as somebody needs it
RULES = 2  # version of `fitted`, `judge` and REPAIR: a change of them is a change of every answer
REPAIR = "That is not valid: {reason} Answer again, with nothing but what was asked for."


@dataclass(frozen=True)
class Request:
    """A call about a user or, where every user asks the same, about an item."""

    prompt: Prompt
    model: str
    subject_type: str
    subject: str
    messages: tuple[Message, ...]
    tokens: tuple[int, ...]
    tail: tuple[int, ...] = ()  # the continuation to score
    labels: tuple[str, ...] = ()  # to choose among
    second: bool = False  # after an answer that was refused

    @cached_property
    def id(self) -> str:
        """sha256 over all that determines the answer; the same in every process.

        Of the prompt's file that is task, version, salt, sampling and output schema; its text is in the tokens.
        """
        sampling = self.prompt.sampling.model_dump() if self.prompt.sampling else None
        asked = [self.prompt.task, self.prompt.version, self.prompt.salt, sampling, self.prompt.output]
        parts = [RULES, self.model, self.tokens, self.tail, self.labels, *asked]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def room(self) -> int:
        """Tokens that must be free behind the prompt."""
        return self.prompt.sampling.max_tokens if self.prompt.sampling else len(self.tail) + 1


def fitted(
    prompt: Prompt, variables: dict[str, Any], encode: Callable[[tuple[Message, ...]], tuple[int, ...]], most: int
) -> tuple[tuple[Message, ...], tuple[int, ...]]:
    """The conversation and its tokens; above `most`, `history` loses as few whole events, oldest first, as make it fit.

    Where even the prompt without history is longer it is returned as it is, without history.
    """

    def without(events: int) -> tuple[tuple[Message, ...], tuple[int, ...]]:
        shorter = variables | {"history": variables["history"][events:]} if events else variables
        messages = prompt.render(**shorter)
        return messages, encode(messages)

    found = without(0)
    fits, history = len(found[1]) <= most, variables.get("history") or ()
    if fits or not history:
        return found
    lost, enough = 0, len(history)  # `lost` events are too few, `enough` suffice or are all there are
    found = without(enough)
    while enough - lost > 1:
        middle = (lost + enough) // 2
        tried = without(middle)
        if len(tried[1]) <= most:
            enough, found = middle, tried
        else:
            lost = middle
    return found


def judge(prompt: Prompt, reply: Reply) -> str:
    """The status of an answer: ok, invalid where it does not keep to the prompt's output schema, too_long or failed."""
    if reply.error is not None:
        return "failed"
    if reply.finish_reason == "too_long":
        return "too_long"
    return "ok" if objection(prompt, reply) is None else "invalid"


def objection(prompt: Prompt, reply: Reply) -> str | None:
    """Why an answer does not keep to the prompt's output schema; None where it does."""
    value: Any = reply.text
    if value is not None and not value.isprintable() and any(category(each) == "Cs" for each in value):
        return "it is not text (lone surrogates)."
    match prompt.task:
        case "score":
            value = reply.nats
        case "choose":
            value = reply.labels
        case "complete" if prompt.structured == "json":
            try:
                value = json.loads(reply.text or "")
            except ValueError as error:
                return f"it is not JSON ({error})."
            if any(category(each) == "Cs" for each in json.dumps(value, ensure_ascii=False)):
                return "it is not text (lone surrogates)."
    numbers = list(reply.labels.values()) if reply.labels else [reply.nats or 0.0]
    if not all(map(math.isfinite, numbers)):
        return "it is not a number."
    fault = next(jsonschema.Draft202012Validator(prompt.output).iter_errors(value), None)
    return f"{fault.message[:200]}." if fault else None


def written(reply: Reply) -> str | None:
    """An answer as `generations.output` keeps it."""
    if reply.labels is not None:
        return json.dumps(reply.labels)
    if reply.nats is not None:
        return repr(reply.nats)
    return encodable(reply.text)


def encodable(text: str | None) -> str | None:
    """Text that can be stored: lone surrogates become question marks."""
    return None if text is None else text.encode("utf-8", "replace").decode()
