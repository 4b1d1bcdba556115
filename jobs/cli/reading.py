"""What `show` prints, gathered from a release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.errors import NotFound
from jobs.lake import connect
from jobs.profile import Profile
from jobs.releases import find

Row = dict[str, Any]


@dataclass(frozen=True)
class UserPage:
    """Everything published about one user; `events` are the cited ones by id."""

    release_id: str
    summary: Row
    ranked: list[Row]  # rankings joined with explanations, best first
    events: dict[str, Row]


@dataclass(frozen=True)
class ItemPage:
    """Everything published about one item."""

    release_id: str
    item_id: str
    title: str
    lists: list[Row]  # user_id, rank, source, explanation: the best places first
    in_lists: int
    cited: int


def user_page(profile: Profile, user_id: str, release_id: str | None) -> UserPage:
    """Raises NotFound where the release has no such user."""
    release = find(profile, release_id)
    db = connect(profile, release.release_id)
    summaries = _rows(db, "select * from user_summaries where user_id = ?", user_id)
    if not summaries:
        some = ", ".join(first_users(profile, 3))
        raise NotFound(f"no user {user_id!r} in release {release.release_id}; there are for example {some}")
    ranked = _rows(
        db,
        "select r.*, e.explanation, e.evidence, e.source as explained_by, e.checks from rankings r "
        "left join explanations e using (user_id, item_id) where r.user_id = ? order by rank",
        user_id,
    )
    events = _rows(db, "select * from evidence where user_id = ?", user_id)
    return UserPage(release.release_id, summaries[0], ranked, {event["event_id"]: event for event in events})


def item_page(profile: Profile, item_id: str, release_id: str | None) -> ItemPage:
    """Raises NotFound where nothing in the release is about the item."""
    release = find(profile, release_id)
    db = connect(profile, release.release_id)
    lists = _rows(
        db,
        "select r.user_id, r.rank, r.title, r.source, e.explanation from rankings r "
        "left join explanations e using (user_id, item_id) where item_id = ? order by rank, user_id",
        item_id,
    )
    cited = _rows(db, "select title, count(*) as n from evidence where item_id = ? group by title", item_id)
    if not lists and not cited:
        raise NotFound(f"release {release.release_id} has item {item_id!r} neither in a list nor as evidence")
    title = (lists or cited)[0]["title"]
    return ItemPage(release.release_id, item_id, title, lists[:10], len(lists), sum(row["n"] for row in cited))


def first_users(profile: Profile, n: int) -> list[str]:
    """Some user ids of the latest release, users with a longer history first."""
    rows = _rows(connect(profile), f"select user_id from user_summaries order by cold, user_id limit {int(n)}")
    return [row["user_id"] for row in rows]


def rejected_reasons(profile: Profile, release_id: str) -> dict[str, int]:
    """Rejected records of a release by source and reason."""
    sql = "select source || ': ' || reason as reason, count(*) as n from rejected group by all order by n desc"
    return {row["reason"]: row["n"] for row in _rows(connect(profile, release_id), sql)}


def last_phrasings(profile: Profile) -> list[Row]:
    """Rows of `phrasings` of the newest run that had any, by pattern, those that are used first.

    Raises:
        NotFound: no run has had any.
    """
    newest = "select run_id from runs join phrasings using (run_id) order by started_at desc limit 1"
    sql = f"select * from phrasings where run_id = ({newest}) order by pattern, use desc, text"
    if rows := _rows(connect(profile), sql):
        return rows
    raise NotFound(
        f'no phrasings in {profile.warehouse}; a night with [words] summary or explanation = "phrasebook" writes them'
    )


def _rows(db: Any, sql: str, *parameters: Any) -> list[Row]:
    return db.execute(sql, list(parameters)).to_arrow_table().to_pylist()
