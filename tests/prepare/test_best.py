"""The best of each user against a plain-Python reading, however rows are cut; no Spark."""

from random import Random

import numpy as np
import pyarrow as pa
import pytest

from jobs.prepare import best as module
from jobs.prepare.best import Shelf, best

SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("first", pa.bool_()),
        ("event_id", pa.string()),
        ("recency", pa.float64()),
        ("source", pa.string()),
        ("numbers", pa.list_(pa.int32())),
        ("weights", pa.list_(pa.float64())),
    ]
)


def user_rows(draw: Random, user: str, items: list[int]) -> list[dict]:
    """What a user had, and what some events lead to: nothing, the same items, nothing that may come."""
    had = draw.sample(items, draw.choice([0, 1, len(items) // 2, len(items)]))
    rows = [{"user_id": user, "first": True, "numbers": had, "weights": []}]
    for event in range(draw.choice([0, 1, 5])):
        for source in draw.sample(["alike", "content", "cooccurrence"], draw.randint(1, 3)):
            led = draw.sample(items, draw.randint(1, len(items)))
            weights = [draw.choice([0.0, 0.5, 0.25, draw.random()]) for _ in led]
            event_id, recency = draw.choice(["é", "Z", "9", ""]) + str(event), draw.choice([1.05, 0.5, 0.1])
            about = {"user_id": user, "first": False, "event_id": event_id, "recency": recency, "source": source}
            rows.append(about | {"numbers": led, "weights": weights})
    return rows


def reference(rows: list[dict], shelf: Shelf, most: int, new_places: int) -> list[dict]:
    """The same for one user, summand by summand."""
    parts: dict[int, list[tuple]] = {}
    for row in rows[1:]:
        for number, weight in zip(row["numbers"], row["weights"], strict=True):
            amount = int(np.round(row["recency"] * weight * 1e9))
            parts.setdefault(number, []).append((-amount, row["source"], row["event_id"]))
    for number, amount in zip(shelf.numbers.tolist(), shelf.amounts.tolist(), strict=True):
        parts.setdefault(number, []).append((-amount, "popularity", None))
    order = sorted((sum(part[0] for part in parts[item]), item) for item in parts if item not in rows[0]["numbers"])
    ranked = [item for _, item in order]
    new = [item for item in ranked if any(part[1] == "content" for part in parts[item])][:new_places]
    kept = {*new, *[item for item in ranked if item not in new][: most - len(new)]}
    return [
        {
            "user_id": rows[0]["user_id"],
            "retrieval_rank": place,
            "number": item,
            "retrieval_score": -sum(part[0] for part in parts[item]) / 1e9,
            "source": "popularity" if all(part[1] == "popularity" for part in parts[item]) else "retrieval",
            "contributions": [
                {"source": source, "event_id": event, "amount": -amount / 1e9} for amount, source, event in sorted(parts[item])
            ],
        }
        for place, item in enumerate((item for item in ranked if item in kept), start=1)
    ]


@pytest.mark.parametrize("seed", range(60))
def test_the_best_of_each_user(monkeypatch, seed):
    draw = Random(seed)
    lowest, n_items = draw.choice([1, 2**31 - 40]), draw.choice([3, 8, 30])
    items = list(range(lowest, lowest + n_items))
    users = [user_rows(draw, f"u{n}é", items) for n in range(draw.randint(0, 12))]
    offered = sorted(draw.sample(items, draw.choice([0, 1, n_items // 2])))
    shelf = Shelf(np.array(offered, int), np.array([draw.choice([0, 50_000_000]) for _ in offered], int))
    most = draw.choice([1, 2, 5, 50])
    new_places = min(draw.choice([0, 1, 2]), most)
    whole = pa.RecordBatch.from_pylist([row for rows in users for row in rows], schema=SCHEMA)
    step = draw.choice([1, 3, 100])
    monkeypatch.setattr(module, "SUMMANDS", module.WIDE * draw.choice([1, 4, 50]))
    found = best((whole.slice(start, step) for start in range(0, len(whole), step)), shelf, most, new_places)
    rows = [row for batch in found for row in batch.to_pylist()]
    assert rows == [row for rows in users for row in reference(rows, shelf, most, new_places)]


def test_nobody():
    shelf = Shelf(np.array([1]), np.array([1]))
    assert list(best([], shelf, 1, 0)) == list(best([pa.RecordBatch.from_pylist([], schema=SCHEMA)], shelf, 1, 0)) == []
