"""Nights that must not be seen: every class of rule broken once, in one night, by a user named after it."""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts import PUBLISHED, Rule, contract
from jobs.errors import GateError
from jobs.lake import connect
from jobs.manifest import Manifest
from jobs.profile import Gates, Night, Profile
from jobs.progress import Progress
from jobs.publish import __main__ as job
from jobs.publish.expectations import judge
from jobs.publish.gates import Proof, Verdict, accounted, consistent, proven, template_share
from jobs.publish.rules import RULES as ALL
from jobs.releases import Release, releases
from jobs.report.page import write_report
from jobs.storage import read_rows
from tests.data.inputs import profile as write
from tests.publish.nights import CATALOGUE, NEXT, NIGHT, STARTED, events, made, prepared, ranked, sha, tables


@dataclass(frozen=True)
class Blocked:
    """A good night, and after it one that breaks every rule."""

    profile: Profile
    before: Release
    error: str
    verdicts: dict[str, dict[str, Any]]
    docs: Path


def broken() -> list[dict[str, Any]]:
    rows = {name: made(name) for name in ("null", "enum", "range", "pattern", "twice", "again", "listless", "mute", "extra")}
    rows |= {name: made(name) for name in ("uncited", "gap", "sum", "unproved", "template", *(f"short{k}" for k in range(4)))}
    rows |= {name: made(name) for name in ("unlisted", "lost", "stranger", "future", "had")}
    rows["null"]["rankings"][0]["title"] = None
    rows["enum"]["summary"]["source"] = "oracle"
    rows["range"]["rankings"][1]["retrieval_rank"] = 0
    rows["range"]["summary"]["n_events"] = 0
    rows["range"]["rankings"][0]["contributions"] = [{"source": "cooccurrence", "event_id": "range-e1", "amount": 1.0}]
    for k in range(4):
        rows[f"short{k}"]["summary"] |= {"summary": "Hm.", "claims": []}
    rows["pattern"]["context_hash"] = "not a hash"
    rows["twice"]["rankings"] = [ranked(1, "i1"), ranked(1, "i2")]
    rows["again"]["rankings"] = [ranked(1, "i1"), ranked(2, "i1")]
    rows["again"]["explanations"].pop()
    rows["listless"]["rankings"] = rows["listless"]["explanations"] = []
    rows["mute"]["explanations"].pop()
    rows["extra"]["rankings"].pop()
    rows["uncited"]["evidence"] = []
    rows["gap"]["rankings"][1]["rank"] = 3
    rows["gap"]["rankings"][0]["score"] = math.nan
    rows["sum"]["rankings"][1]["contributions"][0]["amount"] = 0.4
    rows["unproved"]["rankings"][0]["contributions"] = [{"source": "cooccurrence", "event_id": "unproved-e7", "amount": 1.0}]
    rows["had"] = made("had", items=("i9", "i1"))
    rows["unlisted"] = made("unlisted", items=("i0", "i1"))
    rows["lost"]["evidence"][0]["item_id"] = "i0"
    rows["template"]["summary"] |= {"source": "template", "generation_id": None, "checks": ["unknown name"]}
    return list(rows.values())


def log(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Their events, of which one is another user's and one of the night itself."""
    named = {each["user_id"]: each for each in events(rows)}
    named["stranger"]["user_id"] = "null"
    named["future"]["time"] = datetime.combine(NEXT, time(), UTC)
    return list(named.values())


@pytest.fixture(scope="module")
def blocked(spark, tmp_path_factory) -> Blocked:
    folder = tmp_path_factory.mktemp("blocked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOCTURNE_HOME", str(folder / "home"))
        profile = write(folder, gates={"max_rejected_share": 0.1, "max_template_share": 0.01})
        good = prepared(profile, NIGHT, [made("a")])
        before, _ = job.Night(spark, profile, good, STARTED, Progress("publish")).run()
        rows = broken()
        counts = {"events": {"valid": 20, "bad_time": 4}, "items": {"valid": 5}}
        about = {"n_rejected": 3, "carried": ["gone"], "release_before": before.release_id, "counts": counts, "log": log(rows)}
        bad = prepared(profile, NEXT, rows, "run-2", **about)
        with pytest.raises(GateError) as error:
            job.Night(spark, profile, bad, STARTED, Progress("publish")).run()
    verdicts = [each for each in read_rows(profile, "validations") if each["run_id"] == "run-2"]
    named = {f"{each['table']}.{each['rule']}": each for each in verdicts}
    assert len(named) == len(verdicts)
    return Blocked(profile, before, str(error.value), named, folder / "home" / "docs" / profile.name / "run-2")


RULES = {
    # rule: (how many, keys of the rows that break it)
    "rankings.title_present": ("1 of 43 rows", {"user_id=null, rank=1"}),
    "user_summaries.source_allowed": ("1 of 23 rows", {"user_id=enum"}),
    "rankings.retrieval_rank_range": ("1 of 43 rows", {"user_id=range, rank=2"}),
    "user_summaries.n_events_range": ("1 of 23 rows", {"user_id=range"}),
    "user_summaries.summary_length": ("4 of 23 rows", {f"user_id=short{k}" for k in range(4)}),
    "user_summaries.context_hash_pattern": ("1 of 23 rows", {"user_id=pattern"}),
    "rankings.key": ("2 of 43 rows", {"user_id=twice, rank=1"}),
    "rankings.one_place_an_item": ("2 of 43 rows", {"user_id=again, rank=1", "user_id=again, rank=2"}),
    "user_summaries.every_user": ("23 rows", set()),
    "rankings.list_for_every_user": ("1 rows", {"user_id=listless"}),
    "rankings.ranks_without_gap": ("2 rows", {"user_id=gap", "user_id=twice"}),
    "rankings.contributions_add_up": ("1 rows", {"user_id=sum, item_id=i2"}),
    "rankings.values": ("1 rows", {"user_id=gap, item_id=i1"}),
    "evidence.every_contribution": ("1 rows", {"user_id=unproved, event_id=unproved-e7"}),
    "explanations.every_ranked_item": ("1 rows", {"user_id=mute, item_id=i2"}),
    "explanations.only_ranked_items": ("1 rows", {"user_id=extra, item_id=i2"}),
    "evidence.every_cited_event": ("1 rows", {"user_id=uncited, event_id=uncited-e1"}),
    "user_summaries.grounding": ("95.65% of 23", {"user_id=uncited: likes_tag quiet: event uncited-e1 is not in evidence"}),
    "explanations.grounding": (
        "90.48% of 42",
        {
            "user_id=null, item_id=i1: recommended Film i1: the item has another title",
            "user_id=extra, item_id=i2: recommended Film i2: no item",
            *(f"user_id=uncited, item_id={k}: event A Night at Sea: event uncited-e1 is not in evidence" for k in ("i1", "i2")),
        },
    ),
    "user_summaries.made_or_carried_over": ("1 rows", {"user_id=gone"}),
    "user_summaries.every_status": ("1 rows", {"user_id=template"}),
    "user_summaries.coverage": ("0.00% of 1 users", {"user_id=a"}),
    "rankings.items_exist": ("1 rows", {"user_id=unlisted, item_id=i0"}),
    "rankings.nothing_consumed": ("1 rows", {"user_id=had, item_id=i9"}),
    "evidence.items_exist": ("1 rows", {"user_id=lost, item_id=i0"}),
    "evidence.events_of_the_user": (
        "3 rows",
        {f"user_id={name}, event_id={name}-e1" for name in ("lost", "stranger", "future")},
    ),
    "rejected.share_rise": ("13.79%", set()),
    "rejected.counts_in_are_counts_out": ("3 rows", set()),
    "rejected.share": ("13.79%", set()),
    "explanations.template_share": ("1.54%", set()),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule_is_named_with_its_count_and_sample_keys(blocked: Blocked, rule: str) -> None:
    count, keys = RULES[rule]
    verdict = blocked.verdicts[rule]
    assert not verdict["passed"]
    assert verdict["observed"].startswith(count)
    assert set(verdict["sample_keys"]) <= keys
    assert len(set(verdict["sample_keys"])) == min(len(keys), 3)
    (line,) = (line for line in blocked.error.splitlines() if line.startswith(f"  {rule}: "))
    assert verdict["observed"] in line
    assert all(key in line for key in verdict["sample_keys"])


def test_no_other_rule_is_broken(blocked: Blocked) -> None:
    assert {name for name, verdict in blocked.verdicts.items() if not verdict["passed"]} == RULES.keys()
    assert blocked.error.splitlines()[0] == "nothing was published; rules that block failed:"
    *_, look, accept = blocked.error.splitlines()
    assert len(blocked.error.splitlines()) == 1 + len(RULES) + 2
    assert "infra/nocturne query --release run-2 " in look and str(blocked.docs / "night.html") in look
    assert 'infra/nocturne release --run run-2 --accept "REASON"' in accept


def test_the_list_of_rules_is_whole(blocked: Blocked) -> None:
    """Each rule but those of contracts, and none else, stands in it, with its severity."""
    of_contracts = {f"{name}.{rule.name}" for name in PUBLISHED for rule in contract(name).rules()}
    severity = {name: each["severity"] for name, each in blocked.verdicts.items() if name not in of_contracts}
    assert severity == ALL


def test_the_release_before_stays(blocked: Blocked) -> None:
    assert releases(blocked.profile) == [blocked.before]
    rows = connect(blocked.profile).sql("select user_id, summary from user_summaries").fetchall()
    assert rows == [("a", made("a")["summary"]["summary"])]


def test_the_run_says_why_and_its_answers_are_kept(blocked: Blocked) -> None:
    (row,) = (row for row in read_rows(blocked.profile, "runs") if row["run_id"] == "run-2")
    assert (row["status"], row["release_id"], row["message"]) == ("blocked", None, blocked.error)
    assert (row["users"], row["calls_new"]) == (24, 23)
    paid = {each["generation_id"] for each in read_rows(blocked.profile, "generations")}
    assert {sha(f"summary of {row['user_id']}: {made('')['summary']['summary']}") for row in broken()} < paid


def test_data_docs_and_the_page_of_the_night_name_what_failed(blocked: Blocked, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (blocked.docs / "index.html").is_file()
    monkeypatch.setenv("NOCTURNE_HOME", str(blocked.docs.parents[2]))
    judged = write_report(blocked.profile, "run-2").read_text()
    assert all(html.escape(key) in judged for each in blocked.verdicts.values() for key in each["sample_keys"])
    links = re.findall(r'href="(validations/[^"]+)"', judged)
    assert links and all((blocked.docs / link).is_file() for link in links)
    pages = [page.read_text() for page in (blocked.docs / "validations").rglob("*.html")]
    (page,) = (page for page in pages if "summary_length" in page or "Hm." in page)
    assert "user_summaries" in page


def test_an_expectation_that_cannot_be_judged_blocks(spark, monkeypatch) -> None:
    """An impossible regular expression: Great Expectations reports the error of its metric, not a count."""
    rows = tables([made("a")], NIGHT)["user_summaries"]
    frame = spark.createDataFrame(rows, contract("user_summaries").spark())
    impossible = Rule("impossible", "block", "expect_column_values_to_match_regex", {"column": "summary", "regex": "("})
    missing = Rule("missing", "block", "expect_column_values_to_not_be_null", {"column": "nothing"})
    monkeypatch.setattr(type(contract("user_summaries")), "rules", lambda _: [impossible, missing])
    verdicts = {each["rule"]: each for each in judge({"user_summaries": frame}, "run", NIGHT, None)}
    assert [each["passed"] for each in verdicts.values()] == [False, False]
    assert verdicts["impossible"]["observed"].startswith("could not be judged: ")
    assert "nothing" in verdicts["missing"]["observed"]


def test_a_rule_that_warns_lets_the_night_pass(profile, run, monkeypatch) -> None:
    rules = type(contract("rankings")).rules
    warning = Rule("few", "warn", "expect_table_row_count_to_be_between", {"max_value": 0})
    monkeypatch.setattr(type(contract("rankings")), "rules", lambda self: [*rules(self), warning])
    _, status = run(prepared(profile, NIGHT, [made("a")]))
    failed = [each for each in read_rows(profile, "validations") if not each["passed"]]
    assert status == "published"
    assert {(each["rule"], each["severity"], each["observed"]) for each in failed} == {
        ("few", "warn", "2"), ("few", "warn", "1"),
    }  # fmt: skip


def test_what_is_filled_in_is_no_template(spark) -> None:
    rows = [("phrasebook", []), ("llm", []), ("template", ["words: x"]), ("template", [])]
    summaries = spark.createDataFrame(rows, "source string, checks array<string>")
    assert template_share(summaries, summaries) == pytest.approx(1 / 3)


AMISS = {
    # what is changed in a user's rows: the rules that see it
    "a score that is no number": (lambda row: row["rankings"][1].update(score=math.nan), "rankings.values"),
    "a score without end": (lambda row: row["rankings"][1].update(score=math.inf), "rankings.values"),
    "a model's that is none": (lambda row: row["rankings"][0].update(llm_score=-math.inf), "rankings.values"),
    "no amount": (
        lambda row: row["rankings"][0]["contributions"][0].update(amount=None),
        "rankings.values, rankings.contributions_add_up",
    ),
    "a source that nobody knows": (
        lambda row: row["rankings"][0]["contributions"][0].update(source="hearsay"), "rankings.values",
    ),
    "a weight that is no number": (lambda row: row["summary"]["interests"][0].update(weight=math.nan), "user_summaries.values"),
    "a claim of nothing": (lambda row: row["explanations"][0]["claims"][0].update(claim=None), "explanations.values"),
    "a tag that is none": (lambda row: row["evidence"][0].update(tags=["quiet", None]), "evidence.values"),
    "another's event in a summary's claim": (
        lambda row: row["summary"]["claims"][0].update(evidence=["b-e1"]), "evidence.every_cited_event",
    ),
    "another's event in an explanation's claim": (
        lambda row: row["explanations"][1]["claims"][0].update(evidence=["b-e1"]), "evidence.every_cited_event",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def amiss(spark) -> dict[str, list[str]]:
    """The keys that each rule names, where every case is a user of its own: their place in `AMISS`."""
    rows = [made(f"u{place}") for place in range(len(AMISS))]
    for row, (change, _) in zip(rows, AMISS.values(), strict=True):
        change(row)
    frames = {
        name: spark.createDataFrame(each, contract(name).spark().toNullable(), verifySchema=False)
        for name, each in tables([*rows, made("b")], NIGHT).items()
    }
    rules = consistent(frames)
    return {
        f"{each.table}.{each.rule}": [row["key"] for row in each.offenders.select(each.key.alias("key")).collect()]
        for each in rules
    }


@pytest.mark.parametrize("case", AMISS)
def test_rows_that_contradict_each_other_or_their_contract(amiss, case: str) -> None:
    user = re.compile(rf"user_id=u{[*AMISS].index(case)}\b")
    assert ", ".join(rule for rule, keys in amiss.items() if any(map(user.match, keys))) == AMISS[case][1]
    assert not [key for keys in amiss.values() for key in keys if key.startswith("user_id=b")]


MADE = "user_id string, settled boolean, fallbacks array<string>"
EVENT = "user_id string, event_id string, item_id string, time timestamp"
NOTHING: dict[str, Any] = {"shards": [], "counts": {}, "release_before": None, "seconds": {}}


def broken_by(spark, rows, carried=(), there=None, repeat="never", catalogue=CATALOGUE, days=1) -> dict[str, set[str]]:
    """Keys by rule of a small night: `rows` were made, `carried` carried over, `there` are in its tables (None: all these);
    every event is `days` old at its end."""
    frames = {
        name: spark.createDataFrame(each, contract(name).spark())
        for name, each in tables([*rows, *carried] if there is None else there, NIGHT).items()
    }
    at = datetime.combine(NIGHT, time(), UTC) - timedelta(days=days)
    proof = Proof(
        spark.createDataFrame([(row["user_id"], row["settled"], row["fallbacks"]) for row in rows], MADE),
        spark.createDataFrame([(row["user_id"],) for row in carried], "user_id string"),
        spark.createDataFrame([(name,) for name in catalogue], "item_id string"),
        spark.createDataFrame([(each["user_id"], each["event_id"], each["item_id"], at) for each in events(rows)], EVENT),
    )
    about = Manifest(run_id="r", run_date=NIGHT, users=len(rows) + len(carried), users_changed=len(rows), **NOTHING)
    rules = accounted(frames, proof, about) + proven(frames, proof, about, Night(repeat=repeat))
    keys = {f"{each.table}.{each.rule}": each.offenders.select(each.key.alias("key")).collect() for each in rules}
    return {name: {row["key"] for row in rows} for name, rows in keys.items() if rows}


def asked_in_vain(user: str, fallbacks: list[str]) -> dict[str, Any]:
    row = made(user)
    row["summary"] |= {"source": "template", "generation_id": None, "checks": ["words: x"]}
    return row | {"fallbacks": fallbacks}


ACCOUNTS = {
    "a good night": ([made("a")], [made("b")], None, {}),
    "a fallback told": ([asked_in_vain("a", ["words: x"])], [], None, {}),
    "one not told": ([asked_in_vain("a", [])], [], None, {"every_status": {"user_id=a"}}),
    "one told that is none": ([made("a") | {"fallbacks": ["words: x"]}], [], None, {"every_status": {"user_id=a"}}),
    "unsettled and marked settled": ([made("a") | {"settled": False}], [], None, {"every_status": {"user_id=a"}}),
    "made and lost": ([made("a"), made("c")], [], [made("a")], {"made_or_carried_over": {"user_id=c"}}),
    "carried and lost": ([made("a")], [made("b")], [made("a")], {"made_or_carried_over": {"user_id=b"}}),
    "both made and carried": ([made("a")], [made("a")], [made("a")], {"made_or_carried_over": {"user_id=a"}}),
    "twice": ([made("a")], [], [made("a"), made("a")], {"made_or_carried_over": {"user_id=a"}}),
    "out of nowhere": ([made("a")], [], [made("a"), made("d")], {"made_or_carried_over": {"user_id=d"}}),
}


@pytest.mark.parametrize("case", ACCOUNTS)
def test_users_in_are_users_out(spark, case: str) -> None:
    rows, carried, there, expected = ACCOUNTS[case]
    found = broken_by(spark, rows, carried, there)
    assert found == {f"user_summaries.{rule}": keys for rule, keys in expected.items()}


@pytest.mark.parametrize(
    ("repeat", "days", "may_come"),
    [("never", 1, False), ("never", 900, False), ("always", 1, True), (30, 29, False), (30, 30, True)],
)
def test_what_was_had_may_come_again_as_the_profile_says(spark, repeat, days: int, may_come: bool) -> None:
    found = broken_by(spark, [made("a", items=["i9", "i1"])], repeat=repeat, days=days)
    assert found == ({} if may_come else {"rankings.nothing_consumed": {"user_id=a, item_id=i9"}})


def test_an_event_of_the_night_itself_proves_nothing(spark) -> None:
    assert broken_by(spark, [made("a")], days=0) == {"evidence.events_of_the_user": {"user_id=a, event_id=a-e1"}}


def test_an_item_that_is_withdrawn_only_warns_in_lists_carried_over(spark) -> None:
    found = broken_by(spark, [made("a")], [made("b")], catalogue=["i1", "i9"])
    assert found == {
        "rankings.items_exist": {"user_id=a, item_id=i2"},
        "rankings.items_withdrawn": {"user_id=b, item_id=i2"},
    }
    assert (ALL["rankings.items_exist"], ALL["rankings.items_withdrawn"]) == ("block", "warn")


def test_a_severity_is_the_profiles_or_else_the_rules() -> None:
    about = Manifest(run_id="r", run_date=NIGHT, users=1, users_changed=1, **NOTHING)
    limits = Gates(severity={"rankings": {"overlap": "warn"}})
    verdicts = [Verdict("rankings", rule, False, "", "") for rule in ("overlap", "items_exist")]
    assert [each.row(about, limits)["severity"] for each in verdicts] == ["warn", "block"]
