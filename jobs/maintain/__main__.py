"""maintain: a warehouse keeps what kept releases need, in few files, and no more.

    python -m jobs.maintain --profile FILE --started-at 2016-10-17T12:00:00Z [--dry-run]

Releases beyond the profile's `[retention]` are retired, nights' rows that no release shows are deleted, ledgers compacted,
files that no kept version names removed once they are old enough, and so are folders of nights, pages and logs. It may be
killed and run again, beside nights and beside itself. The last line it prints is JSON: what went, and a size report.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime

from jobs.contracts import LEDGERS, PUBLISHED
from jobs.errors import run_main
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
    """What went, or would go: releases, nights whose rows were deleted, files of tables, folders and files beside them, and by
    table how many files fewer a ledger has. `sizes` are of the tables at the end; `work` is why compaction waits."""

    dry_run: bool
    kept: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    nights: list[str] = field(default_factory=list)
    compacted: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    paths_bytes: int = 0
    work: list[str] = field(default_factory=list)
    before_bytes: int = 0
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
    print(json.dumps(asdict(report)))


def maintain(profile: Profile, now: datetime, dry_run: bool, progress: Progress) -> Report:
    """Keep `profile`'s warehouse as its `[retention]` says.

    Raises:
        InputError: a version that must stay cannot be read; nothing was removed.
    """
    report, there = Report(dry_run), [name for name in (*PUBLISHED, *LEDGERS) if table_exists(profile.table(name))]
    keep = decide(profile, now)
    report.kept, report.retired = ([each.release_id for each in found] for found in (keep.releases, keep.retired))
    report.before_bytes = sum(sum_of(tables.measure(profile.table(name), keep.versions.get(name, ()))) for name in there)
    if keep.retired and not dry_run:
        retire(profile, keep.retired, now)
        keep = decide(profile, now)  # a rollback may have come between
    progress(f"{len(keep.releases)} releases stay, {len(report.retired)} go")
    report.work = at_work(runs(profile), now, profile.retention.orphan_hours)
    report.nights = sorted({night for name in there if name in PUBLISHED for night in drop(profile, name, keep, dry_run)})
    for name in there:
        path, versions = profile.table(name), keep.versions.get(name, [])
        if name in PUBLISHED and not dry_run and not report.work:
            tables.keep_log(path)
        if name in LEDGERS and not dry_run and not report.work and (fewer := tables.compact(path, name)):
            report.compacted[name] = fewer
        if gone := tables.vacuum(path, versions, profile.retention.orphan_hours, dry_run):
            report.removed[name] = len(gone)
    progress(f"{sum(report.removed.values())} files of tables removed")
    report.paths = list(dict.fromkeys(files.unneeded(profile, keep.runs, now)))
    report.paths_bytes = sum(map(files.size_of, report.paths))
    for path in () if dry_run else report.paths:
        remove_any(path)
    report.sizes = {name: tables.measure(profile.table(name), keep.versions.get(name, ())) for name in there}
    return report


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


def drop(profile: Profile, name: str, keep: Kept, dry_run: bool) -> list[str]:
    path = profile.table(name)
    if dry_run:
        return tables.gone_nights(path, keep.nights)
    return tables.drop_nights(path, keep.nights)


def remove_any(path: str) -> None:
    """Remove a folder or a file, if somebody else has not."""
    place, within = filesystem(path)
    if place.get_file_info(within).is_file:
        delete(path)
    else:
        remove(path)


def sum_of(size: Size) -> int:
    return size.live_bytes + size.kept_bytes + size.left_bytes + size.log_bytes


if __name__ == "__main__":
    run_main(main)
