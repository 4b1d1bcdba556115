"""Ledgers and releases of three nights, made by hand without a JVM: two that are public, and one to be told of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from jobs.profile import Profile
from jobs.runs import put_run
from jobs.storage import put_rows
from tests.publish.nights import NEXT, NIGHT, STARTED, call, made, ranked, release, written

Row = dict[str, Any]

RUN, BEFORE = "run-2", "run-1"
LATER = STARTED + timedelta(days=1)
NOT_ASKED, FEW = "length: 7 words are too few", "phrasebook: none of 3 phrasings"


def people() -> list[Row]:
    """Four users: by the model, cold with templates, with a refused summary, and one whose list is another than before."""
    ann, bob, cat, dan = (made(user) for user in ("ann", "bob", "cat", "dan"))
    bob["summary"] |= {"cold": True, "source": "template", "generation_id": None, "n_events": 1}
    for row in bob["explanations"]:
        row |= {"source": "template", "generation_id": None}
    cat["summary"] |= {"source": "template", "generation_id": None, "checks": [NOT_ASKED, "more of it", FEW]}
    cat["explanations"][0] |= {"source": "template", "generation_id": None, "checks": [FEW]}
    dan["rankings"] = [ranked(1, "i1"), ranked(2, "i7")]
    dan["explanations"][1] |= {"item_id": "i7"}
    dan["rankings"][0]["contributions"] = [{"source": "cooccurrence", "event_id": "dan-e1", "amount": 1.0}]
    return [ann, bob, cat, dan]


def calls() -> list[Row]:
    """Six calls of the run, one of them failed, one about a shape of facts; one of another run."""
    of_run = [
        call("a", "ann", prompt_tokens=100, cached_tokens=60, output_tokens=20),
        call("b", "bob", prompt_tokens=50, cached_tokens=0, output_tokens=5),
        call("c", "cat", status="invalid", prompt_tokens=30, cached_tokens=0, output_tokens=9),
        call("d", "dan", status="repaired", prompt_tokens=40, cached_tokens=40, output_tokens=2),
        call("e", "ann", prompt_name="explanation", prompt_tokens=400, cached_tokens=100, output_tokens=30),
        call(
            "f", "summary AB", "pattern", prompt_name="phrase_summary", prompt_tokens=1000, cached_tokens=990, output_tokens=1
        ),
    ]
    about = {"run_id": RUN, "run_date": NEXT}
    return [row | about for row in of_run] + [call("g", "ann") | {"run_id": BEFORE, "run_date": NIGHT}]


def verdict(table: str, rule: str, passed: bool = True, severity: str = "block", **changes: Any) -> Row:
    about = {"run_id": RUN, "run_date": NEXT, "table": table, "rule": rule, "passed": passed, "severity": severity}
    return about | {"expected": "0 rows", "observed": "0 rows" if passed else "3 rows", "sample_keys": []} | changes


def verdicts(blocked: bool = False) -> list[Row]:
    return [
        verdict("rankings", "key"),
        verdict("rankings", "score_psi", False, "warn", expected="at most 0.25", observed="0.31", sample_keys=["above 2"]),
        verdict("rankings", "overlap", expected="at least 30.00%", observed="87.50% of 4 users in both"),
        verdict("user_summaries", "coverage", not blocked, expected="at least 90.00%", sample_keys=["user_id=eve"] * blocked),
        verdict("user_summaries", "key"),
    ]


def figure(run_id: str, day: date, split: str, metric: str, value: float, method: str = "ours", **changes: Any) -> Row:
    row = {"run_id": run_id, "run_date": day, "split": split, "method": method, "segment": "all", "metric": metric}
    ends = {"low": value - 0.01, "high": value + 0.01}
    return row | {"against": None, "value": value, "n_users": 40, "settings": None} | ends | changes


def evaluations() -> list[Row]:
    """Of lists: one evaluation before the run, and one after it, which the page must not tell; of words: the run's own."""
    lists = [
        figure("evaluation-1", NIGHT, split, metric, value, method)
        for split, off in (("leave_one_out", 0.0), ("temporal", 0.02))
        for method, at in (("ours", 0.08), ("popularity", 0.03))
        for metric, value in (("ndcg@10", at - off), ("recall@10", 2 * at), ("mrr@10", at / 2), ("coverage@20", 0.3))
    ]
    lists += [
        figure("evaluation-1", NIGHT, "leave_one_out", "ndcg@10", 0.05, against="popularity"),
        figure("evaluation-1", NIGHT, "leave_one_out", "ndcg@10", 0.077, segment="new_items", n_users=7),
        figure("evaluation-1", NIGHT, "model", "nats", 0.302, "summary", against="stranger"),
        figure("evaluation-2", NEXT + timedelta(days=1), "leave_one_out", "ndcg@10", 0.666),
    ]
    words = [
        figure(RUN, NEXT, "words", "grounding", 0.98, "all", segment="summaries"),
        figure(RUN, NEXT, "words", "faithfulness", 0.729, "cited", segment="explanations", against="random"),
        figure(BEFORE, NIGHT, "words", "grounding", 0.111, "all", segment="summaries"),
    ]
    return lists + words


def run_row(status: str = "published", **changes: Any) -> Row:
    """Columns of the run."""
    return {
        "ended_at": LATER + timedelta(seconds=151),
        "rows_in": 1000,
        "rows_later": 100,
        "rows_rejected": 1,
        "users": 4,
        "users_changed": 3,
        "calls_new": 6,
        "calls_cached": 2,
        "calls_failed": 1,
        "calls_refused": 0,
        "prompt_tokens": 1620,
        "cached_tokens": 1190,
        "output_tokens": 67,
        "template_share": 0.25,
        "stage_seconds": [("prepare", 49.0), ("generate", 54.0), ("publish", 48.0), ("workers", 54.0)],
        "predicted": [
            *[("calls", 7.0), ("calls_low", 5.0), ("calls_high", 9.0)],
            *[("seconds", 90.0), ("seconds_low", 80.0), ("seconds_high", 110.0)],
        ],
        "fusion": "weight of the model's scores 0: it does not help",
        "release_id": f"r-{RUN}" if status == "published" else None,
    } | changes


def nights(profile: Profile, rows: Iterable[Row] | None = None, status: str = "published", **changes: Any) -> None:
    """Write all of it: the run of `NEXT` with `rows` of results, after a public night with the same users' old lists."""
    release(profile, [made(user) for user in ("ann", "bob", "cat", "dan")], NIGHT, BEFORE)
    if status == "published":
        release(profile, list(rows or people()), NEXT, RUN, LATER + timedelta(seconds=150))
    if status == "blocked":
        versions = written(profile, list(rows or people()), NEXT)
        changes |= {"tables": list(versions.items()), "digests": [(name, "0:0") for name in versions]}
    before = run_row(ended_at=STARTED + timedelta(seconds=60), release_id=f"r-{BEFORE}", template_share=0.5)
    put_run(profile, BEFORE, NIGHT, STARTED - timedelta(seconds=30), "published", **before)
    put_run(profile, RUN, NEXT, LATER, status, **run_row(status, **changes))
    put_rows(profile, "validations", verdicts(blocked=status == "blocked"))
    put_rows(profile, "evaluations", evaluations())
    put_rows(profile, "generations", calls())
