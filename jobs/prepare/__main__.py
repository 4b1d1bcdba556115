"""prepare: the first of a night's three stages. Events and items in, one context a changed user out.

    python -m jobs.prepare --profile FILE --run-date 2016-10-17 --run-id ID --started-at 2016-10-17T02:00:00Z

The last line it prints is JSON: the shards that have work, the users and how many of them changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

from pyspark.sql import DataFrame, SparkSession

from jobs import generations
from jobs.arguments import run_parser
from jobs.contracts import contract
from jobs.errors import InputError, run_main
from jobs.faults import named, refuse
from jobs.fusion import decide
from jobs.generate.review import verdicts
from jobs.locks import working
from jobs.manifest import Manifest, made_with
from jobs.prepare.candidates import candidates
from jobs.prepare.contexts import assemble, split_changed, told
from jobs.prepare.facts import user_facts
from jobs.prepare.histories import describe, select_users, user_histories
from jobs.prepare.labels import everyones
from jobs.prepare.reasons import lifts, tags_had, with_reasons
from jobs.prepare.refresh import content_hash, due, moved
from jobs.prepare.sources import read_sources
from jobs.prepare.validation import LATER, judge_events, judge_items
from jobs.profile import Profile, load_profile
from jobs.progress import Progress
from jobs.releases import latest, released, releases
from jobs.runs import take_over
from jobs.spark import kept, spark_session
from jobs.stage import recorded
from jobs.storage import remove
from jobs.weights import local_digest

EVENT = ("user_id", "event_id", "item_id", "time")  # of what publish judges by


def parse() -> argparse.Namespace:
    parser = run_parser("prepare", __doc__)
    parser.add_argument("--users")
    parser.add_argument("--shards", type=int)
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--into", help="a folder to write to in place of the night's; nothing is recorded (for `plan`)")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    profile = load_profile(arguments.profile)
    progress = Progress("prepare")
    refuse_future(arguments.run_date, arguments.started_at)
    about = (profile, arguments.run_id, arguments.run_date, arguments.started_at)
    work = arguments.into or profile.work(str(arguments.run_date))
    with planned(profile) if arguments.into else recorded(*about):
        refuse(profile, arguments.run_date)
        with spark_session(profile, "prepare", scratch=f"{work}/scratch") as spark:
            progress("Spark is up")
            manifest = prepare(spark, profile, arguments, progress)
    manifest.seconds["prepare"] = progress.seconds
    manifest.write(work)
    print(json.dumps({"shards": manifest.shards, "users": manifest.users, "users_changed": manifest.users_changed}))


@contextmanager
def planned(profile: Profile) -> Iterator[None]:
    """Of a plan nothing is recorded."""
    with working(profile), named(profile):
        yield


def prepare(spark: SparkSession, profile: Profile, arguments: argparse.Namespace, progress: Progress) -> Manifest:
    """Write the night's contexts, carried users and rejected records; returns what publish must know of it."""
    run_date = str(arguments.run_date)
    work = arguments.into or profile.work(run_date)
    if not arguments.into:
        take_over(profile, arguments.run_id, arguments.run_date)
        if saved := generations.salvage(spark, profile, run_date):
            progress(f"saved {saved} answers of nights that were not published")
    verdicts(profile.words)
    events, items = read_sources(spark, profile)
    with (
        judge_items(items).kept() as judged_items,
        judge_events(events, judged_items.valid, profile, run_date, arguments.started_at).kept() as judged_events,
    ):
        judged = judged_events, judged_items
        counts = {each.source: each.counts() for each in judged}
        progress(describe_counts(counts))
        refuse_nothing(counts, profile, run_date)
        rejected = judged[0].rejected(run_date).unionByName(judged[1].rejected(run_date))
        contract("rejected").conform(rejected).write.mode("overwrite").parquet(f"{work}/rejected")
        known = max((each.sequence for each in releases(profile)), default=0)
        before = latest(profile, arguments.run_date)
        digest = local_digest(profile.model)
        fusion = decide(profile, arguments.run_date, digest)
        progress(fusion.why)
        made = made_with(profile, digest, fusion)
        users, sizes, refreshed = write_contexts(spark, profile, judged, arguments, made, before)
    progress(f"{users} users, {sum(sizes.values()) - refreshed} of them changed, {refreshed} refreshed")
    return Manifest(
        run_id=arguments.run_id,
        run_date=arguments.run_date,
        users=users,
        users_changed=sum(sizes.values()),
        users_refreshed=refreshed,
        shards=sorted(sizes),
        sizes=sizes,
        counts=counts,
        release_before=before.release_id if before else None,
        releases_known=known,
        made_with=made,
        fusion=fusion,
        force=arguments.force,
        past=generations.past(spark, profile),
        seconds={},
    )


def write_contexts(spark, profile, judged, arguments, made, before) -> tuple[int, dict[int, int], int]:
    """Write `contexts/` and `carried/`; returns users in the night, those to work on by shard, and how many of these are
    refreshed: their history is the same.

    For publish to judge by, not for a plan: `catalogue/`, and `events/` of those to work on.
    """
    night, run_date = profile.night, str(arguments.run_date)
    work, shards = arguments.into or profile.work(run_date), arguments.shards or profile.night.shards
    events, items = judged[0].valid, judged[1].valid
    users = select_users(events, arguments.users) if arguments.users is not None else None
    settings = hashlib.sha256(json.dumps(made).encode()).hexdigest()
    with kept(describe(events, items)) as described, kept(user_histories(described, users, night, settings)) as histories:
        n_users = histories.count()
        if not n_users:
            raise InputError(f"no users are left for {run_date} (--users {arguments.users}); nothing was published")
        old = {name: released(spark, profile, before, name) for name in ("user_summaries", "rankings")} if before else {}
        changed, same = split_changed(histories, old.get("user_summaries"), arguments.force)
        late = due(same, before.run_date, arguments.run_date, night.refresh_days) if before else same
        asked = changed.unionByName(histories.join(late, "user_id", how="left_semi"))
        compared = histories if old and night.compares else asked
        clear(work)
        if not arguments.into:
            items.select("item_id").write.parquet(f"{work}/catalogue")
        if compared.isEmpty():
            same.write.mode("overwrite").parquet(f"{work}/carried")
            return n_users, {}, 0
        with contexts(compared, described, items, night, run_date, shards) as every:
            rows = every
            if old and night.compares:
                wanted = asked.select("user_id").unionByName(moved(every, old["user_summaries"], old["rankings"], night))
                rows = every.join(wanted.distinct(), "user_id", how="left_semi")
            same.join(rows, "user_id", how="left_anti").write.mode("overwrite").parquet(f"{work}/carried")
            if not arguments.into:
                theirs = described.join(rows.select("user_id"), "user_id", how="left_semi")
                theirs.select(*EVENT).write.parquet(f"{work}/events")
            write_answered(spark, profile, rows, old.get("user_summaries"), arguments, work)
            n_refreshed = rows.join(same, "user_id", how="left_semi").count()
            return n_users, {row["shard"]: row["count"] for row in rows.groupBy("shard").count().collect()}, n_refreshed


@contextmanager
def contexts(histories, described, items, night, run_date, shards) -> Iterator[DataFrame]:
    """Rows of `contexts` but for what calls answered and summaries told before, a row a history."""
    with (
        kept(everyones(described, items)) as everyone,
        candidates(histories, described, described, items, night, run_date) as best,
        kept(
            assemble(histories, user_facts(histories, everyone), best, shards)
            .transform(with_reasons, lifts(histories, everyone), tags_had(histories, described))
            .withColumn("content_hash", content_hash())
        ) as rows,
    ):
        yield rows


def write_answered(spark, profile, rows, summaries, arguments, work) -> None:
    """Write `contexts/` and `phrasings/`: `rows` of `contexts` with the answers that may serve again."""
    run_date, force = str(arguments.run_date), arguments.force
    with_answers = rows.join(generations.known(spark, profile, rows, run_date, force), "user_id", how="inner")
    if profile.words.rolling and summaries is not None and "claims" in summaries.columns:
        with_answers = with_answers.join(told(summaries), "user_id", how="left")
    ordered = contract("contexts").conform(with_answers).repartition("shard").sortWithinPartitions("shard", "user_id")
    ordered.write.partitionBy("shard").parquet(f"{work}/contexts")
    phrased = generations.phrasings(spark, profile, run_date, force)
    if phrased is not None:
        phrased.coalesce(1).write.parquet(f"{work}/phrasings")


def clear(work: str) -> None:
    """Remove what an earlier try of the night made."""
    for made in ("contexts", "catalogue", "events", "phrasings", "results", "generate"):
        remove(f"{work}/{made}")


def describe_counts(counts: dict[str, dict[str, int]]) -> str:
    """`100004 events (12 unknown_item), 9066 items (7 missing_title)`."""
    parts = []
    for source, reasons in counts.items():
        wrong = ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items()) if reason != "valid")
        parts.append(f"{sum(reasons.values())} {source}" + (f" ({wrong})" if wrong else ""))
    return ", ".join(parts)


def refuse_future(run_date: date, started_at: datetime) -> None:
    """Raise where the night is later than anywhere on earth: readers would see it until that day has come."""
    if run_date > (last := (started_at + timedelta(days=1)).date()):
        raise InputError(f"run date {run_date} is in the future; the last possible one is {last}; nothing was published")


def refuse_nothing(counts: dict[str, dict[str, int]], profile: Profile, run_date: str) -> None:
    """Raise where there is nothing a night could be made of."""
    for source, path in (("items", profile.items.path), ("events", profile.events.path)):
        reasons = counts[source]
        if reasons.get("valid"):
            continue
        if not reasons:
            raise InputError(f"{source}.path: {path} is empty; nothing was published")
        if reasons.get(LATER):
            usable = f"all {reasons[LATER]} usable {source} are on or after {run_date}"
            raise InputError(f"{source}.path: {usable}; nothing was published")
        counts_in_words = describe_counts({source: reasons})
        raise InputError(f"{source}.path: no usable record in {path}: {counts_in_words}; nothing was published")


if __name__ == "__main__":
    run_main(main)
