"""Counts over the published tables that a connection shows (jobs.lake): aggregates in DuckDB, few rows out."""

from __future__ import annotations

from typing import Any

import duckdb

from jobs.contracts import PUBLISHED

Row = dict[str, Any]

MOST_REASONS = 12  # the most frequent ones
CHECK = "^([a-z-]+): "  # a finding of a check; other entries say more of the one before
TEXTS = """
    select 'summaries' as segment, source, checks from user_summaries
    union all select 'explanations', source, checks from explanations"""


def query(db: duckdb.DuckDBPyConnection, sql: str, *parameters: Any) -> list[Row]:
    """Rows of a query that returns few."""
    return list(db.execute(sql, list(parameters)).to_arrow_table().to_pylist())


def written(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows of each published table."""
    return {name: query(db, f"select count(*) as n from {name}")[0]["n"] for name in PUBLISHED}


def rejected(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rejected records by `source: reason`."""
    sql = "select source || ': ' || reason as reason, count(*) as n from rejected group by all order by n desc, reason"
    return {row["reason"]: row["n"] for row in query(db, sql)}


def sources(db: duckdb.DuckDBPyConnection) -> list[Row]:
    """segment, source, asked, n: texts by who wrote them, and whether words of the model's were refused before."""
    sql = f"select segment, source, len(checks) > 0 as asked, count(*) as n from ({TEXTS}) group by all"
    return query(db, f"{sql} order by segment desc, n desc, source")


def reasons(db: duckdb.DuckDBPyConnection) -> list[Row]:
    """segment, name, n, example: templates by the check that refused the model's words; a text counts for each check once."""
    names = f"list_distinct(list_transform(checks, lambda found: regexp_extract(found, '{CHECK}', 1)))"
    return query(
        db,
        f"with found as (select segment, checks, unnest({names}) as name from ({TEXTS}) where source = 'template') "
        "select segment, name, count(*) as n, "
        "min(list_filter(checks, lambda found: starts_with(found, name || ': '))[1]) as example "
        f"from found where name != '' group by all order by n desc, segment, name limit {MOST_REASONS}",
    )
