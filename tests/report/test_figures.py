"""What the page says of a night that was made by hand, figure by figure."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.errors import NotFound
from jobs.manifest import Manifest
from jobs.profile import Profile
from jobs.releases import accept
from jobs.report import people
from jobs.report.evaluated import scale, splits, words
from jobs.report.figures import Figures, gather
from jobs.report.page import USERS, by_table, how, inert, seconds, verdict
from tests.publish.nights import NEXT
from tests.report.nights import BEFORE, LATER, RUN, nights


@pytest.fixture
def figures(profile: Profile) -> Figures:
    nights(profile)
    return gather(profile, None, USERS)


def parts(figures: Figures) -> dict[str, dict[str, int]]:
    return {stage.name: {part.label: part.n for part in stage.parts} for stage in figures.flow}


# --- which run ----------


def test_the_last_run_by_default_and_any_by_its_id(profile: Profile) -> None:
    nights(profile)
    assert gather(profile, None, 0).run["run_id"] == RUN
    assert gather(profile, BEFORE, 0).run["run_id"] == BEFORE
    assert gather(profile, BEFORE, 0).before is None
    with pytest.raises(NotFound, match=f"no run 'run-9' in .*; the newest are {RUN}, {BEFORE}"):
        gather(profile, "run-9", 0)


def test_before_the_first_run_there_is_nothing_to_tell(profile: Profile) -> None:
    with pytest.raises(NotFound, match="no run yet in"):
        gather(profile, None, 0)


# --- from rows in to rows published ----------


def test_each_stage_is_all_it_began_with(figures: Figures) -> None:
    assert parts(figures) == {
        "records read": {"used": 899, "not before the night": 100, "rejected, events: bad time": 1},
        "users": {"changed": 3, "carried over": 1},
        "calls to the model": {"answered": 5, "from memory": 2, "without a usable answer": 1},
        "texts": {
            "the model's words for one user": 7,
            "templates, the model not asked": 3,
            "templates in place of the model's words": 2,
        },
        "rows published": {"user summaries": 4, "rankings": 8, "explanations": 8, "evidence": 4, "rejected": 1},
    }


def test_a_run_that_failed_is_told_as_far_as_it_came(profile: Profile) -> None:
    unknown = dict.fromkeys(("rows_in", "rows_later", "rows_rejected", "users", "users_changed", "calls_new", "prompt_tokens"))
    nights(profile, status="failed", message="no disk", ended_at=None, **unknown)
    assert all(not stage.parts for stage in gather(profile, None, USERS).flow)
    counts = {"events": {"valid": 20, "later": 5, "bad_time": 2}, "items": {"valid": 10, "missing_title": 1}}
    about = {"users": 9, "users_changed": 4, "shards": [0], "counts": counts, "release_before": None, "seconds": {}}
    Manifest(run_id=RUN, run_date=NEXT, **about).write(profile.work(str(NEXT)))
    found = parts(gather(profile, None, USERS))
    assert found["records read"] == {
        "used": 30, "not before the night": 5, "rejected, events: bad time": 2, "rejected, items: missing title": 1
    }  # fmt: skip
    assert found["users"] == {"changed": 4, "carried over": 5}
    assert found["calls to the model"] == {}


# --- calls, rules, history ----------


def test_plan_against_actual(figures: Figures) -> None:
    told = {each.name: (each.value, each.low, each.high, each.actual) for each in figures.plan}
    assert told == {"calls": (7, 5, 9, 6), "seconds": (90, 80, 110, 54)}
    assert {row["status"]: row["n"] for row in figures.statuses} == {"ok": 4, "repaired": 1, "invalid": 1}


def test_what_was_dearest(figures: Figures) -> None:
    assert [(row["prompt_name"], row["calls"], row["computed_tokens"], row["failed"]) for row in figures.prompts] == [
        ("explanation", 1, 330, 0),
        ("summary", 4, 156, 1),
        ("phrase_summary", 1, 11, 0),
    ]
    dearest = [(row["user_id"], row["calls"], row["tokens"]) for row in figures.dearest]
    assert dearest == [("ann", 2, 550), ("bob", 1, 55), ("dan", 1, 42), ("cat", 1, 39)]
    assert figures.stages == [("generate", 54, 54), ("prepare", 49, 49), ("publish", 48, 48)]


def test_what_failed_comes_first(figures: Figures) -> None:
    assert [each["rule"] for each in figures.verdicts] == ["score_psi", "key", "overlap", "coverage", "key"]
    tables = [(name, [each["rule"] for each in rules], failed) for name, rules, failed in by_table(figures.verdicts)]
    assert tables == [("rankings", ["score_psi", "key", "overlap"], 1), ("user_summaries", ["coverage", "key"], 0)]
    assert {each["rule"] for each in figures.drift} == {"score_psi", "overlap", "coverage"}


def test_history_ends_with_the_run(figures: Figures, profile: Profile) -> None:
    assert (figures.tokens, figures.seconds) == ([1687, 1687], [90.0, 151.0])
    assert [row["template_share"] for row in figures.history] == [0.5, 0.25]
    assert [row["run_id"] for row in gather(profile, BEFORE, 0).history] == [BEFORE]
    assert figures.before and figures.before.release_id == f"r-{BEFORE}"


# --- what lists and words are worth ----------


def test_the_newest_evaluation_that_is_not_newer_than_the_night(figures: Figures) -> None:
    assert {row["run_id"] for row in figures.lists} == {"evaluation-1"}
    left, later, model = splits(figures.lists)
    assert (left.name, left.n_users, list(left.methods)) == ("leave one out", 40, ["ours", "popularity", "ours, new items"])
    assert (later.methods["ours"]["ndcg@10"]["value"], left.methods["popularity"]["recall@10"]["value"]) == (0.06, 0.06)
    assert [(row["method"], row["against"], row["value"]) for row in left.differences] == [("ours", "popularity", 0.05)]
    assert scale(left.differences) == pytest.approx((0.0, 0.06))
    assert (model.methods, [row["metric"] for row in model.others]) == ({}, ["nats"])


def test_words_are_the_nights_own(figures: Figures) -> None:
    told = [(row["metric"], row["segment"], row["value"]) for row in words(figures.words)]
    assert told == [("grounding", "summaries", 0.98), ("faithfulness", "explanations", 0.729)]


def test_a_text_counts_once_for_each_check_that_refused_it(figures: Figures) -> None:
    found = {(row["segment"], row["name"]): (row["n"], row["example"]) for row in figures.reasons}
    few = (1, "phrasebook: none of 3 phrasings")
    refused = {("summaries", "length"): (1, "length: 7 words are too few"), ("summaries", "phrasebook"): few}
    assert found == refused | {("explanations", "phrasebook"): few}


# --- people ----------


def test_people_are_drawn_for_a_reason_with_all_their_rows(figures: Figures) -> None:
    found = {person.user_id: person for person in figures.people.drawn}
    assert (figures.people.of, found.keys()) == (4, {"ann", "bob", "cat", "dan"})
    assert {name: [why for why in person.why if why not in ("", "random")] for name, person in found.items()} == {
        "ann": [], "bob": ["cold", "template"], "cat": ["template"], "dan": ["list changed"]
    }  # fmt: skip
    dan = found["dan"]
    assert (dan.kept, found["ann"].kept) == (0.5, 1.0)
    assert [(row["rank"], row["item_id"], row["written_by"]) for row in dan.ranked] == [(1, "i1", "llm"), (2, "i7", "llm")]
    assert [event["event_id"] for event in dan.events] == ["dan-e1"]
    assert dan.summary["summary"] == "Likes quiet films of every age."


def test_a_sample_is_as_large_as_it_may_be_and_the_same_every_night(profile: Profile, monkeypatch) -> None:
    nights(profile)
    drawn = [[person.user_id for person in gather(profile, None, n).people.drawn] for n in (0, 1, 3, 3)]
    assert [len(each) for each in drawn] == [0, 1, 3, 3]
    assert drawn[2] == drawn[3]
    monkeypatch.setattr(people, "POOL", 2)
    assert len(gather(profile, None, 4).people.drawn) <= 4


# --- in words ----------


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("published", "4 users are public, 3 of them changed; 1 rule failed, none that blocks."),
        ("blocked", "Nothing was published, since 1 blocking rule failed: readers see r-run-1 still."),
        ("failed", "It ended before its tables were judged: readers see r-run-1 still."),
        ("running", "It is at work, or was stopped without a word: readers see r-run-1 still."),
        ("unchanged", "Nothing differs from r-run-1, which readers see as before; 1 rule failed, none that blocks."),
    ],
)
def test_the_night_in_a_sentence(profile: Profile, status: str, said: str) -> None:
    nights(profile, status=status, **({"release_id": "r-run-1"} if status == "unchanged" else {}))
    assert verdict(gather(profile, None, 0)) == said


def test_a_blocked_night_keeps_its_tables_to_be_looked_at_and_let_pass(profile: Profile) -> None:
    nights(profile, status="blocked")
    figures = gather(profile, None, USERS)
    assert (figures.shown and figures.shown.status, len(figures.people.drawn)) == ("blocked", 4)
    assert parts(figures)["rows written"]["rankings"] == 8
    accept(profile, RUN, LATER + timedelta(hours=1), "the catalogue is new")
    figures = gather(profile, RUN, USERS)
    assert (how(figures), figures.shown and figures.shown.status) == ("accepted", "accepted")
    assert verdict(figures) == "1 blocking rule failed; it was let pass all the same: the catalogue is new."


@pytest.mark.parametrize(
    ("value", "said"), [(None, "–"), (0.4, "0 s"), (59.6, "1 min 00 s"), (151, "2 min 31 s"), (3725, "1 h 02 min")]
)
def test_seconds(value: float | None, said: str) -> None:
    assert seconds(value) == said


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (7, "7"),
        ("Amélie – “Ж” 東京 👩‍🚀\n2", "Amélie – “Ж” 東京 👩‍🚀\n2"),
        ("a\u202eb\u2066c\x1b[2J\x00", "a\ufffdb\ufffdc\ufffd[2J\ufffd"),
        ("\ud800", "\ufffd"),
        ("x" * 5000, "x" * 1000 + "…"),
    ],
)
def test_nothing_steers_the_reader(value: object, shown: str) -> None:
    assert inert(value) == shown
