"""Rows of the contract `contexts` and a night's folder, as small as a test needs them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from jobs.contracts import contract
from jobs.fusion import Fusion
from jobs.generate.chunks import CALLS
from jobs.generate.context import Context
from jobs.manifest import Manifest
from jobs.profile import Profile
from tests.data.inputs import profile as make_profile

RUN_DATE = "2020-02-02"
SCHEMAS = {"calls": CALLS, "users": contract("results").arrow()}
CONTEXTS = contract("contexts").arrow(without=("shard",))


def event(number: int, title: str, tags: Iterable[str] = ("Drama",), positive: bool = True) -> dict[str, Any]:
    about = {"event_id": f"e{number}", "item_id": f"had{number}", "title": title, "tags": list(tags)}
    when = datetime(2020, 1, 1, 0, number, tzinfo=UTC)
    about |= {"creators": [], "year": 1999, "text": None, "time": when, "value": 4.5, "type": "rating"}
    return about | {"positive": positive, "negative": not positive}


def fact(kind: str, label: str, *evidence: str) -> dict[str, Any]:
    about = {"kind": kind, "label": label, "n_events": len(evidence), "share": 0.5, "lift": None}
    return about | {"weight": 1.0, "evidence": list(evidence)}


def candidate(number: int, title: str, score: float = 1.0, support: Collection[str] = ("e1",)) -> dict[str, Any]:
    about = {"item_id": f"new{number}", "title": title, "tags": ["Drama"], "creators": [], "year": None, "text": None}
    parts = [{"source": "cooccurrence", "event_id": each, "amount": score / len(support)} for each in support]
    found = {"retrieval_rank": number, "retrieval_score": score, "source": "retrieval", "contributions": parts}
    return about | found


def answer(name: str, status: str = "ok", output: str | None = "words") -> dict[str, Any]:
    about = {"generation_id": name, "kind": "complete", "subject": "u1", "subject_type": "user", "prompt_name": "summary"}
    tokens = {"prompt_tokens": 1, "cached_tokens": 0, "output_tokens": 1}
    return about | {"prompt_version": 1, "model": "fake", "status": status, "finish_reason": "stop", "output": output} | tokens


def row(user_id: str = "u1", **changes: Any) -> dict[str, Any]:
    """A user who liked "Heat" and was not fond of "Tron", with three candidates."""
    return {
        "user_id": user_id,
        "context_hash": "a" * 64,
        "cold": False,
        "n_events": 2,
        "experiment_group": "treatment",
        "history": [event(1, "Heat", ["Drama", "Crime"]), event(2, "Tron", ["Action"], positive=False)],
        "facts": [fact("likes_tag", "Drama", "e1"), fact("favourite", "Heat", "e1"), fact("disliked", "Tron", "e2")],
        "candidates": [candidate(1, "Ronin", 3.0), candidate(2, "Fargo", 2.0), candidate(3, "Speed", 1.0, [])],
        "common": [{"of": "tag", "label": "Drama", "lift": 1.5}],
        "unseen": [],
        "known": [],
        "told": None,
        "content_hash": None,
    } | changes


def user(user_id: str = "u1", **changes: Any) -> Context:
    return Context.from_row(row(user_id, **changes))


def night(folder: Path, shards: dict[int, list[dict[str, Any]]], model: dict[str, Any] | None = None, **limits: Any) -> Profile:
    """A profile (of the fake engine, unless a model is given) whose night has these contexts by shard."""
    limits = {"list_length": 3, "candidates": 3, "chunk_users": 4, "model_weight": 1.0} | limits
    profile = make_profile(folder, night=limits, **({"model": model} if model else {}))
    for shard, rows in shards.items():
        path = Path(f"{profile.work(RUN_DATE)}/contexts/shard={shard}")
        path.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=CONTEXTS), path / "part-0.parquet")
    users = sum(map(len, shards.values()))
    Manifest(
        run_id="r1", run_date=RUN_DATE, users=users, users_changed=users, shards=sorted(shards),
        counts={}, release_before=None, seconds={}, fusion=Fusion(weight=limits["model_weight"]),
    ).write(profile.work(RUN_DATE))  # fmt: skip
    return profile


def results(profile: Profile) -> list[dict[str, Any]]:
    """Every committed user, by id."""
    return sorted(_committed(profile, "users"), key=lambda each: each["user_id"])


def calls(profile: Profile) -> list[dict[str, Any]]:
    """Every committed call."""
    return _committed(profile, "calls")


def _committed(profile: Profile, kind: str) -> list[dict[str, Any]]:
    chunks = [str(file) for file in Path(f"{profile.work(RUN_DATE)}/results").rglob(f"{kind}-*.parquet")]
    return list(ds.dataset(chunks, format="parquet", schema=SCHEMAS[kind]).to_table().to_pylist())
