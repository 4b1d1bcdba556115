"""How `diff` looks: figures by table, then some users, old beside new. Their texts are inert, as all of `jobs/cli/print.py`."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict
from itertools import zip_longest
from typing import Any

from jobs.cli.print import line, table
from jobs.diff import TOP, Change, Release, TableChange, UserChange

FIGURES = ("rows_a", "rows_b", "added", "removed", "changed", "same")


def change(found: Change, form: str) -> None:
    """For people, or for programs: one JSON object, or a CSV row a table."""
    if form == "json":
        print(json.dumps(asdict(found) | {"equal": found.equal}, default=str, ensure_ascii=False))
    elif form == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(["table", "of", *FIGURES])
        writer.writerows([each.table, each.of, *_figures(each)] for each in found.tables)
    else:
        _table(found)


def _table(found: Change) -> None:
    line(f"{_name(found.a)}  →  {_name(found.b)}")
    columns = ["table", "rows before", "rows after", "of", "added", "removed", "changed", "same"]
    rows = [[each.table, each.rows_a, each.rows_b, each.of, *_figures(each)[2:]] for each in found.tables]
    table(columns, rows, whole="table")
    if found.equal:
        line("nothing differs: readers see the same from both" + (" (one release)" if found.a == found.b else ""))
        return
    if found.overlap is not None:
        line(f"lists: overlap@{TOP} {found.overlap:.3f} on average, {found.same_lists:.1%} the same in the same order")
    if found.same_words is not None:
        line(f"summaries: {found.same_words:.1%} word for word the same")
    for user in found.users:
        _user(user, found)


def _name(release: Release) -> str:
    return f"{release.release_id} (night of {release.run_date})"


def _figures(each: TableChange) -> list[int]:
    return [getattr(each, name) for name in FIGURES]


def _user(user: UserChange, found: Change) -> None:
    rows = [row for name in user.before for row in SECTIONS.get(name, _plain)(name, user.before[name], user.after[name])]
    overlap = f", overlap@{TOP} {user.overlap:.2f}" if user.overlap is not None else ""
    line(f"user {user.user_id}{overlap}")
    table(["", str(found.a.run_date), str(found.b.run_date)], rows)


def _summary(name: str, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[list[Any]]:
    told = [f"{row['summary']}  [{row['source']}]" if row else None for row in (_first(before), _first(after))]
    return [["summary", *told]]


def _list(name: str, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[list[Any]]:
    """Places of the list; an item that is in one of them alone is marked."""
    ids = [{row["item_id"] for row in side[:TOP]} for side in (before, after)]
    rows = []
    for place, (old, new) in enumerate(zip_longest(before[:TOP], after[:TOP]), 1):
        left = f"{'- ' if old['item_id'] not in ids[1] else '  '}{old['title']}" if old else None
        right = f"{'+ ' if new['item_id'] not in ids[0] else '  '}{new['title']}" if new else None
        rows.append([place, left, right])
    return rows


def _why(name: str, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[list[Any]]:
    """Explanations of items in both lists whose words differ."""
    old = {row["item_id"]: row["explanation"] for row in before}
    return [
        [f"why {row['item_id']}", old[row["item_id"]], row["explanation"]]
        for row in after
        if old.get(row["item_id"], row["explanation"]) != row["explanation"]
    ]


def _plain(name: str, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[list[Any]]:
    """Rows that are in one of both alone, as JSON."""
    texts = [[json.dumps(row, default=str, ensure_ascii=False) for row in side] for side in (before, after)]
    gone = [[name, each, None] for each in texts[0] if each not in texts[1]]
    return gone + [[name, None, each] for each in texts[1] if each not in texts[0]]


def _first(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return rows[0] if rows else None


SECTIONS = {"user_summaries": _summary, "rankings": _list, "explanations": _why}
