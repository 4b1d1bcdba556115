"""Read any log or catalogue as text columns under our names, each row with the record as it came.

Values stay text here: what a text means, and whether it means anything, is validation's question.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from jobs.errors import InputError
from jobs.profile import Events, Items, Profile, resolve

RECORD, BROKEN, LOSSY = "record", "broken", "lossy"
CORRUPT = "_corrupt_record"

WHOLE = (ByteType, ShortType, IntegerType, LongType)
NUMBER = (*WHOLE, DecimalType, FloatType, DoubleType)
TIME = {"s": NUMBER, "ms": NUMBER, "iso": (TimestampType, TimestampNTZType, DateType)}
# A \uD800-like escape without its other half: Jackson would turn it into a question mark.
LONE_SURROGATE = (
    r"(?<!\\)(?:\\\\)*(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)


@dataclass(frozen=True)
class Source:
    """One input as read: `rows` holds our columns as text (tags: array of text), and

    - `record`: the record as it came, JSON or its line;
    - `broken`: true where the line is not a record at all;
    - `lossy`: true where reading it lost characters that were no valid text.
    """

    name: str
    rows: DataFrame


def read_sources(spark: SparkSession, profile: Profile) -> tuple[Source, Source]:
    """The log and the catalogue.

    Raises:
        InputError: names every missing file, missing column and column of a type that cannot be what the profile says.
    """
    problems: list[str] = []
    sources = [_read(spark, "events", profile.events, problems), _read(spark, "items", profile.items, problems)]
    if problems:
        raise InputError("\n".join([f"profile {profile.name}: the inputs do not fit:", *problems]))
    events, items = (source for source in sources if source)
    return events, items


def _read(spark: SparkSession, name: str, table: Events | Items, problems: list[str]) -> Source | None:
    path = resolve(table.path)
    try:
        raw = READERS[table.format](spark, path)
    except AnalysisException as error:
        problems.append(f"  {name}.path: {path} cannot be read as {table.format}: {str(error).splitlines()[0]}")
        return None
    problems += [f"  {name}.{problem}" for problem in _misfits(raw, table)]
    return None if problems else Source(name, _mapped(raw, table))


def _read_csv(spark: SparkSession, path: str) -> DataFrame:
    """RFC 4180: quotes doubled; a row with too many or too few fields is broken."""
    reader = spark.read.options(header=True, quote='"', escape='"', encoding="UTF-8", multiLine=False)
    columns = [field.name for field in reader.csv(path).schema]
    schema = StructType([StructField(column, StringType()) for column in [*columns, CORRUPT]])
    rows = reader.schema(schema).option("columnNameOfCorruptRecord", CORRUPT).csv(path)
    record = F.coalesce(CORRUPT, F.to_json(F.struct(*map(_column, columns))))
    return rows.select("*", record.alias(RECORD), F.col(CORRUPT).isNotNull().alias(BROKEN), F.lit(False).alias(LOSSY))


def _read_json(spark: SparkSession, path: str) -> DataFrame:
    """JSON lines; the line itself is the record."""
    fields = spark.read.option("primitivesAsString", True).json(path).schema.fields
    schema = StructType([field for field in fields if field.name != CORRUPT] + [StructField(CORRUPT, StringType())])
    lines = spark.read.text(path).where(F.trim("value") != "")
    parsed = lines.select("value", F.from_json("value", schema, {"columnNameOfCorruptRecord": CORRUPT}).alias("parsed"))
    lossy = F.col("value").rlike(LONE_SURROGATE) | ~F.is_valid_utf8("value")
    broken = F.col(f"parsed.{CORRUPT}").isNotNull()
    return parsed.select("parsed.*", F.col("value").alias(RECORD), broken.alias(BROKEN), lossy.alias(LOSSY))


def _read_typed(form: str):
    def read(spark: SparkSession, path: str) -> DataFrame:
        rows = spark.read.format(form).load(path)
        record = F.to_json(F.struct(*map(_column, rows.columns)))
        return rows.select("*", record.alias(RECORD), F.lit(False).alias(BROKEN), F.lit(False).alias(LOSSY))

    return read


READERS = {"csv": _read_csv, "json": _read_json, "parquet": _read_typed("parquet"), "delta": _read_typed("delta")}


def _column(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`")


def _wanted(table: Events | Items) -> dict[str, str]:
    """Profile key -> their column, for every column the profile names."""
    keys = ("user", "item", "time", "value", "type", "id", "title", "tags", "year")
    wanted = {key: getattr(table, key) for key in keys if getattr(table, key, None)}
    return wanted | {f"text[{place}]": name for place, name in enumerate(getattr(table, "text", []))}


def _misfits(raw: DataFrame, table: Events | Items) -> list[str]:
    """Every mapped column that is missing or of a type that cannot serve."""
    found = {field.name: field.dataType for field in raw.schema if field.name not in (CORRUPT, RECORD, BROKEN, LOSSY)}
    problems = []
    for key, column in _wanted(table).items():
        if column not in found:
            problems.append(f"{key}: no column {column!r}; the {table.format} has {', '.join(map(repr, found))}")
        elif not isinstance(found[column], allowed := _allowed(key, table)):
            names = ", ".join(sorted(kind.typeName() for kind in allowed))
            problems.append(f"{key}: column {column!r} has type {found[column].simpleString()}; allowed: {names}")
    return problems


def _allowed(key: str, table: Events | Items) -> tuple[type[DataType], ...]:
    match key:
        case "user" | "item" | "id":
            return (StringType, *WHOLE)
        case "time" if isinstance(table, Events):
            return (StringType, *TIME[table.time_unit])
        case "value" | "year":
            return (StringType, *NUMBER)
        case "tags":
            return (StringType, ArrayType)
    return (StringType, *NUMBER)


def _mapped(raw: DataFrame, table: Events | Items) -> DataFrame:
    """Our columns as text, in place of theirs."""
    columns = {ours: _column(theirs).cast("string") for ours, theirs in table.columns.items() if ours != "tags"}
    if isinstance(table, Items):
        columns["tags"] = _tags(raw, table)
        columns["text"] = F.concat_ws(" · ", *map(_column, table.text)) if table.text else F.lit(None).cast("string")
    absent = [name for name in ("value", "type", "event_id", "year") if name not in columns]
    columns |= {name: F.lit(None).cast("string") for name in absent}
    text = [column for name, column in columns.items() if name != "tags"]
    questionable = F.coalesce(F.concat_ws(" ", *text).contains("?"), F.lit(False))
    lossy = (F.col(LOSSY) & questionable).alias(LOSSY)
    return raw.select(*[column.alias(name) for name, column in columns.items()], RECORD, BROKEN, lossy)


def _tags(raw: DataFrame, items: Items) -> Column:
    """Tags as an array of trimmed, distinct, non-empty texts."""
    if not items.tags:
        return F.array().cast("array<string>")
    column = _column(items.tags)
    if not isinstance(raw.schema[items.tags].dataType, ArrayType):
        separator = items.tags_separator
        column = F.split(column, F.lit(f"\\Q{separator}\\E")) if separator else F.array(column)
    trimmed = F.transform(column.cast("array<string>"), lambda tag: F.trim(tag))
    return F.coalesce(F.array_distinct(F.filter(trimmed, lambda tag: tag != "")), F.array().cast("array<string>"))
