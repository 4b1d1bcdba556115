"""vLLM in this process: its own step loop, driven by asyncio, so that finished requests free their place at once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from functools import cached_property
from itertools import count
from typing import Any

from jobs.generate.engine import EngineDown, Reply
from jobs.generate.tokens import Tokenizer
from jobs.profile import Model
from jobs.prompts import Message, Sampling

GPU = "/dev/nvidiactl"  # is there where NVIDIA's driver is
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
TURNS = 8  # of the loop between two steps: an answer passes through as many tasks until its program asks again


class VllmEngine:
    """Implements `Engine`. The model is loaded by the first request that needs it."""

    def __init__(self, model: Model, digest: str, on_load: Callable[[str], None]) -> None:
        self.model = digest
        self.max_model_len = model.max_model_len
        self.beats = 0
        self._settings = model
        self._tokenizer = Tokenizer(model)
        self._on_load = on_load
        self._ids = count()
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._warmed: dict[tuple[int, ...], asyncio.Future[Any]] = {}
        self._driver: asyncio.Task[None] | None = None
        if not os.path.exists(GPU):
            for name, value in CPU.items():  # before anything imports torch, which reads them once
                os.environ.setdefault(name, value)
            os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", _all_cores())

    @cached_property
    def _engine(self) -> Any:
        start = time.perf_counter()
        options = ALWAYS | {"max_model_len": self.max_model_len} | self._settings.options
        try:
            from vllm import LLM

            llm = LLM(model=self._settings.location, revision=self._settings.revision, **options)
        except Exception as error:
            raise EngineDown(f"the model {self._settings.location} could not be loaded: {error}") from error
        self.beats += 1
        self._on_load(f"model loaded in {time.perf_counter() - start:.0f} s")
        return llm.llm_engine

    @property
    def kv_tokens(self) -> int:
        cache = self._engine.vllm_config.cache_config
        return int(cache.num_gpu_blocks * cache.block_size)

    @property
    def slots(self) -> int:
        return int(self._engine.vllm_config.scheduler_config.max_num_seqs)

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        return self._tokenizer.encode(messages)

    def encode_text(self, text: str) -> tuple[int, ...]:
        return self._tokenizer.encode_text(text)

    async def complete(self, prompt: tuple[int, ...], sampling: Sampling, schema: dict[str, Any]) -> Reply:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        structured = None
        if schema.get("type") == "object":
            structured = StructuredOutputsParams(json=schema)
        elif "enum" in schema:
            structured = StructuredOutputsParams(choice=schema["enum"])
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
        """Reads the prefix from the cache. Where a cached block ends with the prompt, the first token's likelihood comes from
        a step of its own; where one reaches into the continuation, everything is computed anew."""
        beside = await self._warm(prompt)  # tokens that are computed for this score by other requests
        output = await self._submit(prompt + continuation, self._scoring(cached=True))
        if not isinstance(output, Reply) and (output.num_cached_tokens or 0) > len(prompt):
            output = await self._submit(prompt + continuation, self._scoring(cached=False))
        if isinstance(output, Reply):
            return output
        ends = output.num_cached_tokens == len(prompt)  # then what the prompt's last token leads to was not computed
        steps = [(len(prompt) + place, token) for place, token in enumerate(continuation)][ends:]
        nats = sum(output.prompt_logprobs[place][token].logprob for place, token in steps)
        if ends:
            first = await self._submit(prompt, self._one_step([continuation[0]]))
            if isinstance(first, Reply):
                return first
            beside += len(prompt) - (first.num_cached_tokens or 0)
            nats += first.outputs[0].logprobs[0][continuation[0]].logprob
        return Reply(
            nats=nats,
            finish_reason=output.outputs[0].finish_reason,
            prompt_tokens=len(prompt) + len(continuation),
            cached_tokens=max(0, (output.num_cached_tokens or 0) - beside),
            output_tokens=1,
        )

    async def choose(self, prompt: tuple[int, ...], labels: tuple[str, ...]) -> Reply:
        tokens = [self.encode_text(label) for label in labels]
        if long := [label for label, ids in zip(labels, tokens, strict=True) if len(ids) != 1]:
            return Reply(error=f"labels must be one token each; {long[0]!r} is not")
        ids = [token for (token,) in tokens]
        if len(set(ids)) < len(ids):
            return Reply(error=f"labels must differ as tokens: {', '.join(labels)}")
        output = await self._submit(prompt, self._one_step(ids))
        if isinstance(output, Reply):
            return output
        (answer,) = output.outputs
        return Reply(
            labels={label: answer.logprobs[0][token].logprob for label, token in zip(labels, ids, strict=True)},
            finish_reason=answer.finish_reason,
            prompt_tokens=len(prompt),
            cached_tokens=output.num_cached_tokens or 0,
            output_tokens=1,
        )

    async def _warm(self, prompt: tuple[int, ...]) -> int:
        """Prefill `prompt` once: requests that start together would each compute it, and its logprobs as well.

        Returns the tokens that were computed for whoever came first, else 0.
        """
        first = prompt not in self._warmed
        if first:
            from vllm import SamplingParams

            filling = self._submit(prompt, SamplingParams(temperature=0, max_tokens=1, detokenize=False))
            self._warmed[prompt] = asyncio.ensure_future(filling)
            if len(self._warmed) > WARMED:
                del self._warmed[next(iter(self._warmed))]
        try:
            output = await asyncio.shield(self._warmed[prompt])
        except Exception:
            self._warmed.pop(prompt, None)
            raise
        return len(prompt) - (output.num_cached_tokens or 0) if first and not isinstance(output, Reply) else 0

    def _scoring(self, cached: bool) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            temperature=0, max_tokens=1, prompt_logprobs=0, detokenize=False, skip_reading_prefix_cache=not cached
        )

    def _one_step(self, ids: list[int]) -> Any:
        from vllm import SamplingParams

        return SamplingParams(temperature=0, max_tokens=1, allowed_token_ids=ids, logprob_token_ids=ids, detokenize=False)

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
                    self.beats += 1
                    future = self._waiting.pop(output.request_id, None) if output.finished else None
                    if future and not future.done():  # nobody waits where a program was cancelled
                        future.set_result(output)
                for _ in range(TURNS):
                    await asyncio.sleep(0)
        except Exception as error:
            waiting, self._waiting = self._waiting, {}
            for future in waiting.values():
                if not future.done():
                    future.set_exception(EngineDown(f"the engine died: {type(error).__name__}: {error}"))


def _all_cores() -> str:
    return ",".join(map(str, sorted(os.sched_getaffinity(0))))
