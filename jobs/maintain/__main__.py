"""maintain: a warehouse keeps what kept releases need, in few files, and no more.

    python -m jobs.maintain --profile FILE --started-at 2016-10-17T12:00:00Z [--dry-run]

Releases beyond the profile's `[retention]` are retired, nights' rows that no release shows are deleted, ledgers compacted,
files that no kept version names removed once they are old enough, and so are folders of nights, pages and logs. It may be
killed and run again, beside nights and beside itself. The last line it prints is JSON: what went, and a size report.
"""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from jobs.contracts import LEDGERS, PUBLISHED
from jobs.errors import run_main
from jobs.locks import working
from jobs.maintain import files, tables
from jobs.maintain.kept import Kept, at_work, kept
from jobs.maintain.tables import Size
from jobs.manifest import FILE
from jobs.profile import Profile, load_profile
from jobs.progress import Progress
from jobs.releases import blocked, releases, retire, retired
from jobs.runs import runs
from jobs.storage import delete, exists, filesystem, folders, read_json, remove, table_exists


@dataclass
class Report:
    """What went, or would go: releases, nights whose rows were deleted, by table files of ledgers that became fewer and files
    that were removed, and paths beside the tables. What was touched after `since` stays, `work` is why ledgers wait, and
    `sizes` are of the tables at the end."""

    dry_run: bool
    kept: list[str]
    retired: list[str]
    work: list[str]
    before_bytes: int
    since: datetime
    nights: list[str] = field(default_factory=list)
    compacted: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    paths_bytes: int = 0
    sizes: dict[str, Size] = field(default_factory=dict)

    @property
    def total(self) -> Size:
        return sum(self.sizes.values(), Size())


def main() -> None:
    parser = argparse.ArgumentParser(prog="jobs.maintain", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", required=True, help="a TOML file")
    parser.add_argument("--started-at", required=True, type=datetime.fromisoformat, help="now, with its offset")
    parser.add_argument("--dry-run", action="store_true", help="say what would go; change nothing")
    given = parser.parse_args()
    from jobs.cli import print as out

    report = maintain(load_profile(given.profile), given.started_at, given.dry_run, Progress("maintain"))
    out.maintenance(report)
    print(json.dumps(asdict(report), default=str))


def maintain(profile: Profile, now: datetime, dry_run: bool, progress: Progress) -> Report:
    """Keep `profile`'s warehouse as its `[retention]` says.

    Raises:
        InputError: a version that must stay cannot be read; nothing was removed.
        Busy: users are being erased.
    """
    with nullcontext() if dry_run else working(profile):
        return _maintain(profile, now, dry_run, progress)


def _maintain(profile: Profile, now: datetime, dry_run: bool, progress: Progress) -> Report:
    keep = decide(profile, now)
    report = Report(
        dry_run,
        kept=[each.release_id for each in keep.releases],
        retired=[each.release_id for each in keep.retired],
        work=at_work(runs(profile), now, profile.retention.orphan_hours),
        before_bytes=sum(measured(profile, keep).values(), Size()).bytes,
        since=now - timedelta(hours=profile.retention.orphan_hours),
    )
    if keep.retired and not dry_run:
        retire(profile, keep.retired, now)
        keep = decide(profile, now)  # a rollback may have come between
    progress(f"{len(keep.releases)} releases stay, {len(report.retired)} go")
    tend_published(profile, keep, report)
    tend_ledgers(profile, report)
    progress(f"{sum(report.removed.values())} files of tables removed")
    tend_files(profile, keep, now, report)
    report.sizes = measured(profile, keep)
    return report


def tend_published(profile: Profile, keep: Kept, report: Report) -> None:
    """Delete nights' rows that no kept release shows, and remove files that no kept version names."""
    gone: set[str] = set()
    for name in there(profile, PUBLISHED):
        path = profile.table(name)
        if not report.dry_run and not report.work:
            tables.keep_log(path)
        gone |= {*(tables.gone_nights(path, keep.nights) if report.dry_run else tables.drop_nights(path, keep.nights))}
        sweep(profile, name, sorted({*keep.versions.get(name, []), *read_still(profile, name, report.since)}), report)
    report.nights = sorted(gone)


def tend_ledgers(profile: Profile, report: Report) -> None:
    """Compact what grows by rows, and remove the files that it was in; nobody reads its versions."""
    for name in there(profile, LEDGERS):
        if not report.dry_run and not report.work and (fewer := tables.compact(profile.table(name), name)):
            report.compacted[name] = fewer
        sweep(profile, name, [], report)


def sweep(profile: Profile, name: str, versions: list[int], report: Report) -> None:
    if gone := tables.vacuum(profile.table(name), versions, profile.retention.orphan_hours, report.dry_run):
        report.removed[name] = len(gone)


def tend_files(profile: Profile, keep: Kept, now: datetime, report: Report) -> None:
    """Remove what lies beside the tables and is needed no longer."""
    report.paths = list(dict.fromkeys(files.unneeded(profile, keep.runs, now)))
    report.paths_bytes = sum(map(files.size_of, report.paths))
    for path in () if report.dry_run else report.paths:
        remove_any(path)


def there(profile: Profile, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if table_exists(profile.table(name))]


def measured(profile: Profile, keep: Kept) -> dict[str, Size]:
    """By table."""
    names = there(profile, (*PUBLISHED, *LEDGERS))
    return {name: tables.measure(profile.table(name), keep.versions.get(name, [])) for name in names}


def read_still(profile: Profile, name: str, since: datetime) -> set[int]:
    """Versions of releases that were retired after `since`: who reads one may have begun before, however old its files are."""
    lately = {release_id for release_id, at in retired(profile).items() if at > since}
    gone = [each for each in (*releases(profile), *blocked(profile)) if each.release_id in lately and name in each.tables]
    return {version for each in gone if tables.is_readable(profile.table(name), version := each.tables[name])}


def decide(profile: Profile, now: datetime) -> Kept:
    """What stays, by what is recorded now."""
    gone = retired(profile)
    public = [each for each in (*releases(profile), *blocked(profile)) if each.release_id not in gone]
    return kept(public, runs(profile), carried_from(profile), now, profile.retention.nights)


def carried_from(profile: Profile) -> list[str]:
    """Releases that prepared nights, which may yet be published, take unchanged users from."""
    work = f"{profile.warehouse}/_work"
    places = [f"{work}/{night}/{FILE}" for night in folders(work)]
    found = [read_json(place).get("release_before") for place in places if exists(place)]
    return [release for release in found if release]


def remove_any(path: str) -> None:
    """Remove a folder or a file, if somebody else has not."""
    place, within = filesystem(path)
    with suppress(FileNotFoundError):
        delete(path) if place.get_file_info(within).is_file else remove(path)


if __name__ == "__main__":
    run_main(main)
