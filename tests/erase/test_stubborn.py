"""Files that are torn, vanish or are named after users, and logs with odd lines: an erasure comes to its end all the same."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts import contract
from jobs.erase import __main__ as job
from jobs.erase import inputs, scan
from jobs.erase.inputs import Log
from jobs.erase.people import People
from jobs.home import home
from jobs.profile import Profile
from jobs.progress import Progress
from jobs.storage import put_rows, read_rows
from tests.data.inputs import profile as write
from tests.publish.nights import STARTED

GONE = "erase-me-7f3a"
PEOPLE = People.of([GONE], "user")


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    for name in ("logs", "data"):
        (tmp_path / "home" / name).mkdir(parents=True)
    return write(tmp_path)


def erase(profile: Profile) -> dict[str, Any]:
    """Erase the user, of whom no large table tells: no JVM."""
    return job.erase(profile, PEOPLE, STARTED, lambda: None, Progress("erase"))


TORN = {
    "a.log.gz": gzip.compress(b"said nothing\n" * 9)[:-9],
    "copy.db": b"SQLite format 3\x00" + bytes(range(256)) * 20,
    "some.parquet": b"PAR1 and no end",
    "no.gz": b"\x1f\x8b and then something else",
}


@pytest.mark.parametrize("name", TORN)
def test_a_torn_file_stops_nothing(profile, name) -> None:
    (home() / "logs" / name).write_bytes(TORN[name])
    assert erase(profile)["left"] == []
    assert (home() / "logs" / name).read_bytes() == TORN[name]


def test_what_can_be_read_of_a_torn_archive_is_rewritten(profile) -> None:
    packed = home() / "logs" / "a.log.gz"
    packed.write_bytes(gzip.compress(b"begun\n") + gzip.compress(f"user_id={GONE}\n".encode())[:-5])
    assert erase(profile)["left"] == []
    assert gzip.decompress(packed.read_bytes()) == b"begun\nuser_id=" + b"x" * len(GONE) + b"\n"


def test_a_torn_database_that_names_them_is_left_and_told(profile) -> None:
    (home() / "copy.db").write_bytes(b"SQLite format 3\x00" + b"\x01" * 5000 + GONE.encode())
    assert erase(profile)["left"] == [f"{home()}/copy.db: 1 sqlite"]


def test_a_torn_file_of_rejected_records(profile) -> None:
    """As a publish that was killed leaves it: in no version, and gone when old versions are."""
    from deltalake import DeltaTable

    DeltaTable.create(profile.table("rejected"), contract("rejected").arrow(), partition_by=["run_date"])
    torn = Path(profile.table("rejected"), "run_date=2024-05-01", "part-0.parquet")
    torn.parent.mkdir()
    torn.write_bytes(b"PAR1" + GONE.encode())
    finds = scan.survey(profile, PEOPLE).of("rejected")
    assert [each.path for each in finds] == [str(torn)]
    assert job.Erasure(profile, PEOPLE, STARTED, lambda: None, Progress("erase")).records(finds) == set()


def test_what_vanishes_meanwhile_stops_nothing(profile, monkeypatch) -> None:
    listed = scan._files

    def then_one_is_gone(*given: Any) -> Any:
        (home() / "logs" / "a.log").write_text("said")
        found = listed(*given)
        (home() / "logs" / "a.log").unlink()
        return found

    monkeypatch.setattr(scan, "_files", then_one_is_gone)
    assert erase(profile)["left"] == []


def test_a_receipt_holds_no_id_of_a_path(profile) -> None:
    (home() / "data" / f"{GONE}.txt").write_text("a friend of theirs")
    (home() / GONE).mkdir()
    (home() / GONE / "a.log").write_text(GONE)
    receipt = erase(profile)
    assert len(receipt["left"]) == 2
    assert GONE not in json.dumps(receipt, default=str)


def test_a_receipt_of_before_that_holds_one_is_rewritten(profile) -> None:
    nothing: dict[str, Any] = {"user_hashes": [], "not_ours": [], "files_scanned": 0, "bytes_scanned": 0, "seconds": 0.0}
    told = {"removed": [{"place": GONE, "what": "files rewritten", "n": 1}], "left": [f"/a/{GONE}: 1 bytes"]}
    put_rows(profile, "erasures", [nothing | told | {"receipt_id": "one", "erased_at": STARTED}])
    assert erase(profile)["left"] == []
    assert GONE not in str(read_rows(profile, "erasures"))


LOGS = {
    "returns alone": (
        "csv",
        f"user,item,time\na,1,t\rb,1,t\n{GONE},1,t\r{GONE},2,t\nc,1,t\n",
        "user,item,time\na,1,t\rb,1,t\nc,1,t\n",
    ),
    "returns and no other end": ("csv", f"user,item,time\ra,1,t\r{GONE},1,t\r", "user,item,time\ra,1,t\r"),
    "records of others in the same line": (
        "json",
        f'{{"user": "a"}}\r{{"user": "{GONE}"}}\n{{"user": "b"}}\n',
        '{"user": "a"}\r{"user": "b"}\n',
    ),
    "a field without end": (
        "csv",
        f"user,item,time\na,{'1' * 200_000},t\n{GONE},1,t\n",
        f"user,item,time\na,{'1' * 200_000},t\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LOGS)
def test_lines_are_parted_as_spark_does(profile, tmp_path, case) -> None:
    form, before, after = LOGS[case]
    log = home() / "data" / f"events.{form}"
    log.write_bytes(before.encode())
    assert erase(write(tmp_path, {"path": str(log), "format": form}))["left"] == []
    assert log.read_bytes().decode() == after


def test_a_log_that_is_a_folder_has_no_half_file_of_a_killed_erasure(profile, tmp_path, monkeypatch) -> None:
    """Spark reads every file of a folder whose name begins with no dot."""
    folder = home() / "data" / "events"
    folder.mkdir()
    (folder / "part-0.csv").write_text(f"user,item,time\na,1,t\n{GONE},1,t\n")
    log = Log.of(write(tmp_path, {"path": str(folder)}))
    monkeypatch.setattr(inputs.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        log.rewrite(str(folder / "part-0.csv"), PEOPLE)
    assert [file.name for file in folder.iterdir() if not file.name.startswith(".")] == ["part-0.csv"]


def test_a_log_that_is_packed(profile, tmp_path) -> None:
    """By what Spark reads; what is packed otherwise than here can be read is told."""
    before, log = f"user,item,time\na,1,t\n{GONE},1,t\n".encode(), home() / "data" / "events.csv.bz2"
    log.write_bytes(bz2.compress(before))
    assert erase(write(tmp_path, {"path": str(log)}))["left"] == []
    assert bz2.decompress(log.read_bytes()) == b"user,item,time\na,1,t\n"
    opaque = home() / "data" / "events.csv.zst"
    opaque.write_bytes(b"who knows")
    assert erase(write(tmp_path, {"path": str(opaque)}))["left"] == [f"{opaque}: 1 log"]
    assert opaque.read_bytes() == b"who knows"
