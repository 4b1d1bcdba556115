"""The log that nights read, where it is ours: kept on this machine in the warehouse or under NOCTURNE_HOME."""

from __future__ import annotations

import bz2
import csv
import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from jobs.erase.fields import fields
from jobs.erase.people import People
from jobs.home import home
from jobs.profile import Profile, resolve
from jobs.storage import hidden

PACKED: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open}
OPAQUE = (".deflate", ".lz4", ".snappy", ".zst")  # Spark reads these too

csv.field_size_limit(1 << 30)  # a field may be as long as it likes, as in Spark


@dataclass(frozen=True)
class Log:
    """The profile's log: its place, format and column of users."""

    path: str
    format: str
    column: str
    ours: bool

    @classmethod
    def of(cls, profile: Profile) -> Log:
        path = resolve(profile.events.path)
        ours = "://" not in path and any(f"{path}/".startswith(f"{place}/") for place in (profile.warehouse, str(home())))
        return cls(path, profile.events.format, profile.events.user, ours)

    def holds(self, path: str) -> bool:
        """Whether a file is it, or a part of it that readers see."""
        below = path.removeprefix(self.path)
        return (
            self.ours and path.startswith(self.path) and below[:1] in ("", "/") and not Path(path).name.startswith((".", "_"))
        )

    def records(self, path: str, people: People) -> Iterator[tuple[bytes, str | None, bool]]:
        """The lines of a file as they are, whose each is if it can be read, and whether it is a record of one of them.

        A line that cannot be read is theirs if one of its fields is their id.
        """
        with _open(path, "rb") as file:
            header: list[str] = []
            for number, line in enumerate(_lines(file)):
                if self.format == "json":
                    user = people.user_of(text := _text(line))
                    yield line, user, people.is_theirs(text) if user is None else user in people.ids
                elif number == 0:
                    header = _fields(_text(line))
                    yield line, None, False
                elif len(row := _fields(_text(line))) == len(header):
                    user = dict(zip(header, row, strict=True)).get(self.column)
                    yield line, user, user in people.ids
                else:
                    text = _text(line)
                    yield line, None, bool(people.ids & {*row, *fields(text)}) or people.rare_in(text.encode())

    def rewrite(self, path: str, people: People) -> int:
        """Take their records out of a file of text; returns how many they were."""
        part, n = hidden(path), 0
        with _open(part, "wb", like=path) as file:
            for line, _, is_theirs in self.records(path, people):
                n += is_theirs
                if not is_theirs:
                    file.write(line)
        os.chmod(part, os.stat(path).st_mode)
        os.replace(part, path)
        return n


def _open(path: str, mode: str, like: str | None = None) -> IO[bytes]:
    return cast(IO[bytes], PACKED.get(Path(like or path).suffix, open)(path, mode))


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """As Spark parts them: a line may end with a carriage return alone."""
    for line in file:
        yield from line.splitlines(keepends=True)


def _fields(line: str) -> list[str]:
    return next(csv.reader([line]), [])


def _text(line: bytes) -> str:
    return line.decode("utf-8-sig", "replace").rstrip("\r\n")
