"""Profiles and small inputs, written into a folder of a test."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jobs.profile import Profile, load_profile

EVENTS = {"format": "csv", "user": "user", "item": "item", "time": "time", "time_unit": "iso"}
ITEMS = {"format": "csv", "item": "item", "title": "title"}


def write_profile(folder: Path, events: dict | None = None, items: dict | None = None, **tables: dict) -> Path:
    """A profile of the fake engine over `events.FORMAT` and `items.FORMAT` in `folder`; None takes a key away."""
    events, items = EVENTS | (events or {}), ITEMS | (items or {})
    content = {
        "events": {"path": str(folder / f"events.{events['format']}")} | events,
        "items": {"path": str(folder / f"items.{items['format']}")} | items,
        "model": {"name": "none", "engine": "fake"},
        "storage": {"warehouse": str(folder / "warehouse")},
    }
    file = folder / "profile.toml"
    file.write_text(toml(content | tables), encoding="utf-8")
    return file


def profile(folder: Path, events: dict | None = None, items: dict | None = None, **tables: dict) -> Profile:
    """The same, read."""
    return load_profile(write_profile(folder, events, items, **tables))


def toml(tables: dict[str, dict[str, Any]]) -> str:
    """Tables of tables as TOML; JSON's spelling of a value is TOML's too."""
    lines = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{json.dumps(key)} = {inline(value)}" for key, value in table.items() if value is not None]
    return "\n".join(lines) + "\n"


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {inline(each)}" for key, each in value.items()) + "}"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def write_lines(file: Path, lines: Iterable[str | bytes]) -> Path:
    """Lines as they are: text as UTF-8, bytes as bytes."""
    file.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    return file


def write_jsonl(file: Path, rows: Iterable[dict[str, Any]]) -> Path:
    return write_lines(file, (json.dumps(row, ensure_ascii=False) for row in rows))
