"""A context is exactly what its contract says."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import pyarrow as pa
import pytest

from jobs.contracts import contract
from jobs.generate.context import Candidate, Common, Context, Event, Fact, Generation
from tests.generate.rows import CONTEXTS, answer, candidate, event, row, user


def names(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind)]


def test_columns() -> None:
    assert names(Context) == [name for name in contract("contexts").names if name != "shard"]


@pytest.mark.parametrize(
    ("column", "kind"),
    [("history", Event), ("facts", Fact), ("candidates", Candidate), ("common", Common), ("known", Generation)],
)
def test_nested_columns(column: str, kind: type[Any]) -> None:
    assert names(kind) == [field.name for field in CONTEXTS.field(column).type.value_type]


def test_generation_is_a_row_of_its_table() -> None:
    assert names(Generation) == [name for name in contract("generations").names if name not in ("run_id", "run_date")]


@pytest.mark.parametrize(
    "row", [row(), row(known=[answer("a" * 64)]), row(facts=[], candidates=[], cold=True)], ids=["usual", "known", "bare"]
)
def test_round_trip(row: dict[str, Any]) -> None:
    whole = pa.Table.from_pylist([row | {"shard": 0}], schema=contract("contexts").arrow())
    context = Context.from_row(whole.drop_columns("shard").to_pylist()[0])
    assert pa.Table.from_pylist([asdict(context)], schema=CONTEXTS).to_pylist() == [row]
    assert hash(context.history) == hash(Context.from_row(row).history), "tuples all the way down"


def common(*labels: tuple[str, str, float | None]) -> list[dict[str, Any]]:
    return [{"of": of, "label": label, "lift": lift} for of, label, lift in labels]


def test_shared_is_what_the_events_behind_an_item_have_too() -> None:
    events = [
        event(1, "Heat", ["Drama", "Crime"]) | {"creators": ["Mann", "Drama"]},
        event(2, "Tron", ["Action"], positive=False),
    ]
    item = candidate(1, "Ronin", 1.0, ["e2", "e1"]) | {"tags": ["Action", "Crime", "Drama", "War"], "creators": ["Mann"]}
    known = common(
        ("tag", "Drama", 0.5), ("tag", "Crime", None), ("creator", "Mann", 7.0), ("tag", "Action", 9.0), ("tag", "War", 9.0)
    )
    person = user(history=events, candidates=[item, candidate(2, "Fargo", 1.0, [])], common=known)
    assert [each.label for each in person.shared(person.candidates[0])] == ["Mann", "Drama", "Crime"]
    assert person.shared(person.candidates[1]) == []


@pytest.mark.parametrize(("n_events", "new"), [(4, []), (5, ["Opera", "War"])])
def test_new_is_said_of_whom_we_know(n_events: int, new: list[str]) -> None:
    item = candidate(1, "Ronin") | {"tags": ["Opera", "Drama", "War", "Noir"]}
    person = user(n_events=n_events, candidates=[item], unseen=["Noir", "War", "Opera"])
    assert person.new(person.candidates[0]) == new
