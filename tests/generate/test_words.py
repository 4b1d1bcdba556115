"""What the model writes about one user: it cites numbered facts, and is asked once more where an answer may not stand."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from jobs.generate import grounds
from jobs.generate.checks.citations import cited, miscited
from jobs.generate.checks.reading import read
from jobs.generate.context import Candidate, Context
from jobs.generate.engine import Reply
from jobs.generate.fake_engine import FakeEngine
from jobs.generate.session import Memory, Session
from jobs.generate.told import Told, of_explanation, of_summary
from jobs.generate.words import Words, explain, is_popular, summarize
from jobs.profile import Profile
from jobs.prompts import Message, Sampling
from tests.generate.rows import candidate, event, fact, night, user

GOOD = 'This person enjoys drama, and "Heat" is a favourite.'
FACTS = [Told("likes_tag", "Drama", ("e1",)), Told("favourite", "Heat", ("e1",)), Told("dislikes_tag", "Action", ("e2",))]
PERSON = {"facts": [fact("likes_tag", "Drama", "e1"), fact("favourite", "Heat", "e1"), fact("dislikes_tag", "Action", "e2")]}


class Writer(FakeEngine):
    """Answers with the first of some texts and what it cites, then with the next; keeps the conversations."""

    def __init__(self, *answers: tuple[str, list[int]]) -> None:
        super().__init__()
        self.left = list(answers)
        self.asked: list[tuple[Message, ...]] = []

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        self.asked.append(messages)
        return super().encode(messages)

    async def complete(self, prompt: tuple[int, ...], sampling: Sampling, schema: dict[str, Any]) -> Reply:
        self.requests += 1
        text, facts = self.left.pop(0)
        return Reply(text=json.dumps({"text": text, "facts": facts}), finish_reason="stop", prompt_tokens=9, output_tokens=9)


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return night(tmp_path, {})


def told(profile: Profile, engine: FakeEngine, person: Context) -> Words:
    return asyncio.run(summarize(person, Session(Memory(engine), person.about, ()), profile))


@pytest.mark.parametrize(
    ("text", "numbers", "names", "against"),
    [
        (GOOD, [1, 2], ["Drama", "Heat"], []),
        (GOOD, [2, 1, 1], ["Drama", "Heat"], []),
        (GOOD, [1], ["Drama"], ["cited: Heat is of fact 2"]),
        (GOOD, [1, 2, 3], ["Drama", "Heat"], []),  # what is cited and not told is no claim
        (GOOD, [1, 2, 4], ["Drama", "Heat"], ["cited: there is no fact 4"]),
        (GOOD, [0], [], ["cited: there is no fact 0", "cited: drama is of fact 1", "cited: Heat is of fact 2"]),
    ],
    ids=["all", "any order", "one is missing", "one too many", "unknown", "none"],
)
def test_citations(text: str, numbers: list[int], names: list[str], against: list[str]) -> None:
    tokens = read(text, grounds.of_summary(user(**PERSON), "film"))
    assert [fact.label for fact in cited(tokens, numbers, FACTS)] == names
    assert miscited(tokens, numbers, FACTS) == against


TIMED = [fact("likes_tag", "Drama", "e1"), fact("favourite", "Heat", "e1")]
TIMES = [fact("more_lately", "Drama", "e1"), fact("rhythm", "weekends", "e1")]


@pytest.mark.parametrize(
    ("text", "numbers", "kinds", "against"),
    [
        ("This person enjoys drama. Lately there is more drama.", [1, 3], ["likes_tag", "more_lately"], []),
        ("This person enjoys drama. Lately there is more drama.", [1], ["likes_tag"], ["cited: Drama is of fact 3"]),
        ("This person enjoys drama.", [1, 3], ["likes_tag"], []),
        ("This person watches drama on weekends.", [1, 4], ["likes_tag", "rhythm"], []),
        ("This person watches drama on weekends.", [1], ["likes_tag"], ["cited: weekends is of fact 4"]),
        ("This person enjoys drama and crime.", [1], ["likes_tag"], ["cited: crime is of none"]),
    ],
)
def test_times_are_cited_for_themselves(text: str, numbers: list[int], kinds: list[str], against: list[str]) -> None:
    tokens = read(text, grounds.of_summary(user(facts=[*TIMED, *TIMES, fact("likes_tag", "Crime", "e1")]), "film"))
    facts = [Told(each["kind"], each["label"], ("e1",)) for each in (*TIMED, *TIMES)]
    assert [each.kind for each in cited(tokens, numbers, facts)] == kinds
    assert miscited(tokens, numbers, facts) == against


def test_what_is_cited_is_what_is_claimed(profile: Profile) -> None:
    engine = Writer((GOOD, [1, 2]))
    words = told(profile, engine, user(**PERSON))
    assert (words.text, words.source, words.checks, engine.requests) == (GOOD, "llm", [], 1)
    assert words.row("summary")["claims"] == [
        {"kind": "likes_tag", "claim": "Drama", "evidence": ["e1"]},
        {"kind": "favourite", "claim": "Heat", "evidence": ["e1"]},
    ]
    assert engine.asked[0][-1].content.splitlines() == [
        "1. likes drama titles",
        "2. a favourite: “Heat”",
        "3. does not like action titles",
    ]


def test_a_refused_answer_is_asked_for_once_more_with_the_reasons(profile: Profile) -> None:
    engine = Writer(("This person enjoys drama and Ronin most.", [1]), (GOOD, [1, 2]))
    words = told(profile, engine, user(**PERSON))
    assert (words.text, words.source, words.checks, engine.requests) == (GOOD, "llm", [], 2)
    before, answer, objection = engine.asked[-1][-3:]
    assert before == engine.asked[0][-1] and json.loads(answer.content)["facts"] == [1]
    assert "names: Ronin" in objection.content


def test_then_a_template_stands_with_the_reasons_of_both(profile: Profile) -> None:
    engine = Writer(("This person enjoys drama and Ronin most.", [1]), (GOOD, [1]))
    words = told(profile, engine, user(**PERSON))
    assert (words.source, engine.requests) == ("template", 2)
    assert words.checks[0] == "names: Ronin" and words.checks[-1] == "cited: Heat is of fact 2"
    assert words.text.count("Heat") == 1 and [each.label for each in words.told] == ["Drama", "Heat", "Action"]


def test_both_answers_are_remembered(profile: Profile) -> None:
    engine = Writer(("This person enjoys drama and Ronin most.", [1]), (GOOD, [1, 2]))
    person, paid = user(**PERSON), []
    memory = Memory(engine, keep=paid.append)
    first = asyncio.run(summarize(person, Session(memory, person.about, ()), profile))
    again = asyncio.run(summarize(person, Session(Memory(Writer()), person.about, paid), profile))
    assert len(paid) == 2 and first == again


def test_the_facts_of_a_summary() -> None:
    person = user(
        facts=[
            fact("likes_tag", "Drama", "e1"), fact("likes_creator", "Ann Lee", "e1"), fact("era", "1990s", "e1"),
            fact("favourite", "Matrix, The", "e1"), fact("favourite", "The Matrix", "e3"), fact("favourite", "Heat", "e1"),
            fact("disliked", "Tron", "e2"),
        ]
    )  # fmt: skip
    kinds = [(each.kind, each.label) for each in of_summary(person)]
    assert kinds == [
        ("likes_tag", "Drama"), ("favourite", "Matrix, The"), ("favourite", "Heat"), ("disliked", "Tron"),
        ("likes_creator", "Ann Lee"),
    ]  # fmt: skip


def test_a_rolling_summary_tells_again_what_is_still_so() -> None:
    facts = [fact("likes_tag", each, "e1") for each in ("Drama", "Crime", "War", "Western")]
    facts += [fact("favourite", each, "e1") for each in ("Heat", "Ronin")]
    facts += [fact("era", "1990s", "e1"), fact("rhythm", "weekends", "e1")]
    before = [("likes_tag", "Western"), ("likes_tag", "Musical"), ("favourite", "Ronin"), ("rhythm", "weekends")]
    rolled = user(facts=facts, told=[{"kind": kind, "claim": claim} for kind, claim in before])
    assert [each.label for each in of_summary(user(facts=facts))] == ["Drama", "Crime", "War", "Heat", "Ronin", "1990s"]
    assert [each.label for each in of_summary(rolled)] == ["Western", "Drama", "Crime", "Ronin", "Heat", "weekends"]


def test_the_latest_choices_are_always_the_latest() -> None:
    recent = [fact("recent", each, "e1") for each in ("Heat", "Ronin", "Fargo")]
    assert [each.label for each in of_summary(user(facts=recent, told=[{"kind": "recent", "claim": "Fargo"}]))] == [
        "Heat",
        "Ronin",
    ]


def test_what_is_spelled_alike_is_not_told_as_liked_and_disliked() -> None:
    facts = [fact("likes_tag", "Sci-Fi", "e1"), fact("favourite", "Heat", "e1"), fact("dislikes_tag", "sci-fi", "e2")]
    assert [each.kind for each in of_summary(user(facts=facts))] == ["likes_tag", "favourite"]


def test_a_decade_is_told_from_a_fifth_of_the_events_on() -> None:
    facts = [
        fact("favourite", "Heat", "e1"),
        fact("era", "1920s", "e1") | {"share": 0.19},
        fact("era", "1990s", "e1") | {"share": 0.2},
    ]
    assert [each.label for each in of_summary(user(facts=facts))] == ["Heat", "1990s"]


def test_a_remake_is_not_explained_by_its_original() -> None:
    history = [event(1, "Hamlet"), event(2, "Henry V")]
    person = user(history=history, candidates=[candidate(1, "hamlet", support=["e1", "e2"])])
    assert [each.label for each in of_explanation(person, person.candidates[0])] == ["Henry V", "hamlet", "Drama"]


def test_popular_is_what_is_so_beside_the_others() -> None:
    items = [candidate(place, f"Item {place}") for place in range(3)]
    for item, amount in zip(items, (4.0, 2.0, 1.9), strict=True):
        item["contributions"] = [{"source": "popularity", "event_id": None, "amount": amount}]
    person = user(candidates=items)
    assert [is_popular(person, item) for item in person.candidates] == [True, True, False]
    assert not is_popular(user(), user().candidates[0])


@pytest.mark.parametrize(
    ("history", "support", "tags", "expected"),
    [
        ([event(1, "Heat", ["Drama", "Crime"])], ["e1"], ["Drama"], {"event": ["Heat"], "shared_tag": ["Drama"]}),
        (
            [event(1, "Heat", ["Drama"]), event(2, "Tron", ["Action"])], ["e1", "e2"], ["Drama"],
            {"event": ["Heat", "Tron"]},
        ),
        ([event(1, "Heat", ["Crime"])], ["e1"], ["Drama", "War"], {"event": ["Heat"], "new_tag": ["War"]}),
        ([event(1, "Heat")], [], ["Drama", "War"], {}),
    ],
    ids=["shared", "of one of two only", "new", "popular"],
)  # fmt: skip
def test_the_facts_of_an_explanation(
    history: list[dict[str, Any]], support: list[str], tags: list[str], expected: dict[str, list[str]]
) -> None:
    item = candidate(1, "Ronin", support=support) if support else candidate(1, "Ronin") | {"contributions": []}
    person = user(history=history, candidates=[item | {"tags": tags}], unseen=["War"], n_events=9)
    found: dict[str, list[str]] = {}
    for each in of_explanation(person, person.candidates[0]):
        found.setdefault(each.kind, []).append(each.label)
    assert found == expected | {"recommended": ["Ronin"]}


def test_an_explanation_cites_events(profile: Profile) -> None:
    engine = Writer(('Since "Heat" is in your history, "Ronin" fits well: it shares its drama.', [1, 2, 3]))
    person = user()
    item: Candidate = person.candidates[0]
    words = asyncio.run(explain(person, Session(Memory(engine), person.about, ()), item, profile, "personal"))
    assert words.source == "llm", words.checks
    assert [(each.kind, each.label, each.evidence) for each in words.told] == [
        ("event", "Heat", ("e1",)), ("recommended", "Ronin", ()), ("shared_tag", "Drama", ("e1",)),
    ]  # fmt: skip
