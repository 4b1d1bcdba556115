"""Our own prose: grammar, stability and length."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.contracts import contract
from jobs.generate import templates
from jobs.generate.context import Context
from tests.generate.rows import event, fact, user

LONG = "word " * 200  # 1,000 characters
RESULT = contract("results").json()["properties"]


def facts(**kinds: list[str]) -> list[dict[str, Any]]:
    return [fact(kind, label, "e1") for kind, labels in kinds.items() for label in labels]


@pytest.mark.parametrize(
    ("words", "expected"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_listed(words: list[str], expected: str) -> None:
    assert templates.listed(words) == expected


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        (
            user(facts=facts(likes_tag=["Drama", "Crime", "War"], favourite=["Heat", "Ronin"], dislikes_tag=["Horror"])),
            "Has a clear taste for drama, crime and war. Liked “Heat” and “Ronin” best. Tends not to enjoy horror.",
        ),
        (user(facts=facts(favourite=["Heat"])), "Liked “Heat” best."),
        (user(facts=facts(likes_tag=["Drama"])), "Has a clear taste for drama."),
        (
            user(facts=facts(disliked=["Tron"])),
            "So far 2 events, the latest “Tron”; no clear favourite yet. Tends not to enjoy “Tron”.",
        ),
        (
            user(facts=[], history=[event(1, "Heat")], n_events=1, cold=True),
            "So far one event, the latest “Heat”; no clear favourite yet.",
        ),
    ],
    ids=["all", "no tags", "no favourites", "only dislikes", "one event"],
)
def test_summary(person: Context, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "_pick", lambda variants, key: variants[-1])
    assert templates.summary(person) == expected


@pytest.mark.parametrize(
    ("because", "shared", "expected"),
    [
        (["Heat"], [], "With “Heat” in your history, “Ronin” is a natural next step."),
        (
            ["Heat", "Tron"],
            ["Drama"],
            "With “Heat” and “Tron” in your history, “Ronin” is a natural next step; in common: drama.",
        ),
        (["A", "B"], ["X", "Y", "Z"], "With “A” and “B” in your history, “Ronin” is a natural next step; in common: x and y."),
        ([], ["Drama"], "“Ronin” is what many people choose at the moment."),
    ],
)
def test_explanation(because: list[str], shared: list[str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "_pick", lambda variants, key: variants[-1])
    assert templates.explanation(user(), user().candidates[0], because, shared) == expected


def test_a_key_has_one_text_and_keys_differ() -> None:
    texts = [[templates.summary(user(f"u{place}")) for place in range(50)] for _ in range(2)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 2


@pytest.mark.parametrize(
    "name", ["Heat", "M", LONG, "{0} {item} %s", "a\nb"], ids=["usual", "one letter", "long", "format", "lines"]
)
@pytest.mark.parametrize("place", range(3))
def test_every_text_keeps_to_its_contract(name: str, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variant, with as many names as a text can hold."""
    monkeypatch.setattr(templates, "_pick", lambda variants, key: variants[place % len(variants)])
    many = facts(likes_tag=[name] * 5, favourite=[name] * 5, dislikes_tag=[name] * 5)
    person = user(facts=many, candidates=[user().candidates[0].__dict__ | {"title": name}])
    texts = {
        "summary": [templates.summary(person), templates.summary(user(facts=[], history=[event(1, name)]))],
        "explanation": [
            templates.explanation(person, person.candidates[0], because, shared)
            for because, shared in [([name, name], [name, name]), ([], [])]
        ],
    }
    limits = {
        "summary": RESULT["summary"]["properties"]["summary"],
        "explanation": RESULT["explanations"]["items"]["properties"]["explanation"],
    }
    for column, found in texts.items():
        for text in found:
            assert limits[column]["minLength"] <= len(text) <= limits[column]["maxLength"]
            assert "\n" not in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a  b\n", "a b"), ("x" * 72, "x" * 72), ("x" * 73, "x" * 71 + "…"), ("x" * 70 + " yy", "x" * 70 + "…")],
)
def test_shortened(name: str, expected: str) -> None:
    assert templates.shortened(name) == expected
