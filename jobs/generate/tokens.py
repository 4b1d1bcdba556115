"""Conversations as a model's tokens, by its own chat template; no message can leave its place."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import Any

from jobs.profile import Model
from jobs.prompts import Message

ENCODED = 1024  # texts whose tokens are kept: a user's calls share most of theirs, and are rehearsed before they are made
PLACEHOLDER = "\ue000{}\ue001"  # private use characters; where a message's content goes


class Tokenizer:
    """The tokenizer of a profile's model, read when it is first needed."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.encode_text = lru_cache(ENCODED)(self._encode_text)
        self._frames: dict[tuple[str, ...], list[list[int]]] = {}

    @cached_property
    def inner(self) -> Any:
        """transformers' tokenizer."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self._model.location, revision=self._model.revision)

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        """See `Engine.encode`."""
        turns = [message for message in messages if message.content or message.role != "assistant"]
        first, *parts = self._frame(tuple(message.role for message in turns))
        ids = list(first)
        for message, part in zip(turns, parts, strict=True):
            ids += [*self.encode_text(message.content), *part]
        return tuple(ids)

    def _encode_text(self, text: str) -> tuple[int, ...]:
        """See `Engine.encode_text`."""
        return tuple(self.inner(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def decode(self, tokens: tuple[int, ...]) -> str:
        """Tokens as the text they stand for, special ones included."""
        return str(self.inner.decode(list(tokens), skip_special_tokens=False))

    def _frame(self, roles: tuple[str, ...]) -> list[list[int]]:
        """The chat template's own tokens around the contents of a conversation with these roles."""
        if roles not in self._frames:
            marks = [PLACEHOLDER.format(place) for place in range(len(roles))]
            turns = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
            whole = self.inner.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            texts = re.split("|".join(marks), whole)
            self._frames[roles] = [list(self.inner(text, add_special_tokens=False)["input_ids"]) for text in texts]
        return self._frames[roles]
