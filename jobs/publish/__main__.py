"""publish: the last of a night's three stages. Results in; judged tables and one release row out.

    python -m jobs.publish --profile FILE --run-date 2016-10-17 --run-id ID --started-at 2016-10-17T02:00:00Z

Nothing is visible before every rule has been judged: a blocked night leaves the last release as it was. Calls are
remembered even then. The last line it prints is JSON: the release, the run's status and where the page of the night is.
"""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NoReturn

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs import generations
from jobs.arguments import run_parser
from jobs.contracts import contract
from jobs.errors import GateError, InputError, run_main
from jobs.faults import refuse, release_faults
from jobs.manifest import Manifest, read_manifest
from jobs.profile import Profile, load_profile
from jobs.progress import Progress
from jobs.publish.drift import judge_against_last
from jobs.publish.expectations import judge
from jobs.publish.gates import Verdict, judge_across, judge_figures, read_proof, template_share
from jobs.publish.layout import WRITER, laid_out, row_groups
from jobs.publish.quality import figures, judge_words, sample
from jobs.publish.tables import assemble, digest, tonights_results
from jobs.releases import Release, latest, publish
from jobs.report.page import night_page, place
from jobs.runs import find_run, put_run
from jobs.spark import spark_session
from jobs.stage import recorded
from jobs.storage import delta_uri, exists, put_rows, read_json, remove

RECENT = 100  # commits among which a night finds its own


def main() -> None:
    arguments = run_parser("publish", __doc__).parse_args()
    profile = load_profile(arguments.profile)
    progress = Progress("publish")
    done = find_run(profile, arguments.run_id)
    if done and done["release_id"]:
        progress(f"this run is published already: {done['release_id']}")
        _end(profile, arguments.run_id, done["release_id"], done["status"], progress)
        return
    try:
        release, status = _night(profile, arguments, progress)
    except GateError:
        night_page(profile, arguments.run_id, progress)
        raise
    _end(profile, arguments.run_id, release.release_id, status, progress)


def _night(profile: Profile, arguments: Namespace, progress: Progress) -> tuple[Release, str]:
    with recorded(profile, arguments.run_id, arguments.run_date, arguments.started_at):
        refuse(profile, arguments.run_date)
        manifest = read_manifest(profile, str(arguments.run_date), arguments.run_id)
        with spark_session(profile, "publish") as spark:
            progress("Spark is up")
            return Night(spark, profile, manifest, arguments.started_at, progress).run()


def _end(profile: Profile, run_id: str, release_id: str, status: str, progress: Progress) -> None:
    """What the task is left with: the release, and where the page of the night is."""
    print(json.dumps({"release": release_id, "status": status, "report": night_page(profile, run_id, progress)}))


class Night:
    """One night on its way to the public: judge, write, release, record."""

    def __init__(
        self, spark: SparkSession, profile: Profile, manifest: Manifest, started_at: datetime, progress: Progress
    ) -> None:
        self.spark, self.profile, self.manifest = spark, profile, manifest
        self.started_at, self.progress = started_at, progress
        self.columns: dict[str, Any] = {}

    def run(self) -> tuple[Release, str]:
        """The release that shows this night, and whether it is new (`published`) or was there (`unchanged`)."""
        made = tonights_results(self.spark, self.profile, self.manifest)
        tables: dict[str, DataFrame] = {}
        try:
            self.columns = self.remember(made)
            assembled = assemble(self.spark, self.profile, self.manifest, made)
            tables = {name: rows.persist(StorageLevel.DISK_ONLY) for name, rows in assembled.items()}
            self.progress("tables assembled")
            self.columns["template_share"] = template_share(tables["user_summaries"], tables["explanations"])
            failed = self.judge(tables, made)
            digests = {name: digest(rows) for name, rows in tables.items()}
            now = latest(self.profile, self.manifest.run_date)
            same = now is not None and (now.run_date, now.digests) == (self.manifest.run_date, digests)
            if now and same:
                same = not release_faults(self.profile, now)
            mine = now is not None and same and now.run_id == self.manifest.run_id  # killed before its row in runs said so
            if now and mine:
                self.columns |= {"tables": now.tables, "digests": now.digests}
            if failed or not same:
                self.columns |= {"tables": {name: self.write(name, rows) for name, rows in tables.items()}, "digests": digests}
        finally:
            for rows in (made, *tables.values()):
                rows.unpersist()
        if failed:
            self.refuse(failed)
        release = now if now and same else self.release()
        status = "unchanged" if same and not mine else "published"
        self.record_phrasings()
        self.record(status, release_id=release.release_id)  # a run that has this row is not published again
        remove(f"{self.profile.work(str(self.manifest.run_date))}/results")
        return release, status

    def remember(self, made: DataFrame) -> dict[str, Any]:
        """Add tonight's calls to `generations`; returns the run's columns about calls.

        Raises:
            InputError: answers are lost that tonight's words came from.
        """
        run_date = str(self.manifest.run_date)
        calls, torn = generations.new_calls(self.spark, self.profile, self.manifest.run_id, run_date)
        if torn:
            raise InputError(f"{torn} files of calls are not what generate wrote for {run_date}; run it again first")
        total = calls.agg(
            F.count("*").alias("calls_new"),
            F.count_if(F.col("subject_type") != "pattern").alias("calls_of_users"),
            F.count_if(~F.col("status").isin("ok", "repaired")).alias("calls_failed"),
            *[F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in ("prompt_tokens", "cached_tokens", "output_tokens")],
        ).first()
        names = ("calls_answered", "calls_refused")
        asked = made.agg(*[F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in names]).first()
        assert total and asked
        if total["calls_new"]:
            generations.remember(self.spark, self.profile, calls, replace=self.manifest.force)
        figures = total.asDict()
        cached = max(0, asked["calls_answered"] - figures.pop("calls_of_users"))
        told = {"calls_cached": cached, "calls_refused": asked["calls_refused"]}
        return figures | told | {"predicted": list(self.predicted().items()) or None}

    def judge(self, tables: dict[str, DataFrame], made: DataFrame) -> list[dict[str, Any]]:
        """Write the verdict of every rule; returns those that block."""
        docs = place(self.profile, self.manifest.run_id).parent
        verdicts = judge(tables, self.manifest.run_id, self.manifest.run_date, str(docs))
        self.progress(f"{len(verdicts)} rules of contracts judged")
        about, limits = (self.spark, self.profile, self.manifest), self.profile.gates
        across = judge_across(tables, read_proof(*about, made), self.manifest, self.profile)
        across += judge_figures(self.columns, limits)
        self.progress(f"{len(across)} rules across tables judged")
        drift = judge_against_last(*about, tables, made, self.columns["prompt_tokens"] + self.columns["output_tokens"])
        self.progress(f"{len(drift)} rules against the last release judged")
        words = self.audit(tables)
        verdicts += [each.row(self.manifest, limits) for each in across + drift + words]
        put_rows(self.profile, "validations", verdicts, key="run_id")
        failed = [each for each in verdicts if not each["passed"] and each["severity"] == "block"]
        self.progress(f"{len(verdicts)} rules judged, {len(failed)} of them block")
        return failed

    def refuse(self, failed: list[dict[str, Any]]) -> NoReturn:
        """Leave the last release as it is; what was written stays to be looked at.

        Raises:
            GateError: names table, rule, count and sample keys of each rule, and what can be done.
        """
        run = self.manifest.run_id
        look = f'to look at it: infra/nocturne query --release {run} "..."; every rule: {place(self.profile, run)}'
        accept = f'to let it pass: infra/nocturne release --run {run} --accept "REASON"'
        message = "\n".join(["nothing was published; rules that block failed:", *map(_describe, failed), look, accept])
        self.record("blocked", message=message)
        raise GateError(message)

    def audit(self, tables: dict[str, DataFrame]) -> list[Verdict]:
        """Verdicts of the words, on a sample of users; their figures stand in `evaluations` even if they block."""
        limits, about = self.profile.gates, {"run_id": self.manifest.run_id, "run_date": self.manifest.run_date}
        users = sample(tables, limits.audited_users)
        verdicts, found = judge_words(users, limits), [about | row for row in figures(users)]
        if found:
            put_rows(self.profile, "evaluations", found, key="run_id")
        self.progress(f"words of {len(users)} users audited")
        return verdicts

    def release(self) -> Release:
        """Make public what was written."""
        release = Release(
            release_id=f"r-{self.manifest.run_id}",
            run_date=self.manifest.run_date,
            run_id=self.manifest.run_id,
            status="released",
            tables=self.columns["tables"],
            digests=self.columns["digests"],
            published_at=self.now(),
        )
        self.progress(f"releasing {release.release_id}")
        return publish(self.profile, release, self.manifest.releases_known)

    def write(self, name: str, rows: DataFrame) -> int:
        """Replace the night's rows of one table; returns the Delta version that holds them, whoever else writes."""
        from deltalake import DeltaTable

        path, mark = self.profile.table(name), self.manifest.run_id
        writer = laid_out(rows, name, self.manifest.users).write.format("delta").options(**WRITER).option("mergeSchema", True)
        writer = writer.partitionBy(*contract(name).partitions).mode("overwrite").option("userMetadata", mark)
        with row_groups(self.spark):
            writer.option("replaceWhere", f"run_date = '{self.manifest.run_date}'").save(path)
        commits = DeltaTable(delta_uri(path)).history(RECENT)
        return next(int(each["version"]) for each in commits if each.get("userMetadata") == mark)

    def now(self) -> datetime:
        """When this stage has come here: the run's start and the seconds measured since; nothing here asks a clock."""
        return self.started_at + timedelta(seconds=sum(self.seconds().values()))

    def seconds(self) -> dict[str, float]:
        """Seconds of each stage; generate's is its slowest shard's."""
        slowest = max((shard["seconds"] for shard in self.shards), default=0.0)
        return self.manifest.seconds | {"generate": slowest, "publish": self.progress.seconds}

    def predicted(self) -> dict[str, float]:
        """What generate was expected to cost: sums over shards, intervals too, which is wide; seconds are the slowest's."""
        found: dict[str, float] = {}
        for shard in self.shards:
            for name, value in shard["predicted"].items():
                together = max if name.startswith("seconds") else float.__add__
                found[name] = together(found.get(name, 0.0), float(value))
        return found

    @cached_property
    def shards(self) -> list[dict[str, Any]]:
        """What each worker left."""
        work = f"{self.profile.work(str(self.manifest.run_date))}/generate"
        return [read_json(f"{work}/{shard}.json") for shard in self.manifest.shards]

    def record_phrasings(self) -> None:
        """What the night's phrasebook was, for people to judge; shards have the same."""
        work = f"{self.profile.work(str(self.manifest.run_date))}/generate"
        files = [f"{work}/{shard}.phrasings.json" for shard in self.manifest.shards]
        if found := next((read_json(file) for file in files if exists(file)), None):
            about = {"run_id": self.manifest.run_id, "run_date": self.manifest.run_date}
            put_rows(self.profile, "phrasings", [about | row for row in found], key="run_id")

    def record(self, status: str, **columns: Any) -> None:
        """The run's row in its final form."""
        manifest = self.manifest
        counts = {
            "rows_in": manifest.rows_in,
            "rows_later": manifest.rows_later,
            "rows_rejected": manifest.rows_rejected,
            "fusion": manifest.fusion.why,
        }
        names = ("users", "users_changed", "users_refreshed")
        about = counts | {name: getattr(manifest, name) for name in names}
        workers = sum(shard["seconds"] for shard in self.shards)  # what `plan` learns the speed of one from
        times = {"ended_at": self.now(), "stage_seconds": list((self.seconds() | {"workers": workers}).items())}
        put_run(
            self.profile, manifest.run_id, manifest.run_date, self.started_at, status,
            **about, **self.columns, **times, **columns,
        )  # fmt: skip


def _describe(verdict: dict[str, Any]) -> str:
    keys = f"; e.g. {'; '.join(verdict['sample_keys'])}" if verdict["sample_keys"] else ""
    return f"  {verdict['table']}.{verdict['rule']}: {verdict['observed']} (expected {verdict['expected']}){keys}"


if __name__ == "__main__":
    run_main(main)
