"""What a warehouse keeps: releases by their nights, and all that leads to them. Pure: rows and a time in, ids and dates out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from jobs.releases import Release

Row = dict[str, Any]


@dataclass(frozen=True)
class Kept:
    """Releases and blocked runs that stay and that go; the nights whose rows stay; by table the Delta versions that must stay
    readable; the runs whose pages and logs stay."""

    releases: list[Release]
    retired: list[Release]
    nights: frozenset[date]
    versions: dict[str, list[int]]
    runs: frozenset[str]


def kept(public: list[Release], runs: list[Row], needed: Iterable[str], now: datetime, nights: int) -> Kept:
    """What stays of `public`: of releases, and of what blocked runs would have released, none of which was retired before.

    One stays while its night is one of the newest so many that were released, or it was published within so many days.
    Whatever their age, what readers see stays, what they saw before it, and what `needed` names: releases that nights at work
    carry users over from.
    """
    newest = set(sorted({each.run_date for each in public if each.status != "blocked"}, reverse=True)[:nights])
    since = now - timedelta(days=nights)
    asked = {*needed, *shown(public)}
    stay = [each for each in public if each.run_date in newest or each.published_at >= since or each.release_id in asked]
    young = [row for row in runs if row["run_date"] in newest or row["started_at"] >= since]
    versions: dict[str, set[int]] = {}
    for name, version in (pair for each in stay for pair in each.tables.items()):
        versions.setdefault(name, set()).add(version)
    return Kept(
        releases=stay,
        retired=[each for each in public if each not in stay],
        nights=frozenset({each.run_date for each in stay} | {row["run_date"] for row in young}),
        versions={name: sorted(found) for name, found in sorted(versions.items())},
        runs=frozenset({each.run_id for each in stay} | {row["run_id"] for row in young}),
    )


def shown(public: list[Release]) -> list[str]:
    """Ids of the release that readers see and of the one they saw before, which a rollback goes to."""
    order = sorted((each for each in public if each.status != "blocked"), key=lambda each: each.sequence, reverse=True)
    return list(dict.fromkeys(each.latest or each.release_id for each in order))[:2]


def at_work(runs: list[Row], now: datetime, hours: float) -> list[str]:
    """Runs that say they are running; one that says so for longer was killed."""
    since = now - timedelta(hours=hours)
    return sorted(row["run_id"] for row in runs if row["status"] == "running" and row["started_at"] >= since)


def old_nights(found: Iterable[str], keep: int) -> list[str]:
    """Of folders named by nights all but the newest `keep`."""
    return sorted(found)[: -keep or None]
