"""Storage faults, made for real: each is named before a night costs anything, nothing is published, and a step mends it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from jobs.cli.doctor import examine
from jobs.contracts import contract
from jobs.errors import Damaged, StorageError, Unwritable
from jobs.faults import faults, named, refuse
from jobs.lake import connect
from jobs.mend import mend
from jobs.profile import Profile
from jobs.releases import latest, releases
from jobs.runs import find_run, put_run
from jobs.stage import recorded
from tests.cli.conftest import nocturne
from tests.data.inputs import profile as write
from tests.publish.nights import NEXT, NIGHT, STARTED, made, release

__all__ = ["nocturne"]  # a fixture
LATER = STARTED + timedelta(hours=1)
WHOLE = {"r-run-1", "r-run-2"}


def night(profile: Profile, run_id: str, run_date=NEXT, words: str = "Likes quiet films of every age.") -> None:
    """A published run, as publish leaves it."""
    new = release(profile, [made("a", words), made("b")], run_date, run_id, LATER)
    tables, digests = list(new.tables.items()), list(new.digests.items())
    about = {"release_id": new.release_id, "tables": tables, "digests": digests, "ended_at": LATER}
    started = STARTED + timedelta(minutes=int(run_id[-1]))
    put_run(profile, run_id, run_date, started, "published", **about)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with two released nights."""
    folder = tmp_path_factory.mktemp("nights")
    night(write(folder), "run-1", NIGHT)
    night(write(folder), "run-2")
    return folder / "warehouse"


@pytest.fixture
def profile(nights: Path, tmp_path: Path) -> Profile:
    shutil.copytree(nights, tmp_path / "warehouse")
    return write(tmp_path)


def files(profile: Profile, table: str, newest: bool = False) -> list[Path]:
    found = sorted(Path(profile.table(table)).rglob("*.parquet"), key=lambda file: file.stat().st_mtime_ns)
    return found[-1:] if newest else found


def entry(profile: Profile, table: str, version: int) -> Path:
    return Path(profile.table(table), "_delta_log", f"{version:020}.json")


def torn(*found: Path) -> None:
    for file in found:
        file.write_bytes(file.read_bytes()[:-40])


def gone(*found: Path) -> None:
    for file in found:
        file.unlink()


def by_hand(profile: Profile, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """What somebody does in a notebook."""
    rows = change(DeltaTable(profile.table(table)).to_pyarrow_table())
    parts = contract(table).partitions or None
    write_deltalake(profile.table(table), rows, mode="overwrite", schema_mode="overwrite", partition_by=parts)


def more(rows: pa.Table) -> pa.Table:
    return rows.append_column("note", pa.array(["mine"] * len(rows)))


def other(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.set_column(rows.schema.get_field_index(column), column, rows[column].cast(pa.string()))


LOG = r"log entry {} is {} \(\S+/{}/_delta_log/0+{}.json\)"
CASES: dict[str, tuple[Callable[[Profile], None], str, set[str]]] = {  # the fault, what is told, the releases mend keeps
    "a torn file of the last release": (
        lambda p: torn(*files(p, "rankings", newest=True)),
        r"table rankings: \S+/rankings/run_date=2024-05-02/\S+ of version 1, which release r-run-2 shows is torn: \d+ bytes of",
        {"r-run-1"},
    ),
    "a missing file of the last release": (
        lambda p: gone(*files(p, "explanations", newest=True)),
        r"table explanations: \S+ of version 1, which release r-run-2 shows is missing",
        {"r-run-1"},
    ),
    "all files of a table torn": (lambda p: torn(*files(p, "evidence")), r"table evidence: \S+ of version 1, which", set()),
    "a missing log entry": (
        lambda p: gone(entry(p, "rankings", 0)), LOG.format(0, "missing", "rankings", 0), set()
    ),
    "a missing last log entry": (
        lambda p: gone(entry(p, "rankings", 1)),
        "table rankings: its newest version is 0, and release r-run-2 shows version 1",
        {"r-run-1"},
    ),
    "a torn log entry": (lambda p: torn(entry(p, "rankings", 1)), LOG.format(1, "torn", "rankings", 1), set()),
    "a log that is gone": (
        lambda p: shutil.rmtree(Path(p.table("rankings"), "_delta_log")),
        "table rankings: it is gone, or its log is, and release r-run-2 shows version 1",
        set(),
    ),
    "a table that is gone": (
        lambda p: shutil.rmtree(p.table("user_summaries")), "table user_summaries: it is gone, or its log is", set()
    ),
    "another column": (
        lambda p: by_hand(p, "user_summaries", more),
        "table user_summaries: version 2 is not as its contract says: column note is not in it",
        WHOLE,
    ),
    "another type": (
        lambda p: by_hand(p, "rankings", other("score")), "table rankings: version 2 .*: column score is string, not", WHOLE
    ),
    "a ledger with another column": (
        lambda p: by_hand(p, "releases", more), r"table releases: version \d+ .*: column note is not in it", WHOLE
    ),
    "a ledger with another type": (
        lambda p: by_hand(p, "runs", other("users")), r"table runs: version \d+ .*: column users is string, not long", WHOLE
    ),
    "a torn file of runs": (lambda p: torn(*files(p, "runs")), r"table runs: \S+ of version 1 is torn", WHOLE),
    "torn files of releases": (lambda p: torn(*files(p, "releases")), r"table releases: \S+ of version 2 is torn", WHOLE),
    "a log of releases with a gap": (
        lambda p: gone(entry(p, "releases", 0)), LOG.format(0, "missing", "releases", 0), WHOLE
    ),
    "releases that lost the last one": (
        lambda p: gone(entry(p, "releases", 2)), "table releases: it lacks release r-run-2, which a run has published", WHOLE
    ),
    "runs without a log": (
        lambda p: shutil.rmtree(Path(p.table("runs"), "_delta_log")), "table runs: it has files and no log", WHOLE
    ),
    "releases without a log": (
        lambda p: shutil.rmtree(Path(p.table("releases"), "_delta_log")), "table releases: it lacks release r-run-", WHOLE
    ),
}  # fmt: skip


def everything(folder: str) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in Path(folder).rglob("*") if file.is_file()}


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_named_and_a_copy_mends_it(nights: Path, profile: Profile, case: str) -> None:
    damage, message, _ = CASES[case]
    damage(profile)
    found = everything(profile.warehouse)
    with pytest.raises(Damaged, match=message) as told:
        refuse(profile, NEXT)
    assert "nothing was published" in str(told.value)
    assert "infra/nocturne mend" in str(told.value)
    assert everything(profile.warehouse) == found
    shutil.rmtree(profile.warehouse)
    shutil.copytree(nights, profile.warehouse)
    refuse(profile, NEXT)


@pytest.mark.parametrize("case", CASES)
def test_without_a_copy_mend_makes_the_next_night_possible(profile: Profile, case: str) -> None:
    damage, _, kept = CASES[case]
    damage(profile)
    found = everything(profile.warehouse)
    told = mend(profile, LATER, really=False)
    assert everything(profile.warehouse) == found
    assert mend(profile, LATER, really=True) and told
    assert faults(profile, whole=True) == []
    assert {each.root for each in releases(profile)} == kept
    assert mend(profile, LATER, really=True) == []
    night(profile, "run-9", words="Likes loud films.")
    assert latest(profile).release_id == "r-run-9"
    assert find_run(profile, "run-9")["release_id"] == "r-run-9"
    for name in (None, *kept):
        assert connect(profile, name).sql("select count(*) from rankings").fetchone() == (4,)
    (last,) = connect(profile).sql("select latest from releases order by sequence desc limit 1").fetchone()
    assert last == "r-run-9"


def test_readers_go_to_what_can_be_read(profile: Profile) -> None:
    torn(*files(profile, "rankings", newest=True))
    mend(profile, LATER, really=True)
    (last,) = connect(profile).sql("select latest from releases order by sequence desc limit 1").fetchone()
    assert latest(profile).release_id == last == "r-run-1"
    assert connect(profile).sql("select distinct run_date from user_summaries").fetchall() == [(NIGHT,)]
    assert find_run(profile, "run-2")["release_id"] is None


def test_a_sound_warehouse_an_empty_one_and_an_older_one_are_fine(profile: Profile, tmp_path: Path) -> None:
    assert faults(profile, whole=True) == []
    (tmp_path / "empty").mkdir()
    assert faults(write(tmp_path / "empty")) == []
    by_hand(profile, "rankings", lambda rows: rows.drop_columns(["contributions"]))
    assert faults(profile) == []


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system of its own at `folder`; skips where this machine allows none."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount: {done.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_target_that_may_not_be_written(profile: Profile) -> None:
    place = Path(profile.warehouse)
    with mounted(place, "--bind", str(place)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        for attempt in (lambda: refuse(profile, NEXT), lambda: recorded(profile, "run-9", NEXT, STARTED).__enter__()):
            with pytest.raises(Unwritable, match=rf"^{place}: it cannot be written; make it writable for this user and start"):
                attempt()
        assert connect(profile).sql("select count(*) from rankings").fetchone() == (4,)
    refuse(profile, NEXT)
    assert find_run(profile, "run-9") is None


def test_a_table_that_may_not_be_written(profile: Profile) -> None:
    place = profile.table("generations")
    Path(place).mkdir()
    if subprocess.run(["chattr", "+i", place], capture_output=True).returncode:
        pytest.skip("no chattr here")
    try:
        with pytest.raises(Unwritable, match=rf"^{place}: it cannot be written"):
            refuse(profile, NEXT)
    finally:
        subprocess.run(["chattr", "-i", place], check=True)
    refuse(profile, NEXT)


def test_too_little_room_is_told_before_and_a_full_disk_when_it_comes(nights: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    with mounted(small, "-t", "tmpfs", "-o", "size=3m", "tmpfs"):
        shutil.copytree(nights, small / "warehouse")
        profile = write(small)
        with pytest.raises(StorageError, match=r"warehouse: 3 MB are free, a night needs 200; make room \(storage.free_mb"):
            refuse(profile, NEXT)
        profile = write(small, storage={"warehouse": str(small / "warehouse"), "free_mb": 1})
        refuse(profile, NEXT)
        with pytest.raises(OSError, match="No space left"), (small / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(1 << 16))
        before = releases(profile)
        with pytest.raises(StorageError, match="no space left on device; make room, then start again"), named(profile):
            night(profile, "run-9")
        assert releases(profile) == before
        (small / "ballast").unlink()
        refuse(profile, NEXT)
        night(profile, "run-9")
        assert latest(profile).release_id == "r-run-9"
        assert faults(profile) == []


def test_doctor_shows_the_same(profile: Profile) -> None:
    assert [each.well for each in examine(profile.file) if each.what == "warehouse"] == [True]
    by_hand(profile, "user_summaries", more)
    torn(*files(profile, "rankings"))
    found = {each.what: each for each in examine(profile.file) if not each.well}
    assert "column note is not in it" in found["table user_summaries"].seen
    assert re.search(r"\S+.parquet of version \d.* is torn", found["table rankings"].seen)
    assert "infra/nocturne mend" in found["table rankings"].mend
    assert len([each for each in examine(profile.file) if each.what == "table rankings"]) == 2  # of both nights


READERS = {
    "a torn file": (lambda p: torn(*files(p, "rankings", newest=True)), "which release r-run-2 shows is torn"),
    "a log with a gap": (lambda p: gone(entry(p, "rankings", 0)), r"table rankings: its log of version [01] cannot be read"),
    "a lost version": (lambda p: gone(entry(p, "rankings", 1)), r"table rankings: its log of version [01] cannot be read"),
    "releases torn": (lambda p: torn(*files(p, "releases")), "table releases cannot be read: .*; infra/nocturne doctor says"),
}


@pytest.mark.parametrize("case", READERS)
@pytest.mark.parametrize("command", [("query", "from rankings"), ("show", "user", "a"), ("diff", "r-run-1", "r-run-2")])
def test_commands_tell_readers_one_message(profile: Profile, nocturne, case: str, command: tuple[str, ...]) -> None:
    damage, message = READERS[case]
    damage(profile)
    code, _, error = nocturne(*command)
    assert code == 3
    assert error.startswith("nocturne: table r")
    assert "Traceback" not in error
    assert re.search(message, error)


def test_a_release_whose_version_has_no_log_any_more_is_withdrawn(profile: Profile) -> None:
    """As after Delta dropped old entries; it is older than what refuse looks at."""
    DeltaTable(profile.table("rankings")).create_checkpoint()
    gone(entry(profile, "rankings", 0))
    assert "release r-run-1 is withdrawn" in " ".join(mend(profile, LATER, really=False))
    mend(profile, LATER, really=True)
    assert {each.root for each in releases(profile)} == {"r-run-2"}
