"""One user across all output tables, by the number of users: what a serving team waits for.

Tables are generated as publish writes them (`jobs.publish.layout`): a summary, ten items with their contributions, ten
explanations, eight cited events, with texts as long as real ones. Beside them the same rows as they were written before, in
files without order. Each reader runs in a process of its own, on one connection, one query a table for each user, in random
order. `open` is a connection and its first user, with no file in the machine's page cache; p50, p95 and `cpu`, the mean of
processor time, are of the users after that; `times` is the p95 over that of the tables as published.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.contracts import contract
from jobs.lake import connect
from jobs.profile import Profile, load_profile
from jobs.publish.layout import ROWS_A_GROUP, USERS_A_FILE, WRITER
from jobs.releases import Release, find, publish
from tests.data.inputs import write_profile

NIGHT = date(2024, 5, 1)
TABLES = ("user_summaries", "rankings", "explanations", "evidence")
ITEMS, EVENTS, CATALOGUE = 10, 8, 50_000
BLOCK = 5_000
USERS_A_FILE_BEFORE = 100_000
LAYOUTS = ("as published", "unsorted")
Reader = Callable[[str], list[Any]]  # user -> what each table has of the user


def main() -> None:
    parser = argparse.ArgumentParser(prog="infra/bench read", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--reads", type=int, default=300)
    parser.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--folder", help="where the tables go and stay; by default a temporary one")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step, place, *more = arguments.step
        write(Path(place), *map(int, more)) if step == "write" else measure(Path(place), *more)
        return
    heads = f"{'MiB':>7}{'files':>6}{'open ms':>9}{'p50 ms':>8}{'p95 ms':>8}{'cpu ms':>8}{'times':>7}"
    print(f"{'users':>10}  {'tables':14}{'reader':12}{heads}")
    for users in arguments.users:
        with tempfile.TemporaryDirectory() as folder:
            compare(users, Path(arguments.folder or folder) / str(users), arguments)


def compare(users: int, folder: Path, arguments: argparse.Namespace) -> None:
    """One line a layout and reader; `times` is its p95 over that of the tables as published."""
    p95: dict[str, float] = {}
    for layout in arguments.layouts:
        place = folder / layout.replace(" ", "_")
        if not (place / "warehouse").exists():
            alone("write", str(place), str(users), str(int(layout == "unsorted")))
        files = [file.stat().st_size for file in (place / "warehouse").rglob("*.parquet")]
        for reader in arguments.readers:
            told = alone("read", str(place), reader, str(arguments.reads))
            if "failed" in told:
                print(f"{users:10,}  {layout:14}{reader:12}{told['failed']}", flush=True)
                continue
            p95.setdefault(reader, told["p95"])
            figures = f"{sum(files) / 2**20:7.0f}{len(files):6}{told['open']:9.0f}{told['p50']:8.1f}{told['p95']:8.1f}"
            times = told["p95"] / p95[reader]
            print(f"{users:10,}  {layout:14}{reader:12}{figures}{told['cpu']:8.1f}{times:7.2f}", flush=True)


def alone(*step: str) -> dict[str, Any]:
    """A step in a process of its own; what it prints last."""
    done = subprocess.run([sys.executable, __file__, "--step", *step], stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


# What is read


def write(place: Path, users: int, unsorted: int) -> None:
    """A warehouse with one release of so many users; texts are those of `BLOCK` users again and again, ids are not."""
    place.mkdir(parents=True)
    profile = load_profile(write_profile(place))
    draw = np.random.default_rng(7)
    ids = np.array(sorted({str(each) for each in draw.integers(10**9, 10**12, users + users // 100)})[:users], dtype=object)
    if unsorted:
        draw.shuffle(ids)
    versions = {name: write_table(profile.table(name), rows, ids, not unsorted) for name, rows in blocks().items()}
    digests = dict.fromkeys(versions, "0:0")
    publish(profile, Release("r-1", NIGHT, "1", "released", versions, digests, datetime(2024, 5, 1, 4, tzinfo=UTC)))
    print(json.dumps({}))


def write_table(path: str, rows: pa.Table, ids: np.ndarray, published: bool) -> int:
    """Files as publish lays them out, or as it did before; returns the table's version."""
    from deltalake import DeltaTable, WriterProperties, write_deltalake

    of = WriterProperties(compression=WRITER["compression"].upper(), max_row_group_size=ROWS_A_GROUP)
    how = of if published else WriterProperties(compression="SNAPPY")
    n, of_block = USERS_A_FILE if published else USERS_A_FILE_BEFORE, rows["user_id"].cast(pa.int64())
    for first in range(0, len(ids), n):
        parts = [ids[start : min(start + BLOCK, first + n)] for start in range(first, min(first + n, len(ids)), BLOCK)]
        file = pa.concat_tables(filled(rows, of_block, part) for part in parts)
        write_deltalake(path, file, mode="append", partition_by=["run_date"], target_file_size=1 << 40, writer_properties=how)
    return int(DeltaTable(path).version())


def filled(rows: pa.Table, place: pa.ChunkedArray, ids: np.ndarray) -> pa.Table:
    """The rows of a block with other users' ids; of its first ones, where there are fewer."""
    rows = rows.filter(pc.less(place, len(ids)))
    named = pa.array(ids, pa.string()).take(rows["user_id"].cast(pa.int64()).combine_chunks())
    return rows.set_column(rows.schema.get_field_index("user_id"), rows.schema.field("user_id"), named)


def blocks() -> dict[str, pa.Table]:
    """Rows of `BLOCK` users, whose ids are their places, by table."""
    draw = random.Random(7)
    made: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for place in range(BLOCK):
        about = {"run_date": NIGHT, "user_id": str(place)}
        for name, each in person(draw).items():
            made[name] += [about | row for row in each]
    return {name: pa.Table.from_pylist(rows, schema=contract(name).arrow()) for name, rows in made.items()}


def person(draw: random.Random) -> dict[str, list[dict[str, Any]]]:
    """One user's rows, as rich and as long as those of the sample's users."""

    def words(n: int) -> str:
        return " ".join(draw.choices(WORDS, k=n)).capitalize()

    def thing() -> dict[str, Any]:
        return {"item_id": str(draw.randrange(CATALOGUE)), "title": words(3), "tags": [words(1), words(1)]}

    def claim(kind: str) -> dict[str, Any]:
        return {"kind": kind, "claim": words(2), "evidence": [draw.choice(events)]}

    def part() -> dict[str, Any]:
        return {"source": "cooccurrence", "event_id": draw.choice(events), "amount": draw.random()}

    def taste() -> list[dict[str, Any]]:
        return [{"label": words(1), "weight": draw.random(), "evidence": draw.sample(events, 2)}]

    events = [f"{draw.getrandbits(64):016x}" for _ in range(EVENTS)]
    listed = [thing() for _ in range(ITEMS)]
    words_of = {"checks": [], "source": "llm"}
    summary = {
        "summary": words(40),
        "claims": [claim("likes_tag") for _ in range(4)],
        "interests": taste(),
        "dislikes": taste(),
    }
    summary |= {"n_events": 50, "cold": False, "generation_id": f"{draw.getrandbits(256):064x}"}
    return {
        "user_summaries": [summary | words_of | {"context_hash": f"{draw.getrandbits(256):064x}"}],
        "rankings": [
            item
            | {"rank": rank, "score": draw.random(), "retrieval_rank": rank, "retrieval_score": draw.random()}
            | {"contributions": [part() for _ in range(3)], "llm_score": -draw.random(), "source": "retrieval"}
            | {"experiment_group": "treatment"}
            for rank, item in enumerate(listed, 1)
        ],
        "explanations": [
            {"item_id": item["item_id"], "explanation": words(22), "claims": [claim("event"), claim("recommended")]}
            | {"evidence": [draw.choice(events)], "generation_id": f"{draw.getrandbits(256):064x}" if rank <= 3 else None}
            | words_of
            for rank, item in enumerate(sorted(listed, key=lambda each: each["item_id"]), 1)
        ],
        "evidence": [
            thing()
            | {"event_id": event, "creators": [], "year": 1999, "time": datetime.fromtimestamp(draw.randrange(2**30), UTC)}
            | {"value": 4.5, "type": None, "liked": True}
            for event in sorted(events)
        ],
    }


WORDS = (
    *("quiet", "harbor", "winter", "letters", "garden", "north", "river", "station", "silver", "evening", "orchard", "thunder"),
    *("paper", "lantern", "island", "summer", "copper", "mountain", "secret", "bakery", "violet", "morning", "canyon"),
    *("distant", "mirror", "hollow", "meadow", "forgotten", "signal", "autumn", "velvet", "storm"),
)


# Readers


def measure(place: Path, reader: str, reads: str) -> None:
    """Print milliseconds: `open`, p50, p95."""
    profile = load_profile(place / "profile.toml")
    users = someones(profile, int(reads))
    forget(place)
    start = time.perf_counter()
    try:
        with READERS[reader](profile, find(profile, None)) as read:
            check(read(users[0]))
            opened = time.perf_counter() - start
            busy = time.process_time()
            took = [timed(read, user) for user in users]
            busy = (time.process_time() - busy) / len(users)
    except ModuleNotFoundError as error:
        print(json.dumps({"failed": f"- {error}"}))
        return
    p50, p95 = np.percentile(took, [50, 95]) * 1000
    print(json.dumps({"open": opened * 1000, "p50": p50, "p95": p95, "cpu": busy * 1000}))


def someones(profile: Profile, n: int) -> list[str]:
    """Ids of `n` users, drawn anywhere."""
    ids = connect(profile).sql("select user_id from user_summaries").fetchnumpy()["user_id"]
    return random.Random(7).sample(sorted(ids), n)


def forget(place: Path) -> None:
    """Ask the system to drop the files of a folder from its cache."""
    for file in place.rglob("*.parquet"):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(read: Reader, user: str) -> float:
    """Seconds."""
    start = time.perf_counter()
    check(read(user))
    return time.perf_counter() - start


def check(found: list[Any]) -> None:
    """Everything of the user has come."""
    assert [len(rows) for rows in found] == [1, ITEMS, ITEMS, EVENTS], [len(rows) for rows in found]


@contextmanager
def duckdb(profile: Profile, release: Release) -> Iterator[Reader]:
    """As `show user` and `query` read."""
    db = connect(profile, release.release_id)
    yield lambda user: [db.execute(f"from {name} where user_id = ?", [user]).fetchall() for name in TABLES]
    db.close()


@contextmanager
def delta_scan(profile: Profile, release: Release) -> Iterator[Reader]:
    """DuckDB's own reader of Delta tables, of the wheel duckdb-extension-delta."""
    import duckdb
    import duckdb_extension_delta

    (folder,) = duckdb_extension_delta.__path__
    db = duckdb.connect()
    db.execute(f"LOAD '{folder}/extensions/v{duckdb.__version__}/delta.duckdb_extension'")
    for name in TABLES:
        db.execute(f"ATTACH '{profile.table(name)}' AS {name} (TYPE delta, VERSION {release.tables[name]}, PIN_SNAPSHOT)")
    night = f"run_date = DATE '{release.run_date}'"
    yield lambda user: [db.execute(f"from {name} where {night} and user_id = ?", [user]).fetchall() for name in TABLES]
    db.close()


@contextmanager
def deltalake(profile: Profile, release: Release) -> Iterator[Reader]:
    """delta-rs' dataset, read by Arrow."""
    import pyarrow.dataset as ds
    from deltalake import DeltaTable

    from jobs.storage import snapshot

    tables = [snapshot(DeltaTable(profile.table(name), version=release.tables[name])) for name in TABLES]
    night = ds.field("run_date") == release.run_date
    yield lambda user: [each.to_table(filter=night & (ds.field("user_id") == user)).to_pylist() for each in tables]


READERS: dict[str, Callable[[Profile, Release], Any]] = {"duckdb": duckdb, "delta_scan": delta_scan, "deltalake": deltalake}


if __name__ == "__main__":
    main()
