"""Read what is released, without a JVM: DuckDB over the table versions that a release names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

from jobs.contracts import LEDGERS, PUBLISHED, contract
from jobs.errors import NotFound
from jobs.profile import Profile
from jobs.releases import Release, find, latest
from jobs.storage import open_table, snapshot, table_exists

if TYPE_CHECKING:
    import duckdb


def connect(profile: Profile, release_id: str | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with a view for every table, by its name.

    Published tables show the night of the release (by default the latest); `generations`, `validations`, `runs` and
    `releases` are as they stand. Before the first release all are empty. What it shows stays the same while it is open,
    whatever is published meanwhile.

    Raises:
        NotFound: `release_id` does not exist.
    """
    db = session()
    views(db, profile, _release(profile, release_id))
    return db


def read(profile: Profile, table: str, release: str | None = None, user_id: str | None = None) -> pa.Table:
    """Rows of one table of a release (by default the latest), of one user if it is told.

    Raises:
        NotFound: there is no such table or release.
    """
    if table not in (*PUBLISHED, *LEDGERS):
        raise NotFound(f"no table {table!r}; there are {', '.join((*PUBLISHED, *LEDGERS))}")
    db = session()
    views(db, profile, _release(profile, release), only=[table], user_id=user_id)
    return db.sql(f"SELECT * FROM {table}").to_arrow_table()


def session() -> duckdb.DuckDBPyConnection:
    """A DuckDB connection without any table."""
    import duckdb

    db = duckdb.connect()
    db.execute("SET timezone = 'UTC'; SET python_enable_replacements = false")
    return db


def views(
    db: duckdb.DuckDBPyConnection,
    profile: Profile,
    release: Release | None,
    prefix: str = "",
    only: Iterable[str] = (*PUBLISHED, *LEDGERS),
    user_id: str | None = None,
) -> None:
    """Views of the tables as a release shows them, of one user if it is told; of no release, published tables are empty."""
    for name in only:
        shown = release is not None and name in release.tables if name in PUBLISHED else table_exists(profile.table(name))
        if shown:
            _view(db, profile, name, release if name in PUBLISHED else None, prefix, user_id)
        else:
            db.register(f"{prefix}{name}", contract(name).arrow().empty_table())


def _view(
    db: duckdb.DuckDBPyConnection, profile: Profile, name: str, release: Release | None, prefix: str, user_id: str | None
) -> None:
    rows = snapshot(open_table(profile, name, release.tables[name] if release else None))
    db.register(f"_{prefix}{name}", rows)
    wanted = [f"run_date = DATE '{release.run_date}'"] if release else []
    if user_id is not None and "user_id" in contract(name).names:
        wanted.append("user_id = '" + user_id.replace("'", "''") + "'")
    sql = f"SELECT * FROM _{prefix}{name}" + (f" WHERE {' AND '.join(wanted)}" if wanted else "")
    missing = [field.with_nullable(True) for field in contract(name).arrow() if field.name not in rows.schema.names]
    if missing:  # it was written before its contract had them
        db.register(f"_{prefix}{name}_new", pa.schema(missing).empty_table())
        sql += f" UNION ALL BY NAME SELECT * FROM _{prefix}{name}_new"
    db.execute(f"CREATE VIEW {prefix}{name} AS {sql}")


def _release(profile: Profile, release_id: str | None) -> Release | None:
    return find(profile, release_id) if release_id else latest(profile)
