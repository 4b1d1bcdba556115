"""What the night's words are worth: figures of a sample of users, from the published rows alone.

- `grounding`: share of sentences in which everything resolves (`grounding`); `sentences`: how many a user
- `claims_resolved`: share of claims that resolve and are in the text (its precision); `claims`: how many a text
- `template_share`: share of texts that a template wrote; of texts asked of the model `accepted`: share whose words stand, and
  `refused_by_NAME`: share in which that check found something
- `coverage`: of a user's strongest labels (`LABELS`) the share that the summary names; of the part of an item's retrieval score
  that the user's events brought, the share that the events brought which the explanation cites
- `distinctness`: 1 - |A ∩ B| / |A ∪ B| of the words of a summary and the next user's in the sample (Jaccard, Bull. Soc. Vaud.
  Sci. Nat. 37, 1901), and of each explanation and the next in the list; `distinctness_of_phrasing`: without claimed names
- `faithfulness`: what removing the cited events takes off the item's score, as a share of it: comprehensiveness (DeYoung et
  al., ERASER, ACL 2020), exact since a score is the sum of its contributions, as long as what everyone's events teach stays the
  same; `random`: what as many random ones of the user's events would in expectation. Not of items that no event brought

A figure is a total over a count of both the sample's users (the share of all their sentences); its interval resamples users.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.generate.checks.evidence import WORD
from jobs.intervals import ratios
from jobs.profile import Gates
from jobs.publish.gates import SAMPLES, Verdict
from jobs.publish.grounding import Row, Text

SPLIT = "words"  # of `evaluations`
SUMMARIES, EXPLANATIONS, ALL = "summaries", "explanations", "all"
TABLES = {SUMMARIES: "user_summaries", EXPLANATIONS: "explanations"}
LABELS = {"interests": 3, "dislikes": 2}  # a summary should name
CHECK = re.compile(r"([a-z-]+): ")  # a finding; other entries say more of the one before
NOTHING: dict[str, Any] = {
    "kind": "",
    "claim": "",
    "evidence": [],
}  # of a claim that is null, or whose parts are
LONGEST = 200  # characters of what does not resolve, in a verdict


@dataclass(frozen=True)
class Key:
    """What a figure is of: columns of `evaluations`."""

    segment: str
    metric: str
    method: str = ALL
    against: str | None = None


Entry = tuple[Key, float, float]  # a part of a figure's total and of its count


@dataclass(frozen=True)
class User:
    """The published rows of one user."""

    summary: Row
    explanations: Sequence[Row]
    rankings: Sequence[Row]
    evidence: Sequence[Row]

    @cached_property
    def texts(self) -> dict[str, dict[str, Text]]:
        """Texts by segment, then by the key of their row: explanations as the list has them."""
        events = {event["event_id"]: event for event in self.evidence}
        items = {row["item_id"]: row for row in sorted(self.rankings, key=lambda row: row["rank"] or 0)}
        mine, n_events = f"user_id={self.summary['user_id']}", self.summary["n_events"]
        of_items = {row["item_id"]: row for row in self.explanations}
        listed = [name for name in items if name in of_items] + [name for name in of_items if name not in items]
        explained = {f"{mine}, item_id={name}": _text(of_items[name], EXPLANATIONS, events, items.get(name)) for name in listed}
        return {SUMMARIES: {mine: _text(self.summary, SUMMARIES, events, n_events=n_events)}, EXPLANATIONS: explained}

    def of(self, segment: str) -> list[Text]:
        """Texts of a segment."""
        return list(self.texts[segment].values())


def _text(row: Row, segment: str, events: Mapping[str, Row], item: Row | None = None, n_events: int | None = None) -> Text:
    words = row["summary" if segment == SUMMARIES else "explanation"]
    claims = [
        NOTHING | {name: value for name, value in (each or {}).items() if value is not None} for each in row["claims"] or []
    ]
    return Text(words or "", row["source"], claims, events, item, n_events, row["checks"] or [])


def sample(tables: Mapping[str, DataFrame], n_users: int) -> list[User]:
    """At most so many users in the order of a hash of their id: the same people every night, as long as they are there."""
    ordered = tables["user_summaries"].orderBy(F.xxhash64("user_id"), "user_id").select("user_id").limit(n_users)
    ids = list(dict.fromkeys(row["user_id"] for row in ordered.collect()))
    summaries = _of(tables["user_summaries"], ids)
    lists = [_of(tables[name], ids) for name in ("explanations", "rankings", "evidence")]
    return [User(summaries[name][0], *(rows.get(name, []) for rows in lists)) for name in ids]


def _of(table: DataFrame, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in table.where(F.col("user_id").isin(list(ids))).toArrow().to_pylist():
        found.setdefault(row["user_id"], []).append(row)
    return found


def figures(users: Sequence[User]) -> list[dict[str, Any]]:
    """Rows of `evaluations` but for the run and its date."""
    names = sorted({name for user in users for segment in TABLES for text in user.of(segment) for name in refusals(text)})
    by_user = [_summed(measured(user, other, names)) for user, other in zip(users, [*users[1:], *users[:1]], strict=True)]
    keys = [key for key in dict.fromkeys(chain.from_iterable(by_user)) if any(found.get(key, (0, 0))[1] for found in by_user)]
    if not keys:
        return []
    parts = np.array([[found.get(key, (0.0, 0.0)) for key in keys] for found in by_user], dtype=float)
    value, low, high = ratios(parts[:, :, 0], parts[:, :, 1])
    n_users = (parts[:, :, 1] > 0).sum(axis=0)
    return [
        {"split": SPLIT} | vars(key) | {"n_users": int(n_users[n])}
        | {"value": float(value[n]), "low": float(low[n]), "high": float(high[n])}
        for n, key in enumerate(keys)
    ]  # fmt: skip


def measured(user: User, other: User, checks: Sequence[str]) -> Iterator[Entry]:
    """All figures of one user; `other` is whose summary theirs is compared with, `checks` those that refused any words."""
    for segment in TABLES:
        texts = user.of(segment)
        for text in texts:
            yield from of_text(segment, text)
            yield from of_model(segment, text, checks)
        for where in (segment, ALL):
            yield Key(where, "sentences"), sum(len(text.read.sentences) for text in texts), segment == SUMMARIES or where != ALL
    (summary,) = user.of(SUMMARIES)
    labels = [each["label"] for name, most in LABELS.items() for each in (user.summary[name] or [])[:most]]
    if labels:
        yield from _by(SUMMARIES, "coverage", summary.source, len(summary.read.named.intersection(labels)) / len(labels))
    if user is not other:
        yield from distinctness(SUMMARIES, summary, other.of(SUMMARIES)[0])
    for one, following in pairwise(user.of(EXPLANATIONS)):
        yield from distinctness(EXPLANATIONS, one, following)
    for text in user.of(EXPLANATIONS):
        yield from of_score(text, user.summary["n_events"])


def of_text(segment: str, text: Text) -> Iterator[Entry]:
    """What resolves, by who wrote it."""
    resolved = sum(why is None for why in text.read.claims)
    for where in (segment, ALL):
        yield from _by(where, "grounding", text.source, text.read.grounded, len(text.read.sentences))
        yield from _by(where, "claims_resolved", text.source, resolved, len(text.claims))
        yield Key(where, "template_share"), text.source == "template", 1
    yield from _by(segment, "claims", text.source, len(text.claims))


def of_model(segment: str, text: Text, checks: Sequence[str]) -> Iterator[Entry]:
    """What became of words asked of the model."""
    if text.source == "template" and not text.checks:
        return
    for where in (segment, ALL):
        yield Key(where, "accepted"), text.source != "template", 1
    for name in checks:
        yield Key(segment, f"refused_by_{name}"), name in refusals(text), 1


def refusals(text: Text) -> set[str]:
    """Names of the checks that found something in the words that a template replaced."""
    return {named[1].replace("-", "_") for reason in text.checks if (named := CHECK.match(reason))}


def distinctness(segment: str, one: Text, other: Text) -> Iterator[Entry]:
    """Of two texts; of a way to write where both were written so."""
    source = one.source if one.source == other.source else ALL
    for metric, form in (("distinctness", "plain"), ("distinctness_of_phrasing", "masked")):
        mine, theirs = (set(WORD.findall(getattr(text.read, form))) for text in (one, other))
        if mine | theirs:
            yield from _by(segment, metric, source, 1 - len(mine & theirs) / len(mine | theirs))


def of_score(text: Text, n_events: int | None) -> Iterator[Entry]:
    """How much of an item's score the cited events are: `coverage` and `faithfulness`."""
    parts = [part for part in (text.item or {}).get("contributions") or [] if part["event_id"]]
    brought, score = sum(part["amount"] or 0 for part in parts), text.item["retrieval_score"] if text.item else 0
    if not brought or not score:
        return
    cited = {name for claim in text.claims if claim["kind"] == "event" for name in claim["evidence"]}
    lost = sum(part["amount"] or 0 for part in parts if part["event_id"] in cited)
    expected = brought * min(1, len(cited) / (n_events or 1))  # without any the contract blocks, and says so
    yield from _by(EXPLANATIONS, "coverage", text.source, lost / brought)
    yield Key(EXPLANATIONS, "faithfulness", "cited"), lost / score, 1
    yield Key(EXPLANATIONS, "faithfulness", "random"), expected / score, 1
    yield Key(EXPLANATIONS, "faithfulness", "cited", "random"), (lost - expected) / score, 1


def _by(segment: str, metric: str, source: str, total: float, of: float = 1) -> Iterator[Entry]:
    """For all texts, and for those of one source."""
    for method in dict.fromkeys((ALL, source)):
        yield Key(segment, metric, method), total, of


def _summed(entries: Iterable[Entry]) -> dict[Key, tuple[float, float]]:
    found: dict[Key, tuple[float, float]] = {}
    for key, total, of in entries:
        before = found.get(key, (0.0, 0.0))
        found[key] = before[0] + total, before[1] + of
    return found


def judge_words(users: Sequence[User], limits: Gates) -> list[Verdict]:
    """Rules about the sample, a table each: sentences are grounded."""
    return [_grounded(table, [user.texts[segment] for user in users], limits) for segment, table in TABLES.items()]


def _grounded(table: str, of_users: Sequence[Mapping[str, Text]], limits: Gates) -> Verdict:
    """At least so many sentences are grounded; names rows, and what in them does not resolve."""
    texts = {key: text.read for of_user in of_users for key, text in of_user.items()}
    n, good = sum(len(each.sentences) for each in texts.values()), sum(each.grounded for each in texts.values())
    share = good / n if n else 1.0
    wrong = [f"{key}: {'; '.join(each.wrong)[:LONGEST]}" for key, each in texts.items() if each.wrong][:SAMPLES]
    expected = f"at least {limits.min_grounding:.2%} of sentences, of {len(of_users)} users"
    return Verdict(table, "grounding", share >= limits.min_grounding, expected, f"{share:.2%} of {n} sentences", tuple(wrong))
