"""What resolves and what does not, by hand; figures of two users by hand; a night's figures and the night they block."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.contracts import contract
from jobs.errors import GateError
from jobs.generate.templates import load_prose
from jobs.profile import Gates
from jobs.prose import languages, load_language
from jobs.publish.grounding import RHYTHMS, Text, cut, day_of_week, read
from jobs.publish.quality import User, figures, judge_words, sample
from jobs.releases import releases
from jobs.storage import read_rows
from tests.publish.nights import NIGHT, claim, made, prepared, tables

Row = dict[str, Any]


def event(name: str, title: str, *tags: str, **changes: Any) -> Row:
    about = {"event_id": name, "title": title, "tags": list(tags), "creators": ["Ann Lee"], "year": 1999, "liked": True}
    return about | {"time": datetime(2024, 4, 6, 20, tzinfo=UTC)} | changes  # a Saturday everywhere


EVENTS = {
    each["event_id"]: each
    for each in (
        event("e1", "Matrix, The", "Drama", "Sci-Fi"),
        event("e2", "Tron", "Drama", year=1982, liked=False, time=datetime(2024, 4, 3, 20, tzinfo=UTC)),
        event("e3", "Dr. No: “Again?”", "Crime", creators=[], year=None, liked=None),
        event("e4", "Lock & Stock – Two"),
    )
}
ITEM = {"item_id": "i1", "title": "Heat", "tags": ["Drama", "War"]}

TRUE = {
    "favourite": ("Liked “The Matrix” best.", claim("favourite", "Matrix, The", "e1")),
    "disliked": ("Tends not to enjoy “Tron”.", claim("disliked", "Tron", "e2")),
    "recent, of many": ("So far 12 events, the latest “Tron”; no clear favourite yet.", claim("recent", "Tron", "e2")),
    "a title's year": ("Liked “Tron” of 1982.", claim("recent", "Tron", "e2")),
    "other hyphens, other words for and": ("Liked “Lock and Stock - Two”.", claim("recent", "Lock & Stock – Two", "e4")),
    "event": ("Because of “The Matrix”.", claim("event", "Matrix, The", "e1")),
    "quotes and a full stop in a title": ("Liked “Dr. No: “Again?”” best.", claim("favourite", "Dr. No: “Again?”", "e3")),
    "straight quotes": ('Liked "The Matrix" best.', claim("favourite", "Matrix, The", "e1")),
    "a stop within the quotes": ("Liked “The Matrix.”", claim("favourite", "Matrix, The", "e1")),
    "likes_tag": ("Enjoys drama films.", claim("likes_tag", "Drama", "e1")),
    "a plural": ("Enjoys dramas.", claim("likes_tag", "Drama", "e1")),
    "a spelling": ("Enjoys science fiction.", claim("likes_tag", "Sci-Fi", "e1")),
    "dislikes_tag": ("Avoids drama films.", claim("dislikes_tag", "Drama", "e2")),
    "likes_creator": ("Enjoys films by Ann Lee.", claim("likes_creator", "Ann Lee", "e1")),
    "dislikes_creator": ("Avoids films by Ann Lee.", claim("dislikes_creator", "Ann Lee", "e2")),
    "more_lately": ("Lately more drama.", claim("more_lately", "Drama", "e1", "e2")),
    "less_lately": ("Lately less drama.", claim("less_lately", "Drama", "e1", "e2")),
    "era": ("Much of it is from the 1980s.", claim("era", "1980s", "e2")),
    "era, in short": ("Much of it is from the 80s.", claim("era", "1980s", "e2")),
    "rhythm": ("Comes daily.", claim("rhythm", "daily", "e1", "e2", "e3")),
    "rhythm, told otherwise": ("Comes at the weekend.", claim("rhythm", "weekends", "e1")),
    "weekdays": ("Comes on weekdays.", claim("rhythm", "weekdays", "e2")),
    "shared_tag": ("In common: drama.", claim("shared_tag", "Drama", "e1", "e2")),
    "shared_creator": ("By Ann Lee too.", claim("shared_creator", "Ann Lee", "e1")),
    "recommended": ("Try “Heat”.", claim("recommended", "Heat")),
    "new_tag": ("It has war too.", claim("new_tag", "War")),
    "shortened": (f"Try “{'H' * 71}…”.", claim("recommended", "H" * 80)),
}
FALSE = {
    "no such kind": ("Has “Heat”.", claim("owns", "Heat", "e1"), "owns Heat: no such kind"),
    "no event": ("Enjoys drama.", claim("likes_tag", "Drama"), "likes_tag Drama: no event"),
    "an event of nobody": ("Enjoys drama.", claim("likes_tag", "Drama", "e9"), "likes_tag Drama: event e9 is not in evidence"),
    "another title": ("Liked “Tron”.", claim("favourite", "Tron", "e1"), "favourite Tron: event e1 has another title"),
    "a disliked favourite": ("Best: “Tron”.", claim("favourite", "Tron", "e2"), "favourite Tron: event e2 was disliked"),
    "a dislike that was liked": (
        "Not “The Matrix”.", claim("disliked", "Matrix, The", "e1"), "disliked Matrix, The: event e1 was liked",
    ),
    "another tag": ("Enjoys war.", claim("likes_tag", "War", "e1"), "likes_tag War: event e1 lacks the tag"),
    "one of two events": ("Enjoys drama.", claim("likes_tag", "Drama", "e1", "e2"), "likes_tag Drama: event e2 was disliked"),
    "dislikes what was liked": ("No drama.", claim("dislikes_tag", "Drama", "e1"), "dislikes_tag Drama: event e1 was liked"),
    "another creator": ("By Bo.", claim("shared_creator", "Bo", "e1"), "shared_creator Bo: event e1 is by others"),
    "another decade": ("From the 1980s.", claim("era", "1980s", "e1"), "era 1980s: event e1 is of another decade"),
    "no year": ("From the 1980s.", claim("era", "1980s", "e3"), "era 1980s: event e3 is of another decade"),
    "other days": ("On weekends.", claim("rhythm", "weekends", "e2"), "rhythm weekends: event e2 is of other days"),
    "another item": ("Try “Ronin”.", claim("recommended", "Ronin"), "recommended Ronin: the item has another title"),
    "not the item's tag": ("Shares crime.", claim("shared_tag", "Crime", "e3"), "shared_tag Crime: the item lacks the tag"),
    "not new": ("It has drama.", claim("new_tag", "Drama"), "new_tag Drama: the item lacks the tag, or an event has it too"),
    "a title without a claim": ("Liked “Tron” and “Heat 2”.", claim("recent", "Tron", "e2"), "no claim: “heat 2”"),
    "part of another title": ("Liked “Tron Legacy”.", claim("recent", "Tron", "e2"), "no claim: “… legacy”"),
    "a quote that does not end": ("Liked “Tron” and “Heat", claim("recent", "Tron", "e2"), "no claim: “heat"),
    "a year without a claim": ("Liked “Tron” of 1983.", claim("recent", "Tron", "e2"), "no claim: 1983"),
    "another number of events": ("So far 13 events, “Tron”.", claim("recent", "Tron", "e2"), "no claim: 13"),
}  # fmt: skip


def text(words: str, *claims: Row, item: Row | None = ITEM) -> Text:
    return Text(words, "llm", claims, EVENTS, item, 12)


@pytest.mark.parametrize("case", TRUE)
def test_resolves(case: str) -> None:
    words, claimed = TRUE[case]
    found = read(text(words, claimed, item=ITEM if case != "shortened" else ITEM | {"title": "H" * 80}))
    assert (found.wrong, found.claims, len(found.sentences)) == ([], [None], 1)


@pytest.mark.parametrize("case", FALSE)
def test_does_not_resolve(case: str) -> None:
    words, claimed, why = FALSE[case]
    found = read(text(words, claimed))
    assert (found.wrong, found.grounded) == ([why], 0)


def test_a_claim_that_is_not_shown_does_not_resolve_and_counts_against_the_last_sentence() -> None:
    claims = [claim("event", "Matrix, The", "e1"), claim("likes_tag", "Drama", "e1")]
    found = read(text("Enjoys “The Matrix”. Avoids war.", *claims))
    why = "likes_tag Drama: not in the text"
    assert (found.claims, found.sentences, found.named) == ([None, why], [[], [why]], {"Matrix, The"})


def test_a_claim_is_of_every_sentence_that_shows_it_and_of_no_other() -> None:
    claims = [claim("likes_tag", "Drama", "e2"), claim("more_lately", "Drama", "e1"), claim("favourite", "Matrix, The", "e1")]
    found = read(text("Enjoys drama films. Liked “The Matrix” best. Lately more drama.", *claims))
    assert [bool(wrong) for wrong in found.sentences] == [True, False, True]


def test_a_name_within_a_title_is_not_shown() -> None:
    inside = event("e1", "Drama Queen", "Drama")
    claims = [claim("favourite", "Drama Queen", "e1"), claim("likes_tag", "Drama", "e1")]
    found = read(Text("Liked “Drama Queen”.", "llm", claims, {"e1": inside}))
    assert found.claims == [None, "likes_tag Drama: not in the text"]


def test_sentences_end_outside_of_quotes() -> None:
    assert len(cut("Liked “Who? What!” best. Avoids war! And “\ue000.” And?")) == 4


DAYS = {
    datetime(2024, 4, 6, 11, 59, tzinfo=UTC): None,
    datetime(2024, 4, 6, 12, tzinfo=UTC): "weekends",
    datetime(2024, 4, 7, 9, 59, tzinfo=UTC): "weekends",
    datetime(2024, 4, 7, 10, tzinfo=UTC): None,
    datetime(2024, 4, 8, 11, 59, tzinfo=UTC): None,
    datetime(2024, 4, 8, 12, tzinfo=UTC): "weekdays",
    datetime(2024, 4, 12, 9, 59, tzinfo=UTC): "weekdays",
    datetime(2024, 4, 12, 12, tzinfo=UTC): None,
}  # fmt: skip


@pytest.mark.parametrize("time", DAYS)
def test_days_that_are_the_same_in_every_time_zone(time: datetime) -> None:
    assert day_of_week(time) == DAYS[time]


def part(name: str | None, amount: float) -> Row:
    return {"event_id": name, "amount": amount}


def people() -> list[User]:
    """Two users: one with a summary of the model and three items, one of which is popular; one of whom nothing is known."""
    about = {"source": "llm", "checks": []}
    refused = {"source": "template", "checks": ["quotes: “X”", "words: y", "words: z"]}
    labels = [{"label": name} for name in ("Drama", "War", "Crime", "Noir")]
    tastes = [claim("likes_tag", "Drama", "e1"), claim("dislikes_tag", "Sci-Fi", "e2")]
    first = {"user_id": "a", "summary": "Enjoys drama. Avoids sci-fi.", "claims": tastes, "n_events": 10} | about
    first |= {"interests": labels, "dislikes": [{"label": "Sci-Fi"}]}
    second = {"user_id": "b", "summary": "Enjoys war.", "claims": [], "n_events": 10, "interests": [], "dislikes": []} | refused
    parts = [part("e1", 0.5), part("e2", 0.25), part(None, 0.25)]
    names = (("Heat", parts, 1.0), ("Ronin", [part("e1", 1.0), part("e1", 1.0)], 2.0), ("Fargo", [part(None, 1.0)], 1.0))
    rankings = [
        {"item_id": title, "rank": rank, "title": title, "tags": [], "contributions": made_of, "retrieval_score": score}
        for rank, (title, made_of, score) in enumerate(names, 1)
    ]
    behind = [claim("event", "Matrix, The", "e1")]
    words = {"Ronin": ("Try “Ronin”.", []), "Fargo": ("Try “Fargo”.", []), "Heat": ("With “The Matrix”, “Heat”.", behind)}
    explanations = [
        {
            "item_id": title,
            "explanation": said,
            "claims": [*claims, claim("recommended", title)],
            "source": "template",
            "checks": [],
        }
        for title, (said, claims) in words.items()
    ]
    return [User(first, explanations, rankings, list(EVENTS.values())), User(second, [], [], [])]


FIGURES = {
    # segment, metric, method, against: value, users
    ("summaries", "sentences", "all", None): (1.5, 2),
    ("summaries", "grounding", "all", None): (2 / 3, 2),  # e2 lacks the tag; "war" is no claim, but neither quoted nor a number
    ("summaries", "grounding", "llm", None): (1 / 2, 1),
    ("summaries", "claims_resolved", "all", None): (1 / 2, 1),
    ("summaries", "claims", "all", None): (1, 2),
    ("summaries", "template_share", "all", None): (1 / 2, 2),
    ("summaries", "accepted", "all", None): (1 / 2, 2),
    ("summaries", "refused_by_quotes", "all", None): (1 / 2, 2),
    ("summaries", "refused_by_words", "all", None): (1 / 2, 2),
    ("summaries", "coverage", "all", None): (2 / 4, 1),  # of drama, war, crime and sci-fi
    ("summaries", "distinctness", "all", None): (1 - 1 / 5, 2),  # enjoys; of drama, avoids, sci-fi and war
    ("summaries", "distinctness_of_phrasing", "all", None): (1 - 1 / 3, 2),  # enjoys; of avoids and war
    ("explanations", "sentences", "all", None): (1.5, 2),
    ("explanations", "grounding", "template", None): (1, 1),
    ("explanations", "claims", "all", None): (4 / 3, 1),
    ("explanations", "template_share", "all", None): (1, 1),
    ("explanations", "coverage", "all", None): ((2 / 3 + 0) / 2, 1),
    ("explanations", "distinctness", "all", None): (
        (1 - 0 / 6 + 1 - 1 / 3) / 2,
        1,
    ),  # with the matrix heat, try ronin, try fargo
    ("explanations", "distinctness_of_phrasing", "all", None): ((1 + 0) / 2, 1),  # with, try, try
    ("explanations", "faithfulness", "cited", None): ((0.5 + 0) / 2, 1),
    ("explanations", "faithfulness", "random", None): ((0.75 / 10 + 0) / 2, 1),
    ("explanations", "faithfulness", "cited", "random"): ((0.5 - 0.075) / 2, 1),
    ("all", "grounding", "all", None): (5 / 6, 2),
    ("all", "sentences", "all", None): (3, 2),
    ("all", "accepted", "all", None): (1 / 2, 2),
}


@pytest.fixture(scope="module")
def found() -> dict[tuple[Any, ...], Row]:
    rows = figures(people())
    named = {(row["segment"], row["metric"], row["method"], row["against"]): row for row in rows}
    assert len(named) == len(rows)
    return named


@pytest.mark.parametrize("key", FIGURES)
def test_figures_by_hand(found, key: tuple[Any, ...]) -> None:
    row = found[key]
    assert (row["value"], row["n_users"]) == (pytest.approx(FIGURES[key][0]), FIGURES[key][1])
    assert row["low"] <= row["value"] + 1e-9 and row["value"] - 1e-9 <= row["high"]


def test_there_is_no_figure_of_what_nobody_has(found) -> None:
    assert ("explanations", "accepted", "all", None) not in found
    assert figures([]) == []


def test_a_verdict_names_what_does_not_resolve() -> None:
    summaries, explanations = judge_words(people(), Gates(min_grounding=0.6))
    assert (summaries.passed, summaries.observed) == (True, "66.67% of 3 sentences")
    assert summaries.sample_keys == ("user_id=a: dislikes_tag Sci-Fi: event e2 lacks the tag",)
    assert explanations.passed and not explanations.sample_keys
    assert not judge_words(people(), Gates())[0].passed


@pytest.mark.parametrize("claim", [None, {"kind": "favourite", "claim": None, "evidence": None}])
def test_a_claim_of_nothing_does_not_resolve(claim: Row | None) -> None:
    (person, *_) = people()
    summary = person.summary | {"claims": [claim]}
    (told,) = User(summary, person.explanations, person.rankings, person.evidence).of("summaries")
    assert [why for why in told.read.claims if why is None] == []


def test_a_night_has_figures(profile, run) -> None:
    run(prepared(profile, NIGHT, [made("a"), made("b")]))
    rows = {(row["segment"], row["metric"], row["method"]): row for row in read_rows(profile, "evaluations")}
    assert {(row["run_id"], row["run_date"], row["split"]) for row in rows.values()} == {("run-1", NIGHT, "words")}
    assert [rows["all", "grounding", "all"][name] for name in ("value", "low", "high", "n_users")] == [1, 1, 1, 2]
    assert rows["explanations", "claims_resolved", "llm"]["value"] == 1


def test_an_event_with_another_title_blocks_the_night(profile, run) -> None:
    tampered = made("b")
    tampered["evidence"][0]["title"] = "A Day at Sea"
    with pytest.raises(GateError, match=r"explanations\.grounding: 50\.00% of 4 sentences \(expected at least 99\.50%"):
        run(prepared(profile, NIGHT, [made("a"), tampered]))
    (verdict,) = (each for each in read_rows(profile, "validations") if not each["passed"])
    why = "event A Night at Sea: event b-e1 has another title"
    assert (verdict["table"], verdict["rule"], verdict["severity"]) == ("explanations", "grounding", "block")
    assert set(verdict["sample_keys"]) == {f"user_id=b, item_id={item}: {why}" for item in ("i1", "i2")}
    assert releases(profile) == []
    assert {row["split"] for row in read_rows(profile, "evaluations")} == {"words"}


def test_the_sample_is_as_large_as_asked_and_the_same_for_every_run(spark) -> None:
    names = [f"u{k}" for k in range(9)]
    everyone = sampled(spark, names, 20)
    assert sorted(everyone) == names
    assert sampled(spark, names[::-1], 3) == everyone[:3]
    assert sampled(spark, names[::2], 3) == [name for name in everyone if name in names[::2]][:3]


def sampled(spark, names: list[str], n_users: int) -> list[str]:
    rows = tables([made(name) for name in names], NIGHT)
    frames = {name: spark.createDataFrame(each, contract(name).spark().toNullable()) for name, each in rows.items()}
    return [user.summary["user_id"] for user in sample(frames, n_users)]


KINDS_SAID = {"era": "1990s"} | {f"rhythm {label}": label for label in RHYTHMS}


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("kind", KINDS_SAID)
def test_our_own_sentences_about_times_show_their_claim(language: str, kind: str) -> None:
    label = KINDS_SAID[kind]
    for tone in load_language(language).tones:
        prose = load_prose(language, tone, "film")
        for text in prose.sentences[kind]:
            said = text.replace("{year}", "1990").replace("{nouns}", prose.nouns)
            found = read(Text(said, "template", [{"kind": kind.split()[0], "claim": label, "evidence": []}], {}))
            assert found.named == {label} and not any(
                "not in the text" in each or "no claim" in each for each in found.wrong
            ), said
