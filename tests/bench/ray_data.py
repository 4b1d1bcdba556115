"""Ray Data's LLM batches, for generate.py: prompts in the order of users through `build_processor`.

    python ray_data.py PROMPTS MODEL

PROMPTS is Parquet with `tail` and `tokens`, MODEL the profile's table as JSON. Ray loads the model within a run: seconds are
those of all prompts less those of one. The last line it prints is JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.generate.vllm_engine import ALWAYS, VllmEngine
from jobs.profile import Model
from tests.bench.generate import WRITTEN

ASKED = {"temperature": 0, "prompt_logprobs": 0, "detokenize": False, "skip_reading_prefix_cache": False}


def main() -> None:
    prompts, told = pq.read_table(sys.argv[1]), Model.model_validate_json(sys.argv[2])
    VllmEngine(told, "bench", lambda _: None)  # sets the CPU's environment
    import ray

    settings = {name: value for name, value in os.environ.items() if name.startswith(("VLLM_", "TORCH_", "PYTHONPATH"))}
    ray.init(num_cpus=4, include_dashboard=False, runtime_env={"env_vars": settings})
    loading = timed(prompts.slice(0, 1), told)
    print(json.dumps({"seconds": timed(prompts, told) - loading}))


def timed(prompts: pa.Table, told: Model) -> float:
    import ray
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    config = vLLMEngineProcessorConfig(
        model_source=told.location,
        engine_kwargs=ALWAYS | {"max_model_len": told.max_model_len} | told.options,
        placement_group_config={"bundles": [{"CPU": 1}]},
        log_engine_metrics=False,
        concurrency=1,
        chat_template_stage=False,
        tokenize_stage=False,
        detokenize_stage=False,
    )
    ask = build_processor(config, preprocess=request, postprocess=lambda row: {"tokens": row["num_generated_tokens"]})
    start = time.perf_counter()
    ask(ray.data.from_arrow(prompts)).materialize()
    return time.perf_counter() - start


def request(row: dict[str, Any]) -> dict[str, Any]:
    """The same keys in every row, none of them null: Ray keeps them as columns."""
    return {"tokenized_prompt": list(row["tokens"]), "sampling_params": ASKED | {"max_tokens": 1 if row["tail"] else WRITTEN}}


if __name__ == "__main__":
    main()
