"""What is held out, and what may be learned from."""

import pytest

from jobs.evaluate.splits import core, leave_one_out, temporal
from tests.prepare.logs import events

# (user, item, value, day)
LOG = [
    ("u", "a", None, 0), ("u", "b", None, 2), ("u", "c", None, 9),
    ("v", "a", None, 1), ("v", "d", None, 3), ("v", "b", None, 4),
    ("w", "d", None, 5), ("w", "a", None, 6), ("once", "a", None, 7),
]  # fmt: skip


def pairs(rows) -> set[tuple[str, str]]:
    return {(row["user_id"], row["item_id"]) for row in rows.select("user_id", "item_id").collect()}


def test_leave_one_out(spark):
    (fold,) = leave_one_out(events(spark, *LOG), "test")
    assert pairs(fold.targets) == {("u", "c"), ("v", "b"), ("w", "a")}
    assert pairs(fold.own) == pairs(fold.events) == {("u", "a"), ("u", "b"), ("v", "a"), ("v", "d"), ("w", "d")}


def test_validation_knows_nothing_of_test(spark):
    (fold,) = leave_one_out(events(spark, *LOG), "validation")
    assert pairs(fold.targets) == {("u", "b"), ("v", "d")}
    assert pairs(fold.events) == {("u", "a"), ("v", "a")}


@pytest.mark.parametrize(("part", "groups"), [("test", 3), ("validation", 2), ("test", 2)])
def test_temporal_learns_from_the_past_only(spark, part, groups):
    log = events(spark, *LOG)
    time = {(row["user_id"], row["item_id"]): row["time"] for row in log.collect()}
    (everyone,) = leave_one_out(log, part)
    seen = set()
    for fold in temporal(log, part, groups):
        targets = pairs(fold.targets)
        first = min(time[each] for each in targets)
        assert all(time[each] < first for each in pairs(fold.events))
        assert all(time[each] < time[user, item] for each in pairs(fold.own) for user, item in targets if each[0] == user)
        assert {user for user, _ in pairs(fold.own)} == {user for user, _ in targets}
        seen |= targets
    assert seen == pairs(everyone.targets)


def test_temporal_may_learn_from_held_out_events_that_are_past(spark):
    *_, last = temporal(events(spark, *LOG), "test", 3)
    assert pairs(last.targets) == {("u", "c")} and ("v", "b") in pairs(last.events)


def test_core_takes_away_until_all_have_enough(spark):
    log = [("u", "a"), ("u", "b"), ("v", "a"), ("v", "b"), ("w", "a"), ("w", "c"), ("x", "c")]
    assert pairs(core(events(spark, *log), 2)) == {("u", "a"), ("u", "b"), ("v", "a"), ("v", "b")}
    assert core(events(spark, *log), 3).count() == 0
