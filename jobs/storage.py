"""Small files and rows beside Spark: one folder or object store seen through Arrow and delta-rs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from jobs.contracts import contract
from jobs.errors import StorageError
from jobs.profile import Profile

TRIES = 5  # of a commit
READ = 1 << 20  # bytes of a column at a time


def filesystem(path: str) -> tuple[fs.FileSystem, str]:
    """Arrow's file system for a folder or URI, and the path within it."""
    if "://" not in path:
        return fs.LocalFileSystem(), path
    return fs.FileSystem.from_uri(path.replace("s3a://", "s3://", 1))


def parquet(path: str) -> ds.Dataset:
    """The Parquet files in a folder, of which none is read yet.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    files, place = filesystem(path)
    return ds.dataset(place, filesystem=files, format="parquet", partitioning=None)


def batches(data: ds.Dataset, rows: int) -> Iterator[pa.RecordBatch]:
    """So many rows at a time; no more than those are decoded, however large a file's row groups are."""
    for path in data.files:
        with data.filesystem.open_input_file(path) as stream:
            yield from pq.ParquetFile(stream, buffer_size=READ, pre_buffer=False).iter_batches(batch_size=rows)


@contextmanager
def storage(place: str) -> Iterator[None]:
    """Turn what the system says of a file or folder into an error for the reader."""
    try:
        yield
    except OSError as error:
        advice = "mend it and start the night again; what is committed is kept"
        raise StorageError(f"{place}: {error}; {advice}") from error


def write_json(path: str, content: Any) -> None:
    """Write `content` so that a reader finds the old file or the whole new one."""
    files, place = filesystem(path)
    files.create_dir(place.rsplit("/", 1)[0], recursive=True)
    part = f"{place}.{uuid.uuid4().hex}.part"
    with files.open_output_stream(part) as stream:
        stream.write(json.dumps(content, indent=1, default=str).encode())
    files.move(part, place)


def read_json(path: str) -> Any:
    files, place = filesystem(path)
    with files.open_input_stream(place) as stream:
        return json.loads(stream.read())


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


def read_rows(profile: Profile, table: str) -> list[dict[str, Any]]:
    """All rows of a small table; none where it does not exist yet.

    Without threads of Arrow's: over delta-rs' file system some were alive still when Python ended, which aborted it.
    """
    from deltalake import DeltaTable

    path = profile.table(table)
    return _rows(DeltaTable(delta_uri(path))) if table_exists(path) else []


def _rows(table: Any) -> list[dict[str, Any]]:
    return list(table.to_pyarrow_dataset().to_table(use_threads=False).to_pylist())


def append_decided(profile: Profile, table: str, decide: Callable[[list[dict[str, Any]]], dict[str, Any]]) -> dict[str, Any]:
    """Append the row that `decide` makes of all rows there are; where another one came between, it decides again.

    All who append so give the same application id, of which Delta lets one commit pass at a time:
    https://github.com/delta-io/delta/blob/master/PROTOCOL.md#transaction-identifiers
    """
    from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
    from deltalake.exceptions import CommitFailedError

    path = delta_uri(profile.table(table))
    for left in reversed(range(TRIES)):
        there = DeltaTable(path) if table_exists(path) else None
        row = decide(_rows(there) if there else [])
        data = pa.Table.from_pylist([row], schema=contract(table).arrow())
        once = CommitProperties(app_transactions=[Transaction(table, there.version() + 1 if there else 0)])
        try:
            write_deltalake(there or path, data, mode="append", schema_mode="merge", commit_properties=once)
            return row
        except CommitFailedError:
            if not left:
                raise
    raise AssertionError("unreachable")


def put_rows(profile: Profile, table: str, rows: list[dict[str, Any]], key: str | None = None) -> None:
    """Add rows to a ledger in one commit; with `key`, rows that have the first row's key are replaced.

    delta-rs itself gives way to others who write at the same time, but for who creates the table or adds columns to it.
    """
    from deltalake.exceptions import CommitFailedError

    data = pa.Table.from_pylist(rows, schema=contract(table).arrow())
    path = delta_uri(profile.table(table))
    for left in reversed(range(TRIES)):
        try:
            return _put(path, data, (key, str(rows[0][key])) if key else None)
        except CommitFailedError:
            if not left:
                raise


def _put(path: str, data: pa.Table, replaced: tuple[str, str] | None) -> None:
    from deltalake import write_deltalake

    if replaced and table_exists(path):
        key, value = replaced[0], replaced[1].replace("'", "''")
        write_deltalake(path, data, mode="overwrite", predicate=f"{key} = '{value}'", schema_mode="merge")
    else:
        write_deltalake(path, data, mode="append", schema_mode="merge")
