"""Small logs and catalogues as DataFrames of the contracts `events` and `items`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from jobs.contracts import contract

START = datetime(2024, 3, 1, tzinfo=UTC)


def frame(spark, contract_name: str, rows: list[tuple]):
    """Rows as a DataFrame of a contract; of the columns that a row ends before, lists are empty and others null.

    Through Arrow: plain Python rows would start Python workers for every action.
    """
    schema = contract(contract_name).arrow()
    empty = [[] if pa.types.is_list(field.type) else None for field in schema]
    full = [dict(zip(schema.names, [*row, *empty[len(row) :]], strict=True)) for row in rows]
    table = pa.Table.from_pylist(full, schema=schema)
    return spark.createDataFrame(table, contract(contract_name).spark().toNullable())


def items(spark, *rows: tuple):
    """(item, tags, title, year, creators), where all after tags may be left out; the title is the item's id in capitals."""
    full = []
    for item, tags, *more in rows:
        title, year, creators = (*more, *(None, None, [])[len(more) :])
        full.append((item, title or item.upper(), tags, year, None, creators))
    return frame(spark, "items", full)


def events(spark, *rows: tuple):
    """(user, item), (user, item, value) or (user, item, value, day); events are e0, e1 …, a day apart by default.

    A value of 4 or more is liking, 2 or less disliking, none neither.
    """
    full = []
    for place, row in enumerate(rows):
        user, item, value, day = (*row, None, None)[:4] if len(row) < 4 else row
        time = START + timedelta(days=place if day is None else day)
        likes = value is not None and value >= 4, value is not None and value <= 2
        full.append((f"e{place}", user, item, time, None if value is None else float(value), None, *likes))
    return frame(spark, "events", full)
