"""vLLM inside Spark, for generate.py: one barrier task loads the model and hands each Arrow batch of prompts to `LLM.generate`.

    python map_in_arrow.py PROMPTS MODEL

runs in the spark runtime, its Python worker (PYSPARK_PYTHON) in the llm runtime. PROMPTS is Parquet with `tail` and
`tokens` in the order of users, MODEL the profile's table as JSON. The last line it prints is what was measured, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession


def main() -> None:
    prompts, model = sys.argv[1:]

    def generate(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tests.bench.generate import lists

        yield pa.RecordBatch.from_pydict({"told": [json.dumps(lists(model, batches))]})

    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", False).getOrCreate()
    found = spark.read.parquet(prompts).coalesce(1).mapInArrow(generate, "told string", barrier=True).collect()
    print(found[0]["told"])


if __name__ == "__main__":
    main()
