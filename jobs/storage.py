"""Small files and rows beside Spark: one folder or object store seen through Arrow and delta-rs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from jobs.contracts import contract
from jobs.errors import Damaged, StorageError
from jobs.profile import Profile

if TYPE_CHECKING:
    from deltalake import DeltaTable

T = TypeVar("T")
TRIES = 5  # of a commit
AGAIN = "start the night again: prepare makes its files anew, paid answers are kept"
PASSING = (
    "network",
    "timed out",
    "timeout",
    "connection",
    "slow_down",
    "unavailable",
)  # what a store says that is busy or away
READ = 1 << 20  # bytes of a column at a time


def filesystem(path: str) -> tuple[fs.FileSystem, str]:
    """Arrow's file system for a folder or URI, and the path within it."""
    if "://" not in path:
        return fs.LocalFileSystem(), path
    return fs.FileSystem.from_uri(path.replace("s3a://", "s3://", 1))


def parquet(path: str) -> ds.Dataset:
    """The Parquet files in a folder, of which no row is read yet.

    Raises:
        FileNotFoundError: there is no such folder.
        Damaged: the first of its files is torn.
    """
    files, place = filesystem(path)
    if not exists(path):
        raise FileNotFoundError(path)
    with whole(path):
        return ds.dataset(place, filesystem=files, format="parquet", partitioning=None)


def count(data: ds.Dataset) -> int:
    """How many rows there are, by the ends of all files.

    Raises:
        Damaged: a file is torn.
    """
    n = 0
    for path in data.files:
        with whole(path), data.filesystem.open_input_file(path) as stream:
            n += pq.read_metadata(stream).num_rows
    return n


def batches(data: ds.Dataset, rows: int) -> Iterator[pa.RecordBatch]:
    """So many rows at a time; no more than those are decoded, however large a file's row groups are."""
    for path in data.files:
        with data.filesystem.open_input_file(path) as stream:
            with whole(path):
                found = pq.ParquetFile(stream, buffer_size=READ, pre_buffer=False).iter_batches(batch_size=rows)
            yield from _each(found, path)


def _each(found: Iterator[pa.RecordBatch], path: str) -> Iterator[pa.RecordBatch]:
    """Batches as they come; what their reader raises, and not who reads them, is told of the file."""
    while True:
        with whole(path):
            batch = next(found, None)
        if batch is None:
            return
        yield batch


@contextmanager
def storage(place: str) -> Iterator[None]:
    """Turn what the system says of a file or folder into an error for the reader."""
    try:
        yield
    except OSError as error:
        advice = "mend it and start the night again; what is committed is kept"
        raise StorageError(f"{place}: {error}; {advice}") from error


@contextmanager
def whole(place: str, advice: str = AGAIN) -> Iterator[None]:
    """Turn what Arrow and the system say of a file that cannot be read into an error that names it."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        said = f"{place} cannot be read: {_line(error)}"
        if any(sign in said.lower() for sign in PASSING):
            raise StorageError(f"{said}; the next attempt goes on") from error
        raise Damaged(f"{said}; {advice}") from error


def write_json(path: str, content: Any) -> None:
    """Write `content` so that a reader finds the old file or the whole new one."""
    files, place = filesystem(path)
    files.create_dir(place.rsplit("/", 1)[0], recursive=True)
    part = f"{place}.{uuid.uuid4().hex}.part"
    with files.open_output_stream(part) as stream:
        stream.write(json.dumps(content, indent=1, default=str).encode())
    files.move(part, place)


def read_json(path: str) -> Any:
    """What `write_json` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is torn.
    """
    files, place = filesystem(path)
    with files.open_input_stream(place) as stream:
        content = stream.read()
    with whole(path):
        return json.loads(content)


def hidden(path: str) -> str:
    """Where a file is written before it takes the place of `path`: no reader of the folder sees it there."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}.part"


def exists(path: str) -> bool:
    """Whether there is such a file or folder."""
    files, place = filesystem(path)
    return bool(files.get_file_info(place).type != fs.FileType.NotFound)


def delete(path: str) -> None:
    """Remove a file that is there."""
    files, place = filesystem(path)
    files.delete_file(place)


def folders(path: str) -> list[str]:
    """Names of the folders in `path`, sorted; none where it does not exist."""
    files, place = filesystem(path)
    found = files.get_file_info(fs.FileSelector(place, allow_not_found=True))
    return sorted(entry.base_name for entry in found if entry.type == fs.FileType.Directory)


def files_below(path: str) -> list[tuple[str, int]]:
    """Path within its file system and bytes of each file in a folder and below it; none where there is no such folder."""
    files, place = filesystem(path)
    if files.get_file_info(place).type != fs.FileType.Directory:
        return []
    found = files.get_file_info(fs.FileSelector(place, recursive=True))
    return [(each.path, each.size) for each in found if each.type == fs.FileType.File]


def remove(path: str) -> None:
    """Remove a folder and all in it; nothing where there is none."""
    files, place = filesystem(path)
    if files.get_file_info(place).type == fs.FileType.Directory:
        files.delete_dir(place)


def table_exists(path: str) -> bool:
    from deltalake import DeltaTable

    return bool(DeltaTable.is_deltatable(delta_uri(path)))


def delta_uri(path: str) -> str:
    """The address as delta-rs spells it."""
    return path.replace("s3a://", "s3://", 1)


def open_table(profile: Profile, table: str, version: int | None = None) -> DeltaTable:
    """A table as it stands or stood.

    Raises:
        Damaged: its log cannot be read, or has no such version.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return DeltaTable(delta_uri(profile.table(table)), version=version)
    except (DeltaError, OSError) as error:
        of = "" if version is None else f" of version {version}"
        advice = "infra/nocturne doctor says what is wrong and how to mend it"
        raise Damaged(f"table {table}: its log{of} cannot be read: {_line(error)}; {advice}") from error


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]


def snapshot(table: DeltaTable) -> ds.Dataset:
    """A version's rows, of which none is read yet.

    Over Arrow's own file system: delta-rs' is Python to Arrow, which is slower, and aborted some commands at their end, where a
    thread of Arrow's was alive still.
    """
    files, place = filesystem(table.table_uri)
    return table.to_pyarrow_dataset(filesystem=fs.SubTreeFileSystem(place, files))


def read_rows(profile: Profile, table: str) -> list[dict[str, Any]]:
    """All rows of a small table; none where it does not exist yet."""
    return _rows(table, open_table(profile, table)) if table_exists(profile.table(table)) else []


def _rows(name: str, table: DeltaTable) -> list[dict[str, Any]]:
    with whole(f"table {name}", "infra/nocturne doctor says what is wrong and how to mend it"):
        return list(snapshot(table).to_table(use_threads=False).to_pylist())


def append_decided(profile: Profile, table: str, decide: Callable[[list[dict[str, Any]]], dict[str, Any]]) -> dict[str, Any]:
    """Append the row that `decide` makes of all rows there are; where another one came between, it decides again.

    All who append so give the same application id, of which Delta lets one commit pass at a time:
    https://github.com/delta-io/delta/blob/master/PROTOCOL.md#transaction-identifiers
    """
    from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

    path, schema = delta_uri(profile.table(table)), contract(table).arrow()
    if not table_exists(path):  # of those who create it with rows several might pass
        DeltaTable.create(path, schema, mode="ignore")

    def commit() -> dict[str, Any]:
        there = open_table(profile, table)
        row = decide(_rows(table, there))
        once = CommitProperties(app_transactions=[Transaction(table, there.version() + 1)])
        data = pa.Table.from_pylist([row], schema=schema)
        write_deltalake(there, data, mode="append", schema_mode="merge", commit_properties=once)
        return row

    return retried(commit)


def put_rows(profile: Profile, table: str, rows: list[dict[str, Any]], key: str | None = None) -> None:
    """Add rows to a ledger in one commit; with `key`, rows that have the key of one of them are replaced."""
    data = pa.Table.from_pylist(rows, schema=contract(table).arrow())
    path = delta_uri(profile.table(table))
    retried(lambda: _put(path, data, (key, sorted({str(row[key]) for row in rows})) if key else None))


def retried(commit: Callable[[], T]) -> T:
    """Commit, and again where others did so at the same time.

    delta-rs itself gives way to most of them, but not to who creates the table, adds columns to it or rewrites the same rows.
    """
    from deltalake.exceptions import CommitFailedError

    for left in reversed(range(TRIES)):
        try:
            return commit()
        except CommitFailedError:
            if not left:
                raise
    raise AssertionError


def _put(path: str, data: pa.Table, replaced: tuple[str, list[str]] | None) -> None:
    from deltalake import write_deltalake

    if replaced and table_exists(path):
        key, values = replaced
        listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
        write_deltalake(path, data, mode="overwrite", predicate=f"{key} IN ({listed})", schema_mode="merge")
    else:
        write_deltalake(path, data, mode="append", schema_mode="merge")
