"""Finished users on disk: chunk by chunk, each one Parquet file named by the sha256 of its bytes.

A chunk is there whole or not at all: it is written under another name and renamed. What is not what its name says was
torn or changed by others: it is put aside, and its users are done again (`jobs.generations` reads no such file either).
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from jobs.contracts import contract
from jobs.profile import Night
from jobs.storage import filesystem, storage

SCHEMA = contract("results").arrow()
FOLLOWED = ["user_id", "context_hash", "calls"]


@dataclass
class Done:
    """What earlier attempts committed: user_id and context_hash of users, and what their calls cost."""

    users: set[tuple[str, str]] = field(default_factory=set)
    calls: int = 0
    tokens: int = 0
    torn: int = 0


class Chunks:
    """Commits rows of `results` into `folder` after so many users or seconds as the night says.

    `allowed` is asked before each commit, and raises where it must not be.
    """

    def __init__(self, folder: str, night: Night, allowed: Callable[[], None] = lambda: None) -> None:
        self._files, self._folder = filesystem(folder)
        self._night, self._allowed = night, allowed
        self._rows: list[dict[str, Any]] = []
        self._since = time.monotonic()

    def done(self) -> Done:
        """What is committed so far; what is torn goes aside. Bounded by one shard's ids."""
        done = Done()
        with storage(self._folder):
            self._files.create_dir(self._folder, recursive=True)
            for entry in self._files.get_file_info(fs.FileSelector(self._folder)):
                if entry.type == fs.FileType.File and entry.base_name.endswith(".parquet"):
                    self._follow(entry.path, done)
        return done

    def _follow(self, path: str, done: Done) -> None:
        with self._files.open_input_file(path) as stream:
            content = stream.read()
        if path.rsplit("/", 1)[1] != name_of(content):
            done.torn += 1
            self._files.move(path, f"{path}.torn")
            return
        table = pq.read_table(pa.BufferReader(content), columns=FOLLOWED)
        done.users |= set(zip(table["user_id"].to_pylist(), table["context_hash"].to_pylist(), strict=True))
        for calls in table["calls"].to_pylist():
            done.calls += len(calls)
            done.tokens += sum(call["prompt_tokens"] + call["output_tokens"] for call in calls)

    def add(self, row: dict[str, Any]) -> None:
        """Take one finished user; commit when the chunk is full."""
        if not self._rows:
            self._since = time.monotonic()
        self._rows.append(row)
        if len(self._rows) >= self._night.chunk_users:
            self.commit()

    def commit_old(self) -> None:
        """Commit what has waited long enough."""
        if self._rows and time.monotonic() - self._since >= self._night.chunk_seconds:
            self.commit()

    def commit(self) -> None:
        """Write what is not yet written.

        Raises:
            StorageError: it cannot be; the rows stay uncommitted.
        """
        if not self._rows:
            return
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(self._rows, schema=SCHEMA), sink)
        content = sink.getvalue().to_pybytes()
        part = f"{self._folder}/.{uuid.uuid4().hex}.part"
        with storage(self._folder):
            self._allowed()
            with self._files.open_output_stream(part) as stream:
                stream.write(content)
            self._files.move(part, f"{self._folder}/{name_of(content)}")
        self._rows = []


def name_of(content: bytes) -> str:
    """A chunk's file name."""
    return f"chunk-{hashlib.sha256(content).hexdigest()}.parquet"
