"""What items' texts mean: a vector each of a static sentence model, by Model2Vec in Spark's workers, without torch.

A model is a folder that every executor sees: `infra/bootstrap` makes one of MiniLM-L6-v2, Model2Vec publishes others, for many
languages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.errors import ProfileError

if TYPE_CHECKING:
    from model2vec import StaticModel

TEXT = 1000  # characters of a text that count


def meanings(catalogue: DataFrame, folder: str) -> DataFrame:
    """number, meaning: a vector of length 1 of title, tags and text of each item; `catalogue` has items with their `number`.

    Raises:
        ProfileError: there is no model in `folder`.
    """
    if not (Path(folder) / "model.safetensors").is_file():
        raise ProfileError(f"night.sentence_model: no Model2Vec model in {folder}; infra/bootstrap makes one")

    def encoded(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            vectors = model(folder).encode(batch["text"].tolist(), use_multiprocessing=False).astype(float)
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
            yield pd.DataFrame({"number": batch["number"], "meaning": list(unit)})

    text = F.concat_ws(". ", "title", F.concat_ws(", ", "tags"), F.substring("text", 1, TEXT))
    return catalogue.select("number", text.alias("text")).mapInPandas(encoded, "number int, meaning array<double>")


@cache
def model(folder: str) -> StaticModel:
    """Read once a worker."""
    from model2vec import StaticModel

    return StaticModel.from_pretrained(folder)
