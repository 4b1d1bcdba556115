"""How far the lists of users who did not come back move while everyone else goes on, by their age.

A list is what retrieval gives today; overlap@10 is the share of the places of a list made so many days earlier that today's
still has: what `[night] refresh_days` leaves stale, since a user is made anew at that age. Beside it the lists of users who did
come back, which move because of what they did: no carried list is so far from today's. Intervals are a bootstrap over users.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.intervals import intervals
from jobs.prepare.__main__ import prepare
from jobs.prepare.refresh import overlap
from jobs.profile import Profile, load_profile
from jobs.progress import Progress
from jobs.spark import spark_session


def main() -> None:
    parser = argparse.ArgumentParser(prog="infra/bench drift", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", type=Path, default=Path("infra/profiles/demo.toml"))
    parser.add_argument("--date", type=date.fromisoformat, default=date(2016, 10, 17))
    parser.add_argument("--ages", type=int, nargs="+", default=[1, 7, 14, 28], help="days")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        profile = load_profile(arguments.profile)
        profile = profile.model_copy(update={"storage": profile.storage.model_copy(update={"warehouse": f"{folder}/none"})})
        with spark_session(profile, "bench", f"{folder}/scratch") as spark:
            today = night(spark, profile, arguments.date, folder)
            print(f"{'age':>4}{'events since':>14}  {'users':12}{'n':>5}{'overlap@10':>12}{'95%':>16}{'tenth':>7}{'least':>7}")
            for age in arguments.ages:
                compare(today, night(spark, profile, arguments.date - timedelta(age), folder), age, profile.night.list_length)


def night(spark: SparkSession, profile: Profile, run_date: date, folder: str) -> DataFrame:
    """The contexts of everyone, as prepare makes them where nothing was released before."""
    into, at = f"{folder}/{run_date}", datetime.now(UTC)
    given = {"run_id": "bench", "run_date": run_date, "started_at": at, "users": None, "shards": 1, "force": False}
    prepare(spark, profile, argparse.Namespace(**given, into=into), Progress("prepare"))
    return spark.read.parquet(f"{into}/contexts")


def compare(today: DataFrame, before: DataFrame, age: int, length: int) -> None:
    """A line each for users without and with events since."""
    then = before.select("user_id", F.explode("candidates").alias("each"), F.col("n_events").alias("n"))
    told = then.select("user_id", "each.item_id", "each.retrieval_rank")
    found = overlap(today, told, length).join(today.select("user_id", "n_events"), "user_id")
    rows = found.join(before.select("user_id", F.col("n_events").alias("n")), "user_id").toPandas()
    since = int(today.agg(F.sum("n_events")).first()[0] - before.agg(F.sum("n_events")).first()[0])
    for name, back in (("stayed away", False), ("came back", True)):
        values = rows["overlap"][(rows["n_events"] != rows["n"]) == back].to_numpy()
        if not len(values):
            print(f"{age:4}{since:14,}  {name:12}{0:5}", flush=True)
            continue
        (mean,), (low,), (high,) = intervals(values[:, None])
        shown = f"{mean:12.3f}{f'{low:.3f} to {high:.3f}':>16}{np.quantile(values, 0.1):7.1f}{values.min():7.1f}"
        print(f"{age:4}{since:14,}  {name:12}{len(values):5}{shown}", flush=True)


if __name__ == "__main__":
    main()
