"""What a contract promises of the values within a row, at any depth; Great Expectations judge its columns at the top.

A value stands where one is required, is among those that are listed, and is finite where it is a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_

from open_data_contract_standard.model import SchemaProperty
from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.contracts import contract


def broken(table: str) -> Column:
    """True of a row of `table` in which a value is not as promised."""
    return _any(each for column in contract(table).columns for each in _within(column, F.col(str(column.name))))


def _within(promised: SchemaProperty, value: Column) -> Iterator[Column]:
    """What may be wrong with what a value is made of."""
    match promised.logicalType:
        case "number":
            yield F.abs(value) >= float("inf")  # NaN is more than infinity
        case "array" if promised.items:
            items = promised.items
            yield F.exists(value, lambda each: _any(_of(items, each)))
        case "object":
            for part in promised.properties or ():
                yield value.isNotNull() & _any(_of(part, value[str(part.name)]))


def _of(promised: SchemaProperty, value: Column) -> Iterator[Column]:
    """What may be wrong with a value."""
    if promised.required:
        yield value.isNull()
    if promised.enum:
        yield ~value.isin([each.value for each in promised.enum])
    yield from _within(promised, value)


def _any(found: Iterable[Column]) -> Column:
    return reduce(or_, (F.coalesce(each, F.lit(False)) for each in found), F.lit(False))
