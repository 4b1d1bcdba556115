"""The page of a night: one HTML file that needs nothing from outside and obeys nothing that stands in the data.

Every text is escaped and stripped of what steers a reader's screen (`inert`), texts of users and items are isolated from the
writing direction of what is around them, and the page's policy (Content-Security-Policy) forbids all but its own style sheet
and script, named by their hashes. Made for published, blocked and failed runs alike.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from jobs.errors import StorageError
from jobs.home import home
from jobs.profile import Profile
from jobs.progress import Progress
from jobs.report import pictures
from jobs.report.evaluated import METRICS, scale, splits, words
from jobs.report.figures import Figures, Row, gather
from jobs.report.people import Person

HERE = Path(__file__).parent
NAME = "night.html"
USERS = 30
ID_SHOWN = 80  # characters of an id
MOST_BYTES = 2_000_000  # of a page: users are left out of the sample until it fits
MOST_CHARACTERS = 1_000  # of any text in it
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'"
STEERING = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}  # categories of characters that a reader does not see
JOINERS = "\n\u200c\u200d"  # without which Persian and emoji fall apart


def write_report(profile: Profile, run_id: str | None = None, into: Path | None = None) -> Path:
    """Write the page of a run, by default of the last, into a file, by default beside its Data Docs; returns the file.

    Raises:
        NotFound: there is no such run.
        StorageError: the file cannot be written.
    """
    figures = gather(profile, run_id, USERS)
    page = into or place(profile, figures.run["run_id"])
    content = fitting(figures, data_docs(place(profile, figures.run["run_id"]).parent, page.parent), profile.name)
    part = page.with_name(f"{page.name}.part")
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(page)
    except OSError as error:
        raise StorageError(f"{page}: {error.strerror}; --out FILE names another place") from error
    return page


def place(profile: Profile, run_id: str) -> Path:
    """Where a run's page is, if it has been made."""
    return home() / "docs" / profile.name / run_id / NAME


def night_page(profile: Profile, run_id: str, progress: Progress) -> str | None:
    """Write the page of a night that has just ended. A page that cannot be made is told, and takes no night down."""
    try:
        page = str(write_report(profile, run_id))
    except Exception as error:
        progress(f"no page of the night: {type(error).__name__}: {error}; infra/nocturne report --run {run_id} makes it")
        return None
    progress(f"page of the night: {page}")
    return page


def fitting(figures: Figures, docs: dict[str, str], profile: str) -> bytes:
    """The page with as many users of the sample as `MOST_BYTES` allow."""
    drawn = figures.people.drawn
    while True:
        page = render(replace(figures, people=replace(figures.people, drawn=drawn)), docs, profile).encode()
        if len(page) <= MOST_BYTES or not drawn:
            return page
        drawn = drawn[: len(drawn) // 2]


def data_docs(folder: Path, seen_from: Path) -> dict[str, str]:
    """Great Expectations' page of each table, relative to ours; none where ours lies elsewhere."""
    if folder.resolve() != seen_from.resolve():
        return {}
    tables = sorted(each for each in (folder / "validations").glob("*") if each.is_dir())
    pages = {each.name: next(iter(sorted(each.rglob("*.html"))), None) for each in tables}
    return {name: page.relative_to(folder).as_posix() for name, page in pages.items() if page}


def render(figures: Figures, docs: dict[str, str], profile: str) -> str:
    style, script = _asset("page.css"), _asset("page.js")
    policy = f"{POLICY}; style-src {_digest(style)}; script-src {_digest(script)}"
    return _template().render(
        figures=figures,
        run=figures.run,
        verdict=verdict(figures),
        status=how(figures),
        tables=by_table(figures.verdicts),
        splits=splits(figures.lists),
        words=words(figures.words),
        docs=docs,
        profile=profile,
        policy=Markup(policy),
        style=Markup(style),
        script=Markup(script),
    )


def inert(value: Any) -> Any:
    """Any value as text that is shown and not obeyed: Jinja escapes it, this takes what steers and what never ends."""
    if value is None or isinstance(value, Markup):
        return value if value is not None else ""
    text = str(value)
    text = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
    return "".join("\ufffd" if unicodedata.category(c) in STEERING and c not in JOINERS else c for c in text)


def spelled_here(text: str) -> set[str]:
    """How the page spells a text of the data: whole, and an id cut."""
    return {str(escape(inert(each))) for each in (text, short(text, ID_SHOWN))}


def without(page: str, users: Iterable[str]) -> str:
    """A page without what it tells of some users: who is in the sample, and among the dearest."""
    names = "|".join(re.escape(each) for user in users for each in spelled_here(user))
    person = rf'<details id="u\d+"[^>]*>\s*<summary><bdi>(?:{names})</bdi>.*?</details>\s*'
    row = rf'<tr><th scope="row"><bdi>(?:{names})</bdi></th>.*?</tr>\s*'
    return re.sub(f"{person}|{row}", "", page, flags=re.DOTALL)


# --- what is said of the figures ----------


def verdict(figures: Figures) -> str:
    """The night in a sentence."""
    run, failed = figures.run, figures.failed
    blocking = sum(each["severity"] == "block" for each in failed)
    seen = f"readers see {figures.seen.root} still" if figures.seen else "nothing is public yet"
    rules = f"all {len(figures.verdicts)} rules hold" if not failed else f"{_n(len(failed), 'rule')} failed, none that blocks"
    match how(figures):
        case "accepted" if figures.shown:
            return f"{_n(blocking, 'blocking rule')} failed; it was let pass all the same: {figures.shown.reason}."
        case "published":
            return f"{_n(run['users'] or 0, 'user')} are public, {run['users_changed'] or 0:,} of them changed; {rules}."
        case "unchanged":
            return f"Nothing differs from {run['release_id']}, which readers see as before; {rules}."
        case "blocked":
            return f"Nothing was published, since {_n(blocking, 'blocking rule')} failed: {seen}."
        case "failed":
            return f"It ended before its tables were judged: {seen}."
        case _:
            return f"It is at work, or was stopped without a word: {seen}."


def how(figures: Figures) -> str:
    """The run's status, or that somebody let a blocked night pass."""
    return "accepted" if figures.shown and figures.shown.status == "accepted" else str(figures.run["status"])


def by_table(verdicts: list[Row]) -> list[tuple[str, list[Row], int]]:
    """Table, its rules, how many of them failed: tables with failures first, in each what failed first."""
    tables = [(name, list(rules)) for name, rules in groupby(sorted(verdicts, key=itemgetter("table")), itemgetter("table"))]
    counted = [(name, rules, sum(not each["passed"] for each in rules)) for name, rules in tables]
    return sorted(counted, key=lambda each: (-each[2], each[0]))


def anchors(person: Person, number: int) -> dict[str, tuple[str, Row]]:
    """Event id -> where the event stands in the page, and its row."""
    return {event["event_id"]: (f"u{number}e{at}", event) for at, event in enumerate(person.events, 1)}


# --- how values look ----------


def _n(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}%}"


def figure(row: Row | None, sign: str = "") -> str:
    """A value with its interval."""
    if row is None:
        return "–"
    if row["low"] is None:
        return f"{row['value']:{sign}.3f}"
    return f"{row['value']:{sign}.3f} ({row['low']:{sign}.3f} to {row['high']:{sign}.3f})"


def seconds(value: float | None) -> str:
    """`1 h 02 min`, `2 min 31 s`, `48 s`."""
    if value is None:
        return "–"
    minutes, rest = divmod(round(value), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def day(value: date | datetime | None) -> str:
    return f"{value:%Y-%m-%d}" if value else "–"


def moment(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if value else "–"


def spelled(name: str | None) -> str:
    """`user_summaries` as people write it."""
    return (name or "–").replace("_", " ")


def significant(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def short(value: Any, n: int) -> str:
    """At most `n` characters of it."""
    text = "–" if value is None else str(value)
    return text if len(text) <= n else f"{text[:n]}…"


@cache
def _template() -> Any:
    jinja = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, finalize=inert)
    jinja.trim_blocks = jinja.lstrip_blocks = True
    shown = (number, percent, figure, seconds, day, moment, spelled, significant, short)
    jinja.filters |= {each.__name__: each for each in shown}
    jinja.globals |= {"pictures": pictures, "anchors": anchors, "scale": scale, "METRICS": METRICS, "ID_SHOWN": ID_SHOWN}
    return jinja.get_template("page.html")


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """What a policy calls it by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
