"""Readers look all the time while nights are released, gone back from and vacuumed: never two nights at once, never none."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from jobs.contracts import PUBLISHED
from jobs.profile import Profile
from jobs.releases import go_back, releases
from tests.data.inputs import profile as write
from tests.publish.nights import NIGHT, STARTED, release
from tests.readers import WAYS, Seen, keep_looking, marked

NIGHTS = 12
LEAST = 8  # readings each reader makes at least, and at least so many between the first night and the last


@contextmanager
def readers(profile: Profile, least: int = LEAST) -> Iterator[tuple[list[Any], dict[str, Seen]]]:
    """Two processes that read while the body writes; what they saw is there when it ends."""
    context = multiprocessing.get_context("spawn")
    stop, told = context.Event(), context.Queue()
    counts = [context.Value("i", 0) for _ in WAYS]
    arguments = [(profile.file, way, least, stop, count, told) for way, count in zip(WAYS, counts, strict=True)]
    processes = [context.Process(target=keep_looking, args=each) for each in arguments]
    seen: dict[str, Seen] = {}
    for process in processes:
        process.start()
    try:
        yield counts, seen
    finally:
        stop.set()
        seen.update(told.get(timeout=120) for _ in processes)
        for process in processes:
            process.join(60)


def vacuum(profile: Profile) -> None:
    """Remove every file that no release needs."""
    for name in PUBLISHED:
        kept = sorted({each.tables[name] for each in releases(profile)})
        table = DeltaTable(profile.table(name))
        table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, keep_versions=kept)


def test_readers_see_one_release_whole_whatever_is_written(tmp_path: Path) -> None:
    profile = write(tmp_path)
    release(profile, marked("run-0", 3), NIGHT, "run-0")
    with readers(profile) as (counts, seen):
        number = 0
        while number < NIGHTS or min(count.value for count in counts) < LEAST:
            number += 1
            night = NIGHT + timedelta(days=(0, 1, 1, 3, 2, 4)[number % 6] + number // 6 * 4)
            release(profile, marked(f"run-{number}", 2 + number % 3), night, f"run-{number}", STARTED)
            if number % 4 == 2:
                go_back(profile, f"r-run-{number // 2}", STARTED)
            if number % 3 == 0:
                vacuum(profile)
    for way, found in seen.items():
        assert found.wrong == [], way
        assert len(found.marks) >= LEAST
        assert len(set(found.marks)) > 2, "it saw releases change"
