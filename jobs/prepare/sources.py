"""Read any log or catalogue as text columns under our names, each row with the record as it came.

Values stay text here: what a text means, and whether it means anything, is validation's question.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
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
from jobs.faults import cause, file_in, is_full
from jobs.profile import Events, Items, Profile, resolve
from jobs.storage import files_below

RECORD, BROKEN, LOSSY = "_nocturne_record", "_nocturne_broken", "_nocturne_lossy"  # no column of theirs
CORRUPT = "_corrupt_record"
FILLED = r"[^\p{C}\p{Z}\s]"  # anything that is seen: no white space, no control or format character of any script
LABELS = ("tags", "creators")  # columns of items that hold several texts

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
    """One input as read: `rows` holds our columns as text (LABELS: array of text), and

    - RECORD: the record as it came, JSON or its line;
    - BROKEN: true where the line is not a record at all;
    - LOSSY: true where reading it lost characters that were no valid text.
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
        with readable():
            raw = READERS[table.format](spark, path, set(_wanted(table).values()))
    except InputError as error:
        problems.append(f"  {name}.path: {path} cannot be read as {table.format}: {error}")
        return None
    problems += [f"  {name}.{problem}" for problem in _misfits(raw, table)]
    return None if problems else Source(name, _mapped(raw, table))


@contextmanager
def readable() -> Iterator[None]:
    """Turn what Spark says of a file that it cannot read into an `InputError` of one line; Spark reads late."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        text = str(error)
        if is_full(text):  # which is no fault of the input
            raise
        file, why = file_in(text), cause(text)
        raise InputError(why if file is None or file in why else f"{file}: {why}") from error


def _read_csv(spark: SparkSession, path: str, wanted: set[str]) -> DataFrame:
    """RFC 4180 but for line breaks within quotes: quotes doubled; a row with too many or too few fields is broken."""
    reader = spark.read.options(header=True, quote='"', escape='"', encoding="UTF-8", multiLine=False)
    header = reader.csv(path)
    columns = _some(header.columns)
    one_header = len(header.inputFiles()) == 1  # of several files each must have the same
    schema = StructType([StructField(column, StringType()) for column in [*columns, CORRUPT]])
    reader = reader.schema(schema).options(columnNameOfCorruptRecord=CORRUPT, enforceSchema=one_header)
    rows = reader.csv(path)
    record = F.coalesce(CORRUPT, F.to_json(F.struct(*map(_column, columns))))
    return rows.select("*", record.alias(RECORD), F.col(CORRUPT).isNotNull().alias(BROKEN), F.lit(False).alias(LOSSY))


def _read_json(spark: SparkSession, path: str, wanted: set[str]) -> DataFrame:
    """JSON lines; the line itself is the record.

    A line is parsed in brackets: otherwise one with two records, or with a rest, would pass for its first record.
    """
    one = ArrayType(StructType(_some(_json_fields(spark, path, wanted))))
    lines = spark.read.text(path).where(F.col("value").rlike(r"\S"))
    found = F.from_json(F.concat(F.lit("["), "value", F.lit("]")), one)
    parsed = lines.select("value", F.when(F.size(found) == 1, found[0]).alias("parsed"))
    lossy = F.col("value").rlike(LONE_SURROGATE) | ~F.is_valid_utf8("value")
    broken = F.col("parsed").isNull()
    return parsed.select("parsed.*", F.col("value").alias(RECORD), broken.alias(BROKEN), lossy.alias(LOSSY))


def _json_fields(spark: SparkSession, path: str, wanted: set[str]) -> list[StructField]:
    """Fields of the records; of those that differ by case only, the wanted one: a stray `User` must not stop a night."""
    spark.conf.set("spark.sql.caseSensitive", True)
    try:
        fields = spark.read.option("primitivesAsString", True).json(path).schema.fields
    finally:
        spark.conf.unset("spark.sql.caseSensitive")
    taken = {name.lower() for name in wanted}
    return [each for each in fields if each.name in wanted or each.name.lower() not in taken | {CORRUPT}]


def _read_typed(form: str):
    def read(spark: SparkSession, path: str, wanted: set[str]) -> DataFrame:
        rows = spark.read.format(form).load(path)
        record = F.to_json(F.struct(*map(_column, rows.columns)))
        return rows.select("*", record.alias(RECORD), F.lit(False).alias(BROKEN), F.lit(False).alias(LOSSY))

    return read


def _read_parquet(spark: SparkSession, path: str, wanted: set[str]) -> DataFrame:
    """Spark passes over a file of no bytes as if it were not there; a Parquet file always has some."""
    if empty := [name for name, size in files_below(path) if not size and name.endswith(".parquet")]:
        raise InputError(f"{empty[0]} is empty, which no Parquet file is; put a whole one in its place")
    return _read_typed("parquet")(spark, path, wanted)


READERS = {"csv": _read_csv, "json": _read_json, "parquet": _read_parquet, "delta": _read_typed("delta")}


def _some(columns: list) -> list:
    if not columns:
        raise InputError("it is empty, or holds no record at all")
    return columns


def _column(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`")


def _wanted(table: Events | Items) -> dict[str, str]:
    """Profile key -> their column, for every column the profile names."""
    keys = ("user", "item", "time", "value", "type", "id", "title", *LABELS, "year")
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
        case label if label in LABELS:
            return (StringType, ArrayType)
    return (StringType, *NUMBER)


def _mapped(raw: DataFrame, table: Events | Items) -> DataFrame:
    """Our columns as text, in place of theirs."""
    columns = {ours: _column(theirs).cast("string") for ours, theirs in table.columns.items() if ours not in LABELS}
    if isinstance(table, Items):
        columns |= {name: _labels(raw, getattr(table, name), getattr(table, f"{name}_separator")) for name in LABELS}
        columns["text"] = _joined(table.text)
    absent = [name for name in ("value", "type", "event_id", "year") if name not in columns]
    columns |= {name: F.lit(None).cast("string") for name in absent}
    questionable = F.concat_ws(" ", *columns.values()).contains("?")
    lossy = (F.col(LOSSY) & questionable).alias(LOSSY)
    return raw.select(*[column.alias(name) for name, column in columns.items()], RECORD, BROKEN, lossy)


def _joined(names: list[str]) -> Column:
    """Columns as one text, blank ones left out; null where nothing is left."""
    filled = [F.when(F.trim(_column(name).cast("string")) != "", _column(name)) for name in names]
    return F.nullif(F.concat_ws(" · ", *filled), F.lit("")) if names else F.lit(None).cast("string")


def _labels(raw: DataFrame, name: str | None, separator: str | None) -> Column:
    """The column `name` as an array of trimmed, distinct, non-empty texts."""
    if not name:
        return F.array().cast("array<string>")
    column = _column(name)
    if not isinstance(raw.schema[name].dataType, ArrayType):
        column = F.split(column, F.lit(f"\\Q{separator}\\E")) if separator else F.array(column)
    trimmed = F.transform(column.cast("array<string>"), lambda label: F.trim(label))
    return F.coalesce(F.array_distinct(F.filter(trimmed, lambda label: label.rlike(FILLED))), F.array().cast("array<string>"))
