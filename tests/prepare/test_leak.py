"""Nothing that happens on a night's date or after it reaches the night: a rich log, and whatever hypothesis appends to it.

Items have no time: an item that comes into the catalogue later is one that an earlier night, made again, may recommend.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jobs.profile import load_profile
from tests.data import shop
from tests.prepare.test_prepare import night, rejected

NIGHT = "2024-02-10"  # amid the shop's events
MIDNIGHT = datetime.fromisoformat(NIGHT).replace(tzinfo=UTC)
FIRST = timedelta(microseconds=1)
LATE = st.one_of(st.just(timedelta()), st.just(FIRST), st.timedeltas(timedelta(), timedelta(days=400)))
EVENT = st.fixed_dictionaries(
    {
        "ref": st.sampled_from(["", "!", "0#0", "7#1", "00", "~"]).flatmap(
            lambda ref: st.integers(0, 99).map(lambda n: f"{ref}{n}")
        ),
        "customer": st.sampled_from([*shop.CUSTOMERS, "\u0001", "someone new"]),
        "sku": st.sampled_from([*shop.TOOLS, "no such tool"]),
        "did": st.sampled_from(["buy", "view", "return", "else", ""]),
        "late": LATE,
        "zone": st.sampled_from(shop.ZONES),
        "more": st.sampled_from([{}, {"agent": 7}, {"agent": {"os": {"deep": 1}}}, {"At": "x"}]),
    }
)


def line(event: dict) -> str:
    at = (MIDNIGHT + event["late"]).astimezone(event["zone"]).isoformat()
    return json.dumps({name: event[name] for name in ("ref", "customer", "sku", "did")} | {"at": at} | event["more"])


@pytest.fixture(scope="module")
def before(spark, tmp_path_factory):
    """The night of a log that ends before it: its contexts, counts and rejected records, and where it is."""
    folder = tmp_path_factory.mktemp("before")
    one = load_profile(shop.write_shop(folder))
    log = folder / "events.jsonl"
    early = [text for text in log.read_text().splitlines(keepends=True) if not later(text)]
    log.write_text("".join(early))
    manifest, contexts = night(spark, one, NIGHT)
    assert len(contexts) > 15 and not manifest.rows_later
    return early, contexts, manifest.counts["events"], rejected(spark, one, NIGHT)


def later(text: str) -> bool:
    try:
        return datetime.fromisoformat(json.loads(text)["at"]) >= MIDNIGHT
    except ValueError:
        return False


@settings(max_examples=4, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(appended=st.lists(EVENT, min_size=60, max_size=150), first=st.booleans())
def test_whatever_happens_later_the_contexts_are_the_same(spark, tmp_path_factory, before, appended, first):
    early, contexts, counts, bad = before
    folder: Path = tmp_path_factory.mktemp("after")
    one = load_profile(shop.write_shop(folder))
    news = [line(event) + "\n" for event in appended]
    (folder / "events.jsonl").write_text("".join([*news, *early] if first else [*early, *news]))
    manifest, again = night(spark, one, NIGHT)
    assert again == contexts
    assert manifest.rows_later == len(news)
    assert manifest.counts["events"] | {"later": 0} == counts | {"later": 0}
    assert rejected(spark, one, NIGHT) == bad
