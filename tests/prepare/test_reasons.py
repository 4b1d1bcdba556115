"""What user and candidates have in common, and what is new, by hand."""

from pyspark.sql import functions as F

from jobs.prepare.histories import describe, user_histories
from jobs.prepare.labels import everyones
from jobs.prepare.reasons import lifts, tags_had, with_reasons
from jobs.profile import Night
from tests.prepare.logs import events, items

ITEMS = [
    ("a", ["x"], None, None, ["Ann"]),
    ("b", ["x", "y"], None, None, ["Ann", "x"]),
    ("c", ["z"]),
    ("new", ["w", "x", "z", "v"], None, None, ["Ann", "x"]),
    ("other", ["y", "w"]),
]


def reasons(spark, log, offered: dict[str, list[str]], length: int = 50) -> dict[str, tuple]:
    """common as (of, label, lift) and unseen by user, where these items are offered."""
    catalogue, log = items(spark, *ITEMS), events(spark, *log)
    described = describe(log, catalogue)
    histories = user_histories(described, None, Night(history_length=length), "s")
    listed = spark.createDataFrame(
        [(user, item) for user, names in offered.items() for item in names], "user_id string, item_id string"
    )
    about = listed.join(catalogue, "item_id", how="inner").groupBy("user_id")
    best = about.agg(F.array_sort(F.collect_list(F.struct("item_id", "tags", "creators"))).alias("candidates"))
    rows = histories.join(best, "user_id", how="left").withColumn("candidates", F.coalesce("candidates", F.array()))
    everyone = everyones(described, catalogue)
    rows = with_reasons(rows, lifts(histories, everyone), tags_had(histories, described)).collect()
    return {row["user_id"]: ([tuple(each) for each in row["common"]], row["unseen"]) for row in rows}


def test_by_hand(spark):
    # of six events 4 have the tag x, 4 Ann, 2 the creator x, 2 z; u likes a and b
    log = [("u", "a", 5), ("u", "b", 5), ("u", "c", 1), ("v", "a"), ("v", "b"), ("v", "c")]
    found = reasons(spark, log, {"u": ["new", "other"], "v": ["new"]})
    assert found["u"] == (
        [("creator", "Ann", 1.5), ("creator", "x", 1.5), ("tag", "x", 1.5), ("tag", "y", 1.5), ("tag", "z", 0.0)],
        ["w", "v"],
    )
    assert found["v"] == (
        [("creator", "Ann", None), ("creator", "x", None), ("tag", "x", None), ("tag", "z", None)],
        ["w", "v"],
    )


def test_what_was_before_the_history_is_not_new(spark):
    found = reasons(spark, [("u", "c"), ("u", "b"), ("u", "b")], {"u": ["new"]}, length=2)
    assert found["u"][1] == ["w", "v"]
    assert ("tag", "z", None) not in found["u"][0]


def test_of_nothing(spark):
    catalogue = {"u": ["new"], "v": []}
    found = reasons(spark, [("u", "c"), ("v", "a")], catalogue)
    assert found == {"u": ([("tag", "z", None)], ["w", "x", "v"]), "v": ([], [])}
