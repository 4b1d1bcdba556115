"""Nights that must not be seen: every class of rule broken once, in one night, by a user named after it."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts import Rule, contract
from jobs.errors import GateError
from jobs.lake import connect
from jobs.profile import Profile
from jobs.progress import Progress
from jobs.publish.__main__ import Night
from jobs.publish.expectations import judge
from jobs.publish.gates import template_share
from jobs.releases import Release, releases
from jobs.storage import read_rows
from tests.data.inputs import profile as write
from tests.publish.nights import NEXT, NIGHT, STARTED, made, prepared, ranked, sha, tables


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
    rows["null"]["rankings"][0]["title"] = None
    rows["enum"]["summary"]["source"] = "oracle"
    rows["range"]["rankings"][1]["retrieval_rank"] = 0
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
    rows["sum"]["rankings"][1]["contributions"][0]["amount"] = 0.4
    rows["unproved"]["rankings"][0]["contributions"] = [{"source": "cooccurrence", "event_id": "unproved-e7", "amount": 1.0}]
    rows["template"]["summary"] |= {"source": "template", "generation_id": None, "checks": ["unknown name"]}
    return list(rows.values())


@pytest.fixture(scope="module")
def blocked(spark, tmp_path_factory) -> Blocked:
    folder = tmp_path_factory.mktemp("blocked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOCTURNE_HOME", str(folder / "home"))
        profile = write(folder, gates={"max_rejected_share": 0.1, "max_template_share": 0.01})
        good = prepared(profile, NIGHT, [made("a")])
        before, _ = Night(spark, profile, good, STARTED, Progress("publish")).run()
        rows = broken()
        counts = {"events": {"valid": 20, "bad_time": 4}, "items": {"valid": 5}}
        bad = prepared(profile, NEXT, rows, "run-2", n_rejected=3, users=len(rows) + 1, counts=counts)
        with pytest.raises(GateError) as error:
            Night(spark, profile, bad, STARTED, Progress("publish")).run()
    verdicts = [each for each in read_rows(profile, "validations") if each["run_id"] == "run-2"]
    named = {f"{each['table']}.{each['rule']}": each for each in verdicts}
    assert len(named) == len(verdicts)
    return Blocked(profile, before, str(error.value), named, folder / "home" / "docs" / profile.name / "run-2")


RULES = {
    # rule: (how many, keys of the rows that break it)
    "rankings.title_present": ("1 of 33 rows", {"user_id=null, rank=1"}),
    "user_summaries.source_allowed": ("1 of 18 rows", {"user_id=enum"}),
    "rankings.retrieval_rank_range": ("1 of 33 rows", {"user_id=range, rank=2"}),
    "user_summaries.summary_length": ("4 of 18 rows", {f"user_id=short{k}" for k in range(4)}),
    "user_summaries.context_hash_pattern": ("1 of 18 rows", {"user_id=pattern"}),
    "rankings.key": ("2 of 33 rows", {"user_id=twice, rank=1"}),
    "rankings.one_place_an_item": ("2 of 33 rows", {"user_id=again, rank=1", "user_id=again, rank=2"}),
    "user_summaries.every_user": ("18 rows", set()),
    "rankings.list_for_every_user": ("1 rows", {"user_id=listless"}),
    "rankings.ranks_without_gap": ("2 rows", {"user_id=gap", "user_id=twice"}),
    "rankings.contributions_add_up": ("1 rows", {"user_id=sum, item_id=i2"}),
    "evidence.every_contribution": ("1 rows", {"user_id=unproved, event_id=unproved-e7"}),
    "explanations.every_ranked_item": ("1 rows", {"user_id=mute, item_id=i2"}),
    "explanations.only_ranked_items": ("1 rows", {"user_id=extra, item_id=i2"}),
    "evidence.every_cited_event": ("1 rows", {"user_id=uncited, event_id=uncited-e1"}),
    "user_summaries.grounding": ("94.44% of 18", {"user_id=uncited: likes_tag quiet: event uncited-e1 is not in evidence"}),
    "explanations.grounding": (
        "87.50% of 32",
        {
            "user_id=null, item_id=i1: recommended Film i1: the item has another title",
            "user_id=extra, item_id=i2: recommended Film i2: no item",
            *(f"user_id=uncited, item_id={k}: event A Night at Sea: event uncited-e1 is not in evidence" for k in ("i1", "i2")),
        },
    ),
    "rejected.counts_in_are_counts_out": ("3 rows", set()),
    "rejected.share": ("13.79%", set()),
    "explanations.template_share": ("2.00%", set()),
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
    assert len(blocked.error.splitlines()) == 1 + len(RULES) + 2


def test_the_release_before_stays(blocked: Blocked) -> None:
    assert releases(blocked.profile) == [blocked.before]
    rows = connect(blocked.profile).sql("select user_id, summary from user_summaries").fetchall()
    assert rows == [("a", made("a")["summary"]["summary"])]


def test_the_run_says_why_and_its_answers_are_kept(blocked: Blocked) -> None:
    (row,) = (row for row in read_rows(blocked.profile, "runs") if row["run_id"] == "run-2")
    assert (row["status"], row["release_id"], row["message"]) == ("blocked", None, blocked.error)
    assert (row["users"], row["calls_new"]) == (19, 18)
    paid = {each["generation_id"] for each in read_rows(blocked.profile, "generations")}
    assert {sha(f"summary of {row['user_id']}: {made('')['summary']['summary']}") for row in broken()} < paid


def test_data_docs_name_what_failed(blocked: Blocked) -> None:
    assert (blocked.docs / "index.html").is_file()
    judged = (blocked.docs / "judged.html").read_text()
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
