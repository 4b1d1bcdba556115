"""What the page of a night says: the figures of one run, from its ledgers and from the tables it wrote.

Rows of a run are few whatever the night's size; of what grows with users only counts and the first few leave DuckDB.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import duckdb

from jobs.errors import NotFound
from jobs.lake import connect, session, views
from jobs.profile import Profile
from jobs.releases import Release, find, latest
from jobs.report.flow import Stage, flow
from jobs.report.people import People, people
from jobs.report.queries import query, reasons, sources
from jobs.runs import runs
from jobs.storage import read_rows

Row = dict[str, Any]

NIGHTS = 30  # of the history
DEAREST = 8  # users
PLANNED = {  # what is predicted -> where a run says what it came to
    "calls": "calls_new",
    "calls_known": "calls_cached",
    "prompt_tokens": "prompt_tokens",
    "output_tokens": "output_tokens",
    "seconds": "generate",
}
DRIFT = re.compile(r"coverage|overlap|\w*psi|\w*_rise|tokens_a_user")  # rules that compare a night with the last release
MINE = "with mine as (select * from generations where run_date = ? and run_id = ?)"  # the run's own calls
STATUSES = "select status, count(*) as n from mine group by all order by n desc, status"
PROMPTS = """
    select prompt_name, count(*) as calls, sum(prompt_tokens) as prompt_tokens, sum(cached_tokens) as cached_tokens,
           sum(output_tokens) as output_tokens, count_if(status not in ('ok', 'repaired')) as failed,
           sum(prompt_tokens - cached_tokens + output_tokens) as computed_tokens
    from mine group by all order by computed_tokens desc, prompt_name"""
USERS = f"""
    select subject as user_id, count(*) as calls, sum(prompt_tokens) as prompt_tokens, sum(output_tokens) as output_tokens,
           sum(prompt_tokens + output_tokens) as tokens
    from mine where subject_type = 'user' group by all order by tokens desc, subject limit {DEAREST}"""


@dataclass(frozen=True)
class Planned:
    """One figure of the plan with its 95% interval, and what it came to."""

    name: str
    value: float
    low: float
    high: float
    actual: float | None


@dataclass(frozen=True)
class Figures:
    """All of a page; rows are those of the ledgers named.

    Of releases, `shown` is what the run wrote, `seen` what readers saw when it began, `before` that of nights not newer.
    """

    run: Row
    shown: Release | None
    seen: Release | None
    before: Release | None
    verdicts: list[Row]  # of `validations`, what failed first
    history: list[Row]  # of `runs`, oldest first, this one last
    words: list[Row]  # of `evaluations`, this night's
    lists: list[Row]  # of `evaluations`, the newest evaluation's that is not newer than the night
    flow: list[Stage]
    plan: list[Planned]
    statuses: list[Row]  # status, n: the run's calls
    prompts: list[Row]  # columns of PROMPTS, the dearest first
    dearest: list[Row]  # columns of USERS, likewise
    sources: list[Row]  # segment, source, asked, n: texts by who wrote them
    reasons: list[Row]  # segment, name, n, example: templates by the check that refused the model's words
    people: People

    @property
    def failed(self) -> list[Row]:
        return [each for each in self.verdicts if not each["passed"]]

    @property
    def drift(self) -> list[Row]:
        return [each for each in self.verdicts if DRIFT.fullmatch(each["rule"])]

    @property
    def tokens(self) -> list[int | None]:
        """Read and written, night by night."""
        both = [(row["prompt_tokens"], row["output_tokens"]) for row in self.history]
        return [read + written if read is not None else None for read, written in both]

    @property
    def seconds(self) -> list[float | None]:
        """From start to end, night by night."""
        return [(row["ended_at"] - row["started_at"]).total_seconds() if row["ended_at"] else None for row in self.history]

    @property
    def stages(self) -> list[tuple[str, float, float | None]]:
        """Stage, its seconds and those of the run before; the slowest first. `workers`, all shards together, is no stage."""
        now = dict(self.run["stage_seconds"] or ())
        before = dict(self.history[-2]["stage_seconds"] or ()) if len(self.history) > 1 else {}
        return sorted(((name, s, before.get(name)) for name, s in now.items() if name != "workers"), key=lambda each: -each[1])


def gather(profile: Profile, run_id: str | None, n_users: int) -> Figures:
    """The figures of a run, by default of the last, with a sample of at most `n_users`.

    Raises:
        NotFound: there is no such run.
    """
    all_runs = runs(profile)
    run = _run(profile, all_runs, run_id)
    shown, before = _shown(profile, run), latest(profile, run["run_date"], run["started_at"])
    db = connect(profile, shown.release_id) if shown else _calls_alone(profile)
    verdicts = [each for each in read_rows(profile, "validations") if each["run_id"] == run["run_id"]]
    evaluations = read_rows(profile, "evaluations")
    written = sources(db) if shown else []
    return Figures(
        run=run,
        shown=shown,
        seen=latest(profile, at=run["started_at"]),
        before=before,
        verdicts=sorted(verdicts, key=lambda row: (row["passed"], row["severity"], row["table"], row["rule"])),
        history=[row for row in all_runs if row["started_at"] <= run["started_at"]][-NIGHTS:],
        words=[row for row in evaluations if row["run_id"] == run["run_id"] and row["split"] == "words"],
        lists=_newest(evaluations, run),
        flow=flow(profile, db if shown else None, run, written),
        plan=_plan(run),
        statuses=_of_calls(db, run, STATUSES),
        prompts=_of_calls(db, run, PROMPTS),
        dearest=_of_calls(db, run, USERS),
        sources=written,
        reasons=reasons(db) if shown else [],
        people=people(profile, db, before, n_users) if shown else People([], 0),
    )


def _run(profile: Profile, all_runs: list[Row], run_id: str | None) -> Row:
    if found := [row for row in all_runs if run_id in (None, row["run_id"])]:
        return found[-1]
    if not all_runs:
        raise NotFound(f"no run yet in {profile.warehouse}; start one: infra/nocturne run")
    newest = ", ".join(row["run_id"] for row in all_runs[:-4:-1])
    raise NotFound(f"no run {run_id!r} in {profile.warehouse}; the newest are {newest}")


def _shown(profile: Profile, run: Row) -> Release | None:
    """The tables of the run: its release's, or those that a blocked night keeps."""
    try:
        return find(profile, run["release_id"] or run["run_id"])
    except NotFound:
        return None


def _calls_alone(profile: Profile) -> duckdb.DuckDBPyConnection:
    """What there is of a run without tables; those of others may be the damaged ones that it ended by."""
    db = session()
    views(db, profile, None, only=["generations"])
    return db


def _newest(evaluations: list[Row], run: Row) -> list[Row]:
    """Figures of lists of the newest evaluation that is not newer than the night."""
    rows = [row for row in evaluations if row["split"] != "words" and row["run_date"] <= run["run_date"]]
    newest = max(((row["run_date"], row["run_id"]) for row in rows), default=None)
    return [row for row in rows if (row["run_date"], row["run_id"]) == newest]


def _of_calls(db: duckdb.DuckDBPyConnection, run: Row, sql: str) -> list[Row]:
    return query(db, f"{MINE} {sql}", run["run_date"], run["run_id"])


def _plan(run: Row) -> list[Planned]:
    told = dict(run["predicted"] or ())
    came_to = run | dict(run["stage_seconds"] or ())
    ends = {name: [told.get(f"{name}_{end}", told[name]) for end in ("low", "high")] for name in PLANNED if name in told}
    return [Planned(name, told[name], low, high, came_to.get(PLANNED[name])) for name, (low, high) in ends.items()]
