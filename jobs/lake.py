"""Read what is released, without a JVM: DuckDB over the table versions that a release names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.contracts import LEDGERS, PUBLISHED, contract
from jobs.profile import Profile
from jobs.releases import Release, find
from jobs.storage import delta_uri, snapshot, table_exists

if TYPE_CHECKING:
    import duckdb


def connect(profile: Profile, release_id: str | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with a view for every table, by its name.

    Published tables show the night of the release (by default the latest); `generations`, `validations`, `runs` and
    `releases` are as they stand. Before the first release all are empty.

    Raises:
        NotFound: `release_id` does not exist.
    """
    import duckdb

    db = duckdb.connect()
    db.execute("SET timezone = 'UTC'; SET python_enable_replacements = false")
    release = find(profile, release_id) if release_id or table_exists(profile.table("releases")) else None
    for name in PUBLISHED:
        _view(db, profile, name, release)
    for name in LEDGERS:
        _view(db, profile, name, None)
    return db


def _view(db: duckdb.DuckDBPyConnection, profile: Profile, name: str, release: Release | None) -> None:
    from deltalake import DeltaTable

    path = profile.table(name)
    if (name in PUBLISHED and release is None) or not table_exists(path):
        db.register(name, contract(name).arrow().empty_table())
        return
    version = release.tables[name] if release else None
    db.register(f"_{name}", snapshot(DeltaTable(delta_uri(path), version=version)))
    night = f" WHERE run_date = DATE '{release.run_date}'" if release else ""
    db.execute(f"CREATE VIEW {name} AS SELECT * FROM _{name}{night}")
