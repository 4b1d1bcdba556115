"""Take users out of files that are no Delta tables: of nights under way, evaluations, logs, pages, Airflow's database."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from jobs.erase import rows
from jobs.erase.people import People
from jobs.erase.scan import columns, is_torn, names_value, unpacked
from jobs.home import home
from jobs.manifest import FILE
from jobs.profile import Profile
from jobs.report import page
from jobs.storage import delete, exists, filesystem, folders, hidden, read_json, read_rows, remove, write_json

NAMED_BY_CONTENT = re.compile(r"(.*-)[0-9a-f]{64}(\.parquet)")
LEFT_BY_FAILURES = (".torn", ".part")  # files that no reader takes


def rewrite_parquet(files: fs.FileSystem, path: str, people: People, column: str = "user_id") -> int:
    """The file without their rows, under a name of its new content where names tell that; returns how many rows they were."""
    n, sink = 0, hidden(path)
    with files.open_input_file(path) as stream:
        source = pq.ParquetFile(stream, coerce_int96_timestamp_unit="us")
        int96 = "INT96" in {source.schema.column(place).physical_type for place in range(len(source.schema))}  # Spark's times
        options = {"use_deprecated_int96_timestamps": int96}
        with files.open_output_stream(sink) as out, pq.ParquetWriter(out, source.schema_arrow, **options) as writer:
            for batch in source.iter_batches():
                found = rows.theirs(batch, people, column)
                n += found.true_count
                writer.write_batch(batch.filter(pc.invert(found)))
    new = path
    if parts := NAMED_BY_CONTENT.fullmatch(path):
        with files.open_input_file(sink) as stream:
            new = f"{parts[1]}{hashlib.sha256(stream.read()).hexdigest()}{parts[2]}"
    files.move(sink, new)
    if new != path:
        files.delete_file(path)
    folder, name = path.rsplit("/", 1)
    if files.get_file_info(f"{folder}/.{name}.crc").type == fs.FileType.File:
        files.delete_file(f"{folder}/.{name}.crc")
    return n


def redact(files: fs.FileSystem, path: str, people: People) -> None:
    """Overwrite their names in a file of text; on this machine in place, so that who is writing at its end goes on."""
    if not isinstance(files, fs.LocalFileSystem):
        with files.open_input_file(path) as stream:
            content = stream.read()
        with files.open_output_stream(path) as stream:
            stream.write(people.redacted(content))
        return
    with open(path, "r+b") as file:
        content = file.read()
        less = people.redacted(content)
        file.seek(0)
        file.write(less)
        os.fsync(file.fileno())


def rewrite_journal(path: str, people: People) -> None:
    """A worker's journal (jobs/generate/journal.py) without them."""
    told = read_json(path)
    flying = [user for user in told["flying"] if user not in people.ids]
    deaths = {user: n for user, n in told["deaths"].items() if user not in people.ids}
    write_json(path, told | {"flying": flying, "deaths": deaths})


def cut_page(path: str, people: People) -> None:
    """The page of a night without its parts about them, and without their names in the rest."""
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    Path(f"{path}.part").write_bytes(people.redacted(page.without(text, people.ids).encode()))
    os.replace(f"{path}.part", path)


def redact_gzip(path: str, people: People) -> None:
    Path(f"{path}.part").write_bytes(gzip.compress(people.redacted(unpacked(Path(path).read_bytes()))))
    os.replace(f"{path}.part", path)


def redact_database(path: str, people: People) -> int:
    """Overwrite their names in an SQLite file and give its free pages back; returns how many cells named them.

    Through SQLite alone, for others may use it. Pages on their way into the file go once their readers are done.
    One that is torn stays as it is.
    """

    def redacted(value: str | bytes) -> str | bytes:
        return people.redacted(value.encode()).decode() if isinstance(value, str) else people.redacted(value)

    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
        database.create_function("names", 1, lambda value: names_value(value, people))
        database.create_function("redacted", 1, redacted)
        n = 0
        if is_torn(database):
            return n
        for table, column in columns(database):
            changed = database.execute(f'update "{table}" set "{column}" = redacted("{column}") where names("{column}")')
            n += changed.rowcount
        database.execute("vacuum")
        database.execute("pragma wal_checkpoint(truncate)")
    return n


def clear_failures(profile: Profile) -> int:
    """Remove what stages that died have left and no reader takes: scratch folders, torn and half-written files."""
    n = 0
    for kind in ("_work", "_evaluation"):
        root = f"{profile.warehouse}/{kind}"
        for night in folders(root):
            if exists(f"{root}/{night}/scratch"):
                remove(f"{root}/{night}/scratch")
                n += 1
        files, place = filesystem(root)
        for info in files.get_file_info(fs.FileSelector(place, recursive=True, allow_not_found=True)):
            if info.type == fs.FileType.File and info.path.endswith(LEFT_BY_FAILURES):
                files.delete_file(info.path)
                n += 1
    return n


def undo_unpublished(profile: Profile, nights: set[str]) -> list[str]:
    """Have nights that were prepared with the users and not published be prepared again; paid answers stay."""
    ended = {row["run_id"] for row in read_rows(profile, "runs") if row.get("release_id")}
    undone = []
    for night in sorted(nights):
        told = f"{profile.work(night)}/{FILE}"
        if exists(told) and read_json(told)["run_id"] not in ended:
            delete(told)
            undone.append(night)
    return undone


def clear_spark() -> bool:
    """Remove what Spark processes that were killed left under NOCTURNE_HOME; False where others are at work and may need it."""
    place = home() / "spark"
    mark = f"SPARK_LOCAL_DIRS={place}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and mark in (process / "environ").read_bytes().split(b"\0"):
                return False
        except OSError:  # it ended, or is another user's, who cannot write here
            continue
    remove(str(place))
    return True
