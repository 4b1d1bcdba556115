"""evaluate as a whole: real Spark on a small log, figures in the table `evaluations`."""

import json
import sys
from collections import Counter
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_matrix

from jobs.contracts import contract
from jobs.errors import InputError
from jobs.evaluate import __main__ as module
from jobs.evaluate import weigh
from jobs.evaluate.__main__ import BY_SCORE, OURS, Evaluation
from jobs.evaluate.baselines import METHODS, Arrays
from jobs.evaluate.usefulness import FOLDER, read_targets, titles_asked
from jobs.fusion import WEIGHT, decide
from jobs.profile import Night
from jobs.progress import Progress
from jobs.storage import parquet, read_rows
from tests.data.inputs import profile, write_lines

START = datetime(2024, 1, 1, tzinfo=UTC)
SHELF = "abcdefghijklmnop"


def log(users: int, each: int, seed: int = 0) -> list[str]:
    """Users who walk along the shelf from somewhere: what comes next is what stands next."""
    draw, lines = Random(seed), ["user,item,time"]
    for user in range(users):
        first, start = draw.randrange(len(SHELF)), START + timedelta(days=draw.randrange(30))
        for place in range(each):
            lines.append(f"u{user},{SHELF[(first + place) % len(SHELF)]},{(start + timedelta(hours=place)).isoformat()}")
    return lines


def made(folder, lines, **evaluation):
    write_lines(folder / "events.csv", lines)
    write_lines(folder / "items.csv", ["item,title", *[f"{item},Item {item}" for item in SHELF]])
    return profile(folder, evaluation={"groups": 2, "min_events": 2} | evaluation)


@pytest.fixture(scope="module")
def figures(spark, tmp_path_factory):
    one = made(tmp_path_factory.mktemp("walk"), log(40, 6))
    return Evaluation(spark, one, "2024-06-01", START + timedelta(days=400), Progress("test")).run()


def value(rows, **about):
    (row,) = [row for row in rows if {"segment": "all", "against": None, **about}.items() <= ({"against": None} | row).items()]
    return row


def test_every_method_is_judged_in_both_splits(figures):
    found = {(row["split"], row["method"]) for row in figures if row["split"] != "cold_items"}
    assert found == {(split, method) for split in ("leave_one_out", "temporal") for method in (OURS, BY_SCORE, *METHODS)}
    for row in figures:
        assert row.get("low") is None or row["low"] <= row["value"] <= row["high"]
        assert row["n_users"] <= 40


@pytest.mark.parametrize("split", ["leave_one_out", "temporal"])
def test_who_knows_the_order_finds_what_is_next(figures, split):
    ours = value(figures, split=split, method=OURS, metric="ndcg@10")
    popular = value(figures, split=split, method="popularity", metric="ndcg@10")
    assert ours["value"] > 0.5 > popular["value"]
    gain = value(figures, split=split, method=OURS, metric="ndcg@10", against="popularity")
    assert gain["low"] > 0
    assert gain["value"] == pytest.approx(
        ours["value"] - value(figures, split=split, method="popularity", metric="ndcg@10")["value"]
    )


def test_segments_add_up(figures):
    def n(name: str) -> int:
        rows = [row for row in figures if (row["split"], row["segment"], row["metric"]) == ("leave_one_out", name, "mrr@10")]
        return rows[0]["n_users"] if rows else 0

    assert n("cold") + n("light") + n("heavy") == n("all") == 40


def test_segments_by_hand():
    """Four items that 1, 5, 4 and 9 users had; users who had 0, 1, 2 and 4 of them, and who are judged by one each."""
    own = csr_matrix(np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]))
    had = csr_matrix(np.array([[1] * n + [0] * (9 - n) for n in (1, 5, 4, 9)]).T)
    fold = Arrays(learned=had, own=own, target=np.array([0, 1, 2, 3]), again=False)
    told = SimpleNamespace(profile=SimpleNamespace(night=Night(cold_events=1)))
    found = {name: members.tolist() for name, members in Evaluation._segments(told, [fold]).items()}
    assert found == {
        "all": [True, True, True, True],
        "cold": [True, False, False, False],
        "light": [False, True, False, False],  # fewer than the median of 1.5
        "heavy": [False, False, True, True],
        "new_items": [True, False, True, False],
    }


def test_the_job_writes_the_table_once(spark, tmp_path, monkeypatch, capsys):
    one = made(tmp_path, log(12, 4))
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module, "spark_session", lambda *_, **__: nullcontext(spark))
    told = ["--run-date", "2024-06-01", "--run-id", "2024-06-01-x", "--started-at", "2025-06-01T00:00:00Z"]
    monkeypatch.setattr(sys, "argv", ["evaluate", "--profile", one.file, *told])
    for _ in range(2):
        module.main()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = read_rows(one, "evaluations")
    assert (result["run_id"], result["figures"]) == ("2024-06-01-x", len(rows))
    keys = [tuple(row[name] for name in contract("evaluations").keys) for row in rows]
    assert len(set(keys)) == len(keys) > 100


@pytest.mark.parametrize("lines", [log(3, 1), ["user,item,time"]], ids=["an event each", "no event"])
def test_nothing_to_hold_out_is_an_error(spark, tmp_path, lines):
    with pytest.raises(InputError, match="nothing to evaluate"):
        Evaluation(spark, made(tmp_path, lines), "2024-06-01", START + timedelta(days=400), Progress("test")).run()


def said(one, run_date, knows):
    """What a worker would have written: `knows` gives the likelihood of an item after another; letters tell nothing."""
    work = one.evaluation_work(run_date)
    for shard in range(2):
        rows = [
            {"user_id": row["user_id"], "context_hash": row["context_hash"], "probes": [], "calls_answered": 0}
            | {"scores": [
                {"scorer": scorer, "turn": 0, "place": place, "item_id": each["item_id"], "nats": nats}
                for place, each in enumerate(row["candidates"])
                for scorer, nats in (("likelihood", knows(row["history"][-1]["item_id"], each["item_id"])), ("labels", -1.0))
            ]}
            for row in parquet(f"{work}/contexts/shard={shard}").to_table().to_pylist()
        ]  # fmt: skip
        folder = Path(f"{work}/results/shard={shard}")
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=contract("scores").arrow()), folder / "users-x.parquet")


def summarized(one, run_date):
    """What a worker would have written of summaries: by one's own a title is likelier by 2 nats than by another's."""
    work = f"{one.evaluation_work(run_date)}/{FOLDER}"
    rows = []
    for user, titles in titles_asked(read_targets(one.evaluation_work(run_date))).items():
        own = next(iter(titles))
        scores = [("prior", own, -9.0), *[("summary", item, -5.0 if item == own else -7.0) for item in titles]]
        named = [{"scorer": scorer, "turn": 0, "place": 0, "item_id": item, "nats": nats} for scorer, item, nats in scores]
        rows.append({"user_id": user, "context_hash": "", "scores": named, "probes": [], "calls_answered": 0})
    folder = Path(f"{work}/results/shard=0")
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=contract("scores").arrow()), folder / "users-x.parquet")


def is_next(last: str, item: str) -> float:
    return 0.0 if SHELF.index(item) == (SHELF.index(last) + 1) % len(SHELF) else -5.0


def lost(users: int, seed: int = 0) -> list[str]:
    """Users who know two neighbours of the shelf each, among many who go there at random: retrieval can hardly tell."""
    draw, lines = Random(seed), ["user,item,time"]
    for user in range(users):
        first, start = draw.randrange(len(SHELF)), START + timedelta(days=draw.randrange(30))
        aimless = [draw.randrange(len(SHELF)) for _ in range(4)]
        for place, item in enumerate([*aimless, first, first + 1, first + 2]):
            lines.append(f"u{user},{SHELF[item % len(SHELF)]},{(start + timedelta(hours=place)).isoformat()}")
    return lines


def test_a_model_that_helps_gets_a_weight_and_one_that_does_not_gets_none(spark, tmp_path, monkeypatch, capsys):
    one = made(tmp_path, lost(60), scored_users=60)
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module, "spark_session", lambda *_, **__: nullcontext(spark))
    about = ["--profile", one.file, "--run-date", "2024-06-01", "--run-id", "2024-06-01-x"]
    monkeypatch.setattr(sys, "argv", ["evaluate", *about, "--started-at", "2025-06-01T00:00:00Z"])
    module.main()
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["trials"] > 20
    said(one, "2024-06-01", is_next)
    summarized(one, "2024-06-01")
    monkeypatch.setattr(sys, "argv", ["weigh", *about])
    weigh.main()
    weights = json.loads(capsys.readouterr().out.splitlines()[-1])["weights"]
    assert weights["ours+likelihood"] > 0 == weights["ours+labels"]
    rows = read_rows(one, "evaluations")
    assert {row["split"] for row in rows} == {"leave_one_out", "temporal", "model"}
    gain = value(rows, split="model", method="ours+likelihood", metric="ndcg@10", against="ours")
    assert gain["low"] > 0
    useful = value(rows, split="model", method="summary", metric="nats", against="stranger")
    assert (useful["value"], useful["low"], useful["high"], useful["n_users"]) == (2.0, 2.0, 2.0, 60)
    keys = [tuple(row[name] for name in contract("evaluations").keys) for row in rows]
    assert len(set(keys)) == len(keys)
    found = decide(
        one, date(2024, 6, 1), json.loads(value(rows, split="model", metric=WEIGHT, method="ours+labels")["settings"])["model"]
    )
    assert (found.scorer, found.weight) == ("likelihood", weights["ours+likelihood"])
    assert "ndcg@10" in (tmp_path / "home" / "docs" / one.name / "evaluation-2024-06-01-x.svg").read_text()
    assert not list((tmp_path / "warehouse" / "_evaluation").glob("*")), "nobody's history stays behind"


def test_a_summary_is_of_what_was_before_the_held_out_event(spark, tmp_path):
    lines = log(20, 6)
    one = made(tmp_path, lines, scored_users=15)
    Evaluation(spark, one, "2024-06-01", START + timedelta(days=400), Progress("test")).trials()
    work = one.evaluation_work("2024-06-01")
    targets = {each.user_id: each for each in read_targets(work)}
    contexts = {row["user_id"]: row for row in parquet(f"{work}/{FOLDER}/contexts/shard=0").to_table().to_pylist()}
    last = {line.split(",")[0]: line.split(",")[1] for line in lines[1:]}
    counts = Counter(line.split(",")[1] for line in lines[1:])
    counts.subtract(last.values())
    assert len(targets) == 15 and targets.keys() == contexts.keys()
    for user, each in targets.items():
        assert (each.item_id, each.title, each.n_events) == (last[user], f"Item {last[user]}", counts[last[user]])
        facts = contexts[user]["facts"]
        assert facts and each.item_id not in each.had == {event["item_id"] for event in contexts[user]["history"]}
        assert {fact["kind"] for fact in facts} >= {"recent"}
        assert each.title not in {fact["label"] for fact in facts}
        assert contexts[user]["candidates"] == []


def test_without_users_to_score_there_is_nothing_of_the_model(spark, tmp_path):
    one = made(tmp_path, log(12, 4), scored_users=0)
    assert Evaluation(spark, one, "2024-06-01", START + timedelta(days=400), Progress("test")).trials() == 0
    assert weigh.read_part(one.evaluation_work("2024-06-01"), 0, one.night).trials == []


def test_without_a_core_nobody_is_scored_and_figures_stay(spark, tmp_path):
    one = made(tmp_path, log(40, 6), min_events=50)
    evaluation = Evaluation(spark, one, "2024-06-01", START + timedelta(days=400), Progress("test"))
    assert {row["split"] for row in evaluation.run()} == {"temporal"}
    assert evaluation.trials() == 0
