"""A sample of a night's users with all that is published of them: who is drawn, and their rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import duckdb

from jobs.profile import Profile
from jobs.releases import Release
from jobs.report.queries import query
from jobs.storage import delta_uri

Row = dict[str, Any]

POOL = 50_000  # users, at most about so many, that the sample is drawn from
OVERLAP = 10  # places of a list that are compared with the release before
KINDS = {  # why somebody is in the sample -> share of the sample, which of the pool, in which order
    "random": (0.4, "true", "place"),
    "cold": (0.2, "cold", "place"),
    "template": (0.2, "template", "place"),
    "list changed": (0.2, "kept < 1", "kept, place"),
    "": (1.0, "true", "place"),  # where there are too few of the others
}


@dataclass
class Person:
    """One user's published rows. `why` they are in the sample, `kept`: share of their list that the last release's had."""

    user_id: str
    why: list[str]
    kept: float | None
    summary: Row = field(default_factory=dict)
    ranked: list[Row] = field(default_factory=list)  # rankings with explanation, claims, evidence, written_by, checks
    events: list[Row] = field(default_factory=list)  # evidence that is cited, newest first

    @cached_property
    def cited(self) -> set[str]:
        """Ids of all events that anything about the person rests on; once its rows are there."""
        told = [each for name in ("interests", "dislikes", "claims") for each in self.summary[name] or ()]
        told += [each for row in self.ranked for each in (row, *(row["claims"] or ()))]
        brought = {part["event_id"] for row in self.ranked for part in row["contributions"] or ()}
        return brought | {event_id for each in told for event_id in each["evidence"] or ()}


@dataclass(frozen=True)
class People:
    """The sample, and how many users it is drawn from."""

    drawn: list[Person]
    of: int


def people(profile: Profile, db: duckdb.DuckDBPyConnection, before: Release | None, n_users: int) -> People:
    """At most `n_users`, in the order of a hash of their id: the same people every night, as long as they are there."""
    users = int(query(db, "select count(*) as n from user_summaries")[0]["n"])
    _pool(db, users)
    _compare(profile, db, before)
    drawn = _drawn(db, n_users)
    _fill(db, drawn)
    return People(list(drawn.values()), users)


def _pool(db: duckdb.DuckDBPyConnection, users: int) -> None:
    """The table `pool`: of users, a share by hash that is at most about `POOL`; whether they are cold or have a template."""
    share = f"hash(user_id) % {max(1, -(-users // POOL))} = 0"
    db.execute(
        "create temp table pool as with told as "
        f"(select distinct user_id from explanations where source = 'template' and {share}) "
        "select user_id, cold, source = 'template' or told.user_id is not null as template, md5(user_id) as place "
        f"from (select * from user_summaries where {share}) left join told using (user_id)"
    )


def _compare(profile: Profile, db: duckdb.DuckDBPyConnection, before: Release | None) -> None:
    """Add `kept` to the pool: the share of a list that was in the list of the release before; null without one."""
    db.execute("alter table pool add column kept double")
    if before is None:
        return
    from deltalake import DeltaTable

    old = DeltaTable(delta_uri(profile.table("rankings")), before.tables["rankings"])
    db.register("_before", old.to_pyarrow_dataset())
    places = f"where rank <= {OVERLAP} and user_id in (select user_id from pool)"
    db.execute(
        f"create temp table old as select user_id, item_id from _before {places} and run_date = date '{before.run_date}'"
    )
    db.execute(
        "update pool set kept = share from (select now.user_id, count(old.item_id) / count(*) as share "
        f"from (select * from rankings {places}) now left join old using (user_id, item_id) "
        "where now.user_id in (select user_id from old) group by now.user_id) compared where compared.user_id = pool.user_id"
    )


def _drawn(db: duckdb.DuckDBPyConnection, n_users: int) -> dict[str, Person]:
    """People by id, each with every reason to be drawn, in the order of the kinds."""
    found: dict[str, Person] = {}
    for kind, (share, where, order) in KINDS.items():
        for row in query(db, f"select user_id, kept from pool where {where} order by {order} limit {round(n_users * share)}"):
            if row["user_id"] in found or len(found) < n_users:
                found.setdefault(row["user_id"], Person(row["user_id"], [], row["kept"])).why.append(kind)
    return found


def _fill(db: duckdb.DuckDBPyConnection, drawn: dict[str, Person]) -> None:
    """Add the rows of those who were drawn."""
    for row in _rows_of(db, "user_summaries", drawn):
        drawn[row["user_id"]].summary = row
    told = {(row["user_id"], row["item_id"]): row for row in _rows_of(db, "explanations", drawn)}
    for row in sorted(_rows_of(db, "rankings", drawn), key=lambda row: row["rank"] or 0):
        text = told.get((row["user_id"], row["item_id"]), {})
        words = {name: text.get(name) for name in ("explanation", "claims", "evidence", "checks")}
        drawn[row["user_id"]].ranked.append(row | words | {"written_by": text.get("source")})
    events = _rows_of(db, "evidence", drawn)
    for row in sorted(events, key=lambda row: (str(row["time"]), row["event_id"] or ""), reverse=True):
        if row["event_id"] in drawn[row["user_id"]].cited:
            drawn[row["user_id"]].events.append(row)


def _rows_of(db: duckdb.DuckDBPyConnection, table: str, users: Collection[str]) -> list[Row]:
    """A table's rows of some users. So spelled, and not as `in (?, ...)`, it is a filter that the scan of the files can use."""
    if not users:
        return []
    return query(db, f"select * from {table} where {' or '.join(['user_id = ?'] * len(users))}", *users)
