"""What a worker has made, on disk: finished users, and every answer that was paid for, theirs or not yet anyone's.

A commit writes one Parquet file of calls (rows of `generations`) and one of users (rows of `results`, or of another contract
that it is told), in this order, so that no user's words stand without the calls they came from. A file is named by the
sha256 of its bytes, written under another name and renamed: it is there whole or not at all. What is not what its name says
was torn or changed by others; it is put aside and made again (`jobs.generations` reads no such file either).
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

from jobs.contracts import OF_THE_RUN, contract
from jobs.generate.calls import UNPAID
from jobs.generate.context import Generation
from jobs.generate.session import SHARED
from jobs.profile import Night
from jobs.storage import filesystem, storage

CALLS = contract("generations").arrow(without=OF_THE_RUN)


@dataclass
class Done:
    """What earlier attempts committed: user_id and context_hash of users, what their calls cost, and by id the answers that
    others still need or, `SHARED` of those that have served their own user, may. `torn` counts files that were put aside."""

    users: set[tuple[str, str]] = field(default_factory=set)
    paid: dict[str, Generation] = field(default_factory=dict)
    calls: int = 0
    tokens: int = 0
    torn: int = 0


class Chunks:
    """Commits to `folder` after so many users or seconds as the night says.

    `allowed` is asked before each commit, and raises where it must not be. `rows` is the contract of users' rows.
    """

    def __init__(self, folder: str, night: Night, allowed: Callable[[], None] = lambda: None, rows: str = "results") -> None:
        self._files, self._folder = filesystem(folder)
        self._night, self._allowed = night, allowed
        self._schemas = {"calls": CALLS, "users": contract(rows).arrow()}
        self._rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in self._schemas}
        self._since = time.monotonic()

    def done(self) -> Done:
        """What is committed so far; what is torn goes aside.

        Without a whole file of calls nobody knows whose they were: all users are made again, from the answers that are left.
        """
        done = Done()
        with storage(self._folder):
            self._files.create_dir(self._folder, recursive=True)
            paths = [entry.path for entry in self._files.get_file_info(fs.FileSelector(self._folder))]
            for path in paths:
                if path.endswith(".part"):  # of a write that failed
                    self._files.delete_file(path)
            users, calls = ([path for path in paths if is_chunk(kind, path)] for kind in ("users", "calls"))
            torn = [path for path in users + calls if not self._whole(path)]
            done.torn = len(torn)
            aside = {*torn, *(users if set(torn) & set(calls) else ())}
            for path in aside:
                self._files.move(path, f"{path}.torn")
            for path in sorted({*users} - aside):
                table = self._read(path, ["user_id", "context_hash"])
                done.users |= set(zip(table["user_id"].to_pylist(), table["context_hash"].to_pylist(), strict=True))
            served, others = {user for user, _ in done.users}, 0
            for path in sorted({*calls} - aside):
                for row in self._read(path).to_pylist():
                    done.calls += row["status"] != "too_long"  # which was never sent
                    done.tokens += row["prompt_tokens"] + row["output_tokens"]
                    other = row["subject_type"] == "user" and row["subject"] in served
                    others += other
                    if row["status"] not in UNPAID and not (other and others > SHARED):
                        done.paid[row["generation_id"]] = Generation(**row)
        return done

    def _whole(self, path: str) -> bool:
        with self._files.open_input_file(path) as stream:
            return path.endswith(name_of("", stream.read()))

    def _read(self, path: str, columns: list[str] | None = None) -> pa.Table:
        return pq.read_table(path, columns=columns, filesystem=self._files, partitioning=None)

    def add(self, row: dict[str, Any]) -> None:
        """Take one finished user; commit when the chunk is full."""
        self._take("users", row)
        if len(self._rows["users"]) >= self._night.chunk_users:
            self.commit()

    def pay(self, answer: Generation) -> None:
        """Take an answer that was paid for."""
        self._take("calls", vars(answer))

    def _take(self, kind: str, row: dict[str, Any]) -> None:
        if not any(self._rows.values()):
            self._since = time.monotonic()
        self._rows[kind].append(row)

    def commit_old(self) -> None:
        """Commit what has waited long enough."""
        if any(self._rows.values()) and time.monotonic() - self._since >= self._night.chunk_seconds:
            self.commit()

    def commit(self) -> None:
        """Write what is not yet written.

        Raises:
            StorageError: it cannot be; what is not written stays uncommitted.
        """
        for kind, rows in self._rows.items():
            if rows:
                self._write(kind, rows)
                self._rows[kind] = []

    def _write(self, kind: str, rows: list[dict[str, Any]]) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, schema=self._schemas[kind]), sink)
        content = sink.getvalue().to_pybytes()
        part = f"{self._folder}/.{uuid.uuid4().hex}.part"
        with storage(self._folder):
            self._allowed()
            with self._files.open_output_stream(part) as stream:
                stream.write(content)
            self._files.move(part, f"{self._folder}/{name_of(kind, content)}")


def is_chunk(kind: str, path: str) -> bool:
    """Whether a path is that of a chunk of `users` or `calls`."""
    name = path.rsplit("/", 1)[1]
    return name.startswith(f"{kind}-") and name.endswith(".parquet")


def name_of(kind: str, content: bytes) -> str:
    """A chunk's file name."""
    return f"{kind}-{hashlib.sha256(content).hexdigest()}.parquet"
