"""What a summary and an explanation may tell, from a user's context."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.generate import grounds
from jobs.generate.checks import objections
from jobs.generate.context import Context
from tests.generate.rows import candidate, event, fact, user

FACTS = [
    fact("likes_tag", "Crime", "e1", "e3"),
    fact("favourite", "Heat", "e1"),
    fact("dislikes_tag", "Action", "e2", "e4"),
    fact("disliked", "Tron", "e2"),
]


def person() -> Context:
    history = [
        event(1, "Heat", ["Drama", "Crime"]),
        event(2, "Tron", ["Action"], positive=False),
        event(3, "Ro\u200bnin", ["Crime"]),
    ]
    return user(facts=FACTS, history=history, n_events=3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('This person enjoys crime, with "Heat" (1999) among their favourites, and avoids action.', []),
        ("This person has liked two crime films.", ["numbers: two"]),  # counts are no facts that a prompt shows
        ("This person has liked three crime films.", ["numbers: three"]),
        ('This person enjoys "Heat" (1998).', ["numbers: 1998"]),
        ('This person enjoys crime and "Tron".', ["polarity: tron told as liked"]),
        ("This person enjoys action.", ["needed: none of Crime, Heat", "polarity: action told as liked"]),
    ],
)
def test_a_summary_tells_the_facts(text: str, expected: list[str]) -> None:
    assert objections(text, "stop", grounds.of_summary(person(), "film")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Since "Heat" is in your history, "Fargo" (1996) by Joel Coen fits well: it shares its drama.', []),
        ('If you liked "Heat", "Fargo" is a natural next step.', []),
        ('Since "Heat" is in your history, "Fargo" fits well: it shares its crime.', ["tags: crime of what is named"]),
        ('Since "Fargo" is in your history, "Heat" fits well.', ["seen: told as already in the history"]),
    ],
)
def test_an_explanation_tells_the_events_and_the_item(text: str, expected: list[str]) -> None:
    item = user(candidates=[candidate(1, "Fargo") | {"year": 1996, "creators": ["Joel Coen"]}]).candidates[0]
    named = person().history[:1]
    assert objections(text, "stop", grounds.of_explanation(person(), item, named, "film")) == expected


LATER = [
    fact("likes_creator", "Michael Mann", "e1", "e3"),
    fact("dislikes_creator", "Guy Ritchie", "e2", "e4"),
    fact("era", "1990s", "e1"),
    fact("more_lately", "Western", "e3"),
    fact("less_lately", "Crime", "e1"),
    fact("rhythm", "weekends", "e1"),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("This person enjoys crime and Michael Mann, but not Guy Ritchie.", []),
        ("This person likes Michael Mann, and lately there are more westerns.", []),
        ("This person enjoys crime from the 1990s, mostly on weekends.", []),
        ("This person has chosen more crime lately.", ["lately: crime told as more"]),
        ("This person enjoys crime every week.", ["rhythms: weekly"]),
    ],
)
def test_a_summary_tells_creators_and_times(text: str, expected: list[str]) -> None:
    someone = user(facts=FACTS + LATER, history=[event(1, "Heat")], n_events=3)
    assert objections(text, "stop", grounds.of_summary(someone, "film")) == expected


@pytest.mark.parametrize(
    ("creator", "text", "expected"),
    [
        ("Michael Mann", 'You liked "Heat", and "Ronin" is by Michael Mann too; its crime is new to you.', []),
        ("Michael Mann", 'Since "Heat" is in your history, "Ronin" fits well: its drama is new to you.', ["new: drama"]),
        ("Joel Coen", 'You liked "Heat", and "Ronin" is by the same creator.', ["creators: creator of Heat and Ronin"]),
    ],
)
def test_an_explanation_tells_creators_and_what_is_new(creator: str, text: str, expected: list[str]) -> None:
    had = event(1, "Heat") | {"creators": ["Michael Mann"]}
    item = candidate(1, "Ronin") | {"creators": [creator], "tags": ["Drama", "Crime"]}
    someone = user(history=[had], candidates=[item], unseen=["Crime"], n_events=9)
    evidence = grounds.of_explanation(someone, someone.candidates[0], someone.history, "film")
    assert objections(text, "stop", evidence) == expected


def test_titles_of_two_items_have_a_creator_only_where_both_have_it() -> None:
    item = user(candidates=[candidate(1, "Heat") | {"creators": ["Dick Richards"]}]).candidates[0]
    assert grounds.of_explanation(person(), item, person().history[:1], "film").creators == {}


def test_what_was_not_liked_is_not_told_as_liked() -> None:
    item, named = user().candidates[0], [replace(person().history[0], positive=False)]
    evidence = grounds.of_explanation(person(), item, named, "film")
    assert objections('Since "Heat" is in your history, "Ronin" fits well.', "stop", evidence) == []
    assert objections('Since you loved "Heat", "Ronin" fits well.', "stop", evidence) == ["polarity: heat told as liked"]


def test_titles_of_two_items_have_a_year_only_where_both_have_it() -> None:
    item = user(candidates=[candidate(1, "Heat") | {"year": 1986}]).candidates[0]
    assert grounds.of_explanation(person(), item, person().history[:1], "film").years == {}


def test_names_are_as_the_prompt_shows_them() -> None:
    assert grounds.of_explanation(person(), user().candidates[0], person().history[2:], "film").liked == ("Ronin",)
