"""Nights that are good enough to be seen: what is released, by which row, and what a second night does to the first."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable

from jobs.contracts import PUBLISHED, contract
from jobs.errors import GateError, InputError, NotFound
from jobs.home import home
from jobs.lake import connect
from jobs.publish import __main__ as job
from jobs.publish.tables import digest
from jobs.releases import accept, latest, releases
from jobs.report.page import place
from jobs.runs import find_run
from jobs.storage import folders, read_rows, write_json
from tests.publish.nights import NEXT, NIGHT, STARTED, made, prepared, tables

WORDS = "Likes loud films, which is new."


def seen(profile, table: str, release: str | None = None) -> list[dict]:
    """Rows that a reader sees, by key."""
    keys = ", ".join(contract(table).keys or ["record"])
    return connect(profile, release).sql(f"from {table} order by {keys}").to_arrow_table().to_pylist()


def summaries(profile, release: str | None = None) -> dict[str, str]:
    return {row["user_id"]: row["summary"] for row in seen(profile, "user_summaries", release)}


def ordered(table: str, rows: list[dict]) -> list[dict]:
    names, keys = contract(table).names, contract(table).keys or ["record"]
    return sorted(({name: row[name] for name in names} for row in rows), key=lambda row: [row[key] for key in keys])


def test_a_good_night_is_released_whole(spark, profile, run) -> None:
    rows = [made("a"), made("b")]
    release, status = run(prepared(profile, NIGHT, rows))

    assert (status, release.release_id, release.run_date) == ("published", "r-run-1", NIGHT)
    assert releases(profile) == [release]
    for name, expected in tables(rows, NIGHT).items():
        assert seen(profile, name) == ordered(name, expected)
        table = DeltaTable(profile.table(name))
        assert table.version() == release.tables[name]
        assert [field.name for field in table.schema().fields] == contract(name).names
        assert table.metadata().partition_columns == contract(name).partitions == ["run_date"]
        assert release.digests[name] == digest(spark.read.format("delta").load(profile.table(name)))
    (row,) = read_rows(profile, "runs")
    facts = {
        "run_id": "run-1", "status": "published", "release_id": "r-run-1", "rows_in": 36, "rows_later": 5, "rows_rejected": 1,
        "users": 2, "users_changed": 2, "calls_new": 2, "calls_cached": 4, "calls_failed": 0, "prompt_tokens": 20,
        "cached_tokens": 8, "output_tokens": 10, "template_share": 0.0, "message": None,
        "fusion": "weight of the model's scores 0",
    }  # fmt: skip
    assert {name: row[name] for name in facts} == facts
    seconds = dict(row["stage_seconds"])
    assert (seconds["prepare"], seconds["generate"]) == (3.0, 7.0)
    assert (seconds["workers"], seconds.keys()) == (7.0, {"prepare", "generate", "publish", "workers"})
    paid = {(each["generation_id"], each["run_id"]) for each in read_rows(profile, "generations")}
    assert paid == {(row["calls"][0]["generation_id"], "run-1") for row in rows}
    verdicts = read_rows(profile, "validations")
    assert {each["table"] for each in verdicts} == {*PUBLISHED, "generations"}
    assert all(each["passed"] and each["run_id"] == "run-1" and not each["sample_keys"] for each in verdicts)
    assert folders(f"{profile.work(str(NIGHT))}/results") == []


def test_nights_follow_each_other(profile, run) -> None:
    """The same content, changed content, another night: each by one row, and what was public stays readable."""
    first, _ = run(prepared(profile, NIGHT, [made("a"), made("b")]))

    again, status = run(prepared(profile, NIGHT, [made("b"), made("a")], run_id="run-2"))
    assert (again, status) == (first, "unchanged")
    assert releases(profile) == [first]
    assert {name: DeltaTable(profile.table(name)).version() for name in PUBLISHED} == first.tables
    assert len(read_rows(profile, "generations")) == 2
    assert [(row["status"], row["release_id"]) for row in read_rows(profile, "runs") if row["run_id"] == "run-2"] == [
        ("unchanged", "r-run-1")
    ]

    manifest = prepared(profile, NEXT, [made("b", WORDS)], "run-3", carried=["a"], release_before=first.release_id)
    other, status = run(manifest)
    assert status == "published"
    assert releases(profile) == [other, first]
    assert summaries(profile) == {"a": "Likes quiet films of every age.", "b": WORDS}
    assert {row["run_date"] for name in PUBLISHED for row in seen(profile, name)} == {NEXT}
    assert [(row["user_id"], row["rank"]) for row in seen(profile, "rankings")] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]

    changed, status = run(prepared(profile, NIGHT, [made("a", WORDS)], "run-4", n_rejected=0))
    assert status == "published"
    assert releases(profile) == [other, changed, first]
    assert summaries(profile, changed.release_id) == {"a": WORDS}
    assert seen(profile, "rejected", changed.release_id) == []
    assert summaries(profile) == {"a": "Likes quiet films of every age.", "b": WORDS}
    for name, rows in tables([made("a"), made("b")], NIGHT).items():
        assert seen(profile, name, first.release_id) == ordered(name, rows)


def test_a_run_that_is_cleared_and_run_again_makes_a_release_of_its_own(profile, run) -> None:
    first, _ = run(prepared(profile, NIGHT, [made("a")]))
    second, _ = run(prepared(profile, NIGHT, [made("a", WORDS)]))
    assert first.release_id != second.release_id
    assert summaries(profile, first.release_id) == {"a": "Likes quiet films of every age."}
    assert summaries(profile, second.release_id) == summaries(profile) == {"a": WORDS}


def test_a_night_on_which_nobody_changed(profile, run) -> None:
    first, _ = run(prepared(profile, NIGHT, [made("a")]))
    manifest = prepared(profile, NEXT, [], "run-2", carried=["a"], release_before=first.release_id)
    second, status = run(manifest)
    assert (status, second.digests["rankings"]) == ("published", first.digests["rankings"])
    assert summaries(profile) == {"a": "Likes quiet films of every age."}


def test_nights_that_reject_nothing(profile, run) -> None:
    """There is neither a row to write nor one to replace; the night has a version of the table all the same."""
    clean = {"n_rejected": 0, "counts": {"events": {"valid": 20}, "items": {"valid": 10}}}
    first, _ = run(prepared(profile, NIGHT, [made("a")], **clean))
    second, status = run(prepared(profile, NEXT, [], "run-2", carried=["a"], release_before=first.release_id, **clean))
    assert (status, releases(profile)) == ("published", [second, first])
    assert second.tables["rejected"] > first.tables["rejected"]
    assert seen(profile, "rejected") == []


def test_an_interrupted_publish_shows_nothing_and_can_be_repeated(profile, run, monkeypatch) -> None:
    first, _ = run(prepared(profile, NIGHT, [made("a")]))
    with monkeypatch.context() as patch:
        patch.setattr(job, "publish", lambda *_: (_ for _ in ()).throw(ConnectionError("the store is away")))
        with pytest.raises(ConnectionError):
            run(prepared(profile, NIGHT, [made("a", WORDS)], run_id="run-2"))
    assert releases(profile) == [first]
    assert summaries(profile) == {"a": "Likes quiet films of every age."}

    second, status = run(prepared(profile, NIGHT, [made("a", WORDS)], run_id="run-2"))
    assert (status, releases(profile)) == ("published", [second, first])
    assert summaries(profile) == {"a": WORDS}


def test_a_run_that_was_killed_once_it_was_released_says_so_when_repeated(profile, run, monkeypatch) -> None:
    """With what it wrote: `mend` tells a lost release again from that."""
    manifest = prepared(profile, NIGHT, [made("a")])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(job, "put_run", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
        run(manifest)
    release, status = run(manifest)
    assert (status, releases(profile)) == ("published", [release])
    row = find_run(profile, "run-1")
    assert row and (row["status"], row["release_id"]) == ("published", release.release_id)
    assert (dict(row["tables"]), dict(row["digests"])) == (release.tables, release.digests)


def test_phrasings_are_recorded_before_the_run_is_done(profile, run, monkeypatch) -> None:
    """A run whose row says so is not published again: what is missing then stays so."""
    manifest = prepared(profile, NIGHT, [made("a")])
    row = {"pattern": "p", "text": "x", "use": True, "checks": [], "generation_id": None}
    write_json(f"{profile.work(str(NIGHT))}/generate/0.phrasings.json", [row])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(job, "put_run", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
        run(manifest)
    assert [each["text"] for each in read_rows(profile, "phrasings")] == ["x"]


def test_users_that_generate_did_not_finish_stop_the_night(profile, run) -> None:
    rows = [made("a"), made("b")]
    manifest = prepared(profile, NIGHT, rows)
    prepared(profile, NIGHT, [made("a"), made("b", WORDS)])
    stale = manifest.model_copy(update={"users": 3, "users_changed": 3})
    with pytest.raises(InputError, match="generate made 2 of 3 users of 2024-05-01; let it finish, or start"):
        run(stale)
    assert releases(profile) == []


def test_lost_calls_stop_the_night(profile, run) -> None:
    """Words whose calls are lost are not published: generate makes them anew from what is left."""
    manifest = prepared(profile, NIGHT, [made("a"), made("b")])
    (calls,) = Path(f"{profile.work(str(NIGHT))}/results/shard=0").glob("calls-*")
    calls.write_bytes(calls.read_bytes()[:-9])
    with pytest.raises(InputError, match="1 files of calls are not what generate wrote for 2024-05-01; run it again first"):
        run(manifest)
    assert releases(profile) == []


@pytest.fixture
def started(spark, profile, monkeypatch):
    """Start the job as Airflow does, within this session's JVM."""
    from contextlib import nullcontext

    from jobs.errors import run_main

    monkeypatch.setattr(job, "spark_session", lambda *_: nullcontext(spark))

    def start(night, run_id="run-1") -> None:
        arguments = ["--run-date", str(night), "--run-id", run_id, "--started-at", "2024-05-02T02:00:00Z"]
        monkeypatch.setattr("sys.argv", ["publish", "--profile", profile.file, *arguments])
        run_main(job.main)

    return start


def test_the_job_ends_with_the_release_as_json(profile, started, capsys) -> None:
    prepared(profile, NIGHT, [made("a")])
    started(NIGHT)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told == {"release": "r-run-1", "status": "published", "report": str(place(profile, "run-1"))}
    assert "r-run-1" in place(profile, "run-1").read_text()
    (row,) = read_rows(profile, "runs")
    assert (row["status"], row["started_at"]) == ("published", datetime(2024, 5, 2, 2, tzinfo=UTC))
    assert row["ended_at"] > row["started_at"]


def test_the_job_of_a_blocked_night_exits_with_3(profile, started, capsys) -> None:
    prepared(profile, NIGHT, [made("a")], users=2)
    with pytest.raises(SystemExit) as ended:
        started(NIGHT)
    assert ended.value.code == 3
    said = capsys.readouterr().err
    assert said == (
        "nocturne: nothing was published; rules that block failed:\n  user_summaries.every_user: 1 rows (expected 2 rows)\n"
        f'to look at it: infra/nocturne query --release run-1 "..."; every rule: {home()}/docs/profile/run-1/night.html\n'
        'to let it pass: infra/nocturne release --run run-1 --accept "REASON"\n'
    )
    (row,) = read_rows(profile, "runs")
    assert (row["status"], row["release_id"]) == ("blocked", None)


def test_a_blocked_night_can_be_read_and_let_pass(profile, run) -> None:
    first, _ = run(prepared(profile, NIGHT, [made("a")]))
    with pytest.raises(GateError):
        run(prepared(profile, NEXT, [made("a", WORDS)], "run-2", users=2))
    assert latest(profile) == first
    assert summaries(profile, "run-2") == {"a": WORDS}
    assert summaries(profile) == {"a": "Likes quiet films of every age."}

    accepted = accept(profile, None, STARTED, "one user is gone")
    assert (accepted.release_id, accepted.status, accepted.reason) == ("r-run-2", "accepted", "one user is gone")
    assert latest(profile) == accepted
    assert summaries(profile) == {"a": WORDS}
    row = find_run(profile, "run-2")
    assert row and (row["status"], row["release_id"]) == ("published", "r-run-2")
    with pytest.raises(NotFound, match="no blocked run"):
        accept(profile, None, STARTED, "again")


def test_of_two_runs_of_a_night_at_once_one_wins(profile, run) -> None:
    """Each writes its own rows, whoever writes between; the second to come finds the first one's release."""
    late = prepared(profile, NIGHT, [made("a", WORDS)], "run-2")
    first, _ = run(prepared(profile, NIGHT, [made("a")]))
    prepared(profile, NIGHT, [made("a", WORDS)], "run-2")
    with pytest.raises(InputError, match=r"run run-1 has released 2024-05-01 meanwhile \(r-run-1\); its release stays"):
        run(late)
    assert releases(profile) == [first]
    assert summaries(profile) == {"a": "Likes quiet films of every age."}


def test_the_job_without_a_prepared_night_exits_with_3(profile, started, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        started(NIGHT)
    assert ended.value.code == 3
    assert "prepare has not finished for 2024-05-01" in capsys.readouterr().err
    (row,) = read_rows(profile, "runs")
    assert row["status"] == "failed"
    assert "prepare has not finished" in row["message"]


CHANGES = {
    "a word": lambda row: row | {"words": "b"},
    "a taste that turns": lambda row: row | {"likes": [], "dislikes": row["likes"]},
    "null for a text": lambda row: row | {"words": None},
    "a text in the next column": lambda row: row | {"words": None, "more": "a"},
    "a microsecond": lambda row: row | {"time": datetime(2024, 1, 1, 0, 0, 0, 2, UTC)},
    "an event cited for another label": lambda row: row | {"likes": [{"label": "x", "ids": []}, {"label": "y", "ids": ["1"]}]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_digest_sees(spark, change) -> None:
    schema = "words string, more string, likes array<struct<label string, ids array<string>>>, dislikes array<struct<label string, ids array<string>>>, time timestamp, run_date date"  # noqa: E501
    likes = [{"label": "x", "ids": ["1"]}, {"label": "y", "ids": []}]
    row = {"words": "a", "more": None, "likes": likes, "dislikes": [], "time": datetime(2024, 1, 1, 0, 0, 0, 1, UTC)}
    row |= {"run_date": NIGHT}
    before, after = (spark.createDataFrame([each], schema) for each in (row, CHANGES[change](row)))
    assert digest(before) != digest(after)


def test_a_digest_sees_neither_the_order_of_rows_nor_the_night(spark) -> None:
    frame = spark.createDataFrame([("a", NIGHT), ("b", NIGHT), ("b", NIGHT)], "words string, run_date date")
    other = spark.createDataFrame([("b", NEXT), ("a", NEXT), ("b", NEXT)], "words string, run_date date").repartition(3)
    assert digest(frame) == digest(other)
    assert digest(frame) != digest(other.dropDuplicates())
