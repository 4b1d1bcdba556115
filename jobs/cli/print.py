"""How results look on a terminal. Text of users and items is never markup and never moves the cursor."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import duckdb

    from jobs.cli.doctor import Finding
    from jobs.cli.reading import ItemPage, UserPage
    from jobs.maintain.__main__ import Report
    from jobs.maintain.tables import Size
    from jobs.releases import Release

Row = dict[str, Any]

console = Console(highlight=False, soft_wrap=False)
CONTROL = dict.fromkeys((*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd")
METRICS = ("ndcg@10", "recall@10", "mrr@10", "coverage@20")  # of an evaluation, for people
MOST_ROWS = 1000


def plain(value: Any) -> Text:
    """Any value as text that a terminal shows and does not obey."""
    return Text(("" if value is None else str(value)).translate(CONTROL))


def line(text: str) -> None:
    console.print(plain(text), soft_wrap=True)


def phrasings(rows: list[Row]) -> None:
    """The file that `jobs/generate/review.py` reads, on stdout as it is."""
    entries = [
        {"pattern": row["pattern"], "text": row["text"], "use": row["use"], "why": "; ".join(row["checks"])} for row in rows
    ]
    sys.stdout.write(f'# Of {rows[0]["run_id"]}. Set `use`, add sentences of your own; then [words] phrasings = "THIS FILE"\n')
    sys.stdout.write(yaml.safe_dump(entries, sort_keys=False, width=1000))


def progress(text: str) -> None:
    """`nocturne | stage | 12 s | what` as columns; other lines as they are."""
    line(_columns(text))


def _columns(text: str) -> str:
    parts = text.split(" | ", 3)
    return f"{parts[1]:>9}  {parts[2]:>6}  {parts[3]}" if len(parts) == 4 else text


@contextmanager
def following() -> Iterator[Callable[[str], None]]:
    """How to print progress lines: on a terminal a stage's counts are one line that changes, elsewhere each is a line."""
    if not console.is_terminal:
        yield progress
        return
    standing: list[str] = []
    with Live(console=console, transient=True) as live:

        def show(text: str) -> None:
            counts = re.search(r"\| \d+/\d+ users, ", text) is not None
            if not counts and standing:
                progress(standing.pop())
            standing[:] = [text] if counts else []
            live.update(plain(_columns(text)) if counts else Text())
            if not counts:
                progress(text)

        yield show
    if standing:
        progress(standing.pop())


def table(columns: list[str], rows: list[list[Any]], title: str | None = None, whole: str | None = None) -> None:
    """Rows in a box; names of the column `whole` stay in one line, to be read or copied."""
    made = Table(title=title, title_justify="left", show_lines=False)
    for column in columns:
        made.add_column(plain(column), overflow="fold", no_wrap=column == whole)
    for row in rows:
        made.add_row(*[each if isinstance(each, Text) else plain(each) for each in row])
    console.print(made)


def named(places: Mapping[str, int], files: int) -> None:
    """Where users are named."""
    table(["where", "files that name them"], [[place, n] for place, n in sorted(places.items())], f"of {files} files")


def receipt(row: Row) -> None:
    """What an erasure did."""
    table(["where", "what", "n"], [[each["place"], each["what"], each["n"]] for each in row["removed"]], row["receipt_id"])
    for place in row["not_ours"]:
        line(f"left alone: {place}")
    line(f"{row['files_scanned']} files, {row['bytes_scanned']:,} bytes read again: none names them ({row['seconds']:.0f} s)")


def findings(found: list[Finding]) -> None:
    rows = [["ok" if each.well else "MISSING", each.what, each.seen, "" if each.well else each.mend] for each in found]
    table(["", "what", "seen", "how to mend it"], rows)


def run(row: dict[str, Any], verdicts: list[dict[str, Any]], rejected: dict[str, int], figures: list[dict[str, Any]]) -> None:
    """What happened in a run; `figures` are those of its words."""
    passed = sum(bool(each["passed"]) for each in verdicts)
    reasons = ", ".join(f"{n} {reason}" for reason, n in rejected.items())
    seconds = dict(row["stage_seconds"] or {})
    spent = " + ".join(f"{name} {seconds[name]:.0f}" for name in ("prepare", "generate", "publish") if name in seconds)
    took = f"{(row['ended_at'] - row['started_at']).total_seconds():.0f} s: {spent}" if row["ended_at"] else spent
    facts = {
        "run": f"{row['run_id']}, night of {row['run_date']}",
        "status": row["status"],
        "rows in": f"{row['rows_in']} ({row['rows_later']} not before the night)" if row["rows_in"] is not None else None,
        "rejected": f"{row['rows_rejected']}" + (f" ({reasons})" if reasons else "") if row["rows_in"] is not None else None,
        "users": _users(row) if row["users"] is not None else None,
        "calls": _calls(row),
        "predicted": _predicted(row),
        "tokens": _tokens(row),
        "fallbacks": f"{row['template_share']:.1%} of the texts asked of the model are templates"
        if row["template_share"] is not None
        else None,
        "words": _words(figures),
        "lists": row.get("fusion"),
        "gates": f"{passed} of {len(verdicts)} rules hold" if verdicts else None,
        "release": row["release_id"],
        "time": took,
        "why": Text("\n").join(map(plain, row["message"].splitlines())) if row["message"] else None,
    }
    table(["", "what happened"], [[name, value] for name, value in facts.items() if value is not None])


def _users(row: dict[str, Any]) -> str:
    """`671, 34 of them changed, 23 made anew`."""
    refreshed = row.get("users_refreshed") or 0
    anew = f", {refreshed} made anew" if refreshed else ""
    return f"{row['users']}, {row['users_changed'] - refreshed} of them changed{anew}"


def _words(figures: list[dict[str, Any]]) -> str | None:
    """What the words of a sample of users are worth."""
    named = {(row["segment"], row["metric"], row["against"]): row for row in figures if row["method"] in ("all", "cited")}
    grounding, sentences = (named.get(("all", metric, None)) for metric in ("grounding", "sentences"))
    if not grounding or not sentences:
        return None
    told = [f"{grounding['value']:.2%} of {sentences['value'] * sentences['n_users']:,.0f} sentences grounded"]
    told += [f"{row['value']:.1%} templates" for row in [named.get(("all", "template_share", None))] if row]
    told += [f"distinctness {row['value']:.2f}" for row in [named.get(("summaries", "distinctness", None))] if row]
    faithful = named.get(("explanations", "faithfulness", "random"))
    told += [f"faithfulness {_figure(faithful, '+')}"] if faithful else []
    return ", ".join(told)


def plan(told: dict[str, Any]) -> None:
    """What a night would cost."""

    def figure(name: str, unit: str = "") -> str:
        middle, low, high = (f"{value:,.0f}{unit}" for value in told[name])
        return middle if low == high else f"{middle} ({low} to {high})"

    facts = {
        "users": f"{told['users_all']}, {told['users_changed']} of them changed",
        "calls": f"{figure('calls')} new, {figure('calls_known')} from memory",
        "tokens": f"{figure('prompt_tokens')} to read, {figure('output_tokens')} to write",
        "time": f"generate {figure('seconds', ' s')}" if told["seconds"] else "unknown: no night yet tells the model's speed",
    }
    table(["", "what the night would do (95% interval)"], [[name, value] for name, value in facts.items()])


def evaluation(rows: list[dict[str, Any]]) -> None:
    """Figures of one evaluation: a table a split, differences of methods, ours by segment, and what has no cutoff."""
    for split in dict.fromkeys(row["split"] for row in rows):
        _split(split, [row for row in rows if row["split"] == split])


def _split(split: str, rows: list[dict[str, Any]]) -> None:
    every = {(row["method"], row["metric"]): row for row in rows if row["segment"] == "all" and row["against"] is None}
    methods = list(dict.fromkeys(method for method, metric in every if metric == METRICS[0]))
    cells = [[each, *[_figure(every.get((each, metric))) for metric in METRICS]] for each in methods]
    users = next((row["n_users"] for row in every.values() if row["metric"] == METRICS[0]), 0)
    if cells:
        table(["method", *METRICS], cells, f"{split}, {users} users (95% intervals)")
    for row in rows:
        about = f"{row['metric']} {_figure(row, '+' if row['against'] else '')}"
        if row["segment"] == "all" and row["against"] and row["metric"] == METRICS[0]:
            line(f"{row['method']} - {row['against']}: {about}")
        elif row["method"] == "ours" and row["segment"] != "all" and not row["against"] and row["metric"] == METRICS[0]:
            line(f"ours, {row['segment']}: {about}, {row['n_users']} users")
        elif row["metric"] == "new_items@10" and not row["against"]:
            line(f"{row['method']}: share of new items in lists of ten {_figure(row)}")
        elif "@" not in row["metric"]:
            less = f" - {row['against']}" if row["against"] else ""
            line(f"{row['method']}{less}: {about}, n = {row['n_users']}")


def _figure(row: dict[str, Any] | None, sign: str = "") -> str:
    if row is None:
        return "-"
    if row["low"] is None:
        return f"{row['value']:{sign}.3f}"
    return f"{row['value']:{sign}.3f} ({row['low']:{sign}.3f} to {row['high']:{sign}.3f})"


def _predicted(row: dict[str, Any]) -> str | None:
    """The prediction beside what it came to."""
    told = dict(row.get("predicted") or ())
    if not told or row["calls_new"] is None:
        return None
    calls = f"{told['calls']:.0f} calls"
    if "seconds" not in told:
        return f"{calls}; time unknown before a first night"
    return f"{calls}; generate {told['seconds']:.0f} s ({told['seconds_low']:.0f} to {told['seconds_high']:.0f})"


def _calls(row: dict[str, Any]) -> str | None:
    if row["calls_new"] is None:
        return None
    refused = f", {row['calls_refused']} beyond the budget" if row.get("calls_refused") else ""
    return f"{row['calls_new']} new, {row['calls_cached']} from memory, {row['calls_failed']} without a usable answer{refused}"


def _tokens(row: dict[str, Any]) -> str | None:
    if row["prompt_tokens"] is None:
        return None
    share = row["cached_tokens"] / row["prompt_tokens"] if row["prompt_tokens"] else 0
    return f"{row['prompt_tokens']} read ({share:.0%} from the prefix cache), {row['output_tokens']} written"


def relation(result: duckdb.DuckDBPyRelation, form: str) -> None:
    """A query's rows: a table for people (its first rows), JSON lines or CSV for programs (all of them)."""
    result = result.project("*")  # gives every column a name of its own
    if form == "table":
        rows = list(_rows(result.limit(MOST_ROWS + 1)))
        table(result.columns, [list(row) for row in rows[:MOST_ROWS]])
        if len(rows) > MOST_ROWS:
            line(f"only the first {MOST_ROWS} rows; --format json or csv prints all")
        return
    writer = csv.writer(sys.stdout)
    if form == "csv":
        writer.writerow(result.columns)
    for row in _rows(result):
        if form == "csv":
            writer.writerow(map(_cell, row))
        else:
            print(_json(dict(zip(result.columns, row, strict=True))))


def _rows(result: duckdb.DuckDBPyRelation) -> Iterator[tuple[Any, ...]]:
    """Rows as Python values, by Arrow: DuckDB's own way to times needs pytz."""
    for batch in result.to_arrow_reader(10_000):
        yield from zip(*[column.to_pylist(maps_as_pydicts="strict") for column in batch.columns], strict=True)


def _cell(value: Any) -> Any:
    return _json(value) if isinstance(value, (list, dict)) else value


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def user(page: UserPage) -> None:
    """One user, for a person to read."""
    summary = page.summary
    cold = ", cold" if summary["cold"] else ""
    head = f"user {summary['user_id']}: {summary['n_events']} events{cold} (release {page.release_id})"
    console.print()
    console.print(plain(head), style="bold")
    line(f"{summary['summary']}  [{summary['source']}]")
    for name in ("interests", "dislikes"):
        for each in summary[name]:
            line(f"  {name[:-1]:9} {each['label']} ({each['weight']:.2f}): {_cited(each['evidence'], page.events)}")
    line(f"  list, ordered by {_sources(page)}:")
    for row in page.ranked:
        model = f", model {row['llm_score']:+.1f}" if row["llm_score"] is not None else ""
        console.print(plain(f"  {row['rank']:>3}. {row['title']}"), style="bold", end="")
        line(f"  (score {row['score']:.3g}{model})")
        line(f"       {row['explanation']}  [{row['explained_by']}]")
        if row["contributions"]:
            line(f"       from {_carried(row['contributions'], page.events)}")


def _sources(page: UserPage) -> str:
    return " and ".join(sorted({row["source"] for row in page.ranked})) or "nothing"


def _cited(evidence: list[str], events: dict[str, dict[str, Any]]) -> str:
    """Titles and days of the first three events."""
    known = [events[name] for name in evidence if name in events]
    more = f" and {len(evidence) - 3} more" if len(evidence) > 3 else ""
    return "; ".join(f"{event['title']} ({event['time']:%Y-%m-%d})" for event in known[:3]) + more


def _carried(contributions: list[dict[str, Any]], events: dict[str, dict[str, Any]]) -> str:
    """Titles and days of the first three events behind a retrieval score, and how much of it each is."""
    told = []
    for part in contributions[:3]:
        event = events.get(part["event_id"])
        named = f"{event['title']} ({event['time']:%Y-%m-%d})" if event else "what is popular lately"
        told.append(f"{named} {part['amount']:.3g}")
    return "; ".join(told) + (f" and {len(contributions) - 3} more" if len(contributions) > 3 else "")


def item(page: ItemPage) -> None:
    console.print(plain(f"item {page.item_id}: {page.title} (release {page.release_id})"), style="bold")
    line(f"in {page.in_lists} lists; cited as evidence {page.cited} times")
    if page.lists:
        names = ["user_id", "rank", "source", "explanation"]
        table(names, [[row[name] for name in names] for row in page.lists], "its best places")


def releases(public: list[Release], seen: Release | None, retired: Container[str] = ()) -> None:
    rows = [["*" if each == seen else "", each.release_id, each.run_date, _how(each, retired)] for each in public]
    table(["", "release", "night", "how"], rows, whole="release")
    line("* is what readers see")


def _how(release: Release, retired: Container[str]) -> str:
    """How a release came to be, why, and whether it is kept."""
    why = f": {release.reason}" if release.reason else ""
    return f"{release.status}{why}" + (", retired" if release.release_id in retired else "")


def maintenance(report: Report) -> None:
    """What an upkeep did, or would do, and what each table takes."""
    sizes = report.sizes | {"all": report.total}
    rows = [[name, *_size(each), report.removed.get(name), report.compacted.get(name)] for name, each in sizes.items()]
    heads = ["table", "live", "kept", "left", "log"]
    title = "files, and their MiB: live, of kept versions alone, of neither; log: MiB"
    table([*heads, "would go" if report.dry_run else "gone", "compacted"], rows, title, whole="table")
    line(f"the tables take {_mib(report.total.bytes)} MiB, before it was {_mib(report.before_bytes)}")
    would = "would " if report.dry_run else ""
    line(f"{len(report.kept)} releases stay; {would}retire: {', '.join(report.retired) or 'none'}")
    line(f"{would}delete rows of nights: {', '.join(report.nights) or 'none'}")
    line(f"{would}remove {len(report.paths)} folders and files beside the tables, {_mib(report.paths_bytes)} MiB")
    for path in report.paths:
        line(f"  {path}")
    if report.work:
        line(f"ledgers wait: {', '.join(report.work)} at work")


def _size(size: Size) -> list[str]:
    live, kept = f"{size.live_files}, {_mib(size.live_bytes)}", f"{size.kept_files}, {_mib(size.kept_bytes)}"
    return [live, kept, f"{size.left_files}, {_mib(size.left_bytes)}", _mib(size.log_bytes)]


def _mib(n: int) -> str:
    return f"{n / 2**20:,.2f}"
