"""erase: take users out of everything that is ours, keep them out, and prove it.

    echo '["17", "u-55"]' | python -m jobs.erase --profile FILE

Whom, it reads from stdin: command lines are logged, and anyone on the machine can read them. No line that it prints and no
row that it writes holds an id. Interrupted, it is started again with the same users and goes on. The last line it prints is
JSON: the receipt, a row of the table `erasures`.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress as suppressed
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from jobs.contracts import LEDGERS, PUBLISHED
from jobs.erase import files as on_disk
from jobs.erase import rows, tables
from jobs.erase.inputs import OPAQUE, Log
from jobs.erase.people import People
from jobs.erase.scan import BATCH, INSTALLED, Find, Survey, survey
from jobs.errors import Busy, NocturneError, run_main
from jobs.home import home
from jobs.locks import alone, refuse_beside_work
from jobs.profile import Profile, load_profile
from jobs.progress import Progress
from jobs.publish.tables import digest
from jobs.releases import Release, released
from jobs.spark import spark_session
from jobs.storage import filesystem, put_rows, read_rows, table_exists
from jobs.suppressions import hash_of, hashed, suppress

SMALL = tuple(name for name in LEDGERS if name != "generations")  # tables that fit into memory
ID_OF = {"generations": "subject", "rejected": "record"}  # the column that tells whose a row is; user_id of all others
Row = dict[str, Any]


class Left(NocturneError):
    """Something still names the users."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="jobs.erase", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", required=True, help="a TOML file")
    profile = load_profile(parser.parse_args().profile)
    people = People.of(json.loads(sys.stdin.read()), profile.events.user)
    receipt = erase(profile, people, datetime.now(UTC), lambda: spark_session(profile, "erase"), Progress("erase"))
    print(json.dumps(receipt, default=str), flush=True)
    if receipt["left"]:
        places = "\n".join(f"  {place}" for place in receipt["left"])
        raise Left(f"{len(receipt['left'])} places still name them; receipt {receipt['receipt_id']}:\n{places}")


def erase(profile: Profile, people: People, at: datetime, session: Callable[[], Any], progress: Progress) -> Row:
    """Erase users; returns the receipt. `session` gives a Spark session, which is asked for only where rows are to go.

    Raises:
        Busy: a night is at work, or what else reads and writes rows of users.
        InputError: another erasure is.
    """
    with alone(profile, "erasure"):
        refuse_at_work(profile)
        refuse_beside_work(profile)
        return Erasure(profile, people, at, session, progress).run()


def refuse_at_work(profile: Profile) -> None:
    """A night writes what it read before; so it ends first. One that begins now waits (`jobs.stage.recorded`)."""
    going = [row for row in read_rows(profile, "runs") if row["status"] == "running"]
    if going:
        names = ", ".join(f"{row['run_id']} (night of {row['run_date']})" for row in going)
        mend = f"infra/nocturne run --date {going[0]['run_date']}"
        raise Busy(f"a night is at work: {names}; wait for its end. If it was killed, end it in order: {mend}")


class Erasure:
    """One erasure on its way."""

    def __init__(self, profile: Profile, people: People, at: datetime, session: Callable[[], Any], progress: Progress) -> None:
        self.profile, self.people, self.at = profile, people, at
        self.session, self.progress = session, progress
        self.receipt_id = f"erasure-{at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self.removed: Counter[tuple[str, str]] = Counter()
        self.not_ours: list[str] = []

    def run(self) -> Row:
        """All of it. Airflow's database is last: a task that is tried again reads there whom to erase."""
        hashes = suppress(self.profile, self.people.ids, self.at, self.receipt_id)
        self.progress(f"{len(hashes)} users are suppressed from now on")
        if not on_disk.clear_spark():
            self.not_ours.append(f"{home()}/spark: files of Spark jobs at work, which remove them when they end")
        self.removed["_work", "files that died stages left"] += on_disk.clear_failures(self.profile)
        found = survey(self.profile, self.people)
        self.progress(f"{found.files} files read, {len(found.here)} of them name the users")
        self.people = replace(self.people, texts=frozenset(found.texts), longer=frozenset(found.longer))
        self.clean_files([each for each in found.here if each.kind != "sqlite"])
        self.clean_tables(found)
        for path, find in {each.path: each for each in found.here if each.kind == "sqlite"}.items():
            self.removed[self.place(find), "cells rewritten"] += on_disk.redact_database(path, self.people)
        return self.prove(sorted(hashes.values()))

    def clean_files(self, finds: list[Find]) -> None:
        """Every file that is not a table's; pages and logs are looked at once more for the words of the users' rows.

        First the nights to prepare again: once their files name nobody, nothing tells which they are.
        """
        nights = {self.within(find).split("/")[1] for find in finds if find.table == "_work"}
        for night in on_disk.undo_unpublished(self.profile, nights):
            self.removed[f"_work/{night}", "unpublished nights to prepare again"] += 1
        for find in finds:
            if find.table is None or find.table.startswith("_"):
                with suppressed(FileNotFoundError):  # whose it was has removed it since
                    self.clean_file(find)
        for folder in ("docs", "logs"):
            for path in sorted(each for each in (home() / folder).rglob("*") if each.is_file()):
                if self.people.redacted(content := path.read_bytes()) != content:
                    on_disk.redact(*filesystem(str(path)), self.people)
                    self.removed[folder, "files rewritten"] += 1

    def clean_file(self, find: Find) -> None:
        """One file, by its kind."""
        files = filesystem(self.profile.warehouse if find.table else find.path)[0]
        log, place = Log.of(self.profile), self.place(find)
        match find.kind:
            case "log" if not find.path.endswith(OPAQUE):
                self.removed["the log", "records removed"] += log.rewrite(find.path, self.people)
            case "parquet" if log.holds(find.path) and log.format == "parquet":
                n = on_disk.rewrite_parquet(files, find.path, self.people, log.column)
                self.removed["the log", "records removed"] += n
            case "parquet" if find.table:
                self.clean_parquet(files, find)
            case "journal":
                on_disk.rewrite_journal(find.path, self.people)
                self.removed[place, "files rewritten"] += 1
            case "page":
                on_disk.cut_page(find.path, self.people)
                self.removed[place, "files rewritten"] += 1
            case "gzip":
                on_disk.redact_gzip(find.path, self.people)
                self.removed[place, "files rewritten"] += 1
            case "bytes" if not place.startswith("data"):
                on_disk.redact(files, find.path, self.people)
                self.removed[place, "files rewritten"] += 1

    def clean_parquet(self, files: fs.FileSystem, find: Find) -> None:
        """A file of a night's work; one that nobody can read goes."""
        try:
            self.removed[self.place(find), "rows removed"] += on_disk.rewrite_parquet(files, find.path, self.people)
        except pa.ArrowInvalid:
            files.delete_file(find.path)
            self.removed[self.place(find), "torn files removed"] += 1

    def clean_tables(self, found: Survey) -> None:
        """Delta tables: rows and old versions of all; then the versions that releases name, in one commit a ledger."""
        large = [name for name in (*PUBLISHED, "generations") if found.of(name)]
        done: dict[str, tables.Cleaned] = {}
        digests: dict[tuple[str, tables.Shown], str] = {}
        log = Log.of(self.profile)
        logged = [each for each in found.here if log.format == "delta" and log.ours and each.path.startswith(log.path)]
        if large or logged:
            with self.session() as spark:
                self.progress("Spark is up")
                for name in large:
                    done[name] = self.clean_table(spark, name, found.of(name))
                    digests |= self.digests(spark, name, done[name])
                    cleaned = done[name]
                    self.progress(f"{name}: {cleaned.rows} rows removed, {len(cleaned.changed)} kept versions changed")
                if logged:
                    self.removed["the log", "records removed"] += self.clean_log(spark, log)
        if done:
            self.removed["releases", "rows rewritten"] += tables.point(self.profile, done, digests)
        for name in SMALL:
            if found.of(name) or (done and name in tables.NAMING and table_exists(self.profile.table(name))):
                self.removed[name, "rows rewritten"] += tables.rewrite(self.profile, name, self.redacted)
                self.purge(name, self.profile.table(name), tables.settle(self.profile.table(name)), set())
        for name, cleaned in done.items():
            self.removed[name, "rows removed"] += cleaned.rows
            self.purge(name, self.profile.table(name), cleaned.base, set(cleaned.moved.values()))

    def clean_table(self, spark: SparkSession, name: str, finds: list[Find]) -> tables.Cleaned:
        shown = tables.shown(self.profile, name) if name in PUBLISHED else set()
        dirty = {tables.name_of(each.path) for each in finds if each.kind == "parquet"}
        return tables.clean(spark, self.profile.table(name), self.theirs(name, finds), shown, dirty)

    def theirs(self, name: str, finds: list[Find]) -> Column:
        """Which rows of a table are theirs, told by hashes."""
        column = ID_OF.get(name, "user_id")
        ids = self.records(finds) if column == "record" else self.people.ids
        listed = hash_of(column, self.receipt_id).isin([hashed(each, self.receipt_id) for each in sorted(ids)])
        return listed & (F.col("subject_type") == "user") if column == "subject" else listed

    def records(self, finds: list[Find]) -> set[str]:
        """The rejected records that are theirs."""
        files, _ = filesystem(self.profile.warehouse)
        found: set[str] = set()
        for find in finds:
            if find.kind == "parquet" and "/_delta_log/" not in find.path:
                with suppressed(pa.ArrowInvalid), files.open_input_file(find.path) as stream:  # a torn one is in no version
                    for batch in pq.ParquetFile(stream).iter_batches(batch_size=BATCH, columns=["source", "record"]):
                        found |= set(batch.filter(rows.theirs(batch, self.people))["record"].to_pylist())
        return found

    def digests(self, spark: SparkSession, name: str, done: tables.Cleaned) -> dict[tuple[str, tables.Shown], str]:
        """Of what releases show that did change."""
        found = {}
        for version, night in done.changed:
            new = Release("", night, "", "", {name: done.moved[version, night]}, {}, self.at)
            found[name, (version, night)] = digest(released(spark, self.profile, new, name))
        return found

    def clean_log(self, spark: SparkSession, log: Log) -> int:
        """The log as a Delta table of ours."""
        hashes = [hashed(each, self.receipt_id) for each in sorted(self.people.ids)]
        user = F.col("`" + log.column.replace("`", "``") + "`").cast("string")
        done = tables.clean(spark, log.path, hash_of(user, self.receipt_id).isin(hashes), (), set())
        self.purge("the log", log.path, done.base, set())
        return done.rows

    def purge(self, name: str, path: str, base: int, kept: set[int]) -> None:
        counts = tables.purge(path, base, {base, *kept})
        self.removed[name, "old versions removed"] += counts["versions"]
        self.removed[name, "data files removed"] += counts["files"]

    def redacted(self, row: Row) -> Row:
        """A row of a ledger without their names."""

        def less(value: Any) -> Any:
            match value:
                case str():
                    return self.unnamed(value)
                case list():
                    return [less(each) for each in value]
                case tuple():
                    return tuple(map(less, value))
                case dict():
                    return {name: less(each) for name, each in value.items()}
                case _:
                    return value

        return {name: less(value) for name, value in row.items()}

    def prove(self, hashes: list[str]) -> Row:
        """Read everything again; write the receipt."""
        found = survey(self.profile, self.people)
        left = [f"{self.unnamed(each.path)}: {each.n} {each.kind}" for each in found.here]
        self.progress(f"{found.files} files read again, {found.bytes} bytes: {len(left) or 'none'} of them name the users")
        receipt = {
            "receipt_id": self.receipt_id,
            "erased_at": self.at,
            "user_hashes": hashes,
            "removed": [{"place": place, "what": what, "n": n} for (place, what), n in sorted(self.removed.items()) if n],
            "not_ours": [self.unnamed(each) for each in self.not_ours + not_ours(self.profile, found)],
            "files_scanned": found.files,
            "bytes_scanned": found.bytes,
            "left": left,
            "seconds": self.progress.seconds,
        }
        put_rows(self.profile, "erasures", [receipt])
        return receipt

    def place(self, find: Find) -> str:
        """Where a file is, for the receipt: a folder and its folder."""
        return self.unnamed("/".join(self.within(find).split("/")[:-1][:2])) or "NOCTURNE_HOME"

    def unnamed(self, text: str) -> str:
        """A path or a cell without their names."""
        return self.people.redacted(text.encode()).decode()

    def within(self, find: Find) -> str:
        """A file's path below the warehouse or NOCTURNE_HOME."""
        root = filesystem(self.profile.warehouse)[1] if find.table else str(home())
        return find.path.removeprefix(f"{root}/")


def not_ours(profile: Profile, found: Survey) -> list[str]:
    """What may hold the users, and was left alone."""
    log = Log.of(profile)
    told = [] if log.ours else [f"{log.path}: the log is its owner's; what it holds of them reaches no night any more"]
    told += [f"{each.path}: of another profile's warehouse; erase them there too" for each in found.finds if each.elsewhere]
    database = os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "")
    if database and not database.startswith("sqlite:"):
        told.append("Airflow's database, which is not a file here: runs keep the parameters they were given")
    if profile.words.file and not Path(profile.words.file).is_relative_to(home()):
        told.append(f"{profile.words.file}: what people say of phrasings")
    return [*told, f"{home()}: {', '.join(INSTALLED)}: installed software, not read"]


if __name__ == "__main__":
    run_main(main)
