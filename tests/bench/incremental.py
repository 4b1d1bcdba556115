"""A night after some users came back: who reaches a worker, what it costs, and how its tables differ from all made anew.

MovieLens with the fake engine, whose calls are those of a real one; summaries and explanations for each user, the model scores
all candidates. A first night knows everything but the last films of those who will come back (a hash of the id says who); on
its day some of them watch these. The second night is made by each policy of `[night] refresh_*`, and once in an empty
warehouse. Retrieval learns from everyone; `--users` limits only who gets a list. Seconds are those of stages in one Spark
session, without the start of a JVM. `equal` is of users all of whose rows are the same, but for `content_hash`; `overlap` is
that of lists.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any

from pyspark.sql import SparkSession

from jobs.home import REPOSITORY, home
from jobs.lake import connect
from jobs.profile import Profile, load_profile
from jobs.spark import spark_session
from tests.night.whole import own_home, whole_night

FIRST, SECOND = "2016-10-17", "2016-10-18"
CAME_BACK = datetime(2016, 10, 17, 12, tzinfo=UTC)
WATCHED = 3  # films of each who comes back
PER_USER = ("user_summaries", "rankings", "explanations", "evidence")
POLICIES = {
    "none": "refresh_days = 0",
    "days 28": "refresh_days = 28",
    "days 7": "refresh_days = 7",
    "overlap .8": "refresh_days = 0\nrefresh_overlap = 0.8",
    "overlap 1": "refresh_days = 0\nrefresh_overlap = 1.0",
    "exact": "refresh_days = 0\nrefresh_exact = true",
}
MADE = {"fake": 'engine = "fake"\n', "real": ""}
Tables = dict[str, dict[str, list[str]]]  # name, user, rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="infra/bench incremental", description=__doc__.splitlines()[0])
    parser.add_argument("--shares", type=float, nargs="+", default=[0, 0.01, 0.05, 0.2], help="of users who come back")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=list(POLICIES))
    parser.add_argument("--users", type=int, default=200, help="users who get a list")
    parser.add_argument("--engine", choices=MADE, default="fake")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = home() / "data" / "movielens"
        os.environ["NOCTURNE_HOME"] = own_home(folder / "home")
        back = leave_out(data, folder, max(arguments.shares))
        base = profile(folder, "base", "none", arguments.engine)
        with spark_session(base, "bench", f"{place}/scratch") as spark:
            run = whole_night(spark, base, FIRST, "first", users=str(arguments.users))
            print(head(), line("first night", 0, run, None), sep="\n", flush=True)
            for share in arguments.shares:
                compare(spark, folder, arguments, share, come_back(folder, back, share))


def compare(spark: SparkSession, folder: Path, arguments: argparse.Namespace, share: float, returned: set[str]) -> None:
    """A line for each policy, and one for everything made anew."""
    anew = profile(folder, "anew", "none", arguments.engine)
    run = whole_night(spark, anew, SECOND, "anew", users=str(arguments.users))
    expected = tables(anew)
    print(line("all anew", share, run, None), flush=True)
    for policy in arguments.policies:
        one = profile(folder, "kept", policy, arguments.engine, start=folder / "base")
        run = whole_night(spark, one, SECOND, "second", users=str(arguments.users))
        made = {row[0] for row in spark.read.parquet(f"{one.work(SECOND)}/carried").collect()}
        told = {row[0]: row[1] for row in by_prompt(one)}
        found = differences(tables(one), expected, returned, carried=made)
        print(line(policy, share, run, found), "  " + ", ".join(f"{n} {name}" for name, n in told.items()), flush=True)
        shutil.rmtree(one.warehouse)
    shutil.rmtree(anew.warehouse)


def leave_out(data: Path, folder: Path, share: float) -> dict[str, list[list[str]]]:
    """Write a log without the last films of a share of the users; returns these events by user."""
    shutil.copy(data / "items.csv", folder / "items.csv")
    with (data / "events.csv").open() as file:
        header, *rows = csv.reader(file)
    time, user = header.index("timestamp"), header.index("user_id")
    rows.sort(key=lambda row: int(row[time]))
    theirs = defaultdict(list)
    for row in rows:
        theirs[row[user]].append(row)
    back = {name: theirs[name][-WATCHED:] for name in sorted(theirs, key=place)[: round(share * len(theirs))]}
    out = {id(row) for events in back.values() for row in events}
    (folder / "users").write_text(str(len(theirs)))
    with (folder / "log.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *[row for row in rows if id(row) not in out]])
    shutil.copy(folder / "log.csv", folder / "events.csv")
    return {name: [[*row[:time], "", *row[time + 1 :]] for row in events] for name, events in back.items()}


def place(user: str) -> str:
    return hashlib.sha256(user.encode()).hexdigest()


def come_back(folder: Path, back: dict[str, list[list[str]]], share: float) -> set[str]:
    """Write the log in which a share of the users came back; returns them."""
    returned = list(back)[: round(share * int((folder / "users").read_text()))]
    shutil.copy(folder / "log.csv", folder / "events.csv")
    at = int(CAME_BACK.timestamp())
    with (folder / "events.csv").open("a", newline="") as file:
        for user in returned:
            for number, row in enumerate(back[user]):
                csv.writer(file).writerow([value or str(at + number) for value in row])
    return set(returned)


def profile(folder: Path, name: str, policy: str, engine: str, start: Path | None = None) -> Profile:
    """The demo's with dear settings, a policy and a warehouse `name`, a copy of `start` if it is given."""
    demo = (REPOSITORY / "infra" / "profiles" / "demo.toml").read_text()
    for kind in ("events", "items"):
        demo = demo.replace(f"$NOCTURNE_HOME/data/movielens/{kind}.csv", str(folder / f"{kind}.csv"))
    demo = demo.replace('summary = "phrasebook"', "").replace('explanation = "phrasebook"', "")
    demo = demo.replace("[night]\n", f"[night]\nmodel_weight = 0.3\n{POLICIES[policy]}\n")
    demo = demo.replace("[model]\n", f"[model]\n{MADE[engine]}")
    where = folder / name
    if start:
        shutil.copytree(start / "warehouse", where / "warehouse")
    where.mkdir(exist_ok=True)
    (where / "night.toml").write_text(f'{demo}\n[storage]\nwarehouse = "{where}/warehouse"\n')
    return load_profile(where / "night.toml")


def tables(one: Profile) -> Tables:
    """Rows by table and user, as text, without what two ways to the same words may differ in."""
    db, found = connect(one), {}
    for name in PER_USER:
        but = "content_hash, " if name == "user_summaries" else ""
        rows: dict[str, list[str]] = defaultdict(list)
        for user, *row in db.sql(f"select user_id, * exclude ({but}user_id) from {name} order by all").fetchall():
            rows[user].append(repr(row))
        found[name] = dict(rows)
    items: dict[str, list[str]] = defaultdict(list)
    for user, item in db.sql("select user_id, item_id from rankings").fetchall():
        items[user].append(item)
    return found | {"lists": dict(items)}


def by_prompt(one: Profile) -> list[tuple[str, int]]:
    """The second night's new calls."""
    told = "select prompt_name, count(*) from generations where run_id = 'second' group by 1 order by 1"
    return list(connect(one).sql(told).fetchall())


def differences(found: Tables, expected: Tables, returned: set[str], carried: set[str]) -> dict[str, Any]:
    """Of users made and of those carried over, how many have equal rows; of these also the overlap of lists."""
    users = set(expected["user_summaries"])
    equal = {user for user in users if all(found[name].get(user) == expected[name].get(user) for name in PER_USER)}
    made = users - carried
    assert returned & users <= made, "who came back is worked on"
    overlaps = [overlap(found["lists"][user], expected["lists"][user]) for user in carried]
    return {"made": len(made), "made equal": len(made & equal), "carried": len(carried), "carried equal": len(carried & equal),
            "overlap": mean(overlaps) if overlaps else 1.0, "least": min(overlaps, default=1.0)}  # fmt: skip


def overlap(one: list[str], other: list[str]) -> float:
    return sum((Counter(one) & Counter(other)).values()) / max(len(one), len(other))


def head() -> str:
    return (
        f"{'policy':12}{'back':>6}{'workers':>8}{'refreshed':>10}{'calls':>7}{'memory':>7}{'read':>9}{'written':>8}"
        f"{'prepare':>8}{'generate':>9}{'publish':>8}{'made equal':>12}{'carried equal':>15}{'overlap':>9}{'least':>7}"
    )


def line(policy: str, share: float, run: dict[str, Any], found: dict[str, Any] | None) -> str:
    seconds = dict(run["stage_seconds"])
    text = (
        f"{policy:12}{share:6.0%}{run['users_changed']:8}{run['users_refreshed']:10}{run['calls_new']:7}{run['calls_cached']:7}"
        f"{run['prompt_tokens']:9}{run['output_tokens']:8}"
        + "".join(f"{seconds[name]:{width}.1f}" for name, width in (("prepare", 8), ("generate", 9), ("publish", 8)))
    )
    if not found:
        return text
    made, carried = (f"{found[f'{name} equal']} of {found[name]}" for name in ("made", "carried"))
    return f"{text}{made:>12}{carried:>15}{found['overlap']:9.3f}{found['least']:7.1f}"


if __name__ == "__main__":
    main()
