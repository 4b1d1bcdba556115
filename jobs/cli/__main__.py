"""The command line: run a night, see how it went, read what it published."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.cli import print as out
from jobs.errors import InputError, NocturneError, inert, run_main
from jobs.profile import Profile, load_profile

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="rich", help=__doc__, pretty_exceptions_enable=False
)
show = typer.Typer(no_args_is_help=True, help="Everything published about one user or item, with the evidence.")
prompt = typer.Typer(no_args_is_help=True, help="The prompts of prompts/.")
app.add_typer(show, name="show")
app.add_typer(prompt, name="prompt")

chosen: dict[str, str | None] = {"profile": None}


class Format(StrEnum):
    """How `query` prints rows."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


RunDate = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Run date: events before it count; today.")]
Users = Annotated[str | None, typer.Option(help="So many users, or a file with an id a line; by default all.")]
Shards = Annotated[int | None, typer.Option(min=1, max=4096, help="By default the profile's.")]
Release = Annotated[str | None, typer.Option("--release", help="A release id; by default the latest.")]


def examples(*lines: str) -> str:
    """An epilog that keeps its lines."""
    return "Examples:\n\n" + "\n\n".join(f"  infra/nocturne {line}" for line in lines)


def profile() -> Profile:
    return load_profile(chosen["profile"])


@app.callback()
def options(
    profile: Annotated[str | None, typer.Option(help="A TOML file; by default NOCTURNE_PROFILE, then the demo's.")] = None,
) -> None:
    chosen["profile"] = profile


@app.command(epilog=examples("doctor", "--profile my.toml doctor"))
def doctor() -> None:
    """Check java, environments, model, paths and permissions; say how to mend each."""
    from jobs.cli.doctor import examine

    findings = examine(chosen["profile"])
    out.findings(findings)
    if not all(each.well for each in findings):
        raise typer.Exit(1)


@app.command(epilog=examples("run", "run --date 2016-10-17 --users 48 --show 3", "run --users ids.txt --force"))
def run(
    date: RunDate = None,
    users: Users = None,
    shards: Shards = None,
    force: Annotated[bool, typer.Option("--force", help="Ask about unchanged users too, and for known answers.")] = False,
    show: Annotated[int, typer.Option(min=0, help="Print the outputs of so many users at the end.")] = 0,
) -> None:
    """Run the night through Airflow; print progress, and at the end a table of what happened."""
    from jobs.cli.night import run_night

    night = (date or datetime.now(UTC)).date()
    code, row, log = run_night(profile(), night, users, shards, force)
    if row:
        _show_run(row)
    out.line(f"log: {log}")
    if code:
        raise typer.Exit(code)
    for user in _some_users(show):
        _show_user(user, None)


@app.command(epilog=examples("plan", "plan --date 2016-10-17 --users 48", "plan --force"))
def plan(
    date: RunDate = None,
    users: Users = None,
    shards: Shards = None,
    force: Annotated[bool, typer.Option("--force", help="As if everything were asked again.")] = False,
) -> None:
    """What the night would do and cost, with 95% intervals; changes nothing, loads no model."""
    from jobs.cli.night import plan_night

    out.plan(plan_night(profile(), (date or datetime.now(UTC)).date(), users, shards, force))


@app.command(epilog=examples("evaluate", "evaluate --date 2016-10-17"))
def evaluate(date: RunDate = None) -> None:
    """What the lists are worth: held-out events, beside baselines, with 95% intervals."""
    from jobs.cli.night import run_evaluation

    code, rows, log = run_evaluation(profile(), (date or datetime.now(UTC)).date())
    out.evaluation(rows)
    out.line(f"log: {log}")
    if code:
        raise typer.Exit(code)


@app.command(epilog=examples("maintain --dry-run", "maintain"))
def maintain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")] = False,
) -> None:
    """Retire old releases, compact ledgers, remove files that nobody needs; what each table takes."""
    from jobs.maintain.__main__ import maintain
    from jobs.progress import Progress

    out.maintenance(maintain(profile(), datetime.now(UTC), dry_run, Progress("maintain")))


@app.command(epilog=examples("erase 17", "erase 17 u-55 --yes", "erase -- -17", "erase 17 --let-back"))
def erase(
    users: Annotated[list[str], typer.Argument(metavar="USER...", help="Ids, as the log has them.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    let_back: Annotated[bool, typer.Option("--let-back", help="Erase nothing: let erased users come back.")] = False,
) -> None:
    """Remove users from tables with all their versions, files, logs and the log if it is ours; keep them out, and prove it."""
    from jobs.cli.erasing import erase_users, what_names
    from jobs.suppressions import let_back as unsuppress

    if let_back:
        n = unsuppress(profile(), frozenset(users))
        out.line(f"{n} of {len(users)} were suppressed and are no longer; the next night reads what the log has of them")
        return
    if not yes:
        out.line(f"looking for {len(users)} users in everything under {profile().warehouse} and NOCTURNE_HOME")
        out.named(*what_names(profile(), users))
        typer.confirm("Erase them, for good?", abort=True)
    try:
        out.receipt(erase_users(profile(), users))
    except InputError as error:
        print(f"nocturne: {inert(error)}", file=sys.stderr)
        raise typer.Exit(1) from error


@app.command(epilog=examples("status"))
def status() -> None:
    """Where the last run stands, and what to do about it."""
    from jobs.runs import runs

    rows = runs(profile())
    if not rows:
        out.line(f"no run yet in {profile().warehouse}; start one: infra/nocturne run")
        return
    last = rows[-1]
    _show_run(last)
    if last["status"] in ("running", "failed"):
        out.line(f"to go on, run {last['run_date']} again with the same options; answers already paid for are kept")


@app.command(epilog=examples("report", "report --run RUN_ID --out night.html", "report --open"))
def report(
    run: Annotated[str | None, typer.Option(help="A run's id; by default the last.")] = None,
    into: Annotated[Path | None, typer.Option("--out", help="The file; by default beside the run's Data Docs.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Write the page of a night: one HTML file that needs no network."""
    from jobs.report.page import write_report

    page = write_report(profile(), run, into)
    out.line(f"page of the night: {page}")
    if show:
        typer.launch(page.resolve().as_uri())


@app.command(
    epilog=examples('query "select user_id, title from rankings where rank = 1"', 'query --format csv "from explanations"')
)
def query(
    sql: Annotated[str, typer.Argument(help="DuckDB SQL; each table is a view by its name.")],
    release: Release = None,
    format: Annotated[Format, typer.Option(help="For people, or for programs.")] = Format.TABLE,
) -> None:
    """SQL over the released tables."""
    import duckdb

    from jobs.faults import named
    from jobs.lake import connect

    try:
        with named(profile):
            result = connect(profile(), release).sql(sql)
            if result is not None:
                out.relation(result, format.value)
    except duckdb.Error as error:
        raise NocturneError(f"query: {error}") from error


@app.command(epilog=examples("phrasings", "phrasings > phrasings.yaml"))
def phrasings() -> None:
    """What the model wrote for each shape of facts, as a file to review: set `use`, name the file as words.phrasings."""
    from jobs.cli.reading import last_phrasings

    out.phrasings(last_phrasings(profile()))


@show.command("user", epilog=examples("show user 17"))
def show_user(user: Annotated[str, typer.Argument(metavar="ID")], release: Release = None) -> None:
    """Summary, list and explanations of one user, with the events they cite."""
    _show_user(user, release)


@show.command("item", epilog=examples("show item 318"))
def show_item(item: Annotated[str, typer.Argument(metavar="ID")], release: Release = None) -> None:
    """In whose lists an item is, and who has it as evidence."""
    from jobs.cli.reading import item_page

    out.item(item_page(profile(), item, release))


@app.command(epilog=examples("releases"))
def releases() -> None:
    """What is public, newest night first."""
    from jobs.releases import latest, releases, retired

    if public := releases(profile()):
        out.releases(public, latest(profile()), retired(profile()))
    else:
        out.line(f"nothing is released yet in {profile().warehouse}")


@app.command(
    epilog=examples("rollback r-2016-10-17-20261123T112307Z-772df77d", 'rollback r-2016-... --reason "lists too short"')
)
def rollback(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="A release id, of those that `releases` prints.")],
    reason: Annotated[str | None, typer.Option(help="Kept in the table releases.")] = None,
) -> None:
    """Have readers see an earlier release, until a newer night is released; to undo it, roll back to the later one."""
    from jobs.faults import refuse_lost
    from jobs.releases import find, go_back

    was = find(profile(), None)
    refuse_lost(profile(), find(profile(), release))
    now, new = go_back(profile(), release, datetime.now(UTC), reason)
    if not new:
        out.line(f"readers see {now.root} already")
        return
    out.line(f"readers see {now.root}, the night of {now.run_date}; to undo it: infra/nocturne rollback {was.root}")


@app.command(epilog=examples('release --accept "new catalogue"', 'release --run 2016-10-17-... --accept "new catalogue"'))
def release(
    accept: Annotated[str, typer.Option(help="Why it may be seen all the same; kept in the table releases.")],
    run: Annotated[str | None, typer.Option(help="A run that was blocked; by default the last one.")] = None,
) -> None:
    """Make public what a blocked night wrote, though rules failed."""
    from jobs.releases import accept as accept_run
    from jobs.releases import find
    from jobs.report.page import write_report

    now = accept_run(profile(), run, datetime.now(UTC), accept)
    out.line(f"released {now.release_id}, the night of {now.run_date}: {accept}")
    if (seen := find(profile(), None)).release_id != now.release_id:
        out.line(f"readers see {seen.root} still, the night of {seen.run_date}")
    out.line(f"page of the night: {write_report(profile(), now.run_id)}")


@app.command(epilog=examples("mend", "mend --yes"))
def mend(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; otherwise only say what would be given up.")] = False,
) -> None:
    """Give up what of the warehouse cannot be read and has no copy, so that the next night is possible."""
    from jobs.mend import mend

    told = mend(profile(), datetime.now(UTC), yes)
    for each in told:
        out.line(each)
    if not told:
        out.line("nothing to mend: all tables keep to their logs and contracts")
    elif not yes:
        out.line("nothing was done yet; what has a copy, put back from it first, then: infra/nocturne mend --yes")


@app.command(epilog=examples("diff 2016-10-16 latest", "diff 2016-10-16 2016-10-17 --table rankings", "diff A B --user 17"))
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A release id, a date (its newest release), or latest.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    table: Annotated[str | None, typer.Option(help="One published table; by default all.")] = None,
    user: Annotated[str | None, typer.Option(help="One user.")] = None,
    examples: Annotated[int, typer.Option(min=0, help="Users to show, old beside new.")] = 3,
    format: Annotated[Format, typer.Option(help="For people; json: all of it, csv: the figures.")] = Format.TABLE,
) -> None:
    """What changed from release A to B: by table, and for some users in words and list."""
    from jobs.cli.changes import change
    from jobs.diff import diff

    change(diff(profile(), a, b, table, user, examples), format.value)


@prompt.command("render", epilog=examples("prompt render next --user 17", "prompt render phrase_summary --user 17"))
def render(
    name: Annotated[str, typer.Argument(help="A file of prompts/, without .md")],
    user: Annotated[str, typer.Option(help="Whose prompt.")],
    date: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Of which night; the newest.")] = None,
) -> None:
    """The exact prompts a user got, chat template and all, as the model reads them."""
    from jobs.cli.night import preview

    preview(profile(), name, user, date.date() if date else None)


def _show_user(user: str, release: str | None) -> None:
    from jobs.cli.reading import user_page

    out.user(user_page(profile(), user, release))


def _some_users(n: int) -> list[str]:
    from jobs.cli.reading import first_users

    return first_users(profile(), n) if n else []


def _show_run(row: dict[str, Any]) -> None:
    from jobs.cli.reading import rejected_reasons
    from jobs.report.page import place
    from jobs.storage import read_rows

    verdicts = [each for each in read_rows(profile(), "validations") if each["run_id"] == row["run_id"]]
    rejected = rejected_reasons(profile(), row["release_id"]) if row["release_id"] else {}
    figures = [each for each in read_rows(profile(), "evaluations") if each["run_id"] == row["run_id"]]
    out.run(row, verdicts, rejected, figures)
    if (page := place(profile(), row["run_id"])).exists():
        out.line(f"page of the night: {page}")


def main() -> None:
    run_main(_named)


def _named() -> None:
    from jobs.faults import named

    with named(profile):
        app(prog_name="infra/nocturne")


if __name__ == "__main__":
    main()
