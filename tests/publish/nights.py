"""Small nights made by hand: what prepare and generate leave for publish, and what a release looks like without Spark."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.contracts import OF_THE_RUN, PUBLISHED, contract
from jobs.manifest import Manifest
from jobs.profile import Profile
from jobs.releases import Release, publish, releases
from jobs.storage import write_json

Row = dict[str, Any]

STARTED = datetime(2024, 5, 2, 2, 0, tzinfo=UTC)
CATALOGUE = ("i1", "i2", "i9")
OWN_EVENT = ("event_id", "item_id", "time")
NIGHT, NEXT = date(2024, 5, 1), date(2024, 5, 2)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def call(name: str, subject: str, subject_type: str = "user", **changes: Any) -> Row:
    """An answered call: a row of `generations` but for run and night."""
    return {
        "generation_id": sha(name),
        "kind": "complete",
        "subject": subject,
        "subject_type": subject_type,
        "prompt_name": "summary",
        "prompt_version": 1,
        "model": "m",
        "status": "ok",
        "finish_reason": "stop",
        "output": f"words of {name}",
        "prompt_tokens": 10,
        "cached_tokens": 4,
        "output_tokens": 5,
    } | changes


def made(user: str, words: str = "Likes quiet films of every age.", items: Iterable[str] = ("i1", "i2")) -> Row:
    """What a worker made for one user: a good row of `results`, and the calls it came from."""
    event, items = f"{user}-e1", list(items)
    writer = {"source": "llm", "generation_id": sha(user), "checks": []}
    return {
        "user_id": user,
        "context_hash": sha(f"context {user} {words}"),
        "summary": {
            "summary": words,
            "claims": [claim("likes_tag", "quiet", event)] if "quiet" in words else [],
            "interests": [{"label": "quiet", "weight": 0.5, "evidence": [event]}],
            "dislikes": [],
            "n_events": 3,
            "cold": False,
            **writer,
        },
        "rankings": [ranked(place, item) for place, item in enumerate(items, 1)],
        "explanations": [
            {
                "item_id": item,
                "explanation": f"“Film {item}” because of “A Night at Sea”.",
                "claims": [claim("event", "A Night at Sea", event), claim("recommended", f"Film {item}")],
                "evidence": [event],
                **writer,
            }
            for item in items
        ],
        "evidence": [
            {
                "event_id": event,
                "item_id": "i9",
                "title": "A Night at Sea",
                "tags": ["quiet"],
                "creators": [],
                "year": 1999,
                "time": datetime(2024, 4, 1, 20, 15, 0, 123456, UTC),
                "value": 4.5,
                "type": None,
                "liked": True,
            }
        ],
        "calls": [call(f"summary of {user}: {words}", user)],
        "calls_answered": 3,
        "calls_refused": 0,
        "settled": True,
        "fallbacks": [],
    }  # fmt: skip


def claim(kind: str, label: str, *evidence: str) -> Row:
    return {"kind": kind, "claim": label, "evidence": list(evidence)}


def ranked(place: int, item: str) -> Row:
    return {
        "rank": place,
        "item_id": item,
        "title": f"Film {item}",
        "tags": ["quiet"],
        "score": 1 / place,
        "retrieval_rank": place,
        "retrieval_score": 1 / place,
        "contributions": [{"source": "popularity", "event_id": None, "amount": 1 / place}],
        "llm_score": None,
        "source": "retrieval",
        "experiment_group": "treatment",
    }


def rejected(night: date, n: int) -> list[Row]:
    return [
        {"run_date": night, "source": "events", "reason": "bad_time", "record": f'{{"n": {k}}}', "detail": "time: soon"}
        for k in range(n)
    ]


def prepared(
    profile: Profile,
    night: date,
    rows: list[Row],
    run_id: str = "run-1",
    carried: Iterable[str] = (),
    n_rejected: int = 1,
    release_before: str | None = None,
    log: list[Row] | None = None,
    catalogue: Iterable[str] = CATALOGUE,
    **changes: Any,
) -> Manifest:
    """Write the night's work folder as prepare and generate leave it, with `changes` in its manifest.

    `log` has the users' events, by default those that are evidence of good rows; `catalogue` ids of items.
    """
    work = profile.work(str(night))
    contexts = [_context(row) for row in rows]
    _parquet(f"{work}/contexts/shard=0", loose("contexts", ("shard",)), contexts)
    _parquet(f"{work}/results/shard=0", loose("results"), rows, "users")
    calls = [call for row in rows for call in row["calls"]]
    _parquet(f"{work}/results/shard=0", loose("generations", OF_THE_RUN), calls, "calls")
    _parquet(f"{work}/carried", pa.schema([("user_id", pa.string())]), [{"user_id": user} for user in carried])
    _parquet(f"{work}/catalogue", pa.schema([("item_id", pa.string())]), [{"item_id": name} for name in catalogue])
    others = tuple(name for name in contract("evidence").names if name not in ("user_id", *OWN_EVENT))
    _parquet(f"{work}/events", loose("evidence", others), events(rows) if log is None else log)
    _parquet(f"{work}/rejected", loose("rejected"), rejected(night, n_rejected))
    write_json(f"{work}/generate/0.json", {"seconds": 7.0, "predicted": {"calls": 3.0}})
    about: Row = {
        "run_id": run_id,
        "run_date": night,
        "users": len(rows) + len(list(carried)),
        "users_changed": len(rows),
        "shards": [0] if rows else [],
        "counts": {"events": {"valid": 20, "later": 5, "bad_time": n_rejected}, "items": {"valid": 10}},
        "release_before": release_before,
        "releases_known": max((each.sequence for each in releases(profile)), default=0),
        "seconds": {"prepare": 3.0},
    }
    manifest = Manifest(**(about | changes))
    manifest.write(work)
    return manifest


def events(rows: list[Row]) -> list[Row]:
    """What prepare leaves of users' events: those that good rows of them have as evidence."""
    users = [row["user_id"] for row in rows]
    return [{"user_id": user} | {name: each[name] for name in OWN_EVENT} for user in users for each in made(user)["evidence"]]


def _context(row: Row) -> Row:
    hashes = {"context_hash": row["context_hash"], "content_hash": None}
    about = {"user_id": row["user_id"], **hashes, "cold": False, "n_events": 3}
    nothing: Row = {name: [] for name in ("history", "facts", "candidates", "common", "unseen", "known")}
    return about | {"experiment_group": "treatment"} | nothing


def _parquet(folder: str, schema: pa.Schema, rows: list[Row], kind: str = "part") -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for old in Path(folder).glob(f"{kind}-*"):
        old.unlink()
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    content = sink.getvalue().to_pybytes()
    Path(folder, f"{kind}-{hashlib.sha256(content).hexdigest()}.parquet").write_bytes(content)


def loose(table: str, without: tuple[str, ...] = ()) -> pa.Schema:
    """A contract's Arrow schema in which everything may be null, so that bad rows can be written."""
    return pa.schema([pa.field(each.name, _loose(each.type)) for each in contract(table).arrow(without)])


def _loose(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(each.name, _loose(each.type)) for each in kind])
    return pa.list_(_loose(kind.value_type)) if pa.types.is_list(kind) else kind


def tables(rows: list[Row], night: date) -> dict[str, list[Row]]:
    """The published tables that follow from rows of `results`."""
    found: dict[str, list[Row]] = {name: [] for name in PUBLISHED}
    for row in copy.deepcopy(rows):
        about = {"run_date": night, "user_id": row["user_id"]}
        found["user_summaries"].append(about | {"context_hash": row["context_hash"], "content_hash": None} | row["summary"])
        for name in ("rankings", "explanations", "evidence"):
            found[name] += [about | each for each in row[name]]
    return found | {"rejected": rejected(night, 1)}


def release(profile: Profile, rows: list[Row], night: date = NIGHT, run_id: str = "run-1", at: datetime = STARTED) -> Release:
    """Write the tables of `rows` and their release with delta-rs: no JVM."""
    versions = written(profile, rows, night)
    new = Release(f"r-{run_id}", night, run_id, "released", versions, dict.fromkeys(versions, "0:0"), at)
    return publish(profile, new)


def written(profile: Profile, rows: list[Row], night: date) -> dict[str, int]:
    """The version of each published table, now that it has the night's `rows`."""
    from deltalake import DeltaTable, write_deltalake

    versions = {}
    for name, each in tables(rows, night).items():
        path = profile.table(name)
        there = DeltaTable.is_deltatable(path)
        more = {"predicate": f"run_date = '{night}'", "mode": "overwrite"} if there else {"mode": "error"}
        write_deltalake(path, pa.Table.from_pylist(each, schema=loose(name)), partition_by=["run_date"], **more)
        versions[name] = DeltaTable(path).version()
    return versions
