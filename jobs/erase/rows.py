"""Which rows of Arrow data are a user's, whatever table they are from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.erase.people import People

WORDS = ("summary", "explanation", "output", "record")  # columns of texts about one user


def theirs(batch: pa.RecordBatch, people: People, column: str = "user_id") -> pa.BooleanArray:
    """True for each row of one of the people: by `column`, by `subject` of a call, or by a rejected record."""
    found = pa.repeat(pa.scalar(False), len(batch))
    if column in batch.schema.names:
        found = pc.or_(found, _named(batch[column], people))
    if {"subject", "subject_type"} <= set(batch.schema.names):
        found = pc.or_(found, pc.and_(_named(batch["subject"], people), pc.equal(batch["subject_type"], "user")))
    if {"record", "source"} <= set(batch.schema.names):
        found = pc.or_(found, pa.array([_rejected(row, people) for row in batch.select(["record", "source"]).to_pylist()]))
    return pc.fill_null(found, False)


def longer(batch: pa.RecordBatch, people: People, column: str = "user_id") -> set[str]:
    """Other users' ids that hold one of theirs."""
    there = [batch[name].cast(pa.string()) for name in (column, "subject") if name in batch.schema.names]
    held = {value for each in there for own in people.rare for value in each.filter(pc.match_substring(each, own)).to_pylist()}
    return {value for value in held if people.is_longer(value)}


def mentions(batch: pa.RecordBatch, people: People) -> int:
    """How many texts name one of them, at any depth of the columns."""
    if not any(people.may_name(content) for array in batch.columns for content in _contents(array)):
        return 0
    return sum(people.names_text(text) for array in batch.columns for text in _texts(array.to_pylist()))


def told(batch: pa.RecordBatch) -> set[str]:
    """The texts of rows."""
    return {value for row in batch.to_pylist() for name, value in _items(row) if name in WORDS and isinstance(value, str)}


def _named(values: pa.Array, people: People) -> pa.BooleanArray:
    return pc.fill_null(pc.is_in(values.cast(pa.string()), pa.array(sorted(people.ids))), False)


def _rejected(row: dict[str, Any], people: People) -> bool:
    return row["source"] == "events" and people.is_theirs(row["record"] or "")


def _items(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values at any depth."""
    for name, value in row.items():
        yield name, value
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                yield from _items(each)


def _texts(values: list[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _texts([*value, *value.values()])
        elif isinstance(value, (list, tuple)):
            yield from _texts(list(value))


def _contents(array: pa.Array) -> Iterator[bytes]:
    """The bytes of all texts in an array, nested ones too."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        yield from _contents(array.dictionary)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        if content := array.buffers()[2]:
            yield content.to_pybytes()
    elif pa.types.is_map(kind):
        yield from _contents(array.keys)
        yield from _contents(array.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _contents(array.values)
    elif pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            yield from _contents(array.field(place))
