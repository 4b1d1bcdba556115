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

from jobs.contracts import contract
from jobs.lake import connect
from jobs.profile import Profile, load_profile
from jobs.releases import Release, find, publish
from tests.data.inputs import write_profile

NIGHT = date(2024, 5, 1)
TABLES = ("user_summaries", "rankings", "explanations", "evidence")
ITEMS, EVENTS, CATALOGUE = 10, 8, 50_000
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
    """A warehouse with one release of so many users."""
    from deltalake import DeltaTable

    from jobs.publish.layout import WRITER, laid_out, row_groups
    from jobs.spark import spark_session

    place.mkdir(parents=True)
    profile = load_profile(write_profile(place))
    versions: dict[str, int] = {}
    with spark_session(profile, "bench") as spark, row_groups(spark):
        spark.conf.set("spark.sql.shuffle.partitions", str(max(4, users // 50_000)))
        for name, rows in generated(spark, users).items():
            if unsorted:
                spark.conf.unset("parquet.block.row.count.limit")
                writer = rows.repartition(max(1, users // 100_000)).write.format("delta")
            else:
                writer = laid_out(rows, name, users).write.format("delta").options(**WRITER)
            writer.partitionBy("run_date").save(profile.table(name))
            versions[name] = DeltaTable(profile.table(name)).version()
    digests = dict.fromkeys(versions, "0:0")
    publish(profile, Release("r-1", NIGHT, "1", "released", versions, digests, datetime(2024, 5, 1, 4, tzinfo=UTC)))
    print(json.dumps({}))


def generated(spark: Any, users: int) -> dict[str, Any]:
    """The published tables that are read by user, as rows of their contracts."""
    people = spark.range(users).selectExpr("cast(abs(xxhash64('user', id)) as string) as user_id", "id as u")
    people.createOrReplaceTempView("people")
    for name, n in (("listed", ITEMS), ("cited", EVENTS)):
        spark.sql(f"select *, explode(sequence(1, {n})) as k from people").createOrReplaceTempView(name)
    made = {name: ", ".join(f"{sql} as {column}" for column, sql in each.items()) for name, each in COLUMNS.items()}
    rows = {name: spark.sql(f"select date'{NIGHT}' as run_date, user_id, {made[name]} from {FROM[name]}") for name in made}
    return {name: contract(name).conform(each) for name, each in rows.items()}


def text(seed: str, n: int) -> str:
    """SQL of `n` words that follow from `seed`."""
    words = "split('" + WORDS + "', ' ')"
    each = f"element_at({words}, 1 + cast(pmod(xxhash64({seed}, x), {len(WORDS.split())}) as int))"
    return f"initcap(array_join(transform(sequence(1, {n}), x -> {each}), ' '))"


def event(k: str) -> str:
    return f"lower(hex(xxhash64('event', u, {k})))"


def claims(*told: tuple[str, str, str]) -> str:
    """SQL of claims by kind, words and the event that shows them."""
    each = (f"named_struct('kind', '{kind}', 'claim', {words}, 'evidence', array({event(k)}))" for kind, words, k in told)
    return f"array({', '.join(each)})"


WORDS = "quiet harbor winter letters garden north river station silver evening orchard thunder paper lantern island summer "
WORDS += "copper mountain secret bakery violet morning canyon distant mirror hollow meadow forgotten signal autumn velvet storm"
FROM = {"user_summaries": "people", "rankings": "listed", "explanations": "listed", "evidence": "cited"}
ITEM = f"pmod(xxhash64('item', u, k), {CATALOGUE})"
CITED = "pmod(k, 8) + 1"
TASTE = f"array(named_struct('label', {text('u, 1', 1)}, 'weight', rand(1), 'evidence', array({event('1')}, {event('2')})))"
PARTS = ", ".join(
    f"named_struct('source', 'cooccurrence', 'event_id', {event(str(k))}, 'amount', rand({k}))" for k in (1, 2, 3)
)
THING = {"title": text(ITEM, 3), "tags": f"array({text(ITEM, 1)}, {text(ITEM + ' + 1', 1)})"}
NONE = "cast(array() as array<string>)"
COLUMNS = {
    "user_summaries": {
        "summary": f"concat('You come back to ', {text('u', 12)}, '; lately also to ', {text('u, 7', 14)}, '.')",
        "claims": claims(*(("likes_tag", text(f"u, {k}", 1), str(k)) for k in range(1, 5))),
        "interests": TASTE,
        "dislikes": TASTE,
        "n_events": "50L",
        "cold": "false",
        "source": "'llm'",
        "generation_id": "sha2(user_id, 256)",
        "checks": NONE,
        "context_hash": "sha2(concat(u, 'c'), 256)",
    },
    "rankings": THING
    | {
        "rank": "k",
        "item_id": f"cast({ITEM} as string)",
        "score": "rand(9)",
        "retrieval_rank": "k",
        "retrieval_score": "rand(8)",
        "contributions": f"array({PARTS})",
        "llm_score": "rand(7)",
        "source": "'retrieval'",
        "experiment_group": "'treatment'",
    },
    "explanations": {
        "item_id": f"cast({ITEM} as string)",
        "explanation": f"concat('Since ', {text('u, k', 3)}, ' and ', {text('k, u', 3)}, ' are among what you liked best, ', "
        f"{text(ITEM, 3)}, ', another ', {text(ITEM, 1)}, ' one, may be for you.')",
        "claims": claims(("event", text("u, k", 3), CITED), ("recommended", text(ITEM, 3), "1")),
        "evidence": f"array({event(CITED)})",
        "source": "if(k <= 3, 'llm', 'template')",
        "generation_id": "if(k <= 3, sha2(concat(u, '-', k), 256), null)",
        "checks": NONE,
    },
    "evidence": THING
    | {
        "event_id": event("k"),
        "item_id": f"cast({ITEM} as string)",
        "creators": NONE,
        "year": "1999L",
        "time": "timestamp_seconds(1600000000 + pmod(xxhash64(u, k), 90000000))",
        "value": "4.5D",
        "type": "cast(null as string)",
        "liked": "true",
    },
}


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
