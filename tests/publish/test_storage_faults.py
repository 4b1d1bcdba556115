"""Faults that come while a night is on its way, with the real engines: one message, nothing published, then mended."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

from jobs.errors import Damaged, StorageError
from jobs.faults import faults, named
from jobs.lake import connect
from jobs.publish.__main__ import Night
from jobs.releases import releases
from jobs.storage import read_rows
from tests.data.inputs import profile as write
from tests.publish.nights import NEXT, NIGHT, made, prepared
from tests.test_faults import mounted, torn

AGAIN = "start the night again: prepare makes its files anew, paid answers are kept"


def published(run, profile, manifest):
    with named(profile):
        return run(manifest)


def part(folder: str) -> list[Path]:
    return sorted(Path(folder).rglob("*.parquet"))


WORK: dict[str, tuple[Callable[[str], None], str]] = {
    "torn users to carry over": (lambda work: torn(*part(f"{work}/carried")), r"/carried/part-\S+.parquet: .*is not a Parquet"),
    "users to carry over gone": (lambda work: shutil.rmtree(f"{work}/carried"), "/carried: .*Path does not exist"),
    "torn rejected records": (lambda work: torn(*part(f"{work}/rejected")), r"/rejected/part-\S+.parquet: .*is not a Parquet"),
    "torn contexts": (lambda work: torn(*part(f"{work}/contexts")), r"/contexts/shard=0/part-\S+.parquet: .*is not a Parquet"),
    "a worker's torn report": (lambda work: torn(Path(work, "generate/0.json")), "/generate/0.json cannot be read: "),
}


def test_torn_files_between_the_stages_are_named_and_made_anew(profile, run) -> None:
    first, _ = published(run, profile, prepared(profile, NIGHT, [made("a")]))

    def night():
        return prepared(profile, NEXT, [made("b")], "run-2", carried=["a"], release_before=first.release_id)

    for damage, message in WORK.values():
        manifest = night()
        damage(profile.work(str(NEXT)))
        with pytest.raises(Damaged, match=message) as told:
            published(run, profile, manifest)
        assert AGAIN in str(told.value)
        assert str(told.value).count("\n") == 0
        assert releases(profile) == [first]
    second, _ = published(run, profile, night())
    assert releases(profile) == [second, first]


def test_a_disk_that_fills_up_while_tables_are_written(spark, tmp_path, monkeypatch) -> None:
    small = tmp_path / "small"
    with mounted(small, "-t", "tmpfs", "-o", "size=8m", "tmpfs"):
        monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
        profile = write(small, storage={"warehouse": str(small / "warehouse"), "free_mb": 1})
        run = runner(spark, profile)
        first, _ = run(prepared(profile, NIGHT, [made("a")]))
        manifest = prepared(profile, NEXT, [made("b")], "run-2", carried=["a"], release_before=first.release_id)
        real = Night.write

        def filled(night, name, rows):
            if name == "explanations":
                fill(small / "ballast")
            return real(night, name, rows)

        with (
            monkeypatch.context() as patch,
            pytest.raises(StorageError, match="no space left on device; make room, then"),
        ):
            patch.setattr(Night, "write", filled)
            published(lambda each: run(each), profile, manifest)
        assert releases(profile) == [first]
        (small / "ballast").unlink()
        second, _ = run(manifest)
        assert releases(profile) == [second, first]
        assert faults(profile, whole=True) == []


def fill(ballast: Path) -> None:
    with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))


def runner(spark, profile):
    from jobs.progress import Progress
    from tests.publish.nights import STARTED

    return lambda manifest: Night(spark, profile, manifest, STARTED, Progress("publish")).run()


def test_tables_from_before_a_column_take_it_on(profile, run) -> None:
    first, _ = published(run, profile, prepared(profile, NIGHT, [made("a")]))
    lost = {"user_summaries": "checks", "rankings": "contributions", "generations": "cached_tokens"}
    for table, column in lost.items():
        rows = DeltaTable(profile.table(table)).to_pyarrow_table().drop_columns([column])
        write_deltalake(profile.table(table), rows, mode="overwrite", schema_mode="overwrite", partition_by=["run_date"])
    assert faults(profile) == []
    _, status = published(run, profile, prepared(profile, NEXT, [made("a"), made("b")], "run-2"))
    assert status == "published"
    (row,) = connect(profile).sql("select checks from user_summaries where user_id = 'a'").fetchall()
    assert row == ([],)
    assert {each["cached_tokens"] for each in read_rows(profile, "generations") if each["run_id"] == "run-2"} == {4}
    assert connect(profile, first.release_id).sql("select checks from user_summaries").fetchall() == [([],)]
