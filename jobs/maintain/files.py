"""Folders and files beside the tables: nights' work, evaluations' work, what killed jobs left, pages and logs of runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from pyarrow import fs

from jobs.home import home
from jobs.maintain.kept import old_nights
from jobs.profile import Profile
from jobs.storage import exists, files_below, filesystem, folders

STAMP = re.compile(r"-(\d{8}T\d{6})Z?(?=[-.]|$)")  # in the name of a run, and of a log: when it began


def unneeded(profile: Profile, runs: Iterable[str], now: datetime) -> Iterator[str]:
    """Paths that are to go; nothing that was written to in the last `orphan_hours`, nothing of the kept `runs`."""
    limits = profile.retention
    since = now - timedelta(hours=limits.orphan_hours)
    for path in (*old_work(profile), *left_behind(profile)):
        if touched(path) < since:
            yield path
    yield from old_runs(profile, frozenset(runs), now - timedelta(days=limits.log_days))


def old_work(profile: Profile) -> Iterator[str]:
    """Work of nights, and of evaluations, but the newest. Results that are there are answers which `generations` lacks, as the
    night came to no end: the next one takes them."""
    for folder in ("_work", "_evaluation"):
        place = f"{profile.warehouse}/{folder}"
        for night in old_nights(folders(place), profile.retention.work_nights):
            if folder == "_evaluation" or not folders(f"{place}/{night}/results"):
                yield f"{place}/{night}"


def left_behind(profile: Profile) -> Iterator[str]:
    """What jobs remove when they end, if they are not killed."""
    places = [f"{profile.warehouse}/_plan", str(home() / "spark")]
    yield from (f"{place}/{name}" for place in places for name in folders(place))
    for folder in ("_work", "_evaluation"):
        nights = folders(f"{profile.warehouse}/{folder}")
        yield from (path for night in nights if exists(path := f"{profile.warehouse}/{folder}/{night}/scratch"))


def old_runs(profile: Profile, runs: frozenset[str], since: datetime) -> Iterator[str]:
    """Pages and logs of runs that began before `since` and are not kept; names that do not say when are left alone."""
    docs = home() / "docs" / profile.name
    for name in folders(str(docs)):
        began = began_at(name)
        if name not in runs and began and began < since:
            yield str(docs / name)
    ours = re.compile(rf"{re.escape(profile.name)}-\d{{4}}-\d\d-\d\d-\d{{8}}T\d{{6}}\.log")
    for log in sorted((home() / "logs").glob("*.log")):
        began = began_at(log.name)
        if ours.fullmatch(log.name) and began and began < since:
            yield str(log)


def began_at(name: str) -> datetime | None:
    """When the run or log of that name began.

    >>> began_at("2016-10-17-20261123T112258Z-0a1b2c3d")
    datetime.datetime(2026, 11, 23, 11, 22, 58, tzinfo=datetime.timezone.utc)
    """
    found = STAMP.search(name)
    return datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) if found else None


def touched(path: str) -> datetime:
    """When anything in a folder was last written."""
    files, place = filesystem(path)
    found = [files.get_file_info(place), *files.get_file_info(fs.FileSelector(place, recursive=True, allow_not_found=True))]
    return max((each.mtime for each in found if each.mtime), default=datetime.min.replace(tzinfo=UTC))


def size_of(path: str) -> int:
    """Bytes of a file or folder."""
    files, place = filesystem(path)
    return int(files.get_file_info(place).size or 0) + sum(size for _, size in files_below(path))
