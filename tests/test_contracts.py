"""All contracts at once: valid by the standard, and everything derived from one of them agrees with the rest."""

import copy
import json
import math
from datetime import UTC, date, datetime
from pathlib import Path

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from open_data_contract_standard.model import OpenDataContractStandard

from jobs import contracts
from jobs.contracts import LEDGERS, PUBLISHED, contract, tables
from jobs.errors import ContractError
from jobs.home import SCHEMAS

UNHURRIED = settings(deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(UNHURRIED, max_examples=3, phases=[Phase.generate])  # a Spark job each
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", " ", "\x00", "\n", '"', "'", "\\", "a|b", "../x", "%20", "🦊", "é", "é", "\u202eabc", "\ufffd", "NULL"]
)
DATES = st.dates(date(1900, 1, 1), date(9998, 12, 31))
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))
every_contract = pytest.mark.parametrize("name", tables())


def rows_of(name: str) -> st.SearchStrategy:
    return fitting(contract(name).json(), pa.struct(list(contract(name).arrow())))


def fitting(schema: dict, kind: pa.DataType) -> st.SearchStrategy:
    """Values that a JSON schema and its Arrow type allow."""
    if "anyOf" in schema:
        return st.none() | fitting(schema["anyOf"][0], kind)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if pa.types.is_struct(kind):
        fields = {name: fitting(each, kind.field(name).type) for name, each in schema["properties"].items()}
        return st.fixed_dictionaries(fields)
    if pa.types.is_map(kind):
        return st.dictionaries(TEXT, fitting(schema["additionalProperties"], kind.item_type), max_size=3)
    if pa.types.is_list(kind):
        return st.lists(fitting(schema["items"], kind.value_type), max_size=3)
    if pa.types.is_integer(kind):
        end = 2 ** (kind.bit_width - 1)
        return st.integers(schema.get("minimum", -end), schema.get("maximum", end - 1))
    if pa.types.is_floating(kind):
        return st.floats(schema.get("minimum"), schema.get("maximum"), allow_nan=False, allow_infinity=False)
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_date(kind):
        return DATES
    if pa.types.is_timestamp(kind):
        return TIMES
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].removesuffix("$") + r"\Z")
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    long_enough = TEXT.map(lambda text: text + "x" * max(0, shortest - len(text)))
    return long_enough.filter(lambda text: len(text) <= longest)


def as_json(value):
    """A row as JSON spells it."""
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def from_arrow(rows: list[dict], kind: pa.DataType):
    """Arrow gives a map as pairs."""
    if rows is None:
        return None
    if pa.types.is_map(kind):
        return dict(rows)
    if pa.types.is_list(kind):
        return [from_arrow(each, kind.value_type) for each in rows]
    if pa.types.is_struct(kind):
        return {name: from_arrow(each, kind.field(name).type) for name, each in rows.items()}
    return rows


def is_valid(name: str, row: dict) -> bool:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(contract(name).json(), format_checker=checker).is_valid(row)


@every_contract
def test_a_contract_keeps_to_the_standard(name):
    document = yaml.safe_load((SCHEMAS / f"{name}.odcs.yaml").read_text())
    standard = json.loads(OpenDataContractStandard.json_schema())
    jsonschema.validators.validator_for(standard)(standard).validate(document)
    assert document["id"] == f"nocturne-{name}" and document["name"] == name == contract(name).name


@every_contract
def test_every_top_level_column_is_described(name):
    assert [column.name for column in contract(name).columns if not column.description] == []


def test_which_tables_there_are():
    work = ("contexts", "events", "items", "results", "scores")
    assert sorted([*PUBLISHED, *LEDGERS, *work]) == tables()


@every_contract
def test_arrow_to_spark_and_back(name):
    from pyspark.sql.pandas.types import to_arrow_schema

    assert to_arrow_schema(contract(name).spark()) == contract(name).arrow()


@every_contract
def test_names_agree(name):
    one = contract(name)
    assert one.names == one.arrow().names == one.spark().fieldNames() == list(one.json()["properties"])
    assert set(one.keys + one.partitions) <= set(one.names)
    assert one.arrow((one.names[0],)).names == one.spark((one.names[0],)).fieldNames() == one.names[1:]


@every_contract
@FEW
@given(data=st.data())
def test_rows_go_through_parquet_and_spark_unchanged(spark, tmp_path_factory, name, data):
    rows = data.draw(st.lists(rows_of(name), min_size=1, max_size=20))
    one, file = contract(name), tmp_path_factory.mktemp(name) / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=one.arrow()), file)
    read = one.conform(spark.read.schema(one.spark()).parquet(str(file))).toArrow()
    kind = pa.struct(list(one.arrow()))
    assert [from_arrow(row, kind) for row in read.to_pylist()] == rows


@every_contract
@settings(UNHURRIED, max_examples=10)
@given(data=st.data())
def test_a_row_is_valid_until_it_is_broken(name, data):
    row, one = as_json(data.draw(rows_of(name))), contract(name)
    assert is_valid(name, row)
    assert not is_valid(name, row | {"surplus": 1})
    for column in one.columns:
        missing = {key: value for key, value in row.items() if key != column.name}
        assert not is_valid(name, missing)
        assert is_valid(name, row | {column.name: None}) is not bool(column.required)
        assert not is_valid(name, row | {column.name: {"of": ["no such type"]}})
        if column.enum:
            assert not is_valid(name, row | {column.name: "no such value"})


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("runs", "run_date", "2024-02-30"),
        ("runs", "run_date", "today"),
        ("generations", "generation_id", "A" * 64),
        ("generations", "prompt_tokens", -1),
        ("events", "user_id", ""),
        ("events", "user_id", "x" * 257),
        ("contexts", "n_events", 0),
        ("contexts", "n_events", 1.5),
        ("contexts", "cold", 1),
        ("rankings", "score", "0.5"),
    ],
)
def test_what_options_forbid(table, column, value):
    schema = contract(table).json()["properties"][column]
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    assert not jsonschema.Draft202012Validator(schema, format_checker=checker).is_valid(value)


def test_rows_of_another_table_are_that_table_without_some():
    call = contract("contexts").arrow().field("known").type.value_type
    assert [field.name for field in call] == [
        name for name in contract("generations").names if name not in ("run_id", "run_date")
    ]


@every_contract
def test_every_rule_is_an_expectation_that_can_be_built(name):
    import great_expectations  # noqa: F401  # registers its expectations
    from great_expectations.expectations.registry import get_expectation_impl

    rules = contract(name).rules()
    assert len({rule.name for rule in rules}) == len(rules)
    for rule in rules:
        assert rule.severity in ("block", "warn")
        get_expectation_impl(rule.expectation)(**rule.arguments)


@every_contract
def test_a_key_is_judged_to_be_unique(name):
    unique = {
        tuple(rule.arguments.get("column_list", [rule.arguments.get("column")]))
        for rule in contract(name).rules()
        if "unique" in rule.expectation
    }
    assert not contract(name).keys or tuple(contract(name).keys) in unique


def test_the_reasons_of_validation_are_those_of_the_contract():
    from jobs.prepare.validation import ID_LENGTH, Reason

    assert [reason.value for reason in Reason] == contract("rejected").allowed("reason")
    assert contract("events").columns[1].logicalTypeOptions["maxLength"] == ID_LENGTH


def test_a_table_without_contract():
    with pytest.raises(ContractError, match=r"no contract for table 'rating'; there are contexts, .*validations"):
        contract("rating")


GOOD = yaml.safe_load((SCHEMAS / "items.odcs.yaml").read_text())


def broken(change) -> dict:
    document = copy.deepcopy(GOOD)
    change(document["schema"], document["schema"][0]["properties"])
    return document


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda schema, columns: schema.append(schema[0]), "one table a contract, found 2"),
        (lambda schema, columns: schema.clear(), "one table a contract, found 0"),
        (lambda schema, columns: columns[0].update(logicalType="time"), "column 'item_id': logicalType 'time'"),
        (lambda schema, columns: columns[2].pop("items"), "column 'tags': logicalType 'array'"),
        (lambda schema, columns: schema[0].update(quality=[{"name": "q", "metric": "magic"}]), "quality rule 'q'"),
    ],
)
def test_a_wrong_contract_is_named_with_what_is_wrong(tmp_path, monkeypatch, change, part):
    Path(tmp_path / "wrong.odcs.yaml").write_text(yaml.safe_dump(broken(change)))
    monkeypatch.setattr(contracts, "SCHEMAS", tmp_path)
    with pytest.raises(ContractError, match=part):
        one = contracts.contract.__wrapped__("wrong")
        one.arrow(), one.json(), one.rules()
