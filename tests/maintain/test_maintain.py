"""Warehouses of some nights in real Delta tables: what upkeep leaves readable, and what it removes."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from jobs.contracts import PUBLISHED
from jobs.errors import InputError, NotFound
from jobs.faults import faults, release_faults
from jobs.lake import connect
from jobs.maintain import __main__ as job
from jobs.maintain.tables import files_of, measure
from jobs.mend import mend
from jobs.profile import Profile, load_profile
from jobs.progress import Progress
from jobs.releases import Release, accept, find, go_back, latest, released, releases, retired
from jobs.runs import put_run
from jobs.storage import read_rows, write_json
from tests.data.inputs import profile as write
from tests.publish.nights import NIGHT, STARTED, call, loose, made, release

NOW = STARTED + timedelta(days=99)
WORDS = "Likes films of night {}."


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """Two nights are kept, and nothing that is not needed."""
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    return write(tmp_path, retention={"nights": 2, "work_nights": 1, "orphan_hours": 0})


@pytest.fixture
def maintain(profile: Profile) -> Callable[..., job.Report]:
    return lambda dry_run=False, now=NOW: job.maintain(profile, now, dry_run, Progress("maintain"))


def nights(profile: Profile, n: int = 5) -> list[Release]:
    """So many nights; the last but one is made again, so that its first version is superseded."""
    found = [night(profile, k) for k in range(n)]
    return [*found, night(profile, n - 2, f"run-{n - 2}b")]


def night(profile: Profile, k: int, run_id: str = "") -> Release:
    when = {"night": NIGHT + timedelta(days=k), "run_id": run_id or f"run-{k}", "at": STARTED + timedelta(days=k)}
    return release(profile, [made("a", WORDS.format(run_id or k)), made("b")], **when)


def words(profile: Profile, name: str | None) -> str:
    ((found,),) = connect(profile, name).sql("select summary from user_summaries where user_id = 'a'").fetchall()
    return str(found)


def files(folder: str | Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in Path(folder).rglob("*")}


def test_kept_releases_stay_readable_and_others_are_named(spark, profile, maintain, nocturne) -> None:
    public = nights(profile)
    before = {each.release_id: words(profile, each.release_id) for each in public}
    table = spark.read.format("delta").load(profile.table("rankings"))  # as publish writes: with checksums beside the files
    table.coalesce(1).write.format("delta").mode("overwrite").partitionBy("run_date").save(profile.table("rankings"))
    report = maintain()
    sums = [file.name for file in Path(profile.table("rankings")).rglob(".*.crc")]
    assert len([name for name in sums if name.startswith(".part")]) == report.sizes["rankings"].live_files == 2
    assert (report.retired, report.nights) == (["r-run-2", "r-run-1", "r-run-0"], ["2024-05-01", "2024-05-02", "2024-05-03"])
    assert set(report.kept) == {"r-run-4", "r-run-3b", "r-run-3"}
    assert latest(profile) == find(profile, None) == public[4]
    for each in public[3:]:
        assert words(profile, each.release_id) == before[each.release_id]
        for name, version in each.tables.items():
            rows = DeltaTable(profile.table(name), version=version).to_pyarrow_table()
            assert spark.read.format("delta").option("versionAsOf", version).load(profile.table(name)).count() == len(rows) > 0
            assert released(spark, profile, each, name).count() > 0
    for each in public[:3]:
        with pytest.raises(
            NotFound, match=rf"{each.release_id}' in .* is retired since 2024-08-09.*nights = 2\); kept are r-run-4"
        ):
            find(profile, each.release_id)
        code, out, error = nocturne("query", "--release", each.release_id, "from rankings")
        assert (code, out, error.startswith(f"nocturne: release '{each.release_id}'")) == (3, "", True)
        with pytest.raises(NotFound, match="retired"):
            go_back(profile, each.release_id, NOW)
    assert latest(profile, until=NIGHT) is None
    assert len(releases(profile)) == 6
    assert {name: row.isoformat() for name, row in retired(profile).items()} == dict.fromkeys(report.retired, NOW.isoformat())


def test_files_go_once_no_kept_version_names_them(profile, maintain) -> None:
    """A version holds the nights before it too: they go when no such version is kept any more."""
    nights(profile)
    first = maintain()
    assert first.sizes["rankings"].left_files == 0
    assert first.sizes["rankings"].live_files == 2
    assert first.sizes["rankings"].kept_files == 4  # the nights before, and what was superseded
    for k in (5, 6):
        night(profile, k)
    second = maintain()
    assert set(second.retired) == {"r-run-3", "r-run-3b", "r-run-4"}
    assert second.sizes["rankings"].live_files == 2
    assert second.sizes["rankings"].kept_files == 2
    assert second.removed.keys() >= set(PUBLISHED)
    on_disk = {str(file.relative_to(profile.table("rankings"))) for file in Path(profile.table("rankings")).rglob("*.parquet")}
    named = [files_of(DeltaTable(profile.table("rankings"), version=v)) for v in find(profile, "r-run-6").tables.values()]
    assert named[1] <= on_disk
    assert maintain().removed == {}


def test_what_is_retired_is_no_damage(profile, maintain) -> None:
    """Its files are gone on purpose."""
    nights(profile)
    maintain()
    for k in (5, 6):
        night(profile, k)
    maintain()
    assert release_faults(profile, find(profile, None)) == []
    assert release_faults(profile, releases(profile)[-1]) != []
    assert faults(profile, whole=True) == mend(profile, NOW, really=True) == []
    assert len(releases(profile)) == 8


def test_a_second_time_there_is_nothing_to_do(profile, maintain) -> None:
    nights(profile)
    maintain()
    before = files(profile.warehouse)
    again = maintain()
    assert (again.retired, again.nights, again.removed, again.compacted, again.paths) == ([], [], {}, {}, [])
    assert files(profile.warehouse) == before


def test_a_dry_run_says_the_same_and_changes_nothing(profile, maintain, tmp_path) -> None:
    nights(profile)
    leave_things(profile)
    before = files(tmp_path)
    said = maintain(dry_run=True)
    assert files(tmp_path) == before
    did = maintain()
    assert (said.retired, said.nights, said.kept, said.paths) == (did.retired, did.nights, did.kept, did.paths)
    assert said.retired and said.nights and said.paths


def test_no_engine_drops_old_log_entries(profile, maintain) -> None:
    """After 30 days Delta would: and a version is read by its log."""
    nights(profile)
    maintain()
    for name in PUBLISHED:
        assert DeltaTable(profile.table(name)).metadata().configuration["delta.enableExpiredLogCleanup"] == "false"


def test_what_readers_went_back_to_stays(profile, maintain) -> None:
    public = nights(profile)
    go_back(profile, "r-run-0", NOW - timedelta(days=90))
    report = maintain()
    assert "r-run-0~7" in report.kept
    assert words(profile, None) == WORDS.format(0)
    go_back(profile, "r-run-4", NOW)
    assert (words(profile, None), latest(profile).tables) == (WORDS.format(4), public[4].tables)


def test_what_a_blocked_run_wrote_stays_as_long_as_a_release_would(profile, maintain) -> None:
    public = nights(profile)
    for k, each in ((1, public[1]), (4, public[4])):
        about = {"tables": list(each.tables.items()), "digests": list(each.digests.items()), "ended_at": each.published_at}
        put_run(profile, f"blocked-{k}", each.run_date, each.published_at, "blocked", **about)
    report = maintain()
    assert "blocked-4" in report.kept
    assert words(profile, "blocked-4") == WORDS.format(4)
    with pytest.raises(NotFound, match=r"'blocked-1' in .* is retired"):
        connect(profile, "blocked-1")
    with pytest.raises(NotFound, match=r"'blocked-1' in .* is retired"):
        accept(profile, "blocked-1", NOW, "it is fine")


def test_what_a_night_at_work_needs_stays(profile, maintain) -> None:
    nights(profile)
    write_json(f"{profile.work('2024-05-02')}/manifest.json", {"release_before": "r-run-0"})
    put_run(profile, "now", NIGHT + timedelta(days=1), NOW, "running")
    report = maintain()
    assert "r-run-0" in report.kept
    assert (report.nights, report.work, report.compacted) == (["2024-05-03"], ["now"], {})
    assert words(profile, "r-run-0") == WORDS.format(0)
    assert Path(profile.work("2024-05-02")).exists()


def test_what_is_young_stays(tmp_path, monkeypatch) -> None:
    """What a reader reads still, and what a writer has not committed."""
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    profile = write(tmp_path, retention={"nights": 2, "orphan_hours": 48})
    nights(profile)
    table = DeltaTable(profile.table("rankings"))
    folder = Path(profile.table("rankings"), "run_date=2024-05-05")
    for name, age in (("young", 0), ("old", 60 * 3600)):
        file = folder / f"{name}.parquet"
        file.write_bytes(b"not committed")
        os.utime(file, (file.stat().st_mtime - age,) * 2)
    for file in Path(profile.table("rankings")).rglob("part-*"):  # old files, deleted a moment ago
        os.utime(file, (file.stat().st_mtime - 60 * 3600,) * 2)
    report = job.maintain(profile, datetime.now(UTC), False, Progress("maintain"))
    assert report.removed == {"rankings": 1}
    assert [(folder / f"{name}.parquet").exists() for name in ("young", "old")] == [True, False]
    assert len(table.to_pyarrow_table()) == 5 * 4


def test_a_version_that_cannot_be_read_stops_it(profile, maintain) -> None:
    public = nights(profile)
    log = Path(profile.table("evidence"), "_delta_log")
    for entry in log.glob(f"*{public[3].tables['evidence']}.json"):
        entry.unlink()
    before = files(profile.warehouse)
    with pytest.raises(InputError, match=r"evidence: .* cannot be read: .*; nothing is removed"):
        maintain()
    assert files(profile.warehouse) == before


STEPS = {
    "before it is said who is retired": "jobs.maintain.__main__.retire",
    "before rows are deleted": "jobs.maintain.tables.drop_nights",
    "before a ledger is compacted": "jobs.maintain.tables.compact",
    "before files are removed": "jobs.maintain.tables.vacuum",
    "before folders are removed": "jobs.maintain.__main__.remove_any",
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_it_goes_on_the_next_time(profile, maintain, monkeypatch, step: str) -> None:
    public = nights(profile)
    leave_things(profile)
    with monkeypatch.context() as patch:
        patch.setattr(STEPS[step], lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            maintain()
    assert [words(profile, each.release_id) for each in public[3:]] == [WORDS.format(k) for k in (3, 4, "run-3b")]
    report = maintain()
    assert retired(profile).keys() == {"r-run-0", "r-run-1", "r-run-2"}
    assert report.sizes["rankings"].left_files == 0
    assert not maintain().paths


def test_ledgers_are_compacted(profile, maintain) -> None:
    nights(profile, 2)
    subjects = [f"u{k * 7 % 100:02}" for k in range(100)]
    for part in range(4):
        calls = [call(f"{part} {each}", each) | {"run_id": "run-1", "run_date": NIGHT} for each in subjects[part::4]]
        write_deltalake(
            profile.table("generations"),
            pa.Table.from_pylist(calls, schema=loose("generations")),
            partition_by=["run_date"],
            mode="append",
        )
        put_run(profile, f"run-{part}", NIGHT, STARTED, "published", stage_seconds=[("publish", 1.5)])
    before = {name: by_all(read_rows(profile, name)) for name in ("generations", "runs", "releases")}
    report = maintain()
    assert report.compacted == {"generations": 3, "runs": 3, "releases": 2}
    assert {name: by_all(read_rows(profile, name)) for name in before} == before
    assert [row["subject"] for row in read_rows(profile, "generations")] == sorted(subjects)
    assert measure(profile.table("generations"), ()).left_files == 0
    put_run(profile, "run-9", NIGHT, STARTED, "published")
    assert len(read_rows(profile, "runs")) == 5


def by_all(rows: list[dict]) -> list[str]:
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)


def leave_things(profile: Profile) -> None:
    """What nights, evaluations and killed jobs leave."""
    home = Path(os.environ["NOCTURNE_HOME"])
    for name in ("2024-05-04", "2024-05-05"):
        write_json(f"{profile.work(name)}/manifest.json", {"release_before": None})
        write_json(f"{profile.work(name)}/scratch/x/part.json", {})
        write_json(f"{profile.evaluation_work(name)}/trials.json", {})
    write_json(f"{profile.work('2024-05-03')}/results/shard=0/calls.json", {})
    write_json(f"{profile.warehouse}/_plan/abc/manifest.json", {})
    write_json(f"{home}/spark/blockmgr-1/data.json", {})
    for run in ("2024-01-02-20240102T020000Z-aa", "2024-08-01-20240801T020000Z-bb", "run-4", "notes"):
        write_json(f"{home}/docs/profile/{run}/judged.json", {})
    for name in ("profile-2024-01-02-20240102T020000.log", "profile-2024-08-01-20240801T020000.log", "notes.log"):
        write_json(f"{home}/logs/{name}", {})
    write_json(f"{home}/logs/profile-b-2024-01-02-20240102T020000.log", {})


def test_what_lies_beside_the_tables(profile, maintain, tmp_path) -> None:
    leave_things(profile)
    later = datetime.now(UTC) + timedelta(hours=1)  # what was just written counts as old
    assert {str(Path(path).relative_to(tmp_path)) for path in maintain(now=later).paths} >= {
        "warehouse/_work/2024-05-04",
        "warehouse/_work/2024-05-05/scratch",
        "warehouse/_evaluation/2024-05-04",
        "warehouse/_plan/abc",
        "home/spark/blockmgr-1",
        "home/docs/profile/2024-01-02-20240102T020000Z-aa",
        "home/logs/profile-2024-01-02-20240102T020000.log",
    }
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.[jl][so][og]*") if file.is_file()}
    assert left >= {
        "warehouse/_work/2024-05-03/results/shard=0/calls.json",
        "warehouse/_work/2024-05-05/manifest.json",
        "warehouse/_evaluation/2024-05-05/trials.json",
        "home/docs/profile/run-4/judged.json",
        "home/logs/notes.log",
        "home/logs/profile-b-2024-01-02-20240102T020000.log",
    }
    assert not any("abc" in file or "scratch" in file or "aa" in file for file in left)


def age(profile: Profile) -> None:
    """Have all files, and the deletions of some, be three days old."""
    for entry in Path(profile.warehouse).glob("*/_delta_log/*.json"):
        told = re.sub(
            r'("deletionTimestamp":)(\d+)', lambda found: f"{found[1]}{int(found[2]) - 3 * 86_400_000}", entry.read_text()
        )
        entry.write_text(told)
    for file in Path(profile.warehouse).rglob("*.parquet"):
        os.utime(file, (file.stat().st_mtime - 3 * 86_400,) * 2)


def upkeep(file: str, barrier, times: int) -> None:
    for turn in range(times):
        barrier.wait(60)
        job.maintain(load_profile(file), NOW + timedelta(days=3 * turn), False, Progress("maintain"))


def test_twice_at_once_beside_readers_and_a_night(tmp_path, monkeypatch) -> None:
    """Whatever upkeep removes, a reader finds one night whole, and the next night is released."""
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    profile = write(tmp_path, retention={"nights": 2, "orphan_hours": 48})
    nights(profile)
    job.maintain(profile, NOW, False, Progress("maintain"))
    for k in (5, 6):
        night(profile, k)
    age(profile)
    n_files = len(list(Path(profile.table("rankings")).rglob("*.parquet")))
    context, times = multiprocessing.get_context("spawn"), 2
    barrier = context.Barrier(3)
    both = [context.Process(target=upkeep, args=(profile.file, barrier, times)) for _ in range(2)]
    for each in both:
        each.start()
    for turn in range(times):
        barrier.wait(60)
        for _ in range(5):
            assert words(profile, None) == WORDS.format(6 + turn)
        night(profile, 7 + turn)
        for _ in range(5):
            assert words(profile, None) == WORDS.format(7 + turn)
    while any(each.is_alive() for each in both):
        assert words(profile, None) == WORDS.format(8)
    assert [each.exitcode for each in both] == [0, 0]
    assert words(profile, "r-run-7") == WORDS.format(7)
    assert len(list(Path(profile.table("rankings")).rglob("*.parquet"))) < n_files


def test_the_command_says_what_would_go_and_then_does(profile, nocturne) -> None:
    nights(profile)
    code, out, _ = nocturne("maintain", "--dry-run")
    assert (code, "would retire: r-run-2, r-run-1, r-run-0" in out) == (0, True)
    assert "retired" not in nocturne("releases")[1]
    code, out, _ = nocturne("maintain")
    assert (code, "retire: r-run-2, r-run-1, r-run-0" in out, "would" in out) == (0, True, False)
    assert nocturne("releases")[1].count("released, retired") == 3


def test_the_job_ends_with_its_report_as_json(profile, monkeypatch, capsys) -> None:
    nights(profile)
    monkeypatch.setattr("sys.argv", ["maintain", "--profile", profile.file, "--started-at", NOW.isoformat()])
    job.main()
    shown = capsys.readouterr().out
    told = json.loads(shown.splitlines()[-1])
    assert told["retired"] == ["r-run-2", "r-run-1", "r-run-0"]
    assert told["sizes"]["rankings"]["live_files"] == 2
    assert sum(told["sizes"]["rankings"][f"{kind}_bytes"] for kind in ("live", "kept", "left", "log")) == sum(
        file.stat().st_size for file in Path(profile.table("rankings")).rglob("*") if file.is_file()
    )
    assert "retire: r-run-2, r-run-1, r-run-0" in shown


def test_who_reads_a_release_that_is_retired_reads_on(tmp_path, monkeypatch) -> None:
    """It was superseded long ago: its files are old, and no kept version names them."""
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    profile = write(tmp_path, retention={"nights": 2, "orphan_hours": 48})
    nights(profile)
    for k in (5, 6):
        night(profile, k)
    age(profile)
    reader, now = connect(profile, "r-run-3"), datetime.now(UTC)
    assert "r-run-3" in job.maintain(profile, now, False, Progress("maintain")).retired
    assert reader.sql("select count(*) from rankings").fetchone() == (4,)
    assert (
        job.maintain(profile, now + timedelta(hours=47), False, Progress("maintain")).removed.keys() & set(PUBLISHED) == set()
    )
    assert job.maintain(profile, now + timedelta(hours=49), False, Progress("maintain")).removed.keys() >= set(PUBLISHED)
