"""vLLM in this process: its own step loop, driven by asyncio, so that finished requests free their place at once."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections.abc import Callable
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from jobs.errors import ProfileError
from jobs.generate.engine import EngineDown, Reply
from jobs.profile import Model
from jobs.prompts import Message, Sampling

CPU = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # loads in 7 s instead of 37
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "TORCH_COMPILE_DISABLE": "1",  # first logprob call .2 s instead of 23
}
ALWAYS: dict[str, Any] = {
    "enable_prefix_caching": True,
    "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
    "disable_log_stats": True,
}
WARMED = 256  # prefixes remembered as prefilled
PLACEHOLDER = "\ue000{}\ue001"  # private use characters; where a message's content goes


class VllmEngine:
    """Implements `Engine`. The tokenizer is read at once, the model with the first request that needs it."""

    def __init__(self, model: Model, digest: str, on_load: Callable[[str], None]) -> None:
        self.model = digest
        self.max_model_len = model.max_model_len
        self._settings = model
        self._on_load = on_load
        self._ids = count()
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._frames: dict[tuple[str, ...], list[str]] = {}
        self._warmed: dict[tuple[int, ...], asyncio.Future[Any]] = {}
        self._driver: asyncio.Task[None] | None = None
        for name, value in CPU.items():  # before anything imports torch, which reads them once
            os.environ.setdefault(name, value)
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", _all_cores())

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self._settings.location, revision=self._settings.revision)

    @cached_property
    def _engine(self) -> Any:
        start = time.perf_counter()
        options = ALWAYS | {"max_model_len": self.max_model_len} | self._settings.options
        try:
            from vllm import LLM

            llm = LLM(model=self._settings.location, revision=self._settings.revision, **options)
        except Exception as error:
            raise EngineDown(f"the model {self._settings.location} could not be loaded: {error}") from error
        self._on_load(f"model loaded in {time.perf_counter() - start:.0f} s")
        return llm.llm_engine

    def _frame(self, roles: tuple[str, ...]) -> list[str]:
        """The chat template's own text around the contents of a conversation with these roles."""
        if roles not in self._frames:
            marks = [PLACEHOLDER.format(place) for place in range(len(roles))]
            turns = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
            whole = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            self._frames[roles] = re.split("|".join(marks), whole)
        return self._frames[roles]

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        turns = [message for message in messages if message.content or message.role != "assistant"]
        parts = self._frame(tuple(message.role for message in turns))
        ids = self._special(parts[0])
        for message, part in zip(turns, parts[1:], strict=True):
            ids += [*self.encode_text(message.content), *self._special(part)]
        return tuple(ids)

    def encode_text(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def decode(self, tokens: tuple[int, ...]) -> str:
        """Tokens as the text they stand for, special ones included."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False)

    def _special(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    async def complete(self, prompt: tuple[int, ...], sampling: Sampling, schema: dict[str, Any]) -> Reply:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        structured = StructuredOutputsParams(json=schema) if schema.get("type") == "object" else None
        params = SamplingParams(**sampling.model_dump(), structured_outputs=structured)
        output = await self._submit(prompt, params)
        if isinstance(output, Reply):
            return output
        (answer,) = output.outputs
        return Reply(
            text=answer.text.strip(),
            finish_reason=answer.finish_reason,
            prompt_tokens=len(prompt),
            cached_tokens=output.num_cached_tokens or 0,
            output_tokens=len(answer.token_ids),
        )

    async def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> Reply:
        """Reads the prefix from the cache; computes it anew where a cached block reaches into the continuation."""
        await self._warm(prompt)
        output = await self._submit(prompt + continuation, self._scoring(cached=True))
        if not isinstance(output, Reply) and (output.num_cached_tokens or 0) >= len(prompt):
            output = await self._submit(prompt + continuation, self._scoring(cached=False))
        if isinstance(output, Reply):
            return output
        positions = range(len(prompt), len(prompt) + len(continuation))
        nats = sum(output.prompt_logprobs[place][token].logprob for place, token in zip(positions, continuation, strict=True))
        return Reply(
            nats=nats,
            finish_reason=output.outputs[0].finish_reason,
            prompt_tokens=len(prompt) + len(continuation),
            cached_tokens=output.num_cached_tokens or 0,
            output_tokens=1,
        )

    async def _warm(self, prompt: tuple[int, ...]) -> None:
        """Prefill `prompt` once: requests that start together would each compute it, and its logprobs as well."""
        if prompt not in self._warmed:
            from vllm import SamplingParams

            filling = self._submit(prompt, SamplingParams(temperature=0, max_tokens=1, detokenize=False))
            self._warmed[prompt] = asyncio.ensure_future(filling)
            if len(self._warmed) > WARMED:
                del self._warmed[next(iter(self._warmed))]
        try:
            await self._warmed[prompt]
        except BaseException:
            self._warmed.pop(prompt, None)
            raise

    def _scoring(self, cached: bool) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            temperature=0, max_tokens=1, prompt_logprobs=0, detokenize=False, skip_reading_prefix_cache=not cached
        )

    async def _submit(self, tokens: tuple[int, ...], params: Any) -> Any:
        """Add one request and wait for it; a request that vLLM refuses is a Reply with its error."""
        engine = self._engine
        from vllm.exceptions import VLLMValidationError

        name = str(next(self._ids))
        try:
            engine.add_request(name, {"prompt_token_ids": list(tokens)}, params)
        except (VLLMValidationError, ValueError) as error:
            return Reply(prompt_tokens=len(tokens), error=str(error).splitlines()[0])
        future = self._waiting[name] = asyncio.get_running_loop().create_future()
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive())
        return await future

    async def _drive(self) -> None:
        """Step while anything waits; between steps the programs run and add what they want next."""
        try:
            while self._waiting:
                for output in self._engine.step():
                    future = self._waiting.pop(output.request_id, None) if output.finished else None
                    if future and not future.done():  # nobody waits where a step had failed or a program was cancelled
                        future.set_result(output)
                for _ in range(3):  # an answer passes through as many awaits until its program asks again
                    await asyncio.sleep(0)
        except Exception as error:
            waiting, self._waiting = self._waiting, {}
            for future in waiting.values():
                if not future.done():
                    future.set_exception(error)


def _all_cores() -> str:
    return ",".join(map(str, sorted(os.sched_getaffinity(0))))


def model_digest(model: Model) -> str:
    """sha256 over the weights of a local model, kept beside them once known; name and revision of any other."""
    folder = Path(model.location)
    if model.path is None:
        return model.identity
    stored = folder / "digest"
    if not stored.is_file():
        weights = sorted(file for kind in ("*.safetensors", "*.bin", "*.gguf") for file in folder.glob(kind))
        if not weights:
            raise ProfileError(f"model.path: no weights in {folder}; infra/bootstrap makes the demo's model")
        digest = hashlib.sha256()
        for file in weights:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        stored.write_text(digest.hexdigest() + "\n")
    return stored.read_text().strip()
