"""Look for texts in all bytes of folders, by other means than the product's: plain substrings, in files as they are and
unpacked by DuckDB, gzip and SQLite's own dump."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path

import duckdb


def traces(folders: list[Path], texts: list[str]) -> list[str]:
    """`file: text` of every file that holds one of the texts, or whose name does."""
    return [
        f"{file}: {text!r}"
        for folder in folders
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        for text in texts
        if any(holds(content, text) for content in (str(file).encode(), *contents(file)))
    ]


def holds(content: bytes, text: str) -> bool:
    escaped = text.encode("unicode_escape")
    return any(each in content for each in (text.encode(), escaped, text.replace("\\", "\\\\").replace('"', '\\"').encode()))


def contents(file: Path) -> list[bytes]:
    """A file's bytes, and what is packed in them."""
    content = file.read_bytes()
    if content.startswith(b"PAR1"):
        db = duckdb.connect()
        text = db.execute("select string_agg(cast(r as varchar), chr(10)) from read_parquet(?) r", [str(file)]).fetchone()
        meta = db.execute("select string_agg(cast(m as varchar), chr(10)) from parquet_metadata(?) m", [str(file)]).fetchone()
        return [content, *[(each[0] or "").encode() for each in (text, meta) if each]]
    if content.startswith(b"SQLite format 3"):
        return [content, "\n".join(sqlite3.connect(file).iterdump()).encode()]
    return [content, gzip.decompress(content)] if content.startswith(b"\x1f\x8b") else [content]
