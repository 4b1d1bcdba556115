"""prepare as a whole: a night's contexts from files, and nothing in them from after the night."""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jobs.contracts import contract
from jobs.errors import InputError
from jobs.home import REPOSITORY
from jobs.manifest import read_manifest
from jobs.prepare.__main__ import prepare, refuse_future
from jobs.profile import load_profile
from jobs.progress import Progress
from tests.data import shop
from tests.data.inputs import profile, write_jsonl, write_lines

STARTED = datetime(2030, 1, 1, tzinfo=UTC)


def arguments(run_date, **options):
    defaults = {"run_id": "r", "run_date": date.fromisoformat(run_date), "started_at": STARTED}
    return argparse.Namespace(**defaults | {"users": None, "shards": None, "force": False, "into": None} | options)


def night(spark, one, run_date, **options):
    """The manifest of a night, and its contexts by user."""
    manifest = prepare(spark, one, arguments(run_date, **options), Progress("test"))
    read = spark.read.schema(contract("contexts").spark()).parquet(f"{one.work(run_date)}/contexts")
    return manifest, {row["user_id"]: row.asDict(recursive=True) for row in read.collect()}


def rejected(spark, one, run_date) -> Counter:
    rows = spark.read.parquet(f"{one.work(run_date)}/rejected").collect()
    return Counter((row["source"], row["reason"]) for row in rows)


@pytest.fixture(scope="module")
def shopped(spark, tmp_path_factory):
    one = load_profile(shop.write_shop(tmp_path_factory.mktemp("shop")))
    return one, *night(spark, one, shop.RUN_DATE, shards=3)


def test_a_shop_of_another_kind_has_a_context_a_customer(spark, shopped):
    one, manifest, contexts = shopped
    assert set(contexts) == set(shop.CUSTOMERS) and manifest.users == manifest.users_changed == len(shop.CUSTOMERS)
    assert rejected(spark, one, shop.RUN_DATE) == shop.REJECTED
    assert manifest.rows_rejected == sum(shop.REJECTED.values()) and manifest.rows_later == shop.LATER
    lines = [Path(table.path).read_text().splitlines() for table in (one.events, one.items)]
    assert manifest.rows_in == sum(map(len, lines))


def test_its_contexts_rest_on_what_the_customer_did(shopped):
    _, manifest, contexts = shopped
    catalogue = shop.TOOLS | shop.SHARED_TITLE
    for context in contexts.values():
        history = {event["event_id"]: event for event in context["history"]}
        assert 1 <= len(history) == min(6, context["n_events"])
        assert [event["time"] for event in context["history"]] == sorted(event["time"] for event in context["history"])
        assert all(event["title"] == catalogue[event["item_id"]] for event in history.values())
        assert all(event["positive"] is (event["type"] == "buy") for event in history.values())
        assert len(context["candidates"]) == 8 and context["shard"] in manifest.shards
        parts = [part for each in context["candidates"] for part in each["contributions"]]
        assert {part["event_id"] for part in parts} - {None} <= set(history)
        assert {event for fact in context["facts"] for event in fact["evidence"]} <= set(history)
        assert not {each["item_id"] for each in context["candidates"]} & {event["item_id"] for event in history.values()}


def test_it_leaves_what_publish_judges_by(spark, shopped):
    one, _, contexts = shopped
    log, catalogue = (spark.read.parquet(f"{one.work(shop.RUN_DATE)}/{name}").collect() for name in ("events", "catalogue"))
    assert Counter(row["user_id"] for row in log) == {user: context["n_events"] for user, context in contexts.items()}
    assert max(row["time"] for row in log) < datetime.fromisoformat(shop.RUN_DATE)
    shown = {(user, event["event_id"], event["item_id"]) for user, each in contexts.items() for event in each["history"]}
    assert shown <= {(row["user_id"], row["event_id"], row["item_id"]) for row in log}
    assert {row["item_id"] for row in catalogue} == {*shop.TOOLS, *shop.SHARED_TITLE}


def test_a_plan_does_not_pay_for_that(spark, tmp_path):
    one, into = load_profile(shop.write_shop(tmp_path)), tmp_path / "plan"
    prepare(spark, one, arguments(shop.RUN_DATE, users="2", into=str(into)), Progress("test"))
    assert {each.name for each in into.iterdir()} == {"carried", "contexts", "rejected"}


def test_a_night_again_gives_the_same(spark, shopped):
    one, manifest, contexts = shopped
    again, same = night(spark, one, shop.RUN_DATE, shards=3)
    assert (again, same) == (manifest, contexts)


def test_the_job_as_airflow_starts_it(tmp_path):
    file = shop.write_shop(tmp_path)
    what = ["--profile", str(file), "--run-date", shop.RUN_DATE, "--run-id", "r1", "--users", "5"]
    command = [sys.executable, "-m", "jobs.prepare", *what, "--started-at", "2024-03-20T02:00:00Z"]
    ended = subprocess.run(command, cwd=REPOSITORY, env=os.environ, capture_output=True, text=True, check=True)
    said = json.loads(ended.stdout.splitlines()[-1])
    assert said == {"shards": [0], "users": 5, "users_changed": 5}
    profile = load_profile(file)
    assert read_manifest(profile, shop.RUN_DATE, "r1").users == 5
    assert not any(path.is_file() for path in Path(profile.work(shop.RUN_DATE), "scratch").rglob("*"))


ITEMS = [{"item": name, "title": name.upper()} for name in "abcdef"]
NIGHT = "2024-03-10"
DAYS = ["2024-03-01", "2024-03-09T23:59:59.999999Z", "2024-03-10", "2024-03-11T10:00:00Z", "2024-03-10T01:00:00+02:00"]
LATE = ("2024-03-10", "2024-03-11T10:00:00Z")
RECORDS = st.fixed_dictionaries(
    {
        "user": st.sampled_from(["u", "v", "w"]),
        "item": st.sampled_from(["a", "b", "c", "d", "unknown"]),
        "time": st.sampled_from(DAYS),
        "value": st.sampled_from([1, 3, 5, None]),
        "id": st.integers(0, 12).map(str),
    }
)


@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(records=st.lists(RECORDS, max_size=25), log=st.sampled_from([{"id": "id"}, {}]))
def test_nothing_of_a_later_day_changes_a_night(spark, tmp_path_factory, records, log):
    always = {"user": "u", "item": "a", "time": DAYS[0], "value": 5, "id": "always"}
    everything = [always, *records, always | {"time": LATE[0]}, always | {"user": "w", "time": LATE[1], "id": "new"}]
    seen = []
    for rows in (everything, [row for row in everything if row["time"] not in LATE]):
        folder = tmp_path_factory.mktemp("night")
        write_jsonl(folder / "events.json", rows)
        write_jsonl(folder / "items.json", ITEMS)
        one = profile(folder, {"format": "json", "value": "value", **log}, {"format": "json"})
        manifest, contexts = night(spark, one, NIGHT)
        counts = {reason: n for reason, n in manifest.counts["events"].items() if reason != "later"}
        seen.append((contexts, counts, rejected(spark, one, NIGHT)))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("events", "items", "options", "part"),
    [
        (["user,item,time"], None, {}, "events.path: .* is empty; nothing was published"),
        (None, ["item,title"], {}, "items.path: .* is empty; nothing was published"),
        ([], None, {}, "events.path: .* it is empty, or holds no record at all"),
        (
            ["user,item,time", "u,a,2024-03-10"],
            None,
            {},
            "all 1 usable events are on or after 2024-03-10; nothing was published",
        ),
        (
            ["user,item,time", "u,a,never", ",a,2024-01-01"],
            None,
            {},
            r"no usable record in .*: 2 events \(1 bad_time, 1 missing_id",
        ),
        (None, ["item,title", "a,"], {}, r"no usable record in .*: 1 items \(1 missing_title\)"),
        (None, None, {"users": "0"}, "no users are left for 2024-03-10"),
    ],
)
def test_a_night_of_nothing_ends_with_a_reason(spark, tmp_path, events, items, options, part):
    write_lines(tmp_path / "events.csv", ["user,item,time", "u,a,2024-03-01"] if events is None else events)
    write_lines(tmp_path / "items.csv", ["item,title", "a,Apple"] if items is None else items)
    one = profile(tmp_path)
    with pytest.raises(InputError, match=part):
        night(spark, one, NIGHT, **options)
    assert not (tmp_path / "warehouse/releases").exists()


def test_without_tags_values_and_years(spark, tmp_path):
    write_lines(tmp_path / "events.csv", ["user,item,time", "u,a,2024-03-01", "u,b,2024-03-02", "v,b,2024-03-02"])
    write_lines(tmp_path / "items.csv", ["item,title", "a,Apple", "b,Bread"])
    _, contexts = night(spark, profile(tmp_path), NIGHT)
    assert {fact["kind"] for fact in contexts["u"]["facts"]} == {"recent"}
    assert contexts["u"]["candidates"] == [] and [each["item_id"] for each in contexts["v"]["candidates"]] == ["a"]


@pytest.mark.parametrize(("night", "refused"), [("2024-05-01", False), ("2024-05-02", False), ("2042-05-01", True)])
def test_a_night_that_has_not_come(night, refused):
    """Readers would see nothing else until then."""
    with pytest.raises(InputError, match=r"2042-05-01 is in the future.*2024-05-02") if refused else nullcontext():
        refuse_future(date.fromisoformat(night), datetime(2024, 5, 1, 2, tzinfo=UTC))
