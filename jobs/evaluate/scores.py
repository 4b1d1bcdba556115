"""The second of an evaluation's three stages: the model scores candidates of users whose next event is held out.

    python -m jobs.evaluate.scores --profile FILE --run-date 2016-10-17 --run-id ID

By the night's own worker and scoring, with both ways of scoring, and with what the model may know by heart. Then the night's
summaries are written, and what is held out is scored by them (`usefulness`). Started again it goes on where it was. The last
line it prints is JSON: users and calls.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from jobs.arguments import run_parser
from jobs.errors import run_main
from jobs.evaluate.usefulness import FOLDER, OWN, PRIOR, read_targets, titles_asked
from jobs.generate.context import Candidate, Context
from jobs.generate.engine import Engine
from jobs.generate.engines import make_engine
from jobs.generate.scoring import label_runs, likelihood
from jobs.generate.session import USABLE, Session
from jobs.generate.words import summarize
from jobs.generate.worker import Program, Worker
from jobs.locks import working
from jobs.manifest import Manifest
from jobs.profile import Night, Profile, Words, load_profile
from jobs.progress import Progress
from jobs.storage import folders
from jobs.weights import model_digest

Row = dict[str, Any]


def main() -> None:
    arguments = run_parser("evaluate.scores", __doc__, started_at=False).parse_args()
    profile = load_profile(arguments.profile)
    progress = Progress("evaluate")
    engine = make_engine(profile.model, model_digest(profile.model), progress)
    with working(profile):
        print(json.dumps(score(profile, arguments.run_date, arguments.run_id, engine, progress)))


def score(profile: Profile, run_date: date, run_id: str, engine: Engine, progress: Progress) -> dict[str, int]:
    """Ask about everyone that the first stage has written; users and calls, those of earlier attempts not counted."""
    work = profile.evaluation_work(str(run_date))
    nothing = Words(summary="template", explanation="template")  # to be phrased
    summaries = nothing.model_copy(update={"summary": profile.words.summary})
    asked: list[tuple[str, Words, Program]] = [
        (work, nothing, trial),
        (f"{work}/{FOLDER}", summaries, useful(titles_asked(read_targets(work)))),
    ]
    told = {"users": 0, "calls": 0}
    for folder, words, program in asked:
        free = profile.model_copy(update={"night": unlimited(profile.night), "words": words})
        shards = [int(name.removeprefix("shard=")) for name in folders(f"{folder}/contexts") if name.startswith("shard=")]
        about = manifest(run_id, run_date, shards)
        for shard in shards:
            worker = Worker(free, about, shard, engine, progress, program=program, rows="scores", work=folder)
            worker.run()
            told["users"] += worker.counts["users"]
            told["calls"] += worker.counts["new"]
    return told


def manifest(run_id: str, run_date: date, shards: list[int]) -> Manifest:
    """What a worker must know of an evaluation: there is no release before it and nothing is fused."""
    return Manifest(
        run_id=run_id, run_date=run_date, users=0, users_changed=0, shards=shards, counts={}, release_before=None, seconds={}
    )  # fmt: skip


def unlimited(night: Night) -> Night:
    """The night without its budget, which is not an evaluation's."""
    return night.model_copy(update={"budget": type(night.budget)()})


async def trial(user: Context, ask: Session, profile: Profile) -> Row:
    """Both ways of scoring a user's candidates, and the probes of the first two: a row of the contract `scores`."""
    night = profile.night
    items = user.candidates[: night.scored]
    nats, runs = await asyncio.gather(likelihood(user, ask, items), label_runs(user, ask, items, night.permutations))
    pairs = [(items[0], items[1]), (items[1], items[0])] if len(items) > 1 else []
    probes = await asyncio.gather(*[probe(ask, one, other) for one, other in pairs])
    turns = [("likelihood", 0, nats), *[("labels", turn, run) for turn, run in enumerate(runs)]]
    return {
        "user_id": user.user_id,
        "context_hash": user.context_hash,
        "scores": [
            {"scorer": scorer, "turn": turn, "place": place, "item_id": name, "nats": value}
            for scorer, turn, run in turns
            for place, (name, value) in enumerate(run.items())
        ],
        "probes": [row for rows in probes for row in rows],
        "calls_answered": ask.answered,
    }


async def probe(ask: Session, one: Candidate, other: Candidate) -> list[Row]:
    """How much likelier the title of `one` is by its id than by that of `other`, and its year by its title."""

    async def nats(prompt: str, answer: str, **shown: str) -> float | None:
        told = await ask.score(prompt, answer, about=("item", one.item_id), **shown)
        return float(told.output or 0) if told.status in USABLE else None

    asked = [("knows_id", nats("by_id", one.title, number=one.item_id), nats("by_id", one.title, number=other.item_id))]
    if one.year and other.year and one.year != other.year:
        year = str(one.year)
        asked.append(("knows_year", nats("by_title", year, title=one.title), nats("by_title", year, title=other.title)))
    found = [(name, *await asyncio.gather(own, others)) for name, own, others in asked]
    return [
        {"probe": name, "item_id": one.item_id, "nats": own - others}
        for name, own, others in found
        if own is not None and others is not None
    ]


def useful(asked: Mapping[str, Mapping[str, str]]) -> Program:
    """A program that writes a user's summary and scores titles by it, those that `asked` has of the user by item, and the first
    of them, the user's own, by no summary as well: rows of the contract `scores`."""

    async def program(user: Context, ask: Session, profile: Profile) -> Row:
        words = await summarize(user, ask, profile)
        titles = asked[user.user_id]
        own = next(iter(titles))
        answers = await asyncio.gather(
            ask.score("prior", titles[own], about=("item", own)),
            *[ask.score("next_by_summary", title, summary=words.text) for title in titles.values()],
        )
        named = zip([(PRIOR, own), *[(OWN, name) for name in titles]], answers, strict=True)
        scores = [
            {"scorer": scorer, "turn": 0, "place": place, "item_id": name, "nats": float(answer.output or 0)}
            for place, ((scorer, name), answer) in enumerate(named)
            if answer.status in USABLE
        ]
        about = {"user_id": user.user_id, "context_hash": user.context_hash}
        return about | {"scores": scores, "probes": [], "calls_answered": ask.answered}

    return program


if __name__ == "__main__":
    run_main(main)
