"""What the page of a night says: the figures of one run, from its ledgers and from the tables it wrote.

Rows of a run are few whatever the night's size; of what grows with users only counts and the first few leave DuckDB.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from jobs.contracts import PUBLISHED
from jobs.errors import NotFound
from jobs.lake import connect
from jobs.manifest import read_manifest
from jobs.profile import Profile
from jobs.releases import Release, find, releases
from jobs.report.people import People, people
from jobs.report.pictures import Part
from jobs.storage import read_rows

Row = dict[str, Any]

NIGHTS = 30  # of the history
DEAREST = 8  # users
MOST_REASONS = 12  # of rejection or of templates, the most frequent
PLANNED = {  # what is predicted -> where a run says what it came to
    "calls": "calls_new",
    "calls_known": "calls_cached",
    "prompt_tokens": "prompt_tokens",
    "output_tokens": "output_tokens",
    "seconds": "generate",
}
DRIFT = re.compile(r"psi|overlap|coverage|drift|tokens|share$")  # names of rules that compare nights
TEXTS = """
    select 'summaries' as segment, user_id, source, checks from user_summaries
    union all select 'explanations', user_id, source, checks from explanations"""
CHECK = r"^([a-z-]+): "  # a finding of a check; other entries say more of the one before


@dataclass(frozen=True)
class Stage:
    """One stage of the way from rows in to rows published; no parts where the run did not come so far."""

    name: str
    parts: list[Part]

    @property
    def n(self) -> int:
        return sum(part.n for part in self.parts)


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
    """All of a page. Rows are those of the ledgers named; `shown` is what the run wrote, `before` the release before it."""

    run: Row
    shown: Release | None
    before: Release | None
    verdicts: list[Row]  # of `validations`, what failed first
    history: list[Row]  # of `runs`, oldest first, this one last
    words: list[Row]  # of `evaluations`, this night's
    lists: list[Row]  # of `evaluations`, the newest evaluation's that is not newer than the night
    flow: list[Stage]
    plan: list[Planned]
    statuses: list[Row]  # status, n: the run's calls
    prompts: list[Row]  # prompt_name, calls, prompt_tokens, cached_tokens, output_tokens, failed: the dearest first
    dearest: list[Row]  # user_id, calls, prompt_tokens, output_tokens
    sources: list[Row]  # segment, source, asked, n: texts
    reasons: list[Row]  # segment, name, n, example: templates by the check that refused the model's words
    people: People

    @property
    def failed(self) -> list[Row]:
        return [each for each in self.verdicts if not each["passed"]]

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
        """Stage, its seconds and those of the run before; the slowest first. `workers` is generate once more, all shards'."""
        now, before = (
            dict(row["stage_seconds"] or ()) for row in (self.run, self.history[-2] if len(self.history) > 1 else self.run)
        )
        before = before if len(self.history) > 1 else {}
        return sorted(((name, s, before.get(name)) for name, s in now.items() if name != "workers"), key=lambda each: -each[1])

    @property
    def drift(self) -> list[Row]:
        return [each for each in self.verdicts if DRIFT.search(each["rule"])]


def gather(profile: Profile, run_id: str | None, n_users: int) -> Figures:
    """The figures of a run, by default of the last.

    Raises:
        NotFound: there is no such run.
    """
    runs = sorted(read_rows(profile, "runs"), key=lambda row: row["started_at"])
    run = _run(profile, runs, run_id)
    shown, before = _shown(profile, run), _before(profile, run)
    db = connect(profile, shown.release_id if shown else None)
    verdicts = [each for each in read_rows(profile, "validations") if each["run_id"] == run["run_id"]]
    evaluations = read_rows(profile, "evaluations")
    sources = _sources(db) if shown else []
    return Figures(
        run=run,
        shown=shown,
        before=before,
        verdicts=sorted(verdicts, key=lambda row: (row["passed"], row["severity"], row["table"], row["rule"])),
        history=[row for row in runs if row["started_at"] <= run["started_at"]][-NIGHTS:],
        words=[row for row in evaluations if row["run_id"] == run["run_id"] and row["split"] == "words"],
        lists=_newest(evaluations, run),
        flow=_flow(profile, db, run, shown, sources),
        plan=_plan(run),
        statuses=_of_run(db, run, "select status, count(*) as n from mine group by all order by n desc, status"),
        prompts=_of_run(db, run, PROMPTS),
        dearest=_of_run(db, run, f"{USERS} limit {DEAREST}"),
        sources=sources,
        reasons=query(db, REASONS) if shown else [],
        people=people(profile, db, shown, before, n_users),
    )


PROMPTS = """
    select prompt_name, count(*) as calls, sum(prompt_tokens) as prompt_tokens, sum(cached_tokens) as cached_tokens,
           sum(output_tokens) as output_tokens, count_if(status not in ('ok', 'repaired')) as failed
    from mine group by all order by sum(prompt_tokens - cached_tokens) + sum(output_tokens) desc, prompt_name"""
USERS = """
    select subject as user_id, count(*) as calls, sum(prompt_tokens) as prompt_tokens, sum(output_tokens) as output_tokens
    from mine where subject_type = 'user' group by all order by sum(prompt_tokens) + sum(output_tokens) desc, subject"""
REASONS = f"""
    with found as (
        select segment, checks, unnest(list_distinct(list_transform(checks, lambda c: regexp_extract(c, '{CHECK}', 1)))) as name
        from ({TEXTS}) where source = 'template')
    select segment, name, count(*) as n, min(list_filter(checks, lambda c: starts_with(c, name || ': '))[1]) as example
    from found where name != '' group by all order by n desc, segment, name limit {MOST_REASONS}"""


def query(db: duckdb.DuckDBPyConnection, sql: str, *parameters: Any) -> list[Row]:
    """Rows of a query that returns few."""
    return list(db.execute(sql, list(parameters)).to_arrow_table().to_pylist())


def _run(profile: Profile, runs: list[Row], run_id: str | None) -> Row:
    found = [row for row in runs if run_id in (None, row["run_id"])]
    if found:
        return found[-1]
    if not runs:
        raise NotFound(f"no run yet in {profile.warehouse}; start one: infra/nocturne run")
    newest = ", ".join(row["run_id"] for row in runs[:-4:-1])
    raise NotFound(f"no run {run_id!r} in {profile.warehouse}; the newest are {newest}")


def _shown(profile: Profile, run: Row) -> Release | None:
    """The tables of the run: its release's, or those that a blocked night keeps."""
    try:
        return find(profile, run["release_id"] or run["run_id"])
    except NotFound:
        return None


def _before(profile: Profile, run: Row) -> Release | None:
    """What readers saw when the run began, of a night that is not newer."""
    public = [each for each in releases(profile) if each.run_date <= run["run_date"] and each.published_at < run["started_at"]]
    return next((each for each in public if each.run_id != run["run_id"]), None)


def _newest(evaluations: list[Row], run: Row) -> list[Row]:
    """Figures of lists of the newest evaluation that is not newer than the night."""
    rows = [row for row in evaluations if row["split"] != "words" and row["run_date"] <= run["run_date"]]
    newest = max(((row["run_date"], row["run_id"]) for row in rows), default=None)
    return [row for row in rows if (row["run_date"], row["run_id"]) == newest]


def _of_run(db: duckdb.DuckDBPyConnection, run: Row, sql: str) -> list[Row]:
    """Rows of a query over `mine`, the run's own calls."""
    mine = "with mine as (select * from generations where run_date = ? and run_id = ?)"
    return query(db, f"{mine} {sql}", run["run_date"], run["run_id"])


def _sources(db: duckdb.DuckDBPyConnection) -> list[Row]:
    sql = f"select segment, source, len(checks) > 0 as asked, count(*) as n from ({TEXTS}) group by all order by n desc, source"
    return query(db, sql)


def _plan(run: Row) -> list[Planned]:
    told = dict(run["predicted"] or ())
    came_to = run | dict(run["stage_seconds"] or ())
    return [
        Planned(
            name, told[name], told.get(f"{name}_low", told[name]), told.get(f"{name}_high", told[name]), came_to.get(actual)
        )
        for name, actual in PLANNED.items()
        if name in told
    ]


# --- from rows in to rows published ----------


def _flow(profile: Profile, db: duckdb.DuckDBPyConnection, run: Row, shown: Release | None, sources: list[Row]) -> list[Stage]:
    """Every stage as what became of all it began with: its parts add up."""
    counts = _counts(profile, run)
    users, changed = (run[name] if run[name] is not None else counts.get(name) for name in ("users", "users_changed"))
    people = [Part("changed", changed, "good"), Part("carried over", users - changed, "kept")] if users is not None else []
    return [
        Stage("records read", _records(run, counts, _rejected(db) if shown else {})),
        Stage("users", people),
        Stage("calls to the model", _calls(run)),
        Stage("texts", _texts(sources)),
        Stage("rows published" if run["release_id"] else "rows written", _written(db) if shown else []),
    ]


def _counts(profile: Profile, run: Row) -> Row:
    """What prepare counted, where the night's work folder is still this run's."""
    try:
        return read_manifest(profile, str(run["run_date"]), run["run_id"]).model_dump()
    except NotFound:
        return {}


def _rejected(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    sql = "select source || ': ' || reason as reason, count(*) as n from rejected group by all order by n desc, reason"
    return {row["reason"]: row["n"] for row in query(db, sql)}


def _records(run: Row, counts: Row, rejected: Mapping[str, int]) -> list[Part]:
    """Used, not before the night, and rejected by reason."""
    if counts:
        by_reason = {f"{source}: {why}": n for source, reasons in counts["counts"].items() for why, n in reasons.items()}
        used = sum(n for why, n in by_reason.items() if why.endswith(": valid"))
        later = by_reason.pop("events: later", 0)
        rejected = {why: n for why, n in by_reason.items() if not why.endswith(": valid")}
    elif run["rows_in"] is not None:
        used, later = run["rows_in"] - run["rows_later"] - run["rows_rejected"], run["rows_later"]
        rejected = rejected or {"reasons unknown": run["rows_rejected"]}
    else:
        return []
    parts = [Part("used", used, "good"), Part("on or after the night", later, "kept")]
    return _some(parts + [Part(f"rejected, {why.replace('_', ' ')}", n, "lost") for why, n in rejected.items()])


def _calls(run: Row) -> list[Part]:
    if run["calls_new"] is None:
        return []
    return _some([
        Part("answered", run["calls_new"] - run["calls_failed"], "good"),
        Part("from memory", run["calls_cached"], "kept"),
        Part("without a usable answer", run["calls_failed"], "lost"),
        Part("beyond the budget", run["calls_refused"] or 0, "idle"),
    ])  # fmt: skip


def _texts(sources: list[Row]) -> list[Part]:
    n: dict[str, int] = {}
    for row in sources:
        name = row["source"] if row["source"] != "template" else "refused" if row["asked"] else "own"
        n[name] = n.get(name, 0) + row["n"]
    return _some([
        Part("words of the model's for one user", n.get("llm", 0), "good"),
        Part("phrasings of the model's, filled in", n.get("phrasebook", 0), "kept"),
        Part("templates, the model not asked", n.get("own", 0), "idle"),
        Part("templates in place of the model's words", n.get("refused", 0), "lost"),
    ])  # fmt: skip


def _written(db: duckdb.DuckDBPyConnection) -> list[Part]:
    kinds = ("good", "kept", "good", "kept", "lost")
    counted = {name: query(db, f"select count(*) as n from {name}")[0]["n"] for name in PUBLISHED}
    return _some([Part(name.replace("_", " "), n, kind) for (name, n), kind in zip(counted.items(), kinds, strict=True)])


def _some(parts: list[Part]) -> list[Part]:
    return [part for part in parts if part.n] or parts[:1]
