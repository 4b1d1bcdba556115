"""New items by what they are: each stands in for the items that it resembles.

An item is a vector of its tags and one of the words of its title and text: each tag or word weighs ln(items / items that have
it), each vector has length 1. With `night.sentence_model` there is a third, of what title, tags and text mean (`sentences`).
The likeness of two items is the mean of the cosines, negative ones of a meaning as 0, times 0.5 ^ (years apart / years_half)
where both have a year. A new item b, one with fewer than NEW events, stands in for the `like` others j it resembles most:

    share(b, j) = likeness(b, j) / sum of those `like` likenesses
    w(a, b)     = to_new * sum over j of share(b, j) * w(a, j)    w of `cooccurrence`, of the first `reach` neighbours of a
    w(b, c)     = from_new * sum over j of share(b, j) * w(j, c)  of those of j

The first brings a new item to users (source `content`), the second brings users who had it to others (`alike`); both are added
to what co-occurrence itself says of a new item.
What is missing (tags, a year, words) says nothing. All pairs are compared, in products of sparse matrices of BLOCK items each,
so that no matrix has the catalogue's size. The numbers are those of a `Blend`; meanings find less than tags and words alone on
the sample (README), so there are none by default.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, GroupedData, Window
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix

from jobs.prepare.blend import BLEND, Blend
from jobs.prepare.sentences import TEXT, meanings

NEW = 5
STAND_INS = 20  # kept an item and source, the heaviest
BLOCK = 2048
PLACES = 2**20  # that tags and words are hashed to; what lies beyond is meaning
DIMENSIONS = 1024  # of a meaning, at most


def stand_ins(near: DataFrame, like: DataFrame, blend: Blend) -> DataFrame:
    """What content adds to `near`, in its columns (`cooccurrence.neighbours`); `like` as of `likeness`.

    A new item is found by any item of `near`, and finds something where `near` has a row of what it resembles.
    """
    firsts = F.slice(F.arrays_zip("neighbours", "weights"), 1, blend.reach)
    few = near.select("number", F.explode(firsts).alias("each")).select(
        F.col("number").alias("a"), F.col("each.neighbours").alias("b"), F.col("each.weights").alias("weight")
    )
    new, share = F.col("number"), F.col("share")
    to_new = few.join(like, F.col("b") == F.col("like"), how="inner").select(
        "a", new.alias("b"), blend.to_new * share * F.col("weight")
    )
    from_new = few.join(like, F.col("a") == F.col("like"), how="inner").select(
        new.alias("a"), "b", blend.from_new * share * F.col("weight")
    )
    return _heaviest(to_new, "content").unionByName(_heaviest(from_new, "alike"))


def _heaviest(rows: DataFrame, source: str) -> DataFrame:
    """The STAND_INS heaviest of each item; `rows` has a, b, and a weight that is added up."""
    other = rows.toDF("a", "b", "weight").where(F.col("a") != F.col("b"))
    billionths = F.round(F.col("weight") * 1e9).cast("bigint")  # whose sum has no order
    summed = other.groupBy("a", "b").agg(F.sum(billionths).alias("weight"))
    ordered = F.array_sort(F.collect_list(F.struct((-F.col("weight")).alias("order"), "b")))
    best = summed.groupBy(F.col("a").alias("number")).agg(F.slice(ordered, 1, STAND_INS).alias("best"))
    weights = F.transform("best.order", lambda each: -each / 1e9)
    return best.select("number", F.lit(source).alias("source"), F.col("best.b").alias("neighbours"), weights.alias("weights"))


def likeness(catalogue: DataFrame, events: DataFrame, sentence_model: str | None, blend: Blend = BLEND) -> DataFrame | None:
    """number (of a new item), like, share: the others that each new item resembles most; None where all or none are new.

    `catalogue` has items with their `number`, `events` a `number` each; `sentence_model` is the folder of one.
    """
    counts = events.groupBy("number").agg(F.count("*").alias("n"))
    judged = catalogue.join(counts, "number", how="left").withColumn("new", F.coalesce("n", F.lit(0)) < NEW)
    n_items = {row["new"]: row["count"] for row in judged.groupBy("new").count().collect()}
    if len(n_items) < 2:
        return None
    kinds = _vectors(catalogue, sum(n_items.values()))
    if sentence_model:
        kinds = kinds.unionByName(_meanings(catalogue, sentence_model))
    vectors = judged.select("number", "new", F.col("year").cast("double").alias("year")).join(kinds, "number", how="inner")
    alike = _paired(vectors, {new: -(-n // BLOCK) for new, n in n_items.items()}).applyInPandas(
        lambda block: _most_alike(block, blend), "number int, like int, alike double"
    )
    most = Window.partitionBy("number").orderBy(F.desc("alike"), "like")
    kept = alike.withColumn("place", F.row_number().over(most)).where(F.col("place") <= blend.like)
    all_of_it = F.sum(F.col("alike").cast("decimal(28, 6)")).over(Window.partitionBy("number")).cast("double")
    return kept.select("number", "like", (F.col("alike") / all_of_it).alias("share"))


def _vectors(catalogue: DataFrame, n_items: int) -> DataFrame:
    """number, places, weights: a row for an item's tags and one for its words, without those that all items have."""
    words = F.split(F.lower(F.concat_ws(" ", "title", F.substring("text", 1, TEXT))), r"[^\p{L}\p{N}]+")
    kinds = F.create_map(F.lit("tag"), F.transform("tags", F.lower), F.lit("word"), words)
    lists = catalogue.select("number", F.explode(kinds).alias("kind", "marks"))
    marks = lists.select("number", "kind", F.explode(F.array_distinct("marks")).alias("mark")).where("mark != ''")
    had = marks.groupBy("kind", "mark").agg(F.count("*").alias("n")).where(F.col("n") < n_items)
    place = F.pmod(F.xxhash64("kind", "mark"), F.lit(PLACES)).cast("int")
    mark = F.struct(place.alias("place"), F.log(F.lit(n_items) / F.col("n")).alias("weight"))
    rows = marks.join(had, ["kind", "mark"], how="inner").groupBy("number", "kind")
    vectors = rows.agg(F.array_sort(F.collect_list(mark)).alias("marks"))
    length = F.sqrt(F.aggregate("marks", F.lit(0.0), lambda so_far, each: so_far + each["weight"] * each["weight"]))
    weights = F.transform("marks", lambda each: each["weight"] / length)
    return vectors.select("number", F.col("marks.place").alias("places"), weights.alias("weights"))


def _meanings(catalogue: DataFrame, sentence_model: str) -> DataFrame:
    """The same columns: the places of meanings are those after all others."""
    places = F.transform("meaning", lambda _, place: (place + PLACES).cast("int"))
    return meanings(catalogue, sentence_model).select("number", places.alias("places"), F.col("meaning").alias("weights"))


def _paired(vectors: DataFrame, blocks: dict[bool, int]) -> GroupedData:
    """Every block of new items with every block of others; `blocks` has how many there are of which."""
    own = F.pmod(F.xxhash64("number"), F.when(F.col("new"), blocks[True]).otherwise(blocks[False])) + 1
    others = F.when(F.col("new"), blocks[False]).otherwise(blocks[True])
    pairs = vectors.select("*", own.alias("own"), F.explode(F.sequence(F.lit(1), others)).alias("other"))
    ends = [F.when(F.col("new") == new, F.col("own")).otherwise(F.col("other")) for new in (True, False)]
    return pairs.groupBy(ends[0].alias("b"), ends[1].alias("j"))


def _most_alike(block: pd.DataFrame, blend: Blend) -> pd.DataFrame:
    """number, like, alike: the others that each new item of `block` resembles most there, in millionths."""
    b, j = block[block["new"]], block[~block["new"]]
    (b_numbers, b_years, b_vectors), (j_numbers, j_years, j_vectors) = _matrix(b), _matrix(j)
    nearness = np.nan_to_num(0.5 ** (np.abs(b_years[:, None] - j_years) / blend.years_half), nan=1.0)
    cosines, kinds = (b_vectors[:, :PLACES] @ j_vectors[:, :PLACES].T).toarray(), 2
    if b_vectors.indices.max(initial=0) >= PLACES:
        cosines, kinds = cosines + np.maximum(_dense(b_vectors) @ _dense(j_vectors).T, 0), 3
    alike = np.round(cosines / kinds * nearness, 6)
    width = alike.shape[1]
    order = np.arange(width) - np.rint(alike * 1e6).astype(np.int64) * width  # by number among equals
    most = np.argpartition(order, min(blend.like, width) - 1, axis=1)[:, : blend.like]
    found = {"number": np.repeat(b_numbers, most.shape[1]), "like": j_numbers[most.ravel()]}
    rows = pd.DataFrame(found | {"alike": np.take_along_axis(alike, most, axis=1).ravel()})
    return rows[rows["alike"] > 0]


def _matrix(block: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, csr_matrix]:
    """Numbers of a block's items in their order, their years, their vectors (items, PLACES + DIMENSIONS)."""
    numbers, first, rows = np.unique(block["number"].to_numpy(), return_index=True, return_inverse=True)
    places, weights = (np.concatenate([[], *block[name]]) for name in ("places", "weights"))
    cells = np.repeat(rows, block["places"].map(len)), places.astype(int)
    return numbers, block["year"].to_numpy()[first], csr_matrix((weights, cells), shape=(len(numbers), PLACES + DIMENSIONS))


def _dense(vectors: csr_matrix) -> np.ndarray:
    """Meanings."""
    return vectors[:, PLACES:].toarray()
