"""From rows in to rows published: every stage as what became of all it began with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from jobs.errors import NotFound
from jobs.manifest import Manifest, read_manifest
from jobs.profile import Profile
from jobs.report.pictures import Part
from jobs.report.queries import rejected, written

Row = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One stage; its parts add up, and are none where the run did not come so far."""

    name: str
    parts: Sequence[Part]

    @property
    def n(self) -> int:
        return sum(part.n for part in self.parts)


def flow(profile: Profile, db: duckdb.DuckDBPyConnection | None, run: Row, sources: list[Row]) -> list[Stage]:
    """All stages of a run: `db` shows its tables, None where it came to none, `sources` are its texts by who wrote them."""
    manifest = _manifest(profile, run)
    public = "published" if run["release_id"] else "written"
    return [
        Stage("records read", _records(run, manifest, rejected(db) if db else {})),
        Stage("users", _users(run, manifest)),
        Stage("calls to the model", _calls(run)),
        Stage("texts", _texts(sources)),
        Stage(f"rows {public}", _rows(written(db)) if db else []),
    ]


def _manifest(profile: Profile, run: Row) -> Manifest | None:
    """What prepare told, where the night's work folder is still this run's."""
    try:
        return read_manifest(profile, str(run["run_date"]), run["run_id"])
    except NotFound:
        return None


def _records(run: Row, manifest: Manifest | None, counted: Mapping[str, int]) -> list[Part]:
    """Used, not before the night, and rejected by reason; `counted` are the rows of `rejected`."""
    if manifest:
        total, later, lost = manifest.rows_in, manifest.rows_later, manifest.rows_rejected
    elif run["rows_in"] is not None:
        total, later, lost = run["rows_in"], run["rows_later"], run["rows_rejected"]
    else:
        return []
    reasons = {f"rejected, {why.replace('_', ' ')}": n for why, n in (_reasons(manifest) if manifest else counted).items()}
    reasons |= {"rejected": lost - sum(reasons.values())}
    parts = [Part("used", total - later - lost, "good"), Part("not before the night", later, "kept")]
    return _some(parts + [Part(why, n, "lost") for why, n in reasons.items()])


def _reasons(manifest: Manifest) -> dict[str, int]:
    counts = ((f"{source}: {why}", why, n) for source, reasons in manifest.counts.items() for why, n in reasons.items())
    return {name: n for name, why, n in counts if why not in ("valid", "later")}


def _users(run: Row, manifest: Manifest | None) -> list[Part]:
    if manifest is None and run["users"] is None:
        return []
    users, changed = (manifest.users, manifest.users_changed) if manifest else (run["users"], run["users_changed"])
    return _some([Part("changed", changed, "good"), Part("carried over", users - changed, "kept")])


def _calls(run: Row) -> list[Part]:
    if run["calls_new"] is None:
        return []
    return _some([
        Part("answered", run["calls_new"] - run["calls_failed"], "good"),
        Part("from memory", run["calls_cached"], "kept"),
        Part("without a usable answer", run["calls_failed"], "lost"),
        Part("beyond the budget", run["calls_refused"] or 0, "idle"),
    ])  # fmt: skip


def _texts(sources: list[Row]) -> list[Part]:
    if not sources:
        return []
    n: dict[str, int] = {}
    for row in sources:
        name = row["source"] if row["source"] != "template" else "refused" if row["asked"] else "own"
        n[name] = n.get(name, 0) + row["n"]
    return _some([
        Part("the model's words for one user", n.get("llm", 0), "good"),
        Part("the model's phrasings, filled in", n.get("phrasebook", 0), "kept"),
        Part("templates, the model not asked", n.get("own", 0), "idle"),
        Part("templates in place of the model's words", n.get("refused", 0), "lost"),
    ])  # fmt: skip


def _rows(tables: Mapping[str, int]) -> list[Part]:
    """In colours that take turns."""
    kinds = {name: "good" if at % 2 == 0 else "kept" for at, name in enumerate(tables)} | {"rejected": "lost"}
    return _some([Part(name.replace("_", " "), n, kinds[name]) for name, n in tables.items()])


def _some(parts: list[Part]) -> list[Part]:
    """Those that there are, the first at least."""
    return [part for part in parts if part.n] or parts[:1]
