"""Finished users on disk: chunk by chunk, each one Parquet file that is there whole or not at all."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from jobs.contracts import contract
from jobs.profile import Night
from jobs.storage import filesystem

SCHEMA = contract("results").arrow()


class Chunks:
    """Commits rows of `results` into `folder` after so many users or seconds as the night says."""

    def __init__(self, folder: str, night: Night) -> None:
        self.committed = 0
        self._files, self._folder = filesystem(folder)
        self._night = night
        self._rows: list[dict[str, Any]] = []
        self._since = time.monotonic()
        self._files.create_dir(self._folder, recursive=True)

    def done(self) -> set[tuple[str, str]]:
        """user_id and context_hash of every user committed so far; bounded by one shard's ids."""
        selector = fs.FileSelector(self._folder)
        paths = [entry.path for entry in self._files.get_file_info(selector) if entry.base_name.startswith("chunk-")]
        found: set[tuple[str, str]] = set()
        for path in paths:
            table = pq.read_table(path, columns=["user_id", "context_hash"], filesystem=self._files)
            found |= set(zip(table["user_id"].to_pylist(), table["context_hash"].to_pylist(), strict=True))
        return found

    def add(self, row: dict[str, Any]) -> None:
        """Take one finished user; commit when a chunk is full or old."""
        self._rows.append(row)
        old = time.monotonic() - self._since >= self._night.chunk_seconds
        if old or len(self._rows) >= self._night.chunk_users:
            self.commit()

    def commit(self) -> None:
        """Write what is not yet written: under another name first, then renamed."""
        if self._rows:
            name = f"chunk-{uuid.uuid4().hex}.parquet"
            part = f"{self._folder}/.{name}.part"
            pq.write_table(pa.Table.from_pylist(self._rows, schema=SCHEMA), part, filesystem=self._files)
            self._files.move(part, f"{self._folder}/{name}")
            self.committed += len(self._rows)
        self._rows = []
        self._since = time.monotonic()
