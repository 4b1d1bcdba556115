"""Take users out of Delta tables, and out of every version of them that stays readable.

A table keeps what it was in two places, data files and log, and its log names values too (predicates, smallest and largest
values of each file). So nothing of the past can stay as it is. In this order, of which each step may be repeated:

1. `clean` deletes the users' rows from the newest version, and writes what kept releases show of a night as further
   versions where that is not what the newest version has (superseded releases, blocked runs); then the newest is again
   what it was. Rows are told by salted hashes: the log keeps predicates.
2. `point` has `releases` and `runs` name the new versions, one commit each: readers see all of the old or all of the new.
3. `purge` removes what is older than the new versions: commits, checkpoints, data files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from jobs.contracts import contract
from jobs.profile import Profile
from jobs.storage import delta_uri, files_below, filesystem, read_rows, table_exists

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

NAMING = ("releases", "runs")  # whose rows name Delta versions
VERSION = re.compile(r"\.?(\d{20})\.")
Shown = tuple[int, date]  # a version, and the night of it that a release shows


@dataclass
class Cleaned:
    """What became of one table: the version that is as the newest was, and where each kept version went. `changed` are those
    that had rows of the users."""

    rows: int
    base: int
    moved: dict[Shown, int] = field(default_factory=dict)
    changed: set[Shown] = field(default_factory=set)


def clean(spark: SparkSession, path: str, theirs: Column, shown: Iterable[Shown], dirty: set[str]) -> Cleaned:
    """Write versions of a table without the rows `theirs`: of what is there, and of every night that is `shown`.

    `dirty` are names of data files with such rows.
    """
    from delta.tables import DeltaTable
    from deltalake import DeltaTable as Table
    from pyspark.sql import functions as F

    theirs = F.coalesce(theirs, F.lit(False))
    before = Table(delta_uri(path))
    table = DeltaTable.forPath(spark, path)
    table.delete(theirs)
    done = Cleaned(_deleted(path, before.version()), settle(path))
    rewritten: dict[tuple[date, frozenset[str]], int] = {}
    there = _listed(path)
    for version, night in sorted(shown):
        files = _files(path, version, night)
        if files is None or not files <= there:  # of a release that is not kept
            continue
        if files & dirty:
            done.changed.add((version, night))
        if files == _files(path, before.version(), night):
            done.moved[version, night] = done.base
            continue
        if (night, files) not in rewritten:
            rows = spark.read.format("delta").option("versionAsOf", version).load(path)
            rows = rows.where(~theirs & (F.col("run_date") == str(night)))
            writer = rows.write.format("delta").mode("overwrite").option("replaceWhere", f"run_date = '{night}'")
            writer.save(path)
            rewritten[night, files] = Table(delta_uri(path)).version()
        done.moved[version, night] = rewritten[night, files]
    if rewritten:
        table.restoreToVersion(done.base)
    return done


def settle(path: str) -> int:
    """Commit nothing, and a checkpoint of it, which needs no older commit; returns that version."""
    from deltalake import DeltaTable, write_deltalake

    table = DeltaTable(delta_uri(path))
    write_deltalake(table, table.to_pyarrow_dataset().schema.empty_table(), mode="append")
    table = DeltaTable(delta_uri(path))
    table.create_checkpoint()
    return int(table.version())


def purge(path: str, base: int, kept: set[int]) -> dict[str, int]:
    """Remove from a table what only versions before `base` need, and data files that neither a version of `kept` has nor one
    that others have committed since `base`."""
    from deltalake import DeltaTable

    files, root = filesystem(path)
    counts, there = {"versions": 0, "files": 0}, files_below(path)
    newest = DeltaTable(delta_uri(path)).version()  # asked after `there`: what is newer is not in it
    versions = {*kept, *range(base, newest + 1)}
    referenced = {name_of(uri) for version in versions for uri in DeltaTable(delta_uri(path), version=version).file_uris()}
    for place, _ in there:
        name, in_log = name_of(place), "/_delta_log/" in place
        number = VERSION.match(name) if in_log else None
        if number and int(number[1]) >= base:
            if name.endswith(".checkpoint.parquet") and not name.startswith("."):
                _forget_removed(files, place)
        elif number or (not in_log and name.removeprefix(".").removesuffix(".crc") not in referenced):
            files.delete_file(place)
            counts["versions"] += bool(number) and name.endswith(".json")
            counts["files"] += not in_log
    _without_checksum(files, f"{root}/_delta_log/_last_checkpoint")
    return counts


def shown(profile: Profile, table: str) -> set[Shown]:
    """What `releases` and `runs` name of a table."""
    rows = [row for name in NAMING for row in read_rows(profile, name) if row.get("tables")]
    return {(dict(row["tables"])[table], row["run_date"]) for row in rows if table in dict(row["tables"])}


def point(profile: Profile, done: dict[str, Cleaned], digests: dict[tuple[str, Shown], str]) -> int:
    """Have `releases` and `runs` name the new versions; returns how many rows did change."""

    def pointed(row: dict[str, Any]) -> dict[str, Any]:
        if not row.get("tables"):
            return row
        old = {name: (version, row["run_date"]) for name, version in dict(row["tables"]).items()}
        moved = {name: done[name].moved.get(each, each[0]) if name in done else each[0] for name, each in old.items()}
        fresh = {name: digests[name, each] for name, each in old.items() if (name, each) in digests}
        return row | {"tables": list(moved.items()), "digests": list((dict(row["digests"]) | fresh).items())}

    return sum(rewrite(profile, name, pointed) for name in NAMING)


def rewrite(profile: Profile, table: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Change rows of a ledger in one commit, unless another commit comes between; returns how many did change.

    Raises:
        CommitFailedError: one did.
    """
    from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

    path = delta_uri(profile.table(table))
    if not table_exists(profile.table(table)):
        return 0
    there = DeltaTable(path)
    old = there.to_pyarrow_dataset().to_table(use_threads=False).to_pylist()
    new = [change(row) for row in old]
    n = sum(before != after for before, after in zip(old, new, strict=True))
    if n:
        data = pa.Table.from_pylist(new, schema=contract(table).arrow())
        once = CommitProperties(app_transactions=[Transaction(table, there.version() + 1)])
        write_deltalake(there, data, mode="overwrite", schema_mode="merge", commit_properties=once)
    return n


def name_of(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _files(path: str, version: int, night: date) -> frozenset[str] | None:
    """Names of a version's data files of one night; None where it is not readable any more."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(delta_uri(path), version=version)
    except DeltaError:
        return None
    return frozenset(map(name_of, table.file_uris(partition_filters=[("run_date", "=", str(night))])))


def _listed(path: str) -> set[str]:
    """Names of all files of a table."""
    return {name_of(place) for place, _ in files_below(path)}


def _deleted(path: str, since: int) -> int:
    """Rows that commits after a version deleted."""
    from deltalake import DeltaTable

    commits = DeltaTable(delta_uri(path)).history(1)
    metrics = [each.get("operationMetrics", {}) for each in commits if each["version"] > since]
    return sum(int(each.get("numDeletedRows", 0)) for each in metrics)


def _forget_removed(files: fs.FileSystem, path: str) -> None:
    """Drop from a checkpoint what it tells of removed files, their statistics among that: only vacuum asks for it."""
    with files.open_input_file(path) as stream:
        content = pq.read_table(stream)
    kept = content.filter(pc.invert(pc.is_valid(content["remove"])))
    if kept.num_rows == content.num_rows:
        return
    with files.open_output_stream(f"{path}.part") as stream:
        pq.write_table(kept, stream)
    files.move(f"{path}.part", path)
    _without_checksum(files, path)


def _without_checksum(files: fs.FileSystem, path: str) -> None:
    """Hadoop's checksum of a file that another program wrote since."""
    folder, name = path.rsplit("/", 1)
    if files.get_file_info(f"{folder}/.{name}.crc").type == fs.FileType.File:
        files.delete_file(f"{folder}/.{name}.crc")
