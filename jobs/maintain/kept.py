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
    """Releases that stay and that go; the nights whose rows stay; by table the Delta versions that must stay readable."""

    releases: list[Release]
    retired: list[Release]
    nights: frozenset[date]
    versions: dict[str, list[int]]
    runs: frozenset[str]


def kept(public: list[Release], runs: list[Row], needed: Iterable[str], now: datetime, nights: int) -> Kept:
    """What stays of `public`, which has no release that was retired before.

    A release stays while its night is one of the newest so many or it was published within so many days; so do the versions
    of a blocked run. Whatever their age, what readers see stays, what they saw before it, and what `needed` names: releases
    that nights at work carry users over from.
    """
    newest = set(sorted({each.run_date for each in public}, reverse=True)[:nights])
    since = now - timedelta(days=nights)
    asked = {*needed, *shown(public)}
    stay = [each for each in public if each.run_date in newest or each.published_at >= since or each.release_id in asked]
    young = [row for row in runs if row["run_date"] in newest or row["started_at"] >= since]
    named = [each.tables for each in stay] + [dict(row["tables"]) for row in young if row.get("tables")]
    versions: dict[str, set[int]] = {}
    for name, version in (pair for tables in named for pair in tables.items()):
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
    order = sorted(public, key=lambda each: each.sequence, reverse=True)
    return list(dict.fromkeys(each.latest or each.release_id for each in order))[:2]


def at_work(runs: list[Row], now: datetime, hours: float) -> list[str]:
    """Runs that say they are running; one that says so for longer was killed."""
    since = now - timedelta(hours=hours)
    return sorted(row["run_id"] for row in runs if row["status"] == "running" and row["started_at"] >= since)


def old_nights(found: Iterable[str], keep: int) -> list[str]:
    """Of folders named by nights all but the newest `keep`."""
    return sorted(found)[: -keep or None]
