"""What is done to a Delta table: the rows of retired nights deleted, small files compacted, files that nobody names removed.

Deleted rows stay in the versions before. A vacuum is told those versions that are to stay, and looks at nothing younger than
some hours: what a night writes and has not committed, and what a reader still reads, stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from math import ceil
from typing import TYPE_CHECKING, Any

from jobs.errors import InputError
from jobs.storage import delete, delta_uri, files_below, filesystem, retried

if TYPE_CHECKING:
    from deltalake import DeltaTable

CLUSTERED = {"generations": ["subject"]}  # by what its rows are looked for
FILE = 256 << 20  # bytes that a compacted file may have
ROWS_A_GROUP = 10_000
LOG_PROPERTIES = {"delta.enableExpiredLogCleanup": "false"}  # or a version's log goes after 30 days, kept or not


@dataclass(frozen=True)
class Size:
    """Files and bytes of a table: of its newest version, of kept versions alone, of neither; and of its log."""

    live_files: int = 0
    live_bytes: int = 0
    kept_files: int = 0
    kept_bytes: int = 0
    left_files: int = 0
    left_bytes: int = 0
    log_bytes: int = 0

    @property
    def bytes(self) -> int:
        return self.live_bytes + self.kept_bytes + self.left_bytes + self.log_bytes

    def __add__(self, other: Size) -> Size:
        mine, theirs = asdict(self), asdict(other)
        return Size(**{name: mine[name] + theirs[name] for name in mine})


def opened(path: str, version: int | None = None) -> DeltaTable:
    """Raises InputError where that version cannot be read."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return DeltaTable(delta_uri(path), version=version)
    except DeltaError as error:
        what = "it" if version is None else f"version {version}, which must be kept,"
        raise InputError(f"{path}: {what} cannot be read: {error}; nothing is removed") from error


def is_readable(path: str, version: int) -> bool:
    try:
        opened(path, version)
    except InputError:  # an erasure took it: no release named it that is kept
        return False
    return True


def files_of(table: DeltaTable) -> set[str]:
    """Paths, within the table, of a version's files."""
    return {str(path) for path in table.get_add_actions()["path"].to_pylist()}


def measure(path: str, versions: Iterable[int]) -> Size:
    """What of the files in the table's folder is named by what.

    Raises:
        InputError: one of the versions cannot be read.
    """
    sizes = listed(path)
    log = {name: n for name, n in sizes.items() if name.startswith("_delta_log/")}
    live = files_of(opened(path)) & sizes.keys()
    kept = set().union(*(files_of(opened(path, version)) for version in versions)) & sizes.keys() - live
    left = sizes.keys() - log.keys() - live - kept

    def of(names: set[str]) -> tuple[int, int]:
        return len(names), sum(sizes[name] for name in names)

    return Size(*of(live), *of(kept), *of(left), sum(log.values()))


def listed(path: str) -> dict[str, int]:
    """Files in a folder, by their path within it, and their bytes, those of Hadoop's checksum beside a file among them."""
    place = filesystem(path)[1]
    sizes = {file.removeprefix(place).lstrip("/"): size for file, size in files_below(path)}
    for name in [name for name in sizes if checksum(name) in sizes]:
        sizes[name] += sizes.pop(checksum(name))
    return sizes


def checksum(name: str) -> str:
    """Where Hadoop keeps the checksums of a local file."""
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}.{base}.crc"


def drop_nights(path: str, keep: Iterable[date]) -> list[str]:
    """Delete the rows of all nights but those, in one commit; returns the nights that went."""
    gone = gone_nights(path, keep)
    if gone:
        retried(lambda: opened(path).delete(f"run_date IN ({', '.join(repr(night) for night in gone)})"))
    return gone


def gone_nights(path: str, keep: Iterable[date]) -> list[str]:
    """Nights that have rows and are not to have any."""
    there = {str(each["run_date"]) for each in opened(path).partitions()}
    return sorted(there - {str(night) for night in keep})


def keep_log(path: str) -> None:
    """Have no engine drop old log entries: the versions that are kept are read by them."""
    table = opened(path)
    if any(table.metadata().configuration.get(name) != value for name, value in LOG_PROPERTIES.items()):
        retried(lambda: opened(path).alter.set_table_properties(LOG_PROPERTIES))


def compact(path: str, name: str) -> int:
    """Rewrite the files of a ledger's partitions that have more than they need, clustered where `CLUSTERED` says; returns by
    how many files there are fewer."""
    from deltalake import WriterProperties

    how = WriterProperties(compression="ZSTD", max_row_group_size=ROWS_A_GROUP)
    done = 0
    for partition in scattered(path):
        where = [(column, "=", value) for column, value in partition.items()] or None

        def optimize(where: Any = where) -> dict[str, Any]:
            optimizer = opened(path).optimize
            if name in CLUSTERED:
                return optimizer.z_order(CLUSTERED[name], where, target_size=FILE, writer_properties=how)
            return optimizer.compact(where, target_size=FILE, writer_properties=how)

        figures = retried(optimize)
        done += figures["numFilesRemoved"] - figures["numFilesAdded"]
    if done:
        opened(path).create_checkpoint()
    return done


def scattered(path: str) -> list[dict[str, str]]:
    """Partitions with more files than their bytes need; one without columns for a table without partitions."""
    found: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for each in opened(path).get_add_actions().to_struct_array().to_pylist():
        key = tuple((name, str(value)) for name, value in (each.get("partition") or {}).items())
        found.setdefault(key, []).append(each["size_bytes"])
    return [dict(key) for key, sizes in sorted(found.items()) if len(sizes) > max(1, ceil(sum(sizes) / FILE))]


def vacuum(path: str, versions: list[int], hours: float, dry_run: bool) -> list[str]:
    """Remove what neither the newest version nor `versions` name and is older than `hours`; returns those files.

    delta-rs says which; asked to remove them it would take the checksums of files that stay as well, which Spark checks by.
    """
    there = listed(path)
    stale = opened(path).vacuum(ceil(hours), dry_run=True, enforce_retention_duration=False, full=True, keep_versions=versions)
    gone = sorted(set(stale) & there.keys())  # it names what was removed before as well
    for name in () if dry_run else gone:
        for file in (name, checksum(name)):
            with suppress(FileNotFoundError):  # there is none, or somebody else was first
                delete(f"{path}/{file}")
    return gone
