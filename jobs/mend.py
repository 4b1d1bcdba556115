"""Give up what of a warehouse cannot be read and has no copy, so that the next night is possible.

Each table by what is wrong with it: made by hand, the last version that keeps to the contract comes back (as a version of
its own); torn or missing files leave the table; a table whose log cannot be read is removed. Releases that then cannot be
read whole are withdrawn, and readers go to the newest that can; where none is left, the next night begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobs.contracts import LEDGERS, PUBLISHED
from jobs.errors import Damaged
from jobs.faults import Fault, columns_fault, files_faults, read_log, release_faults, table_faults, unknown
from jobs.locks import working
from jobs.profile import Profile
from jobs.releases import Release, latest, publish, releases, retired
from jobs.runs import runs
from jobs.storage import exists, filesystem, open_table, put_rows, remove, table_exists

if TYPE_CHECKING:
    from deltalake import DeltaTable

WITHDRAWN = "what it showed cannot be read any more"


def mend(profile: Profile, at: datetime, really: bool) -> list[str]:
    """What is given up, in words; done only if `really`.

    Raises:
        Damaged: no version of a table keeps to its contract.
        Busy: users are being erased.
    """
    with working(profile) if really else nullcontext():
        told = [line for name in (*PUBLISHED, *LEDGERS) for line in _table(profile, name, really)]
        return [*told, *_releases(profile, at, really)]


def _table(profile: Profile, name: str, really: bool) -> Iterator[str]:
    path = profile.table(name)
    table = read_log(profile, name)
    if table is None or isinstance(table, Fault):
        if exists(path):
            yield f"table {name} is removed ({table.seen if table else 'it has no log'})"
            if really:
                remove(path)
        return
    if columns_fault(name, table):
        good = _last_good(profile, name, table.version())
        yield f"table {name} is again what it was at version {good}"
        if really:
            table.restore(good)
    if torn := files_faults(profile, name, open_table(profile, name)):
        yield f"table {name} loses {len(torn)} files: {'; '.join(each.seen for each in torn)}"
        if really:
            _forget(open_table(profile, name), [each.seen.split(" of version ")[0] for each in torn])


def _last_good(profile: Profile, name: str, newest: int) -> int:
    """The newest version that keeps to the contract."""
    for version in reversed(range(newest)):
        if not columns_fault(name, open_table(profile, name, version)):
            return version
    raise Damaged(f"table {name}: no version of it keeps to its contract; move its folder away and run mend again")


def _forget(table: DeltaTable, paths: list[str]) -> None:
    """Remove torn files, then all that are missing from the log."""
    for path in paths:
        files, place = filesystem(path)
        if files.get_file_info(place).size is not None:
            files.delete_file(place)
    table.update_incremental()
    table.repair()


def _releases(profile: Profile, at: datetime, really: bool) -> Iterator[str]:
    """Tell again what runs have published and `releases` lacks, and withdraw what cannot be read."""
    told = [row for row in runs(profile) if row["release_id"]] if _readable(profile, "runs") else []
    public = releases(profile) if _readable(profile, "releases") else []
    lacking = unknown(public, told)
    again = [each for row in lacking if row.get("tables") and not release_faults(profile, each := _of(row))]
    kept_no_longer = retired(profile) if _readable(profile, "retired") else {}
    lost = [each for each in public if each.release_id not in kept_no_longer and release_faults(profile, each)]
    yield from (f"release {each.release_id} is told again, as its run has it" for each in again)
    anew = "to have its night again: infra/nocturne run --date"
    yield from (f"release {each.release_id} is withdrawn: {WITHDRAWN}; {anew} {each.run_date}" for each in lost)
    gone = {each.release_id for each in lost} | {row["release_id"] for row in lacking} - {each.release_id for each in again}
    yield from (f"run {row['run_id']} has no release any more" for row in told if row["release_id"] in gone)
    if not really:
        return
    for each in sorted(again, key=lambda each: each.published_at):
        publish(profile, each)
    for row in told:
        if row["release_id"] in gone:
            put_rows(profile, "runs", [row | {"release_id": None, "message": f"withdrawn: {WITHDRAWN}"}], key="run_id")
    if lost:
        _withdraw(profile, lost, at)


def _readable(profile: Profile, name: str) -> bool:
    return table_exists(profile.table(name)) and not table_faults(profile, name, files=True)


def _of(run: dict[str, Any]) -> Release:
    """The release that a run has published."""
    tables, digests = dict(run["tables"]), dict(run["digests"] or ())
    return Release(run["release_id"], run["run_date"], run["run_id"], "released", tables, digests, run["ended_at"])


def _withdraw(profile: Profile, lost: list[Release], at: datetime) -> None:
    """Delete rows of `releases`; the last row then says again what readers see."""
    ids = ", ".join("'" + each.release_id.replace("'", "''") + "'" for each in lost)
    open_table(profile, "releases").delete(f"release_id in ({ids})")
    if not (left := releases(profile)):
        remove(profile.table("releases"))
        return
    newest, now = max(left, key=lambda each: each.sequence), latest(profile)
    if now and newest.latest != now.release_id:
        count = newest.sequence + 1
        publish(profile, replace(now, release_id=f"{now.root}~{count}", status="rollback", published_at=at, reason=WITHDRAWN))
