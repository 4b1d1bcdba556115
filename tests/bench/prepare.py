"""Prepare by the size of the log, stage by stage, beside DuckDB on the same histories and the same co-occurrence.

Logs have the skew of real ones: events a user are log-normal (mean 50, sigma 1.2), items Zipf (exponent 1), an item for every
hundred events, each with one of 20 tags and three words. Each stage runs in a process of its own: seconds without the start of
the JVM, the peak of memory of the process and its children. `exponent` is that of seconds by events between a size and the one
before it. What Spark and DuckDB found is compared.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobs.home import home

MEMORY_GB = 12  # of the machine that is meant; Spark's heap is two thirds of it
EACH, SIGMA, PER_ITEM, TAGS = 50, 1.2, 100, 20
RUN_DATE = "2024-06-01"


def main() -> None:
    parser = argparse.ArgumentParser(prog="infra/bench prepare", description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 3_000_000, 10_000_000])
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        stage, place = arguments.step
        seconds, found = STAGES[stage](Path(place))
        print(json.dumps({"seconds": seconds, "found": found}))
        return
    print(f"{'stage':24}{'events':>12}{'seconds':>9}{'exponent':>10}{'peak MiB':>10}  found")
    before: dict[str, tuple[int, float]] = {}
    wrong: list[str] = []
    for events in arguments.events:
        with tempfile.TemporaryDirectory() as folder:
            write(events, Path(folder))
            found: dict[str, str] = {}
            for stage in arguments.stages:
                told = measured(stage, folder)
                if failed := told.get("failed"):
                    print(f"{stage:24}{events:12,}{'-':>9}{'-':>10}{told['peak']:10.0f}  {failed}", flush=True)
                    wrong.append(f"{stage} of {events} events {failed}")
                    continue
                beside = found.get(stage.removesuffix(", DuckDB"), told["found"])
                found[stage] = told["found"]
                if beside != told["found"]:
                    wrong.append(f"{stage} of {events} events is not the same as Spark's")
                seconds, grown = told["seconds"], "-"
                if stage in before:
                    n, took = before[stage]
                    grown = f"{math.log(seconds / took) / math.log(events / n):.2f}"
                before[stage] = events, seconds
                print(f"{stage:24}{events:12,}{seconds:9.1f}{grown:>10}{told['peak']:10.0f}  {found[stage]}", flush=True)
    if wrong:
        raise SystemExit("bench: " + "; ".join(wrong))


def write(events: int, folder: Path) -> None:
    """A log and a catalogue as Parquet, and the profile that reads them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tests.data.inputs import write_profile

    draw = np.random.default_rng(7)
    users, items = max(1, events // EACH), max(20, events // PER_ITEM)
    each = draw.lognormal(0, SIGMA, users)
    user = np.repeat(np.arange(users), draw.multinomial(events, each / each.sum()))
    share = 1 / np.arange(1, items + 1)
    item = draw.choice(items, events, p=share / share.sum())
    time_s = draw.integers(1_600_000_000, 1_717_000_000, events)
    log = {"event": np.arange(events).astype(str), "user": user.astype(str), "item": item.astype(str), "time": time_s}
    pq.write_table(pa.table(log), folder / "events.parquet", row_group_size=1 << 20)
    names, tags = np.arange(items).astype(str), draw.integers(TAGS, size=items).astype(str)
    words = [np.char.add("w", draw.zipf(1.3, items).clip(max=items).astype(str)) for _ in range(3)]
    titles = np.char.add(np.char.add(words[0], np.char.add(" ", words[1])), np.char.add(" ", words[2]))
    pq.write_table(pa.table({"item": names, "title": titles, "genre": tags}), folder / "items.parquet")
    write_profile(
        folder, {"format": "parquet", "time_unit": "s", "id": "event"},
        {"format": "parquet", "tags": "genre", "tags_separator": "|"},
        runtime={"spark_conf": {"spark.driver.memory": f"{MEMORY_GB * 2 // 3}g", "spark.sql.shuffle.partitions": "16"}},
    )  # fmt: skip


def measured(stage: str, folder: str) -> dict[str, Any]:
    """What one stage tells in a process of the spark runtime, and the peak MiB of that process and its children."""
    import psutil

    command = [str(home() / "envs" / "spark" / "bin" / "python"), __file__, "--step", stage, folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        me, peak = psutil.Process(process.pid), 0
        while process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                peak = max(peak, sum(each.memory_info().rss for each in (me, *me.children(recursive=True))))
            time.sleep(0.2)
        assert process.stdout
        said = process.stdout.read().splitlines()
    if process.returncode:
        return {"failed": f"ended with {process.returncode}", "peak": peak / 2**20}
    return dict(json.loads(said[-1])) | {"peak": peak / 2**20}


def with_spark(made: Callable[..., Any], folder: Path) -> tuple[float, str]:
    """The row that `made(described, items, night)` finds, and the seconds it took; events are read and judged before."""
    from datetime import UTC, datetime

    from jobs.prepare.histories import describe
    from jobs.prepare.sources import read_sources
    from jobs.prepare.validation import judge_events, judge_items
    from jobs.profile import load_profile
    from jobs.spark import keep, spark_session

    profile = load_profile(folder / "profile.toml")
    with spark_session(profile, "bench", scratch=str(folder / "scratch")) as spark:
        spark.range(1).count()
        start = time.perf_counter()
        events, items = read_sources(spark, profile)
        catalogue = judge_items(items).valid
        valid = judge_events(events, catalogue, profile, RUN_DATE, datetime(2030, 1, 1, tzinfo=UTC)).valid
        described = keep(describe(valid, catalogue))
        n = described.count()
        if made is validated:
            return time.perf_counter() - start, f"{n} events"
        start = time.perf_counter()
        row = made(described, catalogue, profile.night)
        return time.perf_counter() - start, ", ".join(f"{name} {value}" for name, value in row.asDict().items())


def validated(*_: Any) -> None:
    """Reading, judging, deduplicating, joining items: what `with_spark` does first."""


def histories(described: Any, items: Any, night: Any) -> Any:
    from pyspark.sql import functions as F

    from jobs.prepare.histories import user_histories

    rows = user_histories(described, None, night, "bench")
    digests = (F.bit_xor(F.xxhash64("context_hash")) != 0).alias("digests")
    return rows.agg(F.count("*").alias("users"), F.sum(F.size("history")).alias("events"), digests).first()


def cooccurrence(described: Any, items: Any, night: Any) -> Any:
    from pyspark.sql import functions as F

    from jobs.prepare.cooccurrence import neighbours

    events = described.withColumn("number", F.col("item_id").cast("int"))
    near = neighbours(events, events.select("number").distinct())
    weights = F.aggregate("weights", F.lit(0.0), lambda so_far, each: so_far + each)
    found = F.sum(F.size("weights")).alias("neighbours"), F.round(F.sum(weights), 0).cast("bigint").alias("weights")
    return near.agg(*found).first()


def listed(described: Any, items: Any, night: Any) -> Any:
    from pyspark.sql import functions as F

    from jobs.prepare.candidates import candidates
    from jobs.prepare.histories import user_histories
    from jobs.spark import kept

    histories = user_histories(described, None, night, "bench")
    with kept(histories) as rows, candidates(rows, described, described, items, night, RUN_DATE) as best:
        return best.agg(F.count("*").alias("users"), F.sum(F.size("candidates")).alias("candidates")).first()


def with_duckdb(sql: str, folder: Path) -> tuple[float, str]:
    import duckdb

    db = duckdb.connect()
    db.execute(f"SET memory_limit = '{MEMORY_GB}GB'; SET temp_directory = '{folder}/duckdb'")
    db.execute("SET preserve_insertion_order = false")
    described = f"'{folder}/events.parquet' JOIN '{folder}/items.parquet' USING (item)"
    columns = f"user, item, event, title, {UNMAPPED}, to_timestamp(time) AS moment"
    db.execute(f"CREATE TABLE log AS SELECT {columns} FROM {described}")
    start = time.perf_counter()
    found = db.sql(sql)
    (row,) = found.fetchall()
    told = ", ".join(f"{name} {value}" for name, value in zip(found.columns, row, strict=True))
    return time.perf_counter() - start, told


# The columns of `histories.HISTORY` that the files do not have as such.
UNMAPPED = """[genre] AS tags, []::VARCHAR[] AS creators, NULL::INTEGER AS year, NULL::VARCHAR AS text, NULL::DOUBLE AS value,
    NULL::VARCHAR AS type, true AS positive, false AS negative"""
PLACED = "SELECT *, row_number() OVER (PARTITION BY user ORDER BY moment DESC, event DESC) AS place FROM log"
EVENT = "moment, event, item, title, tags, creators, year, text, value, type, positive, negative"
HISTORIES = f"""
    WITH seen AS (SELECT user, count(*) AS n_events, bit_xor(hash({EVENT})) AS digest FROM log GROUP BY user),
    placed AS ({PLACED}), kept AS (
      SELECT user, list_sort(list(row({EVENT}))) AS history FROM placed WHERE place <= 50 GROUP BY user),
    hashed AS (SELECT sha256(concat_ws('|', 'bench', user, n_events, digest)) AS context_hash, history
      FROM seen JOIN kept USING (user))
    SELECT count(*) AS users, sum(len(history))::BIGINT AS events, bit_xor(hash(context_hash)) <> 0 AS digests FROM hashed"""
COOCCURRENCE = f"""
    WITH placed AS ({PLACED}), pairs AS (
      SELECT least(a.item, b.item) AS a, greatest(a.item, b.item) AS b,
             sum(round(pow(.95, b.place - a.place) * 1000000)::BIGINT) AS together
      FROM placed a JOIN placed b ON a.user = b.user AND b.place BETWEEN a.place + 1 AND a.place + 20
      WHERE b.place <= 1000 AND a.item <> b.item GROUP BY ALL),
    sides AS (SELECT a, b, together FROM pairs UNION ALL SELECT b, a, together FROM pairs),
    counts AS (SELECT item, count(*) AS n FROM log GROUP BY item),
    weighted AS (SELECT a, b, together / 1e6 / pow(theirs.n, .45) / pow(ours.n, .15) AS weight
      FROM sides JOIN counts theirs ON b = theirs.item JOIN counts ours ON a = ours.item),
    ranked AS (SELECT *, row_number() OVER (PARTITION BY a ORDER BY weight DESC, b) AS place FROM weighted)
    SELECT count(*) AS neighbours, round(sum(weight))::BIGINT AS weights FROM ranked WHERE place <= 500"""

STAGES: dict[str, Callable[[Path], tuple[float, str]]] = {
    "validate": lambda folder: with_spark(validated, folder),
    "histories": lambda folder: with_spark(histories, folder),
    "histories, DuckDB": lambda folder: with_duckdb(HISTORIES, folder),
    "co-occurrence": lambda folder: with_spark(cooccurrence, folder),
    "co-occurrence, DuckDB": lambda folder: with_duckdb(COOCCURRENCE, folder),
    "candidates": lambda folder: with_spark(listed, folder),
}


if __name__ == "__main__":
    main()
