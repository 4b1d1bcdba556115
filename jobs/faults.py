"""What is wrong with where a night reads and writes: torn or missing files, tables changed by hand, no room, no permission.

`refuse` is asked before a stage costs anything. `named` is for what goes wrong later: it turns what Spark, Delta, Arrow and
the system say into one error that names the table or file and what to do. Both change nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from jobs.contracts import LEDGERS, OF_THE_RUN, PUBLISHED, contract
from jobs.errors import Damaged, InputError, NocturneError, StorageError, Unwritable
from jobs.home import home
from jobs.profile import REMOTE, Profile, resolve
from jobs.releases import Release, latest, releases
from jobs.storage import files_below, filesystem, open_table, read_rows, table_exists

if TYPE_CHECKING:
    from deltalake import DeltaTable

NIGHTS = 3  # times what the last night's tables take must be free: work files, Spark's scratch, the new tables
FULL = ("No space left on device", "Disk quota exceeded", "os error 28", "os error 122")
FORBIDDEN = ("Read-only file system", "Permission denied", "Operation not permitted", "AccessDenied", "os error 30")
GIVE_UP = "put it back from a copy; without one, give up what cannot be read: infra/nocturne mend"
MADE_BY_HAND = "undo what was done by hand, or have the last version that keeps to the contract back: infra/nocturne mend"
FILE = re.compile(r"(?:[a-z0-9]+:/+|/)[^\s'\"|]*?\.(?:parquet|jsonl?|csv)\b|(?<=Path does not exist: )\S+(?=\.)", re.IGNORECASE)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: `place` is a folder or `table NAME`, `kind` what `jobs.mend` goes by."""

    kind: str  # log, columns, files, target, room
    place: str
    seen: str
    mend: str

    def __str__(self) -> str:
        return f"{self.place}: {self.seen}; {self.mend}"


def refuse(profile: Profile, run_date: date) -> None:
    """Raise where the night of `run_date` would fail, or show what nobody should see, before anything is paid for.

    Raises:
        StorageError: there is no room, and nothing else is wrong.
        Unwritable: the warehouse cannot be written.
        Damaged: a table is not what its log, its contract or a release says.
    """
    found = faults(profile, until=run_date)
    if not found:
        return
    kinds = {each.kind for each in found}
    error = StorageError if kinds == {"room"} else Unwritable if kinds <= {"target", "room"} else Damaged
    raise error(f"{_message(found)}\n  nothing was published")


def _message(found: list[Fault]) -> str:
    first, *rest = found
    return "\n".join([str(first), *(f"  {each}" for each in rest)])


def faults(profile: Profile, until: date | None = None, whole: bool = False) -> list[Fault]:
    """What is wrong with the warehouse of a profile.

    Files are looked at of the ledgers, of what readers see and what they saw of nights up to `until`; with `whole` those
    of all nights.
    """
    logs = {name: read_log(profile, name) for name in (*PUBLISHED, *LEDGERS)}
    tables = {name: _table_faults(profile, name, log, whole or name in LEDGERS) for name, log in logs.items()}
    runs = [] if tables["runs"] else read_rows(profile, "runs")  # before releases: another may be published between
    public = [] if tables["releases"] else releases(profile)
    lost = [] if tables["releases"] else _versions_lost(logs, public) + _ledgers_lost(profile, public, runs)
    damaged = {name for name, found in tables.items() if found} | {fault.place.removeprefix("table ") for fault in lost}
    torn, last = [], 0
    nights = (latest(profile, until), latest(profile)) if public else ()
    for night in {each.release_id: each for each in nights if each}.values():
        shown = {name: open_table(profile, name, version) for name, version in night.tables.items() if name not in damaged}
        torn += [fault for name, table in shown.items() for fault in files_faults(profile, name, table, night)]
        last = sum(size for table in shown.values() for size in _added(table, night).values())
    return list(dict.fromkeys([*_target(profile), *chain(*tables.values()), *lost, *torn, *_room(profile, last)]))


def release_faults(profile: Profile, release: Release) -> list[Fault]:
    """Why a release cannot be read whole."""
    logs = {name: read_log(profile, name) for name in release.tables}
    if found := [log for log in logs.values() if isinstance(log, Fault)] or _versions_lost(logs, [release]):
        return found
    for name, version in release.tables.items():
        try:
            found += files_faults(profile, name, open_table(profile, name, version), release)
        except Damaged as error:  # its entries are gone, those of newer versions are not
            found.append(Fault("log", f"table {name}", str(error).splitlines()[0], GIVE_UP))
    return found


def refuse_lost(profile: Profile, release: Release) -> None:
    """Raise `Damaged` where readers would be shown what cannot be read whole."""
    if found := release_faults(profile, release):
        raise Damaged(f"{_message(found)}\n  readers see what they saw")


def table_faults(profile: Profile, name: str, files: bool) -> list[Fault]:
    """What is wrong with a table as it stands."""
    return _table_faults(profile, name, read_log(profile, name), files)


def _table_faults(profile: Profile, name: str, log: DeltaTable | Fault | None, files: bool) -> list[Fault]:
    if log is None or isinstance(log, Fault):
        return [log] if log else []
    columns = [fault] if (fault := columns_fault(name, log)) else []
    return columns + (files_faults(profile, name, log) if files else [])


def read_log(profile: Profile, name: str) -> DeltaTable | Fault | None:
    """A table as it stands, or which entry of its log is to blame that it cannot be read; None where there is none."""
    if not table_exists(profile.table(name)):
        return None
    try:
        return open_table(profile, name)
    except Damaged as error:
        seen = _blamed(f"{profile.table(name)}/_delta_log") or str(error).splitlines()[0]
        return Fault("log", f"table {name}", seen, GIVE_UP)


def _versions_lost(logs: Mapping[str, DeltaTable | Fault | None], public: list[Release]) -> list[Fault]:
    """Tables that lack versions which releases show."""
    lost = {}
    for name in PUBLISHED:
        version, release = max(
            [(each.tables[name], each.release_id) for each in public if name in each.tables], default=(-1, "")
        )
        log = logs.get(name)
        there = -1 if log is None or isinstance(log, Fault) else log.version()
        if version > there:
            newest = f"its newest version is {there}" if there >= 0 else "it is gone, or its log is"
            lost[name] = f"{newest}, and release {release} shows version {version}"
    return [Fault("log", f"table {name}", seen, GIVE_UP) for name, seen in lost.items()]


def _ledgers_lost(profile: Profile, public: list[Release], runs: list[dict[str, Any]]) -> list[Fault]:
    """Ledgers whose log is gone, and releases that a run tells of and `releases` does not."""
    bare = [name for name in LEDGERS if not table_exists(profile.table(name)) and files_below(profile.table(name))]
    lost = dict.fromkeys(bare if public else [], "it has files and no log")
    if gone := unknown(public, runs):
        lost["releases"] = f"it lacks release {gone[-1]['release_id']}, which a run has published"
    return [Fault("log", f"table {name}", seen, GIVE_UP) for name, seen in lost.items()]


def unknown(public: list[Release], runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs that have published what `releases` lacks, oldest first; none where it has the last one's: what is older may
    have been given up."""
    ids = {each.release_id for each in public}
    told = sorted((row for row in runs if row["release_id"]), key=lambda row: row["started_at"])
    return [row for row in told if row["release_id"] not in ids] if told and told[-1]["release_id"] not in ids else []


def _blamed(log: str) -> str:
    """The entry of a table's log that is missing or torn, if one is."""
    files, place = filesystem(log)
    entries = {name: path for path, _ in files_below(log) if re.fullmatch(r"\d{20}\.json", name := path.rsplit("/", 1)[-1])}
    checkpoints = [path.rsplit("/", 1)[-1] for path, _ in files_below(log) if ".checkpoint" in path]
    start = max((int(name[:20]) for name in checkpoints if name[:20].isdigit()), default=-1) + 1
    last = max((int(name[:20]) for name in entries), default=start - 1)
    for version in range(start, last + 1):
        name = f"{version:020}.json"
        if name not in entries:
            return f"log entry {version} is missing ({place}/{name})"
        with files.open_input_stream(entries[name]) as stream:
            if not _is_json_lines(stream.read()):
                return f"log entry {version} is torn ({place}/{name})"
    return ""


def _is_json_lines(content: bytes) -> bool:
    try:
        return bool([json.loads(line) for line in content.splitlines() if line.strip()])
    except ValueError:
        return False


def columns_fault(name: str, table: DeltaTable) -> Fault | None:
    """How a table differs from its contract; that it lacks columns is how tables of earlier versions are."""
    from deltalake import Schema

    ours = json.loads(Schema.from_arrow(contract(name).arrow()).to_json())
    wrong = [*_differences(json.loads(table.schema().to_json()), ours)]
    there = {field.name for field in table.schema().fields}
    needed = {*contract(name).keys, *OF_THE_RUN} & {*contract(name).names}
    wrong += [f"column {each} is missing" for each in sorted(needed - there)]
    if name in PUBLISHED and (parts := table.metadata().partition_columns) != contract(name).partitions:
        wrong.append(f"it is partitioned by {', '.join(parts) or 'nothing'}, not by {', '.join(contract(name).partitions)}")
    if not wrong:
        return None
    return Fault("columns", f"table {name}", f"version {table.version()} is not as its contract says: {'; '.join(wrong)}",
                 MADE_BY_HAND)  # fmt: skip


def _differences(found: Any, ours: Any, within: str = "") -> Iterator[str]:
    """Columns, of rows within rows too, that the contract has not or has with another type."""
    if not isinstance(found, dict) or not isinstance(ours, dict) or found["type"] != ours["type"]:
        if found != ours:
            yield f"column {within} is {_kind(found)}, not {_kind(ours)}"
        return
    if found["type"] == "struct":
        wanted = {each["name"]: each["type"] for each in ours["fields"]}
        for each in found["fields"]:
            path = f"{within}.{each['name']}" if within else each["name"]
            if each["name"] in wanted:
                yield from _differences(each["type"], wanted[each["name"]], path)
            else:
                yield f"column {path} is not in it"
    for part in {"elementType", "keyType", "valueType"} & found.keys():
        yield from _differences(found[part], ours[part], within)


def _kind(delta: Any) -> str:
    return str(delta["type"]) if isinstance(delta, dict) else str(delta)


def files_faults(profile: Profile, name: str, table: DeltaTable, release: Release | None = None) -> list[Fault]:
    """Files of a table's version, or of a release's night in it, that are missing or not as long as its log says."""
    named = _added(table, release)
    if not named:
        return []
    root = profile.table(name).rstrip("/")
    there = {path.removeprefix(filesystem(root)[1].rstrip("/") + "/"): size for path, size in files_below(root)}
    wrong = {path: _seen(size, there.get(path)) for path, size in named.items() if there.get(path) != size}
    of = f"version {table.version()}" + (f", which release {release.release_id} shows" if release else "")
    return [Fault("files", f"table {name}", f"{root}/{path} of {of} is {seen}", GIVE_UP) for path, seen in wrong.items()]


def _added(table: DeltaTable, release: Release | None) -> dict[str, int]:
    """Paths within the table of its files and their bytes."""
    rows = pa.table(table.get_add_actions(flatten=True))
    night = "partition.run_date"
    if release and night in rows.column_names:
        rows = rows.filter(pc.equal(rows[night].cast(pa.string()), str(release.run_date)))
    return dict(zip(map(unquote, rows["path"].to_pylist()), rows["size_bytes"].to_pylist(), strict=True))


def _seen(size: int, there: int | None) -> str:
    return "missing" if there is None else f"torn: {there} bytes of {size}"


def _target(profile: Profile) -> Iterator[Fault]:
    """Local folders that may not be written."""
    if profile.warehouse.startswith(REMOTE):
        return
    tables = [Path(profile.table(name)) for name in (*PUBLISHED, *LEDGERS)]
    places = [Path(profile.warehouse), Path(profile.warehouse, "_work"), *tables, *(each / "_delta_log" for each in tables)]
    locked = [place for place in dict.fromkeys(map(_existing, places)) if not os.access(place, os.W_OK)]
    for place in locked:
        if place.parent not in locked:
            yield Fault("target", str(place), "it cannot be written", "make it writable for this user and start again")


def _existing(place: Path) -> Path:
    return next(each for each in (place, *place.parents) if each.exists())


def _room(profile: Profile, last: int) -> Iterator[Fault]:
    """Local disks with less room than a night takes when the one before took `last` bytes."""
    need = int(profile.storage.free_mb * 1e6) + NIGHTS * last
    mend = f"make room (storage.free_mb and {NIGHTS} times the last night's tables) and start again"
    places = [home()] if profile.warehouse.startswith(REMOTE) else [Path(profile.warehouse), home()]
    for place in dict.fromkeys(map(_existing, places)):
        if (free := shutil.disk_usage(place).free) < need:
            seen = f"{free / 1e6:,.0f} MB are free, a night needs {need / 1e6:,.0f}"
            yield Fault("room", str(place), seen, mend)


@contextmanager
def named(profile: Profile | Callable[[], Profile]) -> Iterator[None]:
    """Turn what an engine says of files and tables into an error for the reader; what is about neither stays as it is.

    A profile that is not read yet is a function.
    """
    try:
        yield
    except NocturneError:
        raise
    except Exception as error:
        if not _of_storage(error):
            raise
        if told := _told(profile if isinstance(profile, Profile) else profile(), error):
            raise told from error
        raise


def _told(profile: Profile, error: Exception) -> NocturneError | None:
    text = f"{type(error).__name__}: {error}"
    place = file_in(text) or getattr(error, "filename", None) or profile.warehouse
    if is_full(text):
        return StorageError(f"{place}: no space left on device; make room, then start again: what is committed is kept")
    if any(sign in text for sign in FORBIDDEN):
        if locked := [*_target(profile)]:
            return Unwritable(_message(locked))
        return Unwritable(f"{place}: {cause(text)}; make it writable for this user and start again")
    if found := [each for each in faults(profile) if each.kind in ("log", "columns", "files")]:
        return Damaged(_message(found))
    return _of_a_file(profile, str(place), cause(text)) if file_in(text) else None


def _of_storage(error: Exception) -> bool:
    """Whether an engine that reads files and tables raised it; of DuckDB's errors those that are not about SQL."""
    if type(error).__module__ in ("_duckdb", "duckdb"):
        return "arrow_scan" in str(error)
    return isinstance(error, (OSError, pa.ArrowException)) or type(error).__module__.split(".")[0] in (
        "deltalake", "_internal", "py4j", "pyspark",
    )  # fmt: skip


def _of_a_file(profile: Profile, place: str, cause: str) -> NocturneError:
    """Whose file it is says what to do."""
    path = re.sub(r"^file:/+", "/", place)
    for name, inputs in (("events", profile.events), ("items", profile.items)):
        if path.startswith(resolve(inputs.path)):
            return InputError(f"{name}.path: {path} cannot be read: {cause}; put a whole file in its place and start again")
    if "/_work/" in path:
        return Damaged(f"{path}: {cause}; start the night again: prepare makes its files anew, paid answers are kept")
    return Damaged(f"{path}: {cause}; {GIVE_UP}")


def is_full(text: str) -> bool:
    """Whether what an engine says is about a disk without room."""
    return any(sign in text for sign in FULL)


def file_in(text: str) -> str | None:
    """The first file that an engine's message names."""
    found = FILE.search(text)
    return found[0] if found else None


def cause(text: str) -> str:
    """The innermost reason in an engine's message, in one line."""
    causes = re.findall(r"Caused by: [\w.$]+: (.+?)(?=\n\s+(?:at|\.\.\.) |\Z)", text, re.DOTALL)
    said = [line.removeprefix(": ") for line in text.splitlines() if line.startswith(": ")] or text.splitlines()
    return " ".join((causes[-1] if causes else said[0]).split())[:500]
