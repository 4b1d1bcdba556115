"""Histories: the last events in order, and a hash that changes with what the user did and with nothing else."""

from datetime import datetime
from random import Random

import pytest

from jobs.errors import InputError
from jobs.prepare.histories import describe, select_users, user_histories
from jobs.profile import Night
from tests.data.inputs import write_lines
from tests.prepare.logs import events, frame, items

ITEMS = [("a", ["x"]), ("b", []), ("c", ["x", "y"])]
LOG = [("u", "a", 5), ("v", "b"), ("u", "b", 1), ("u", "c"), ("v", "a", 3)]


def histories(spark, log, catalogue, settings="s", **night):
    described = describe(log, catalogue)
    rows = user_histories(described, log.select("user_id").distinct(), Night(**night), settings).collect()
    return {row["user_id"]: row for row in rows}


def hashes(spark, log, catalogue, settings="s", **night):
    found = histories(spark, log, catalogue, settings, **night)
    return {user: row["context_hash"] for user, row in found.items()}


@pytest.mark.parametrize(
    ("length", "expected"), [(1, ["e3"]), (2, ["e2", "e3"]), (3, ["e0", "e2", "e3"]), (50, ["e0", "e2", "e3"])]
)
def test_the_last_events_oldest_first(spark, length, expected):
    row = histories(spark, events(spark, *LOG), items(spark, *ITEMS), history_length=length)["u"]
    assert [event["event_id"] for event in row["history"]] == expected
    assert row["n_events"] == 3


def test_an_event_carries_its_item(spark):
    row = histories(spark, events(spark, *LOG), items(spark, *ITEMS))["u"]["history"][0].asDict()
    about = {"item_id": "a", "title": "A", "tags": ["x"], "creators": [], "year": None, "text": None}
    did = {"event_id": "e0", "time": datetime(2024, 3, 1), "value": 5.0, "type": None, "positive": True, "negative": False}
    assert row == about | did


def test_events_of_one_moment_are_in_the_order_of_their_ids(spark):
    log = events(spark, *[("u", item, None, 0) for item in "cab"])
    for shuffled in (log, log.orderBy("item_id"), log.repartition(3)):
        row = histories(spark, shuffled, items(spark, *ITEMS), history_length=2)["u"]
        assert [event["event_id"] for event in row["history"]] == ["e1", "e2"]


@pytest.mark.parametrize(("limit", "cold"), [(0, False), (2, False), (3, True)])
def test_who_is_cold(spark, limit, cold):
    assert histories(spark, events(spark, *LOG), items(spark, *ITEMS), cold_events=limit)["v"]["cold"] is cold


def test_the_holdout_is_a_fixed_share_of_users(spark):
    log = events(spark, *[(f"u{place}", "a") for place in range(200)])
    before: set[str] = set()
    for share, low, high in ((0.0, 0, 0), (0.5, 70, 130), (1.0, 200, 200)):
        rows = histories(spark, log, items(spark, *ITEMS), experiment_holdout=share).values()
        held = {row["user_id"] for row in rows if row["experiment_group"] == "holdout"}
        assert low <= len(held) <= high
        assert held >= before
        before = held


@pytest.mark.parametrize("partitions", [1, 2, 7])
def test_the_hash_does_not_depend_on_the_order_of_rows(spark, partitions):
    log, catalogue = events(spark, *LOG), items(spark, *ITEMS)
    shuffled = log.orderBy("item_id", "event_id").repartition(partitions)
    assert hashes(spark, shuffled, catalogue.repartition(partitions)) == hashes(spark, log, catalogue)


CHANGES = [
    # the log, the catalogue, the settings; whose hash changes
    (LOG, ITEMS, "s", set()),
    (LOG, ITEMS, "other", {"u", "v"}),
    (LOG, [("a", ["x"], "New title"), *ITEMS[1:]], "s", {"u", "v"}),
    (LOG, [*ITEMS[:2], ("c", ["y", "x"])], "s", {"u"}),
    (LOG, [*ITEMS[:2], ("c", ["x"])], "s", {"u"}),
    (LOG, [*ITEMS[:2], ("c", *ITEMS[2][1:], "C", None, ["Ann"])], "s", {"u"}),
    (LOG, [*ITEMS, ("d", ["z"])], "s", set()),
    ([*LOG, ("v", "c")], ITEMS, "s", {"v"}),
    ([*LOG, ("w", "a", 5)], ITEMS, "s", {"w"}),
    ([("u", "a", 4), *LOG[1:]], ITEMS, "s", {"u"}),
    ([("u", "a", None), *LOG[1:]], ITEMS, "s", {"u"}),
    ([("u", "b", 5), *LOG[1:]], ITEMS, "s", {"u"}),
    ([("u", "a", 5, 0.5), *LOG[1:]], ITEMS, "s", {"u"}),
    (LOG[:-1], ITEMS, "s", {"v"}),
]


@pytest.mark.parametrize(("log", "catalogue", "settings", "whose"), CHANGES)
def test_whose_hash_changes(spark, log, catalogue, settings, whose):
    before = hashes(spark, events(spark, *LOG), items(spark, *ITEMS))
    after = hashes(spark, events(spark, *log), items(spark, *catalogue), settings)
    assert {user for user in before | after if before.get(user) != after.get(user)} == whose


@pytest.mark.parametrize("seed", range(5))
def test_an_event_of_one_user_changes_no_other_history(spark, seed):
    draw = Random(seed)

    def event(user: str) -> tuple:
        return user, draw.choice("abc"), draw.choice([1, 3, 5, None]), draw.randint(0, 30)

    log = [event(draw.choice("uvw")) for _ in range(draw.randint(1, 30))]
    before, after = (histories(spark, events(spark, *rows), items(spark, *ITEMS)) for rows in (log, [*log, event("u")]))
    assert before.pop("u", None) != after.pop("u")
    assert before == after


def test_an_event_beyond_the_history_changes_the_hash(spark):
    catalogue = items(spark, *ITEMS)
    long, short = [("u", "a"), ("u", "b"), ("u", "c")], [("u", "c"), ("u", "b"), ("u", "c")]
    changed = [hashes(spark, events(spark, *log), catalogue, history_length=1)["u"] for log in (long, short)]
    assert len(set(changed)) == 2


def test_a_word_that_moves_from_the_tags_to_the_text_changes_the_hash(spark):
    rows = [("a", "A", ["word"], None, None)], [("a", "A", [], None, "word")]
    catalogues = [frame(spark, "items", row) for row in rows]
    assert len({hashes(spark, events(spark, ("u", "a")), each)["u"] for each in catalogues}) == 2


@pytest.mark.parametrize("number", ["0", "1", "5", "99"])
def test_some_users(spark, number):
    log = events(spark, *[(f"u{place % 10}", "a") for place in range(30)])
    chosen = {row["user_id"] for row in select_users(log, number).collect()}
    more = {row["user_id"] for row in select_users(log.repartition(3), str(int(number) + 1)).collect()}
    assert len(chosen) == min(int(number), 10) and chosen <= more


def test_users_of_a_file(spark, tmp_path):
    log = events(spark, *[(user, "a") for user in ("u1", "é a", "007", "u4")])
    file = write_lines(tmp_path / "ids.txt", ["u1", "é a", "007\r", "", "unknown", "u1"])
    assert {row["user_id"] for row in select_users(log, str(file)).collect()} == {"u1", "é a", "007"}


@pytest.mark.parametrize("users", ["/none/such.txt", "-3", "²", ""])
def test_users_that_are_neither_a_number_nor_a_file(spark, users):
    with pytest.raises(InputError, match=r"--users .*: neither a number nor a file"):
        select_users(events(spark, ("u", "a")), users)
