"""A sample of a night's users with all that is published of them: who is drawn, and their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import duckdb

from jobs.profile import Profile
from jobs.releases import Release
from jobs.storage import delta_uri

Row = dict[str, Any]

POOL = 50_000  # users, at most about so many, that the sample is drawn from
OVERLAP = 10  # places of a list that are compared with the release before
KINDS = {"random": 0.4, "cold": 0.2, "template": 0.2, "list changed": 0.2}  # share of the sample


@dataclass
class Person:
    """One user's published rows. `why` says why they are in the sample; `kept` the share of their list that stayed."""

    user_id: str
    why: list[str]
    kept: float | None = None
    summary: Row = field(default_factory=dict)
    ranked: list[Row] = field(default_factory=list)  # rankings with explanation, claims, evidence, written_by, checks
    events: list[Row] = field(default_factory=list)  # evidence that is cited, newest first

    @cached_property
    def cited(self) -> set[str]:
        """Ids of all events that anything about the person rests on; once its rows are there."""
        told = [*self.summary["interests"], *self.summary["dislikes"], *self.summary["claims"]]
        told += [claim for row in self.ranked for claim in [*(row["claims"] or ()), {"evidence": row["evidence"] or ()}]]
        told += [{"evidence": [part["event_id"]]} for row in self.ranked for part in row["contributions"] or ()]
        return {event_id for each in told for event_id in each["evidence"] or ()}


@dataclass(frozen=True)
class People:
    """The sample, and how many users it is drawn from."""

    drawn: list[Person]
    of: int


def people(
    profile: Profile, db: duckdb.DuckDBPyConnection, shown: Release | None, before: Release | None, n_users: int
) -> People:
    """At most `n_users`, in the order of a hash of their id: the same people every night, as long as they are there."""
    if shown is None:
        return People([], 0)
    (users,) = db.execute("select count(*) from user_summaries").fetchone() or (0,)
    _pool(db, users)
    drawn = _drawn(profile, db, before, n_users)
    _fill(db, drawn)
    return People(list(drawn.values()), users)


def _pool(db: duckdb.DuckDBPyConnection, users: int) -> None:
    """The table `pool`: of users, a share by hash that is at most about `POOL`."""
    every = max(1, -(-users // POOL))
    templates = "list_contains([source] || explained_by, 'template')"
    db.execute(
        f"create temp table pool as with mine as (select * from user_summaries where hash(user_id) % {every} = 0), "
        "told as (select user_id, list(distinct source) as explained_by from explanations "
        f"where hash(user_id) % {every} = 0 group by user_id) "
        f"select user_id, cold, coalesce({templates}, source = 'template') as template, md5(user_id) as place "
        "from mine left join told using (user_id)"
    )


def _drawn(profile: Profile, db: duckdb.DuckDBPyConnection, before: Release | None, n_users: int) -> dict[str, Person]:
    """People by id, each with every reason to be drawn, in the order of the kinds."""
    found: dict[str, Person] = {}
    for kind, share in KINDS.items():
        most = round(n_users * share)
        for user_id, kept in _changed(profile, db, before, most) if kind == "list changed" else _of_kind(db, kind, most):
            person = found.setdefault(user_id, Person(user_id, []))
            person.why.append(kind)
            person.kept = kept if kept is not None else person.kept
    if len(found) < n_users:  # too few are cold or have templates: more at random
        for user_id, _ in _of_kind(db, "random", n_users):
            if len(found) < n_users:
                found.setdefault(user_id, Person(user_id, ["random"]))
    return found


def _of_kind(db: duckdb.DuckDBPyConnection, kind: str, most: int) -> list[tuple[str, float | None]]:
    where = {"random": "true"}.get(kind, kind)
    return db.execute(f"select user_id, null from pool where {where} order by place limit {most}").fetchall()


def _changed(
    profile: Profile, db: duckdb.DuckDBPyConnection, before: Release | None, most: int
) -> list[tuple[str, float | None]]:
    """Users of both releases whose list changed most, with the share of it that was there before."""
    if before is None or "rankings" not in before.tables:
        return []
    from deltalake import DeltaTable

    db.register("_before", DeltaTable(delta_uri(profile.table("rankings")), before.tables["rankings"]).to_pyarrow_dataset())
    lists = f"from {{}} where rank <= {OVERLAP} and user_id in (select user_id from pool)"
    return db.execute(
        f"with now as (select user_id, item_id {lists.format('rankings')}), "
        f"old as (select user_id, item_id {lists.format('_before')} and run_date = ?), "
        "kept as (select user_id, count(old.item_id) / count(*) as share from now left join old using (user_id, item_id) "
        "where user_id in (select user_id from old) group by user_id) "
        f"select user_id, share from kept where share < 1 order by share, md5(user_id) limit {most}",
        [before.run_date],
    ).fetchall()


def _fill(db: duckdb.DuckDBPyConnection, drawn: dict[str, Person]) -> None:
    """Add the rows of those who were drawn."""
    for row in _rows_of(db, "select * from user_summaries where", list(drawn)):
        drawn[row["user_id"]].summary = row
    ranked = (
        "select r.*, e.explanation, e.claims, e.evidence, e.source as written_by, e.checks from rankings r "
        "left join explanations e using (user_id, item_id) where"
    )
    for row in sorted(_rows_of(db, ranked, list(drawn)), key=lambda row: row["rank"]):
        drawn[row["user_id"]].ranked.append(row)
    events = _rows_of(db, "select * from evidence where", list(drawn))
    for row in sorted(events, key=lambda row: (row["time"], row["event_id"]), reverse=True):
        if row["event_id"] in drawn[row["user_id"]].cited:
            drawn[row["user_id"]].events.append(row)


def _rows_of(db: duckdb.DuckDBPyConnection, sql: str, ids: Sequence[str]) -> list[Row]:
    """Rows of some users; written as a list, which the scan of a table's files can use."""
    if not ids:
        return []
    asked = f"{sql} user_id in ({', '.join('?' * len(ids))})"
    return list(db.execute(asked, list(ids)).to_arrow_table().to_pylist())
