"""Who stays erased: hashes of users' ids, asked by every night before it looks at anything else.

A user who comes back under the same id stays suppressed until a person says otherwise (`let_back`).
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from jobs.erase.fields import SEPARATORS
from jobs.profile import Profile
from jobs.storage import delta_uri, put_rows, read_rows, table_exists

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

TABLE = "suppressions"


def suppress(profile: Profile, users: frozenset[str], at: datetime, receipt_id: str) -> dict[str, str]:
    """Suppress users from now on; returns the hash of each. Who is suppressed already stays so since then."""
    there = read_rows(profile, TABLE)
    salt = there[0]["salt"] if there else secrets.token_hex(16)
    hashes = {user: hashed(user, salt) for user in users}
    known = {row["user_hash"] for row in there}
    about = {"salt": salt, "erased_at": at, "receipt_id": receipt_id}
    if rows := [about | {"user_hash": each} for each in sorted(hashes.values()) if each not in known]:
        put_rows(profile, TABLE, rows)
    return hashes


def let_back(profile: Profile, users: frozenset[str]) -> int:
    """Suppress users no longer: what the log has of them counts from the next night on. Returns how many were suppressed."""
    from deltalake import DeltaTable

    there = read_rows(profile, TABLE)
    found = {row["user_hash"] for row in there} & {hashed(user, there[0]["salt"]) for user in users if there}
    if found:
        names = ", ".join(f"'{each}'" for each in sorted(found))
        DeltaTable(delta_uri(profile.table(TABLE))).delete(f"user_hash in ({names})")
    return len(found)


def hashed(text: str, salt: str) -> str:
    return hashlib.sha256((salt + text).encode()).hexdigest()


def hash_of(text: Column | str, salt: str) -> Column:
    """`hashed`, in Spark; null for null."""
    return F.sha2(F.concat(F.lit(salt), text), 256)


def suppressed(profile: Profile, rows: DataFrame, user: str = "user_id", unread: str | None = None) -> DataFrame:
    """`rows` with `suppressed`: true where `user` is, or a field of the text `unread`, which may be null."""
    found = read_rows(profile, TABLE) if table_exists(profile.table(TABLE)) else []
    if not found:
        return rows.withColumn("suppressed", F.lit(False))
    salt, spark = found[0]["salt"], rows.sparkSession
    hashes = spark.createDataFrame([(row["user_hash"], True) for row in found], "user_hash string, listed boolean")
    keyed = rows.withColumn("user_hash", hash_of(user, salt))
    marked = keyed.join(F.broadcast(hashes), "user_hash", how="left").drop("user_hash")
    listed = F.coalesce("listed", F.lit(False))
    if unread:
        fields = F.flatten(F.array(*[F.split(unread, each) for each in SEPARATORS]))
        any_field = F.arrays_overlap(F.transform(fields, lambda each: hash_of(each, salt)), _all(found))
        listed = listed | F.coalesce(any_field, F.lit(False))
    return marked.withColumn("suppressed", listed).drop("listed")


def _all(found: list[dict[str, Any]]) -> Column:
    return F.array(*[F.lit(row["user_hash"]) for row in found])
