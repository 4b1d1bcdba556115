"""query, show, releases and status over a warehouse made by hand; no JVM."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from jobs.cli import print as out
from jobs.contracts import LEDGERS, PUBLISHED
from jobs.generate.review import verdicts
from jobs.profile import Words
from jobs.runs import put_run
from jobs.storage import put_rows
from tests.publish.nights import NEXT, NIGHT, STARTED, made, release
from tests.report.nights import nights

HOSTILE = "\x1b[31m[red]Ünsafe[/red]\u202e\u009b2J\nnewline\r\x00 [/nonsense]"
LATER = STARTED + timedelta(hours=1)


def test_before_the_first_release_every_table_is_empty(nocturne) -> None:
    for name in (*PUBLISHED, *LEDGERS):
        assert nocturne("query", "--format", "json", f"from {name}") == (0, "", "")
    assert "nothing is released yet" in nocturne("releases")[1]
    assert "no run yet" in nocturne("status")[1]
    code, _, error = nocturne("show", "user", "a")
    assert (code, error.startswith("nocturne: nothing is released yet in ")) == (3, True)


def test_query_reads_the_night_of_a_release(profile, nocturne) -> None:
    release(profile, [made("a", "Old words, of the first night.")], NIGHT, "run-1")
    release(profile, [made("a", "Words of the second night.")], NEXT, "run-2", LATER)
    release(profile, [made("a", "New words for the first night.")], NIGHT, "run-3", LATER)
    sql = "select run_date, summary from user_summaries"
    expected = {
        None: (NEXT, "Words of the second night."),
        "r-run-1": (NIGHT, "Old words, of the first night."),
        "r-run-2": (NEXT, "Words of the second night."),
        "r-run-3": (NIGHT, "New words for the first night."),
    }
    for name, (night, words) in expected.items():
        code, out, _ = nocturne("query", sql, "--format", "json", *(["--release", name] if name else []))
        assert (code, json.loads(out)) == (0, {"run_date": str(night), "summary": words})
    code, out, _ = nocturne("releases")
    assert code == 0
    assert [out.index(name) for name in ("r-run-2", "r-run-3", "r-run-1")] == sorted(out.index(f"r-run-{k}") for k in (1, 2, 3))


def test_formats_for_programs_read_back(profile, nocturne) -> None:
    rows = [made("a", HOSTILE), made('b,"')]
    public = release(profile, rows)
    _, out, _ = nocturne("query", "--format", "json", "from user_summaries order by user_id")
    found = [json.loads(line) for line in out.split("\n")[:-1]]
    assert [row["summary"] for row in found] == [row["summary"]["summary"] for row in rows]
    assert found[0]["interests"] == rows[0]["summary"]["interests"]
    _, out, _ = nocturne("query", "--format", "json", "select tables, published_at from releases")
    row = json.loads(out)
    assert row["tables"] == public.tables
    assert datetime.fromisoformat(row["published_at"]) == STARTED
    _, out, _ = nocturne("query", "--format", "csv", "select user_id, summary, evidence: [1, 2] from user_summaries order by 1")
    header, *found = csv.reader(io.StringIO(out, newline=""))
    assert header == ["user_id", "summary", "evidence"]
    assert found == [[row["user_id"], row["summary"]["summary"], "[1, 2]"] for row in rows]
    _, out, _ = nocturne("query", "--format", "csv", "select time, value, type from evidence limit 1")
    _, (time, value, kind) = csv.reader(io.StringIO(out, newline=""))
    assert datetime.fromisoformat(time).astimezone(UTC) == rows[0]["evidence"][0]["time"]
    assert (float(value), kind) == (4.5, "")


def inert(text: str) -> bool:
    """Nothing in it moves a cursor, sets a colour or turns the direction of writing."""
    return all(each.isprintable() or each == "\n" for each in text)


PAGES = {
    "a table": ("query", "select user_id, summary from user_summaries"),
    "a user": ("show", "user", HOSTILE),
    "an item": ("show", "item", "i1"),
    "an event": ("show", "item", "i9"),
    "an unknown user": ("show", "user", "nobody"),
}


@pytest.mark.parametrize("page", PAGES)
def test_text_of_users_and_items_is_shown_and_not_obeyed(profile, nocturne, page: str) -> None:
    row = made(HOSTILE, HOSTILE)
    for each in (*row["rankings"], *row["evidence"]):
        each["title"] = HOSTILE
    release(profile, [row])
    code, out, error = nocturne(*PAGES[page])
    assert code == (3 if page == "an unknown user" else 0)
    assert inert(out + error)
    assert "[red]Ünsafe[/red]" in out + error


ERRORS = {
    "not SQL": (("query", "selec 1"), "query: Parser Error"),
    "no such table": (("query", "from nothing"), "Table with name nothing does not exist"),
    "an error while rows are read": (("query", "select user_id::int from user_summaries"), "Could not convert string 'a'"),
    "the same as json": (
        ("query", "--format", "json", "select user_id::int from user_summaries"),
        "Could not convert string 'a'",
    ),
    "a variable of ours": (("query", "from release"), "Table with name release does not exist"),
    "no such release": (("query", "--release", "r-9", "from runs"), "no release 'r-9' in "),
    "no such user": (("show", "user", "z"), "no user 'z' in release r-run-1; there are for example a"),
    "no such item": (("show", "item", "z"), "release r-run-1 has item 'z' neither in a list nor as evidence"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_be_answered_ends_with_one_message_and_3(profile, nocturne, case: str) -> None:
    release(profile, [made("a")])
    arguments, message = ERRORS[case]
    code, out, error = nocturne(*arguments)
    assert (code, out) == (3, "")
    assert error.startswith("nocturne: ")
    assert message in error
    assert "Traceback" not in error


def test_reading_writes_nothing(profile, nocturne) -> None:
    release(profile, [made("a")])

    def files() -> dict[str, int]:
        return {str(file): file.stat().st_mtime_ns for file in Path(profile.warehouse).rglob("*")}

    before = files()
    for arguments in (["query", "from rankings"], ["query", "create table x as from rankings"], ["show", "user", "a"],
                      ["show", "item", "i1"], ["releases"], ["status"]):  # fmt: skip
        assert nocturne(*arguments)[0] == 0
    assert files() == before


def test_a_page_of_a_user_has_words_list_and_evidence(profile, nocturne) -> None:
    release(profile, [made("a")])
    _, out, _ = nocturne("show", "user", "a")
    for text in (
        "Likes quiet films of every age.",
        "quiet (0.50)",
        "1. Film i1",
        "“Film i2” because of “A Night at Sea”.",
        "A Night at Sea (2024-04-01)",
    ):
        assert text in out


STATUS = {
    "running": ({}, "to go on, run 2024-05-01 again"),
    "failed": ({"message": "InputError: no [red] file"}, "InputError: no [red] file"),
    "published": ({"release_id": "r-run-1", "ended_at": LATER, "stage_seconds": [("prepare", 3.0)]}, "3600 s: prepare 3"),
}


@pytest.mark.parametrize("status", STATUS)
def test_status_is_that_of_the_last_run(profile, nocturne, status: str) -> None:
    columns, text = STATUS[status]
    release(profile, [made("a")])
    put_run(profile, "run-0", NIGHT, STARTED - timedelta(days=1), "published")
    put_run(profile, "run-1", NIGHT, STARTED, status, **columns)
    code, out, _ = nocturne("status")
    assert code == 0
    assert text in out
    assert "run-1, night of 2024-05-01" in out
    assert ("to go on, run 2024-05-01 again" in out) == (status != "published")


def test_status_tells_what_the_words_are_worth(profile, nocturne) -> None:
    put_run(profile, "run-1", NIGHT, STARTED, "blocked")
    figures = [
        ("all", "grounding", "all", None, 0.5),
        ("all", "sentences", "all", None, 620.0),
        ("all", "template_share", "all", None, 0.031),
        ("summaries", "distinctness", "all", None, 0.81),
        ("explanations", "faithfulness", "cited", "random", 0.42),
    ]
    names = ("segment", "metric", "method", "against", "value")
    about = {"run_id": "run-1", "run_date": NIGHT, "split": "words", "n_users": 2}
    rows = [about | dict(zip(names, each, strict=True)) for each in figures]
    spread = [row | {"low": row["value"] - 0.02, "high": row["value"] + 0.02} for row in rows]
    put_rows(profile, "evaluations", spread)
    said = "50.00% of 1,240 sentences grounded, 3.1% templates, distinctness 0.81, faithfulness +0.420 (+0.400 to +0.440)"
    assert said in nocturne("status")[1]


LINES = [
    "nocturne | generate | 5 s | 1/4 users, 3 calls",
    "nocturne | generate | 9 s | 4/4 users, 12 calls",
    "nocturne | publish | 3 s | Spark is up",
]


@pytest.mark.parametrize("terminal", [True, False])
def test_on_a_terminal_counts_are_one_line(terminal: bool, monkeypatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(out, "console", Console(file=screen, force_terminal=terminal, width=100, color_system=None))
    with out.following() as show:
        for line in LINES:
            show(line)
    shown = screen.getvalue()
    assert ("\x1b" in shown) == terminal
    left = [line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", shown).splitlines() if line.strip()]
    assert [line.strip() for line in left if "12 calls" in line or "Spark" in line]
    if not terminal:
        assert len(left) == 3


def test_phrasings_come_as_the_file_that_is_read_again(profile, nocturne, tmp_path) -> None:
    code, _, error = nocturne("phrasings")
    assert (code, error.startswith("nocturne: no phrasings in ")) == (3, True)
    about = {"run_date": NIGHT, "pattern": "explanation AX", "generation_id": "g1"}
    good = {"text": "Since {A} is in your history, try {X}.", "use": True, "checks": []}
    bad = {"text": "Given {A}, {X} is worth a try.", "use": False, "checks": ["fluency: -2 nats"]}
    for number in (1, 2):
        put_run(profile, f"run-{number}", NIGHT, STARTED + timedelta(hours=number), "published")
        rows = [about | each | {"run_id": f"run-{number}"} for each in (bad, good)[:number]]
        put_rows(profile, "phrasings", rows, key="run_id")
    code, printed, _ = nocturne("phrasings")
    assert (code, printed.startswith("# Of run-2.")) == (0, True)
    file = tmp_path / "phrasings.yaml"
    file.write_text(printed)
    found = [(each.text, each.use, each.why) for each in verdicts(Words(phrasings=str(file)))]
    assert found == [(good["text"], True, ""), (bad["text"], False, "fluency: -2 nats")]


def test_an_evaluation_says_what_summaries_are_worth(monkeypatch) -> None:
    about = {"split": "model", "segment": "all", "method": "summary", "n_users": 60}
    rows = [
        about | {"metric": "nats", "against": None, "value": -14.5, "low": -16.0, "high": -13.0},
        about | {"metric": "nats", "against": "stranger", "value": -0.25, "low": -0.5, "high": 0.125},
        about | {"metric": "beats_stranger", "against": None, "value": 0.5, "low": 0.375, "high": 0.625},
    ]
    screen = io.StringIO()
    monkeypatch.setattr(out, "console", Console(file=screen, width=100))
    out.evaluation(rows)
    assert screen.getvalue().splitlines() == [
        "summary: nats -14.500 (-16.000 to -13.000), n = 60",
        "summary - stranger: nats -0.250 (-0.500 to +0.125), n = 60",
        "summary: beats_stranger 0.500 (0.375 to 0.625), n = 60",
    ]


def test_the_page_of_a_night_is_written_and_its_place_told(profile, nocturne, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    assert nocturne("report")[0] == 3 and "no run yet" in nocturne("report")[2]
    nights(profile)
    page = tmp_path / "home" / "docs" / "profile" / "run-2" / "night.html"
    assert "page of the night" not in nocturne("status")[1]
    assert nocturne("report") == (0, f"page of the night: {page}\n", "")
    assert f"page of the night: {page}\n" in nocturne("status")[1]
    other = tmp_path / "elsewhere" / "first.html"
    assert nocturne("report", "--run", "run-1", "--out", str(other)) == (0, f"page of the night: {other}\n", "")
    assert ("r-run-2" in page.read_text(), "r-run-2" in other.read_text()) == (True, False)
    code, _, error = nocturne("report", "--run", "run-9")
    assert (code, "no run 'run-9'" in error, "the newest are run-2, run-1" in error) == (3, True, True)
