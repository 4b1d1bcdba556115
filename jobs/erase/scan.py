"""Look for users in every byte under the warehouse and NOCTURNE_HOME: to see what there is, and to prove that nothing is left.

Parquet is decoded, all columns of all rows; SQLite row by row and as raw bytes; gzip is unpacked; anything else is bytes.
What SQLite keeps beside a database that is in use is of that database: nobody else may write there.
Installed software (`INSTALLED`) is not read, nor what is not ours: other profiles' warehouses are, but only told of.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from jobs.erase import rows
from jobs.erase.inputs import OPAQUE, Log
from jobs.erase.people import People
from jobs.home import home
from jobs.profile import Profile
from jobs.report import page
from jobs.storage import filesystem

INSTALLED = ("envs", "jars", "models")
BESIDE = ("-wal", "-shm", "-journal")  # what SQLite appends to the name of a database for its own files
BATCH = 10_000  # rows
PIECE = 1 << 16  # bytes that are unpacked at once
Kind = Literal["parquet", "sqlite", "gzip", "bytes", "log", "journal", "page"]
MAGIC: dict[bytes, Kind] = {b"PAR1": "parquet", b"SQLite format 3\x00": "sqlite", b"\x1f\x8b": "gzip"}


@dataclass(frozen=True)
class Find:
    """A file that names one of them; `n` rows, records or mentions. `path` is local or within the warehouse's file system."""

    path: str
    kind: Kind
    n: int
    table: str | None = None  # the Delta table or folder of the warehouse that it is in
    elsewhere: bool = False  # in another profile's warehouse


@dataclass
class Survey:
    """What a scan found; `texts` are the words of rows that are theirs, `longer` others' ids that hold one of theirs."""

    finds: list[Find] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    longer: set[str] = field(default_factory=set)
    files: int = 0
    bytes: int = 0

    def of(self, table: str) -> list[Find]:
        return [each for each in self.finds if each.table == table]

    @property
    def here(self) -> list[Find]:
        """Without what is another profile's."""
        return [each for each in self.finds if not each.elsewhere]


def survey(profile: Profile, people: People) -> Survey:
    """Read everything."""
    found = Survey()
    log = Log.of(profile)
    for files, info, table, elsewhere in places(profile):
        try:
            content = files.open_input_file(info.path)
        except FileNotFoundError:  # gone since, as SQLite's files beside a database are when nobody uses it any more
            continue
        database = database_of(info.path)
        with content:
            kind = "bytes" if database else kind_of(content, info.path, log)
            n = _count(content, kind, info.path, people, found, log)
        found.files += 1
        found.bytes += info.size or 0
        if n or people.names(info.path.encode()):
            found.finds.append(Find(database or info.path, "sqlite" if database else kind, n, table, elsewhere))
    return found


def database_of(path: str) -> str | None:
    """The database that a file beside it belongs to: pages on their way into it."""
    owner = next((Path(path.removesuffix(end)) for end in BESIDE if path.endswith(end)), None)
    if owner is None or not owner.is_file():
        return None
    with owner.open("rb") as file:
        return str(owner) if MAGIC.get(file.read(16)) == "sqlite" else None


def places(profile: Profile) -> Iterator[tuple[fs.FileSystem, fs.FileInfo, str | None, bool]]:
    """Every file: its file system, itself, the warehouse's folder it is in, and whether it is another warehouse's."""
    warehouse, root = filesystem(profile.warehouse)
    for info in _files(warehouse, root):
        yield warehouse, info, info.path.removeprefix(f"{root}/").split("/")[0], False
    ours, local = str(home()), fs.LocalFileSystem()
    for info in _files(local, ours):
        parts = Path(info.path).relative_to(ours).parts
        if parts[0] not in INSTALLED and not info.path.startswith(f"{profile.warehouse}/"):
            yield local, info, None, parts[0] == "warehouse"


def _files(files: fs.FileSystem, root: str) -> list[fs.FileInfo]:
    skipped = {f"{home()}/{name}" for name in INSTALLED}
    found: list[fs.FileInfo] = []
    waiting = [root]
    while waiting:
        for info in files.get_file_info(fs.FileSelector(waiting.pop(), allow_not_found=True)):
            if info.type == fs.FileType.Directory and info.path not in skipped and not Path(info.path).is_symlink():
                waiting.append(info.path)
            elif info.type == fs.FileType.File:
                found.append(info)
    return sorted(found, key=lambda info: info.path)


def kind_of(content: pa.NativeFile, path: str, log: Log) -> Kind:
    """What a file is, by its first bytes; the profile's log by its place."""
    if log.holds(path) and log.format in ("csv", "json"):
        return "log"
    if path.endswith(".journal.json"):
        return "journal"
    if path.endswith(f"/{page.NAME}"):
        return "page"
    start = content.read(16)
    content.seek(0)
    return next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), "bytes")


def _count(content: pa.NativeFile, kind: Kind, path: str, people: People, found: Survey, log: Log) -> int:
    match kind:
        case "parquet":
            return _parquet(content, people, found, log.column if log.holds(path) else "user_id")
        case "sqlite":
            return database_rows(path, people) + int(people.names(content.read()) if people.rare else 0)
        case "gzip":
            return int(people.names(unpacked(content.read())))
        case "log" if path.endswith(OPAQUE):  # nobody can say whom it has
            return 1
        case "log":
            n = 0
            for line, user, theirs in log.records(path, people):
                n += theirs or people.rare_in(line)
                found.longer |= {user} if user and people.is_longer(user) else set()
            return n
        case "page":
            text = content.read().decode(errors="replace")
            return int(people.names_text(text) or page.without(text, people.ids) != text)
        case "journal":
            text = content.read()
            return int(people.names(text) or any(f'"{_spelled(each)}"'.encode() in text for each in people.ids))
        case _:
            return int(people.names(content.read()))


def unpacked(content: bytes) -> bytes:
    """What is packed by gzip, as far as it can be read: it may be torn."""
    found = []
    while content:
        member = zlib.decompressobj(wbits=31)
        try:
            for at in range(0, len(content), PIECE):
                found.append(member.decompress(content[at : at + PIECE]))
        except zlib.error:
            break
        content = member.unused_data
    return b"".join(found)


def _spelled(user: str) -> str:
    return json.dumps(user)[1:-1]


def _parquet(content: pa.NativeFile, people: People, found: Survey, column: str) -> int:
    n = 0
    try:
        file = pq.ParquetFile(content)
        for batch in file.iter_batches(batch_size=BATCH):
            theirs = rows.theirs(batch, people, column)
            if theirs.true_count:
                found.texts |= rows.told(batch.filter(theirs))
            found.longer |= rows.longer(batch, people, column)
            n += theirs.true_count or bool(rows.mentions(batch, people))
    except (pa.ArrowInvalid, OSError):  # torn: its bytes are all there is of it
        content.seek(0)
        return int(people.may_name(content.read()))
    return n


def database_rows(path: str, people: People) -> int:
    """Rows of an SQLite file that name one of them; none of a torn one."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as database:
        if is_torn(database):
            return 0
        database.create_function("names", 1, lambda value: names_value(value, people))
        return sum(
            database.execute(f'select count(*) from "{table}" where names("{column}")').fetchone()[0]
            for table, column in columns(database)
        )


def is_torn(database: sqlite3.Connection) -> bool:
    """Whether a file is no whole database; one that is locked is an error."""
    try:
        return database.execute("pragma quick_check(1)").fetchone() != ("ok",)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        return True


def columns(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """Tables and columns of an SQLite database."""
    tables = [row[0] for row in database.execute("select name from sqlite_master where type = 'table'")]
    found = [(table, row[1]) for table in tables for row in database.execute(f'pragma table_info("{table}")')]
    return [(table, column) for table, column in found if not table.startswith("sqlite_")]


def names_value(value: str | bytes | float | None, people: People) -> bool:
    if isinstance(value, (str, bytes)):
        return people.names(value.encode("utf-8", "replace") if isinstance(value, str) else value)
    return False
