"""What is public: one row of `releases` names one version of every published table.

Rows are only ever added. A night adds one, or somebody who lets a blocked night pass, or who goes back to another release.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from jobs.errors import InputError, NotFound
from jobs.locks import working
from jobs.profile import Profile
from jobs.runs import find_run, runs
from jobs.storage import append_decided, put_rows, read_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Release:
    """One row of the table `releases`; `sequence` and `latest` are given by the commit that makes it public."""

    release_id: str
    run_date: date
    run_id: str
    status: str
    tables: dict[str, int]
    digests: dict[str, str]
    published_at: datetime
    reason: str | None = None
    sequence: int = 0
    latest: str | None = None

    @property
    def root(self) -> str:
        """Id of the release that first showed this; another than its own where somebody went back to it."""
        return self.release_id.partition("~")[0]


def releases(profile: Profile) -> list[Release]:
    """All releases, newest night first, of one night the newest row."""
    rows = _releases(read_rows(profile, "releases"))
    return sorted(rows, key=lambda each: (each.run_date, each.sequence, each.published_at), reverse=True)


def latest(profile: Profile, until: date | None = None, at: datetime | None = None) -> Release | None:
    """What readers see by default, or saw at a time, or if no night after `until` had been; nothing where that is retired."""
    public = [each for each in releases(profile) if at is None or each.published_at < at]
    found = _latest(each for each in public if until is None or each.run_date <= until)
    return None if found and found.release_id in retired(profile) else found


def find(profile: Profile, release_id: str | None) -> Release:
    """The release of that id, or the latest; by the id of a run that was blocked what it would have released.

    Raises:
        NotFound: there is none, or it is retired.
    """
    public = releases(profile)
    if release_id:
        _refuse_retired(profile, release_id, public)
    if found := next((each for each in public if each.release_id == release_id), None) if release_id else _latest(public):
        return found
    if release_id and (run := find_run(profile, release_id)) and run["status"] == "blocked" and run.get("tables"):
        return _of_run(run, "blocked", run["ended_at"])
    if not public:
        raise NotFound(f"nothing is released yet in {profile.warehouse}; run a night first: infra/nocturne run")
    known = ", ".join(each.release_id for each in public[:5])
    raise NotFound(f"no release {release_id!r} in {profile.warehouse}; the newest are {known}")


def blocked(profile: Profile) -> list[Release]:
    """What blocked runs would have released."""
    rows = [row for row in runs(profile) if row["status"] == "blocked" and row.get("tables")]
    return [_of_run(row, "blocked", row["ended_at"]) for row in rows]


def retired(profile: Profile) -> dict[str, datetime]:
    """Ids of releases, and of blocked runs, whose rows are kept no longer, and since when."""
    return {row["release_id"]: row["retired_at"] for row in read_rows(profile, "retired")}


def retire(profile: Profile, gone: Iterable[Release], at: datetime) -> None:
    """Have nobody read them any more; what is retired stays so, and stays in `releases`."""
    known = retired(profile)
    rows = [{"release_id": each.release_id, "run_date": each.run_date, "retired_at": at} for each in gone]
    if new := [row for row in rows if row["release_id"] not in known]:
        put_rows(profile, "retired", new, key="release_id")


def publish(profile: Profile, release: Release, known: int | None = None) -> Release:
    """Make `release` public: this one commit is the switch. Returns it as it stands.

    `known` is the last `sequence` that its run has seen. Where its id is taken, since two did the same at once or its run was
    repeated, it gets one of its own: an id is one row's.

    Raises:
        InputError: since then another run has released the same night.
    """

    def after(rows: list[dict[str, Any]]) -> dict[str, Any]:
        public = _releases(rows)
        if known is not None:
            _refuse_rival(release, (each for each in public if each.sequence > known))
        new = _named(replace(release, sequence=max((each.sequence for each in public), default=0) + 1), public)
        last = _latest([*public, new])
        return asdict(replace(new, latest=last.release_id if last else None))

    return Release(**append_decided(profile, "releases", after))


def go_back(profile: Profile, release_id: str, at: datetime, reason: str | None = None) -> tuple[Release, bool]:
    """Have readers see an earlier release, or again the one they saw before; whether that was new.

    Raises:
        NotFound: there is no such release.
        InputError: it was never public.
        Busy: users are being erased.
    """
    with working(profile):
        target, now = find(profile, release_id), find(profile, None)
        if target.status == "blocked":
            raise InputError(f"{release_id} was never public; to let it pass: infra/nocturne release --accept REASON")
        if (target.root, target.tables) == (now.root, now.tables):
            return now, False
        count = max(each.sequence for each in releases(profile)) + 1
        row = replace(target, release_id=f"{target.root}~{count}", status="rollback", published_at=at, reason=reason)
        return publish(profile, row, known=count - 1), True


def accept(profile: Profile, run_id: str | None, at: datetime, reason: str) -> Release:
    """Make public what a blocked run wrote, by default the last one's; once, also if it was interrupted before.

    Raises:
        NotFound: no such run was blocked.
        InputError: another run has released the night since.
        Busy: users are being erased.
    """
    with working(profile):
        blocked = [row for row in runs(profile) if row["status"] == "blocked" and run_id in (None, row["run_id"])]
        if not blocked:
            raise NotFound(f"no blocked run {run_id or ''} in {profile.warehouse}; infra/nocturne status tells of the last run")
        run = blocked[-1]
        _refuse_retired(profile, run["run_id"], releases(profile))
        if not run.get("tables"):
            raise NotFound(f"run {run['run_id']} left no tables; run {run['run_date']} again")
        public = releases(profile)
        new = replace(_of_run(run, "accepted", at), release_id=f"r-{run['run_id']}", reason=reason)
        mine = [each for each in public if (each.status, each.run_id, each.tables) == ("accepted", new.run_id, new.tables)]
        if mine:
            new = mine[0]
        else:
            _refuse_rival(new, (each for each in public if each.status != "rollback" and each.published_at > run["started_at"]))
            new = publish(profile, new, known=max((each.sequence for each in public), default=0))
        put_rows(profile, "runs", [run | {"status": "published", "release_id": new.release_id}], key="run_id")
        return new


def released(spark: SparkSession, profile: Profile, release: Release, table: str) -> DataFrame:
    """The rows of `table` that `release` shows."""
    rows = spark.read.format("delta").option("versionAsOf", release.tables[table]).load(profile.table(table))
    return rows.where(rows["run_date"] == str(release.run_date))


def _releases(rows: list[dict[str, Any]]) -> list[Release]:
    told = ({name: value for name, value in row.items() if value is not None} for row in rows)
    return [Release(**row | {"tables": dict(row["tables"]), "digests": dict(row["digests"])}) for row in told]


def _refuse_retired(profile: Profile, release_id: str, public: list[Release]) -> None:
    gone = retired(profile)
    if release_id in gone:
        limit = f"[retention] nights = {profile.retention.nights}"
        why = f"retired since {gone[release_id]:%Y-%m-%d}: its rows are kept no longer ({limit})"
        known = ", ".join(each.release_id for each in public if each.release_id not in gone)
        raise NotFound(f"release {release_id!r} in {profile.warehouse} is {why}; kept are {known}")


def _of_run(run: dict[str, Any], status: str, at: datetime) -> Release:
    tables, digests = dict(run["tables"]), dict(run["digests"])
    return Release(run["run_id"], run["run_date"], run["run_id"], status, tables, digests, at)


def _named(release: Release, public: Iterable[Release]) -> Release:
    if release.release_id not in {each.release_id for each in public}:
        return release
    mark = "~" if release.status == "rollback" else "-"
    return replace(release, release_id=f"{release.root}{mark}{release.sequence}")


def _latest(public: Iterable[Release]) -> Release | None:
    """An older night released late does not take the place of a newer one; who goes back does."""
    last: Release | None = None
    for each in sorted(public, key=lambda each: (each.sequence, each.published_at)):
        if last is None or each.status == "rollback" or each.run_date >= last.run_date:
            last = each
    return last


def _refuse_rival(release: Release, others: Iterable[Release]) -> None:
    rivals = [each for each in others if each.run_date == release.run_date and each.run_id != release.run_id]
    if rivals:
        rival = max(rivals, key=lambda each: each.sequence)
        since = f"run {rival.run_id} has released {release.run_date} meanwhile ({rival.release_id})"
        raise InputError(f"{since}; its release stays, and nothing of {release.run_id} was published")
