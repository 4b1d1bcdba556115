"""A night whose catalogue is hostile, with a model that says whatever it is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.generate.checks.form import inert
from jobs.generate.engine import Reply
from jobs.generate.fake_engine import FakeEngine
from jobs.generate.worker import Worker
from jobs.manifest import read_manifest
from jobs.profile import Words
from jobs.progress import Progress
from jobs.prompts import Message, Sampling
from tests.data.hostile import HOSTILE, INVISIBLE
from tests.generate.rows import RUN_DATE, calls, candidate, event, fact, night, results, row

Rows = list[dict[str, Any]]
TEXTS = [*HOSTILE, *INVISIBLE]


class Parrot(FakeEngine):
    """Answers with the end of what it is asked."""

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        tokens = super().encode(messages)
        self.shown = getattr(self, "shown", {}) | {tokens: messages[-1].content}
        return tokens

    async def complete(self, prompt: tuple[int, ...], sampling: Sampling, schema: dict[str, Any]) -> Reply:
        text = " ".join(self.shown[prompt].split())[-280:]
        return Reply(text=f"Since {text}.", finish_reason="stop", prompt_tokens=len(prompt), output_tokens=9)


def canary(place: int) -> str:
    return f"canary{place:03}"


def someone(place: int, text: str) -> dict[str, Any]:
    """A user to whom everything that has a name is called by a hostile text and a canary of their own."""
    name = f"{text} {canary(place)}"
    had, new = event(1, f"{name} had", [f"{name} tag"]), candidate(1, f"{name} new", 2.0) | {"tags": [f"{name} tag"]}
    facts = [fact("likes_tag", f"{name} tag", "e1"), fact("favourite", f"{name} had", "e1")]
    common = [{"of": "tag", "label": f"{name} tag", "lift": 2.0}]
    return row(f"{text} {canary(place)} id", history=[had], facts=facts, candidates=[new], common=common)


@pytest.fixture(scope="module", params=["personal", "phrasebook", "template"])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What a worker leaves of users and of calls."""
    users = [someone(place, text) for place, text in enumerate(TEXTS)] + [row("quiet")]
    profile = night(Path(tmp_path_factory.mktemp("night")), {0: users}, model_weight=0.0)
    profile = profile.model_copy(update={"words": Words(summary=request.param, explanation=request.param)})
    Worker(profile, read_manifest(profile, RUN_DATE, "r1"), 0, Parrot(), Progress("test")).run()
    return results(profile), calls(profile)


def test_everyone_has_a_row(made) -> None:
    assert len(made[0]) == len(TEXTS) + 1


def test_a_canary_is_in_no_row_but_its_own(made) -> None:
    for kind, owner in zip(made, ("user_id", "subject"), strict=True):
        for each in kind:
            told = json.dumps(each, default=str)
            found = {place for place in range(len(TEXTS)) if canary(place) in told}
            assert len(found) <= 1 and all(canary(place) in each[owner] for place in found), each[owner]


def test_nothing_hostile_is_told_but_in_the_quotes_of_a_template(made) -> None:
    for each in made[0]:
        for told in (each["summary"], *each["explanations"]):
            text = told.get("summary") or told["explanation"]
            outside = "".join(part.split("”")[-1] for part in text.split("“"))
            assert text.isprintable() and inert(outside), text
            assert told["source"] == "template" or inert(text), text
