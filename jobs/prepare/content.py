"""New items by what they are: each stands in for the items that it resembles.

An item is a vector of its tags and one of the words of its title and text: each tag or word weighs ln(items / items that have
it), each vector has length 1. The likeness of two items is the mean of both cosines, times 0.5 ^ (years apart / YEARS_HALF)
where both have a year. A new item b, one with fewer than NEW events, stands in for the LIKE others j it resembles most:

    share(b, j) = likeness(b, j) / sum of those LIKE likenesses
    w(a, b)     = sum over j of share(b, j) * w(a, j)             w of `cooccurrence`, of the first REACH neighbours of a
    w(b, c)     = FROM_NEW * sum over j of share(b, j) * w(j, c)  of those of j

The first brings a new item to users (source `content`), the second brings users who had it to others (`alike`); both are added
to what co-occurrence itself says of a new item.
What is missing (tags, a year, words) says nothing. All pairs are compared, in products of sparse matrices of BLOCK items each,
so that nothing of the catalogue's size is in one place. With every tenth of MovieLens' items hidden in turn (`evaluate.hidden`)
8 of 671 users find their hidden item in a list of ten, with a place kept for new items, 15 with two; LIKE of 3 to 10, REACH of
30 to 500 and YEARS_HALF of 2 to 20 find 7 or 8 and 9 to 15, tags without words 4 and 10. FROM_NEW was chosen on validation
events of the temporal split: ndcg@10 +.0018 (0 to +.0040); with .1, .25, 1 or 2 at most +.0011.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, GroupedData, Window
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix

from jobs.prepare.cooccurrence import NEIGHBOURS, neighbours

NEW = 5
LIKE = 5
REACH, STAND_INS = 30, 20  # STAND_INS are kept an item and source, the heaviest
FROM_NEW = 0.5
YEARS_HALF = 5.0
TEXT = 1000  # characters of a text that count
BLOCK = 2048
PLACES = 2**20  # that tags and words are hashed to


def reached(everyone: DataFrame, wanted: DataFrame, items: DataFrame) -> DataFrame:
    """`cooccurrence.neighbours` with what content adds: item_id, neighbour, source, weight, place by source.

    `everyone` is all events, `wanted` the items from which users are to reach others (one column `item_id`), `items` the
    catalogue. Co-occurrence is counted once: rows of what a wanted item resembles are there too.
    """
    like = likeness(items, everyone)
    if like is None:
        return neighbours(everyone, wanted)
    like = like.persist()  # LIKE rows a new item
    asking = like.join(wanted, "item_id", how="left_semi")
    near = neighbours(everyone, wanted.unionByName(asking.select(F.col("like").alias("item_id"))).distinct())
    new = F.collect_list(F.struct("item_id", "share"))
    by_other = like.groupBy(F.col("like").alias("neighbour")).agg(new.alias("stand_ins"))
    by_item = asking.groupBy("like").agg(new.alias("askers")).withColumnRenamed("like", "item_id")
    few = near.join(by_other, "neighbour", how="left").join(by_item, "item_id", how="left")
    item, neighbour = F.col("item_id"), F.col("neighbour")
    itself = F.array(_row(item, neighbour, F.lit(1.0), F.col("source")))
    to_new = F.transform("stand_ins", lambda each: _row(item, each["item_id"], each["share"], F.lit("content")))
    from_new = F.transform("askers", lambda each: _row(each["item_id"], neighbour, FROM_NEW * each["share"], F.lit("alike")))
    every = F.flatten(F.array_compact(F.array(itself, to_new, from_new)))
    rows = few.select("weight", F.explode(F.when(F.col("place") <= REACH, every).otherwise(itself)).alias("each"))
    other = rows.select("each.*", "weight").where(F.col("item_id") != F.col("neighbour"))
    billionths = F.round(F.col("share") * F.col("weight") * 1e9).cast("bigint")  # whose sum has no order
    summed = other.groupBy("item_id", "neighbour", "source").agg((F.sum(billionths) / 1e9).alias("weight"))
    heaviest = Window.partitionBy("item_id", "source").orderBy(F.desc("weight"), "neighbour")
    placed = summed.withColumn("place", F.row_number().over(heaviest))
    return placed.where(F.col("place") <= F.when(F.col("source") == "cooccurrence", NEIGHBOURS).otherwise(STAND_INS))


def _row(item: Column, neighbour: Column, share: Column, source: Column) -> Column:
    return F.struct(item.alias("item_id"), neighbour.alias("neighbour"), share.alias("share"), source.alias("source"))


def likeness(items: DataFrame, everyone: DataFrame) -> DataFrame | None:
    """item_id (a new one), like, share: the LIKE others that each new item resembles most; None where all or none are new."""
    counts = everyone.groupBy("item_id").agg(F.count("*").alias("n"))
    judged = items.join(counts, "item_id", how="left").withColumn("new", F.coalesce("n", F.lit(0)) < NEW)
    n_items = {row["new"]: row["count"] for row in judged.groupBy("new").count().collect()}
    if len(n_items) < 2:
        return None
    vectors = judged.select("item_id", "new", F.col("year").cast("double").alias("year")).join(
        _vectors(items, sum(n_items.values())), "item_id", how="inner"
    )
    alike = _paired(vectors, {new: -(-n // BLOCK) for new, n in n_items.items()}).applyInPandas(
        _most_alike, "item_id string, like string, alike double"
    )
    most = Window.partitionBy("item_id").orderBy(F.desc("alike"), "like")
    kept = alike.withColumn("place", F.row_number().over(most)).where(F.col("place") <= LIKE)
    all_of_it = F.sum(F.col("alike").cast("decimal(28, 6)")).over(Window.partitionBy("item_id")).cast("double")
    return kept.select("item_id", "like", (F.col("alike") / all_of_it).alias("share"))


def _vectors(items: DataFrame, n_items: int) -> DataFrame:
    """item_id, places, weights: a row for an item's tags and one for its words, without those that all items have."""
    words = F.split(F.lower(F.concat_ws(" ", "title", F.substring("text", 1, TEXT))), r"[^\p{L}\p{N}]+")
    kinds = F.create_map(F.lit("tag"), F.transform("tags", F.lower), F.lit("word"), words)
    lists = items.select("item_id", F.explode(kinds).alias("kind", "marks"))
    marks = lists.select("item_id", "kind", F.explode(F.array_distinct("marks")).alias("mark")).where("mark != ''")
    had = marks.groupBy("kind", "mark").agg(F.count("*").alias("n")).where(F.col("n") < n_items)
    place = F.pmod(F.xxhash64("kind", "mark"), F.lit(PLACES)).cast("int")
    mark = F.struct(place.alias("place"), F.log(F.lit(n_items) / F.col("n")).alias("weight"))
    rows = marks.join(had, ["kind", "mark"], how="inner").groupBy("item_id", "kind")
    vectors = rows.agg(F.array_sort(F.collect_list(mark)).alias("marks"))
    length = F.sqrt(F.aggregate("marks", F.lit(0.0), lambda so_far, each: so_far + each["weight"] * each["weight"]))
    weights = F.transform("marks", lambda each: each["weight"] / length)
    return vectors.select("item_id", F.col("marks.place").alias("places"), weights.alias("weights"))


def _paired(vectors: DataFrame, blocks: dict[bool, int]) -> GroupedData:
    """Every block of new items with every block of others; `blocks` has how many there are of which."""
    own = F.pmod(F.xxhash64("item_id"), F.when(F.col("new"), blocks[True]).otherwise(blocks[False])) + 1
    others = F.when(F.col("new"), blocks[False]).otherwise(blocks[True])
    pairs = vectors.select("*", own.alias("own"), F.explode(F.sequence(F.lit(1), others)).alias("other"))
    ends = [F.when(F.col("new") == new, F.col("own")).otherwise(F.col("other")) for new in (True, False)]
    return pairs.groupBy(ends[0].alias("b"), ends[1].alias("j"))


def _most_alike(block: pd.DataFrame) -> pd.DataFrame:
    """item_id, like, alike: the LIKE others that each new item of `block` resembles most there, in millionths."""
    b, j = block[block["new"]], block[~block["new"]]
    (b_ids, b_years, b_vectors), (j_ids, j_years, j_vectors) = _matrix(b), _matrix(j)
    nearness = np.nan_to_num(0.5 ** (np.abs(b_years[:, None] - j_years) / YEARS_HALF), nan=1.0)
    alike = np.round((b_vectors @ j_vectors.T).toarray() / 2 * nearness, 6)
    most = np.argsort(-alike, axis=1, kind="stable")[:, :LIKE]
    found = {"item_id": np.repeat(b_ids, most.shape[1]), "like": j_ids[most.ravel()]}
    rows = pd.DataFrame(found | {"alike": np.take_along_axis(alike, most, axis=1).ravel()})
    return rows[rows["alike"] > 0]


def _matrix(block: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, csr_matrix]:
    """Ids of a block's items in their order, their years, their vectors (items, PLACES)."""
    ids, first, numbers = np.unique(block["item_id"].to_numpy(object), return_index=True, return_inverse=True)
    places, weights = (np.concatenate([[], *block[name]]) for name in ("places", "weights"))
    cells = np.repeat(numbers, block["places"].map(len)), places.astype(int)
    return ids, block["year"].to_numpy()[first], csr_matrix((weights, cells), shape=(len(ids), PLACES))
