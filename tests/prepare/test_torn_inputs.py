"""Inputs that are torn, half there or without a log: one message that names the file, and a whole one in its place mends it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from jobs.errors import InputError
from jobs.faults import named
from jobs.prepare.sources import read_sources
from tests.data.inputs import profile, write_jsonl, write_lines
from tests.prepare.test_prepare import night

NIGHT = "2024-03-10"
ROWS = [{"user": f"u{k % 3}", "item": f"i{k % 4}", "time": f"2024-03-0{k % 9 + 1}"} for k in range(3000)]


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def overwritten(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:4] + bytes(400) + content[404:])


def as_parquet(folder: Path) -> None:
    folder.mkdir()
    for name, rows in (("a", ROWS[:1000]), ("b", ROWS[1000:])):
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")


def as_delta(folder: Path) -> None:
    for rows in (ROWS[:1000], ROWS[1000:]):
        write_deltalake(folder, pa.Table.from_pylist(rows), mode="append")


LOG = "_delta_log/0000000000000000000{}.json"
CASES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a torn Parquet file": ("parquet", lambda folder: torn(folder / "b.parquet"), "b.parquet"),
    "an overwritten Parquet file": ("parquet", lambda folder: overwritten(folder / "b.parquet"), "b.parquet"),
    "an empty Parquet file": ("parquet", lambda folder: (folder / "b.parquet").write_bytes(b""), "b.parquet"),
    "a torn file of a Delta table": ("delta", lambda folder: torn(files(folder)[0]), ".parquet"),
    "a missing file of a Delta table": ("delta", lambda folder: files(folder)[0].unlink(), ".parquet"),
    "a missing log entry": ("delta", lambda folder: (folder / LOG.format(0)).unlink(), ""),
    "a torn log entry": ("delta", lambda folder: torn(folder / LOG.format(1)), ""),
    "a Delta table without a log": ("delta", lambda folder: shutil.rmtree(folder / "_delta_log"), ""),
}


@pytest.mark.parametrize("case", CASES)
def test_a_torn_input_is_named_and_a_whole_one_mends_it(spark, tmp_path: Path, case: str) -> None:
    form, damage, name = CASES[case]
    folder, write = tmp_path / "events", {"parquet": as_parquet, "delta": as_delta}[form]
    write(folder)
    write_jsonl(tmp_path / "items.json", [{"item": f"i{k}", "title": f"Film {k}"} for k in range(4)])
    one = profile(tmp_path, {"format": form, "path": str(folder)}, {"format": "json"})
    damage(folder)
    with pytest.raises(InputError, match=r"events\.path") as told, named(one):
        night(spark, one, NIGHT)
    assert str(folder) in str(told.value)
    assert name in str(told.value)
    assert "\tat " not in str(told.value)
    assert len(str(told.value)) < 1000
    shutil.rmtree(folder)
    write(folder)
    events, _ = read_sources(spark, one)
    assert events.rows.count() == len(ROWS)


def test_a_torn_line_of_json_or_csv_is_a_rejected_record(spark, tmp_path: Path) -> None:
    """Nothing else tells that a log of lines was cut: the last record of it is not one."""
    write_jsonl(tmp_path / "items.json", [{"item": f"i{k}", "title": f"Film {k}"} for k in range(4)])
    file = write_jsonl(tmp_path / "events.json", ROWS[:9])
    file.write_bytes(file.read_bytes()[:-20])
    manifest, _ = night(spark, profile(tmp_path, {"format": "json"}, {"format": "json"}), NIGHT)
    assert manifest.counts["events"] == {"valid": 8, "malformed": 1}
    file = write_lines(tmp_path / "events.csv", ["user,item,time", *(",".join(row.values()) for row in ROWS[:9])])
    file.write_bytes(file.read_bytes()[:-14])
    manifest, _ = night(spark, profile(tmp_path, {"format": "csv"}, {"format": "json"}), NIGHT)
    assert manifest.counts["events"] == {"valid": 8, "malformed": 1}
