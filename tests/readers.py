"""A reader that looks again and again, as a product does while nights are published, and says what it saw."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from deltalake import DeltaTable

from jobs.contracts import PUBLISHED
from jobs.lake import connect
from jobs.profile import load_profile
from tests.publish.nights import Row, made

MARK = {"user_summaries": "summary", "rankings": "title", "explanations": "explanation"}  # columns that tell the run
TOLD = re.compile(r"run-\d+, (\d+) users")


@dataclass
class Seen:
    """By reading: what was wrong with it, and the marks."""

    wrong: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)


def marked(run: str, users: int) -> list[Row]:
    """Rows of `results` of so many users, whose words and lists tell the run."""
    told = f"{run}, {users} users"
    return [made(f"u{k}", f"Likes loud films, {told}.", [f"{told}, {n}" for n in range(2)]) for k in range(users)]


def look(tables: dict[str, list[Row]], seen: Seen) -> None:
    """Whether rows of all tables are of one run, and all of them are there."""
    marks = {TOLD.search(str(row[column]))[0] for name, column in MARK.items() for row in tables[name]}
    dates = {row["run_date"] for rows in tables.values() for row in rows}
    users = {name: len({row["user_id"] for row in tables[name]}) for name in (*MARK, "evidence")}
    seen.marks.append("; ".join(sorted(marks)))
    if len(marks) != 1 or len(dates) != 1 or not tables["rejected"]:
        seen.wrong.append(f"{marks} {dates} {users}")
    elif {str(n) for n in users.values()} != {TOLD.search(*marks)[1]}:
        seen.wrong.append(f"{marks} {users}")


def through_duckdb(profile: Any) -> dict[str, list[Row]]:
    """As `query` and `show` read."""
    db = connect(profile)
    return {name: db.sql(f"from {name}").to_arrow_table().to_pylist() for name in PUBLISHED}


def through_deltalake(profile: Any) -> dict[str, list[Row]]:
    """As somebody reads who knows the documented rule alone: the newest row says which release, that row which versions."""
    rows = DeltaTable(profile.table("releases")).to_pyarrow_table().to_pylist()
    last = max(rows, key=lambda row: row["sequence"])["latest"]
    (release,) = (row for row in rows if row["release_id"] == last)
    night: date = release["run_date"]
    tables = {name: DeltaTable(profile.table(name), version=version) for name, version in release["tables"]}
    return {name: table.to_pyarrow_table([("run_date", "=", str(night))]).to_pylist() for name, table in tables.items()}


WAYS = {"duckdb": through_duckdb, "deltalake": through_deltalake}


def keep_looking(file: str, way: str, least: int, stop: Any, done: Any, told: Any) -> None:
    """Read until `stop`, at least so often; `done` counts readings as they are made."""
    profile, seen = load_profile(file), Seen()
    while not stop.is_set() or len(seen.marks) < least:
        try:
            look(WAYS[way](profile), seen)
        except Exception as error:
            seen.wrong.append(f"{type(error).__name__}: {error}")
            break
        with done.get_lock():
            done.value += 1
    done.value = 1 << 30  # who waits for a number of readings need not wait for those of a reader that failed
    told.put((way, seen))
