"""A log nothing like MovieLens: a tool shop's JSON lines, ids of every spelling, ISO times of many zones, no tags or ratings.

`write_shop(folder)` writes events.jsonl, items.jsonl and shop.toml; a few records are bad on purpose (`REJECTED`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random

from tests.data.inputs import toml, write_lines

RUN_DATE = "2024-03-10"
LATER = 3  # valid events on or after RUN_DATE
REJECTED = {
    ("events", "malformed"): 2,
    ("events", "invalid_text"): 1,
    ("events", "missing_id"): 1,
    ("events", "bad_time"): 1,
    ("events", "unknown_item"): 1,
    ("events", "duplicate"): 1,
    ("items", "missing_title"): 1,
    ("items", "duplicate"): 1,
}

CUSTOMERS = [
    "Ann Lee",
    "o'brien",
    'Dwayne "The Rock"',
    "a/b/c",
    "../../etc",
    "100%25 sure",
    "%20",
    "007",
    "7",
    "7.0",
    "Zo\u00eb",
    "Zoe\u0308",  # the same to the eye
    "李雷",
    "🦊🦊",
    "a,b;c|d",
    "back\\slash",
    "${HOME}",
    "{{ user }}",
    "<b>bold</b>",
    "user_id=1",
    "NULL",
    "true",
    " padded ",
    "tab\there",
]
TOOLS = {
    "sku/001": "Claw hammer",
    "sku/002": 'Folding rule "Meister"',
    "sku 003": "Hand saw, 22″",
    "004": "Spirit level",
    "4": "Screwdriver, set of 6",
    "häm-5": "Wood chisel",
    "🪚": "Coping saw",
    "a=b&c=d": "Utility knife",
    "..": "Sandpaper, 120 grit",
    "%2e%2e": "Wood glue 250 ml",
    "x'y": "Clamp, 30 cm",
    "{{ item }}": "Tape measure",
    "\\n": "Masking tape",
    "ITEM": "Paint roller",
    "item": "Paint brush",
    "γ": "Cordless drill",
}
SHARED_TITLE = {"sku/001 (old)": "Claw hammer"}  # two items may bear one title
ZONES = [UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-5, minutes=-30))]


def write_shop(folder: Path) -> Path:
    """The shop's log and catalogue in `folder`; returns its profile."""
    tools = TOOLS | SHARED_TITLE
    items = [json.dumps({"sku": sku, "label": label, "stock": 3}) for sku, label in tools.items()]
    items += [
        json.dumps({"sku": "nameless", "label": " "}),
        json.dumps({"sku": "4", "label": "Screwdriver, set of 60", "stock": 0}),
    ]
    write_lines(folder / "items.jsonl", items)
    write_lines(folder / "events.jsonl", [*_events(list(tools)), *_later(), *_bad()])
    profile = folder / "shop.toml"
    profile.write_text(toml(profile_of(folder)), encoding="utf-8")
    return profile


def profile_of(folder: Path) -> dict[str, dict]:
    log = {"path": str(folder / "events.jsonl"), "format": "json", "user": "customer", "item": "sku", "time": "at"}
    likes = {"time_unit": "iso", "type": "did", "id": "ref", "positive": "type = 'buy'", "negative": "type = 'return'"}
    return {
        "events": log | likes,
        "items": {"path": str(folder / "items.jsonl"), "format": "json", "item": "sku", "title": "label", "noun": "tool"},
        "model": {"name": "none", "engine": "fake"},
        "night": {"list_length": 5, "candidates": 8, "history_length": 6, "explanations": 2, "scored": 4, "model_weight": 0.5},
        "storage": {"warehouse": str(folder / "warehouse")},
    }


def line(ref: str, customer: str, sku: str, did: str, at: str) -> str:
    return json.dumps({"ref": ref, "customer": customer, "sku": sku, "did": did, "at": at, "agent": {"os": "x"}})


def _events(skus: list[str]) -> list[str]:
    """1 to 12 events a customer, drawn the same way every time."""
    draw, start = Random(5), datetime(2024, 1, 1, 8, tzinfo=UTC)
    lines = []
    for number, customer in enumerate(CUSTOMERS):
        for place in range(1 + (number * 5) % 12):
            at = (start + timedelta(seconds=draw.randrange(60 * 24 * 3600))).astimezone(ZONES[place % len(ZONES)])
            did = draw.choices(["view", "buy", "return"], [5, 4, 1])[0]
            lines.append(line(f"{number}#{place}", customer, draw.choice(skus), did, at.isoformat()))
    return lines


def _later() -> list[str]:
    times = [f"{RUN_DATE}T00:00:00Z", f"{RUN_DATE}T01:59:00+01:00", "2024-03-09T23:00:00-05:30"]
    return [line(f"later#{place}", "007", "4", "buy", time) for place, time in enumerate(times)]


def _bad() -> list[str]:
    at = "2024-02-01T10:00:00Z"
    return [
        '{"ref": "cut", "customer": "007", "sku',
        line("two", "007", "4", "buy", at) * 2,
        line("surrogate", "007\ud800", "4", "buy", at),
        line("nobody", "", "4", "buy", at),
        line("when", "007", "4", "buy", "yesterday"),
        line("what", "007", "sku/999", "buy", at),
        line("0#0", "007", "4", "buy", "2024-03-09T10:00:00Z"),
    ]
