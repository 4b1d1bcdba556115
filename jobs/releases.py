"""What is public: one row of `releases` names one version of every published table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from jobs.errors import NotFound
from jobs.profile import Profile
from jobs.storage import put_rows, read_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Release:
    """One row of the table `releases`."""

    release_id: str
    run_date: date
    run_id: str
    status: str
    tables: dict[str, int]
    digests: dict[str, str]
    published_at: datetime


def releases(profile: Profile) -> list[Release]:
    """All releases, the one that readers see by default first: newest night, then newest release of it."""
    rows = (row | {"tables": dict(row["tables"]), "digests": dict(row["digests"])} for row in read_rows(profile, "releases"))
    return sorted((Release(**row) for row in rows), key=lambda each: (each.run_date, each.published_at), reverse=True)


def latest(profile: Profile, until: date | None = None) -> Release | None:
    """The newest release of the newest night, not after `until`."""
    return next((each for each in releases(profile) if until is None or each.run_date <= until), None)


def find(profile: Profile, release_id: str | None) -> Release:
    """The release of that id, or the latest.

    Raises:
        NotFound: there is none.
    """
    public = releases(profile)
    found = next((each for each in public if release_id in (None, each.release_id)), None)
    if found:
        return found
    if release_id is None or not public:
        raise NotFound(f"nothing is released yet in {profile.warehouse}; run a night first: infra/nocturne run")
    known = ", ".join(each.release_id for each in public[:5])
    raise NotFound(f"no release {release_id!r} in {profile.warehouse}; the newest are {known}")


def publish(profile: Profile, release: Release) -> None:
    """Make `release` public: this one commit is the switch."""
    put_rows(profile, "releases", [asdict(release)])


def released(spark: SparkSession, profile: Profile, release: Release, table: str) -> DataFrame:
    """The rows of `table` that `release` shows."""
    rows = spark.read.format("delta").option("versionAsOf", release.tables[table]).load(profile.table(table))
    return rows.where(rows["run_date"] == str(release.run_date))
