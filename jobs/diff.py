"""What changed for readers from one release to another: by table, by user, with examples.

All is counted within DuckDB, by hashes of rows; only counts and a few users' rows leave it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from jobs.contracts import PUBLISHED, contract
from jobs.errors import NotFound
from jobs.lake import session, views
from jobs.profile import Profile
from jobs.releases import Release, find, releases, retired

Row = dict[str, Any]
TOP = 10  # of a list
TOLD = {"user_summaries": ["summary"], "rankings": ["rank", "title"], "explanations": ["item_id", "explanation"]}


@dataclass(frozen=True)
class TableChange:
    """Rows in both releases, and how many of `of` (users or keys) came, went, are other or are the same."""

    table: str
    of: str
    rows_a: int
    rows_b: int
    added: int
    removed: int
    changed: int
    same: int


@dataclass(frozen=True)
class UserChange:
    """Rows of one user in both releases, by table, in the order of its key without the user."""

    user_id: str
    overlap: float | None  # of the first `TOP` of the lists; None where one has none
    before: dict[str, list[Row]]
    after: dict[str, list[Row]]


@dataclass(frozen=True)
class Change:
    """All that `diff` tells. `overlap` is the mean over users with a list in both, `same_lists` the share of lists that
    are the same in the same order, `same_words` that of summaries."""

    a: Release
    b: Release
    tables: list[TableChange]
    overlap: float | None
    same_lists: float | None
    same_words: float | None
    users: list[UserChange] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether readers of both see the same, but for the date."""
        return all(not (each.added or each.removed or each.changed) for each in self.tables)


def diff(profile: Profile, a: str, b: str, table: str | None = None, user: str | None = None, examples: int = 3) -> Change:
    """The change from release `a` to `b`: ids, dates or `latest`. `table` and `user` narrow it.

    Raises:
        NotFound: there is no such release, table or user.
    """
    if table is not None and table not in PUBLISHED:
        raise NotFound(f"no published table {table!r}; there are {', '.join(PUBLISHED)}")
    old, new = (choose(profile, each) for each in (a, b))
    db = session()
    for prefix, release in (("a_", old), ("b_", new)):
        views(db, profile, release, prefix, only=PUBLISHED, user_id=user)
    if user is not None and not _count(db, "a_user_summaries") + _count(db, "b_user_summaries"):
        raise NotFound(f"no user {user!r} in {old.release_id} or {new.release_id}")
    tables = [_table(db, name) for name in ([table] if table else PUBLISHED if user is None else BY_USER)]
    overlap, same_lists = _one(db, f"select avg(overlap), avg(same::int) from ({LISTS})")
    both = "a_user_summaries a join b_user_summaries b using (user_id)"
    (same_words,) = _one(db, f"select avg((a.summary = b.summary)::int) from {both}")
    shown = [table] if table in BY_USER else list(TOLD)
    other = [each.table for each in tables if each.table in shown and (each.added or each.removed or each.changed)]
    users = [_user(db, each, shown) for each in _examples(db, other, examples)] if other and examples else []
    return Change(old, new, tables, overlap, same_lists, same_words, users)


def choose(profile: Profile, name: str) -> Release:
    """A release by its id, the newest of a date whose rows are kept, or `latest`.

    Raises:
        NotFound: there is none; tells what there is.
    """
    if name == "latest":
        return find(profile, None)
    try:
        night = date.fromisoformat(name)
    except ValueError:
        return find(profile, name)
    public, gone = releases(profile), retired(profile)
    of_night = [each for each in public if each.run_date == night]
    if of_night:
        return find(profile, next((each for each in of_night if each.release_id not in gone), of_night[0]).release_id)
    known = ", ".join(str(each) for each in dict.fromkeys(each.run_date for each in public)) or "none yet"
    raise NotFound(f"no release of the night of {name} in {profile.warehouse}; nights with one: {known}")


BY_USER = tuple(name for name in PUBLISHED if "user_id" in contract(name).names)
LISTS = f"""
    select user_id, a.items = b.items as same,
        len(list_intersect(a.items, b.items)) / greatest(len(a.items), len(b.items)) as overlap
    from (select user_id, list(item_id order by rank) as items from a_rankings where rank <= {TOP} group by user_id) a
    join (select user_id, list(item_id order by rank) as items from b_rankings where rank <= {TOP} group by user_id) b
    using (user_id)"""


def _table(db: Any, name: str) -> TableChange:
    columns = [each for each in contract(name).names if each != "run_date"]
    of = ["user_id"] if name in BY_USER else columns
    same_key = " and ".join(f"a.{each} is not distinct from b.{each}" for each in of)
    counts = _one(
        db,
        "select coalesce(sum(a.n), 0), coalesce(sum(b.n), 0), count(*) filter (a.n is null), count(*) filter (b.n is null), "
        "count(*) filter (a.content != b.content), count(*) filter (a.content = b.content) "
        f"from {_sides(name, of)} on {same_key}",
    )
    return TableChange(name, "users" if name in BY_USER else "records", *map(int, counts))


def _sides(name: str, of: list[str]) -> str:
    """Both sides of a table, a row for each `of`: how many rows it has (`n`), and a hash of them but for the night."""
    columns = [each for each in contract(name).names if each != "run_date"]
    content = f"count(*) as n, sum(hash({', '.join(columns)})::hugeint) as content"
    return " full join ".join(
        f"(select {', '.join(of)}, {content} from {side}_{name} group by all) {side}" for side in ("a", "b")
    )


def _examples(db: Any, tables: list[str], n: int) -> list[str]:
    """Users for whom something in these tables changed, those whose lists changed most first."""
    changed = " union ".join(
        f"select user_id from {_sides(name, ['user_id'])} using (user_id) where a.content is distinct from b.content"
        for name in tables
    )
    sql = f"""
        select user_id from ({changed}) left join ({LISTS}) using (user_id)
        order by overlap nulls last, user_id limit {int(n)}"""
    return [user for (user,) in db.sql(sql).fetchall()]


def _user(db: Any, user: str, tables: list[str]) -> UserChange:
    def rows(side: str) -> dict[str, list[Row]]:
        return {name: _rows(db, f"{side}_{name}", name, user) for name in tables}

    found = db.execute(f"select overlap from ({LISTS}) where user_id = ?", [user]).fetchone()
    return UserChange(user, found[0] if found else None, rows("a"), rows("b"))


def _rows(db: Any, view: str, name: str, user: str) -> list[Row]:
    columns = [each for each in contract(name).names if each not in ("run_date", "user_id")]
    order = [each for each in contract(name).keys if each in columns] or ["1"]
    sql = f"select {', '.join(columns)} from {view} where user_id = ? order by {', '.join(order)}"
    return list(db.execute(sql, [user]).to_arrow_table().to_pylist())


def _count(db: Any, view: str) -> int:
    return int(_one(db, f"select count(*) from {view}")[0])


def _one(db: Any, sql: str) -> tuple[Any, ...]:
    return tuple(db.sql(sql).fetchone())
