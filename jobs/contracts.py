"""The contracts in schemas/ and the schemas that follow from them.

A contract is an Open Data Contract Standard v3.1 document and the only place where a table's columns, keys and rules
stand. From it come the Arrow schema (and through it Spark's), the JSON schema of a row, and the Great Expectations suite.
Two custom properties save repeating a nested row: `rowsOf: TABLE` takes that table's columns, `without: [COLUMN…]` but these.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from open_data_contract_standard.model import DataQuality, OpenDataContractStandard, SchemaObject, SchemaProperty

from jobs.errors import ContractError
from jobs.home import SCHEMAS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

OF_THE_RUN = ("run_id", "run_date")  # columns of `generations` that are not the call's: who paid, and when
PUBLISHED = ("user_summaries", "rankings", "explanations", "evidence", "rejected")  # a full snapshot each night
LEDGERS = (  # grow by rows, read as they stand
    "generations", "validations", "runs", "releases", "evaluations", "phrasings", "retired", "suppressions", "erasures",
)  # fmt: skip

ARROW = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
JSON = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
}
JSON_OPTIONS = {"minLength", "maxLength", "pattern", "minimum", "maximum", "minItems", "maxItems"}


@dataclass(frozen=True)
class Rule:
    """One expectation on a table: its name, whether it blocks, and Great Expectations' type and arguments."""

    name: str
    severity: str
    expectation: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Contract:
    """One table's contract."""

    schema: SchemaObject

    @property
    def name(self) -> str:
        return str(self.schema.name)

    @property
    def columns(self) -> tuple[SchemaProperty, ...]:
        return tuple(self.schema.properties or ())

    @property
    def names(self) -> list[str]:
        return [str(column.name) for column in self.columns]

    @property
    def keys(self) -> list[str]:
        """Primary key columns in their order."""
        keys = [column for column in self.columns if column.primaryKey]
        return [str(column.name) for column in sorted(keys, key=lambda column: column.primaryKeyPosition or 0)]

    @property
    def partitions(self) -> list[str]:
        return [str(column.name) for column in self.columns if column.partitioned]

    def allowed(self, column: str) -> list[Any]:
        """The values that `column`'s enum lists."""
        (found,) = (each for each in self.columns if each.name == column)
        return [each.value for each in found.enum or ()]

    def arrow(self, without: tuple[str, ...] = ()) -> pa.Schema:
        """The Arrow schema, `without` some of its columns."""
        return pa.schema([_field(column) for column in self.columns if column.name not in without])

    def spark(self, without: tuple[str, ...] = ()) -> StructType:
        """The Spark schema."""
        from pyspark.sql.pandas.types import from_arrow_schema

        return from_arrow_schema(self.arrow(without))

    def conform(self, rows: DataFrame, without: tuple[str, ...] = ()) -> DataFrame:
        """`rows` with exactly this contract's columns, order and types, nested fields matched by name."""
        return rows.to(self.spark(without).toNullable())

    def json(self) -> dict[str, Any]:
        """JSON schema (2020-12) of one row."""
        return _json_object(self.columns)

    def rules(self) -> list[Rule]:
        """The expectations that follow from columns, keys and `quality`, in the contract's order."""
        rules = [Rule("columns", "block", "expect_table_columns_to_match_set", {"column_set": self.names, "exact_match": True})]
        for column in self.columns:
            rules += _column_rules(column)
        if len(self.keys) > 1:
            rules.append(_unique("key", self.keys))
        return rules + [_quality_rule(quality) for quality in self.schema.quality or ()]


@functools.cache
def contract(name: str) -> Contract:
    """The contract of table `name`.

    Raises:
        ContractError: there is none, or it is not a valid contract.
    """
    file = SCHEMAS / f"{name}.odcs.yaml"
    if not file.is_file():
        raise ContractError(f"schemas/: no contract for table {name!r}; there are {', '.join(tables())}")
    document = OpenDataContractStandard.from_file(str(file))
    if not document.schema_ or len(document.schema_) != 1:
        raise ContractError(f"{file.name}: one table a contract, found {len(document.schema_ or [])}")
    schema = document.schema_[0]
    return Contract(schema.model_copy(update={"properties": [_resolve(column) for column in schema.properties or ()]}))


def tables() -> list[str]:
    """Names of all tables that have a contract."""
    return sorted(file.name.removesuffix(".odcs.yaml") for file in SCHEMAS.glob("*.odcs.yaml"))


def _resolve(column: SchemaProperty) -> SchemaProperty:
    """`column` with every `rowsOf` replaced by the columns of that table, and every `columnOf` by that table's column."""
    custom = {each.property: each.value for each in column.customProperties or ()}
    if "columnOf" in custom:
        return next(each for each in contract(str(custom["columnOf"])).columns if each.name == column.name)
    update: dict[str, Any] = {}
    if "rowsOf" in custom:
        without = custom.get("without") or []
        update["properties"] = [each for each in contract(str(custom["rowsOf"])).columns if each.name not in without]
    elif column.properties:
        update["properties"] = [_resolve(each) for each in column.properties]
    if column.items:
        update["items"] = _resolve(column.items)
    return column.model_copy(update=update)


def _field(column: SchemaProperty) -> pa.Field:
    return pa.field(column.name or "element", _arrow_type(column), nullable=not column.required)


def _arrow_type(column: SchemaProperty) -> pa.DataType:
    match column.logicalType:
        case "integer" if column.physicalType == "int":
            return pa.int32()
        case "array" if column.items:
            return pa.list_(_field(column.items))
        case "object" if column.properties:
            return pa.struct([_field(each) for each in column.properties])
        case "map" if column.map and column.map.key and column.map.value:
            value = pa.field("value", _arrow_type(column.map.value), nullable=not column.map.value.required)
            return pa.map_(_arrow_type(column.map.key), value)
        case str(kind) if kind in ARROW:
            return ARROW[kind]
    raise ContractError(f"column {column.name!r}: logicalType {column.logicalType!r} is not one we know")


def _json_type(column: SchemaProperty) -> dict[str, Any]:
    match column.logicalType:
        case "array" if column.items:
            schema: dict[str, Any] = {"type": "array", "items": _json_type(column.items)}
        case "object":
            schema = _json_object(tuple(column.properties or ()))
        case "map" if column.map and column.map.value:
            schema = {"type": "object", "additionalProperties": _json_type(column.map.value)}
        case kind:
            schema = dict(JSON[str(kind)])
    schema |= {key: value for key, value in (column.logicalTypeOptions or {}).items() if key in JSON_OPTIONS}
    if column.enum:
        schema["enum"] = [each.value for each in column.enum]
    return schema if column.required else {"anyOf": [schema, {"type": "null"}]}


def _json_object(columns: tuple[SchemaProperty, ...]) -> dict[str, Any]:
    properties = {str(column.name): _json_type(column) for column in columns}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _column_rules(column: SchemaProperty) -> list[Rule]:
    """Expectations of one top-level column."""
    name, options = str(column.name), column.logicalTypeOptions or {}
    about = {"column": name}
    rules = []
    if column.required:
        rules.append(Rule(f"{name}_present", "block", "expect_column_values_to_not_be_null", about))
    if column.unique:
        rules.append(Rule(f"{name}_unique", "block", "expect_column_values_to_be_unique", about))
    if column.enum:
        values = {"value_set": [each.value for each in column.enum]}
        rules.append(Rule(f"{name}_allowed", "block", "expect_column_values_to_be_in_set", about | values))
    if {"minimum", "maximum"} & options.keys():
        limits = {"min_value": options.get("minimum"), "max_value": options.get("maximum")}
        rules.append(Rule(f"{name}_range", "block", "expect_column_values_to_be_between", about | limits))
    if {"minLength", "maxLength"} & options.keys():
        limits = {"min_value": options.get("minLength"), "max_value": options.get("maxLength")}
        rules.append(Rule(f"{name}_length", "block", "expect_column_value_lengths_to_be_between", about | limits))
    if "pattern" in options:
        pattern = {"regex": options["pattern"]}
        rules.append(Rule(f"{name}_pattern", "block", "expect_column_values_to_match_regex", about | pattern))
    return rules


def _unique(name: str, columns: list[str], severity: str = "block") -> Rule:
    return Rule(name, severity, "expect_compound_columns_to_be_unique", {"column_list": columns})


def _quality_rule(quality: DataQuality) -> Rule:
    """One entry of a contract's `quality`: a Great Expectations implementation, or a library metric."""
    name, severity = str(quality.name), quality.severity or "block"
    if quality.engine == "greatExpectations" and isinstance(quality.implementation, dict):
        return Rule(name, severity, quality.implementation["type"], quality.implementation.get("kwargs", {}))
    if quality.metric == "duplicateValues" and quality.mustBe == 0 and quality.arguments:
        return _unique(name, quality.arguments["properties"], severity)
    if quality.metric == "rowCount" and quality.mustBeGreaterThan is not None:
        limits = {"min_value": int(quality.mustBeGreaterThan) + 1}
        return Rule(name, severity, "expect_table_row_count_to_be_between", limits)
    raise ContractError(f"quality rule {name!r}: neither a greatExpectations implementation nor a metric we know")
