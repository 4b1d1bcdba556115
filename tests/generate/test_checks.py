"""What a text may say, given the evidence: each objection with the text that earns it, and good texts that pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.generate.checks import Evidence, objections
from tests.data.hostile import HOSTILE, INVISIBLE

TASTE = Evidence(
    liked=("Drama", "Sci-Fi", "Comedy", "Heat"),
    disliked=("Horror",),
    tags=("Drama", "Sci-Fi", "Comedy", "Horror"),
    needed=(("Drama", "Sci-Fi"),),
    noun="film",
)
GOOD = 'This person enjoys drama and sci-fi, with "Heat" among their favourites, and tends to avoid horror.'


def why(new: str, *had: str, tags: tuple[str, ...] = ()) -> Evidence:
    return Evidence(liked=had, others=(new,), tags=tags, common=tags, needed=((new,), had), new=new, noun="film")


TIMES = replace(
    TASTE,
    creators={"Heat": ("Michael Mann",), "Se7en": ("David Fincher",)},
    years={"Heat": 1995},
    makers=("Ridley Scott",),
    unliked_makers=("Guy Ritchie",),
    eras=("1990s", "1970s"),
    more=("Comedy", "Western"),
    less=("Drama",),
    rhythms=("weekly", "weekends"),
)
RONIN = why("Ronin", "Heat", tags=("Crime",))
MANN = replace(
    why("Ronin", "Heat", "Se7en", tags=("Crime",)),
    tags=("Crime", "Action"),
    traits={"Ronin": ("Crime", "Action"), "Heat": ("Crime",), "Se7en": ("Crime",)},
    creators={"Ronin": ("Michael Mann",), "Heat": ("Michael Mann",), "Se7en": ("David Fincher",)},
    unseen=("Action",),
)
ODD = 'a.*(b)[c]{d}|e\\f "g" ^$?+'


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        (GOOD, TASTE),
        ("This person enjoys dramas and comedies.", TASTE),
        ("You like Drama most.", TASTE),
        ("You tend to avoid horror films.", Evidence(disliked=("Horror",), tags=("Horror",), noun="film")),
        ('Since "Heat" is in your history, "Ronin" fits well: it shares its crime.', RONIN),
        ('Since “Heat” is in your history, “Ronin” fits well.', RONIN),
        ('Since "HEAT" is in your history, "ronin" fits well.', RONIN),
        ("This person enjoys drama and the '90s, and chose more comedy and westerns lately.", TIMES),
        ("This person used to choose more drama, and returns every week, mostly on weekends.", TIMES),
        ('This person likes Ridley Scott, sci-fi and 1990s films such as "Heat", but not Guy Ritchie.', TIMES),
        ('Since "Heat" by Michael Mann is in your history, "Ronin" fits well: both are by Mann.', MANN),
        ('Now that "Heat" is in your history, "Ronin" is a natural next step.', MANN),
        ('"Ronin" shares its crime with "Heat" and adds action, which is new to you.', MANN),
        ('Since "Jerk, The" is in your history, "Crow, The" fits well.', why("Crow, The", "Jerk, The")),
        ('Since "Alien" is in your history, "Alien 3" fits well.', why("Alien 3", "Alien")),
        ('Since "Alien 3" is in your history, "Alien" fits well.', why("Alien", "Alien 3")),
        ('Since "Big" is in your history, "Her" fits well: it shares these.', why("Her", "Big")),
        ('Since "It" is in your history, "Up" fits well with it.', why("Up", "It")),
        ('Since "300" is in your history, "2001: A Space Odyssey" fits well.', why("2001: A Space Odyssey", "300")),
        ('Since "3" is in your history, "Alien" fits well.', why("Alien", "3", tags=("a", "b", "c", "d"))),
        ('Since "Less Than Zero" is in your history, "Known" fits well.', why("Known", "Less Than Zero")),
        ('You enjoy "Never Let Me Go" and "I Hate You".', Evidence(liked=("Never Let Me Go", "I Hate You"))),
        (f'Since "{ODD}" is in your history, "Ronin" fits well.', why("Ronin", ODD)),
        ('Since "Two Towers" is in your history, "Ronin" fits well.', why("Ronin", "Two  Towers\n")),
        ('Since "İstanbul" is in your history, "Ronin" fits well.', why("Ronin", "İstanbul")),
        (
            'Since "The Lord of the Rings: Towers" and "The Lord of the Rings: King" are in your history, "Ronin" fits well.',
            why("Ronin", "The Lord of the Rings: Towers", "The Lord of the Rings: King"),
        ),
    ],
)  # fmt: skip
def test_good_texts_pass(text: str, evidence: Evidence) -> None:
    assert objections(text, "stop", evidence) == []


@pytest.mark.parametrize(
    ("reason", "text", "evidence"),
    [
        ("quotes: ronin", 'This person enjoys drama and "ronin".', TASTE),
        ("quotes: Aliens", 'Since "Aliens" is in your history, "Alien" fits well.', why("Alien", "Heat")),
        ("quotes: ", 'Since "Heat" is in your history, "Ronin Returns" fits well.', RONIN),
        ("names: Ronin", "This person enjoys drama and Ronin.", TASTE),
        ("names: Cafe", "This person enjoys drama and Café.", TASTE),
        ("words: brothers", "This person enjoys drama with brothers.", TASTE),
        ("words: brothers", 'Since "Her" is in your history, "Ronin" fits well: it shares brothers.', why("Ronin", "Her")),
        ("words: ø", "Ø is among drama.", TASTE),
        ("numbers: 12", "This person enjoys drama 12 times.", TASTE),
        ("numbers: 1010", 'Since "10" is in your history, "Ronin" fits 1010 times.', why("Ronin", "10")),
        ("numbers: 2001", 'Since "2001: Odyssey" is in your history since 2001, "Ronin" fits.', why("Ronin", "2001: Odyssey")),
        ("markup: <", "This person enjoys <b>drama</b>.", TASTE),
        ("markup: <", "This person enjoys drama.<|im_end|>", TASTE),
        ("markup: *", "This person enjoys **drama**.", TASTE),
        ("markup: {", "This person enjoys {{ drama }}.", TASTE),
        ("link: https:", "This person enjoys drama: https://drama.film.", TASTE),
        ("link: www.", "This person enjoys drama: www.drama.film.", TASTE),
        ("needed: none of Drama, Sci-Fi", "This person enjoys comedy.", TASTE),
        ("needed: none of Heat", 'With your history, "Ronin" fits well.', RONIN),
        ("needed: none of Ronin", 'Since "Heat" is in your history, crime fits well.', RONIN),
        ("needed: none of Alien", 'Since "Alien 3" is in your history, it fits well.', why("Alien", "Alien 3")),
        ("needed: none of Her", 'Since "Big" is in your history, another fits her well.', why("Her", "Big")),
        ("polarity: horror told as liked", "This person enjoys drama and horror.", TASTE),
        ("polarity: horror told as liked", "This person enjoys drama and horrors.", TASTE),
        ("polarity: horror told as liked", "This person enjoys drama and horror, not comedy.", TASTE),
        ("polarity: drama told as disliked", "This person tends to avoid drama.", TASTE),
        ("polarity: drama told as disliked", "This person steers clear of drama.", TASTE),
        ("polarity: comedy told as disliked", "This person enjoys drama while avoiding comedy.", TASTE),
        ("polarity: heat told as disliked", 'This person enjoys drama more, but never "Heat".', TASTE),
        ("seen: told as already", 'Since "Ronin" is in your history, "Heat" fits well.', RONIN),
        ("seen: told as already", 'Since you liked "Heat" and "Ronin", time for crime.', RONIN),
        ("seen: told as already", '"Ronin" is among your favourites, as is "Heat".', RONIN),
        ("seen: told as already", 'Since "Heat" is in your history, "Heat" fits well.', why("Heat", "Heat")),
        ("seen: offered", 'Since "Ronin" is similar: "Heat" fits well.', RONIN),
        ("seen: told as already", 'Since "C, D" is in your history, "A, B" fits well.', why("C, D", "A, B")),
        ("lately: comedy told as less", "This person enjoys sci-fi and has chosen less comedy lately.", TIMES),
        ("lately: sci-fi told as more", "This person has turned to sci-fi recently.", TIMES),
        ("lately: Heat", 'This person recently liked "Heat" and drama.', TIMES),
        ("lately: drama told as more", "This person has turned to drama recently.", TASTE),
        ("rhythms: daily", "This person enjoys drama every day.", TIMES),
        ("rhythms: weekdays", "This person enjoys drama on weekends and during the week.", TIMES),
        ("rhythms: every", "This person enjoys every drama.", TIMES),
        ("rhythms: rarely", "This person enjoys drama and rarely comes back on weekends.", TIMES),
        ("rhythms: weekends", "This person enjoys drama on weekends.", TASTE),
        ("eras: 1970s for Heat", 'This person enjoys "Heat" from the 1970s and drama.', TIMES),
        ("eras: to 1990s", "This person enjoys drama from the 1970s to the 1990s.", TIMES),
        ("numbers: 1980", "This person enjoys drama of the 1980s.", TIMES),
        ("numbers: 1990", "This person enjoys drama of the 1990s.", TASTE),
        ("fluency: from 1990s", "This person enjoys drama from 1990s.", TIMES),
        ("fluency: comedies films", "This person enjoys drama and the comedies films.", TIMES),
        ("polarity: western told as liked", "This person enjoys drama and westerns.", TIMES),
        ("polarity: guy ritchie told as liked", "This person enjoys drama and Guy Ritchie.", TIMES),
        ("polarity: ridley scott told as disliked", "This person enjoys drama and avoids Ridley Scott.", TIMES),
        ("creators: Michael Mann alone", "This person enjoys drama and Michael Mann.", TIMES),
        ("creators: Michael Mann alone", 'Since "Se7en" is in your history, "Ronin" fits: both are by Michael Mann.', MANN),
        ("creators: creator of Se7en and Ronin", 'You liked "Se7en", and "Ronin" is by the same creator.', MANN),
        ("new: crime", 'You liked "Heat", and the crime of "Ronin" is new to you.', MANN),
        ("tags: action of what is named", 'You liked "Heat", and "Ronin" shares its action.', MANN),
        ("unfinished: length", GOOD, TASTE),
        ("sentence: does not end", "This person enjoys drama", TASTE),
        ("sentence: does not end", 'This person enjoys drama and "Heat"', TASTE),
        ("repetition: this person enjoys drama", "This person enjoys drama, this person enjoys drama.", TASTE),
        ("repetition: ", 'This person enjoys drama, "Heat" and also "Heat".', TASTE),
        ("needed: ", "", TASTE),
    ],
)  # fmt: skip
def test_objections(reason: str, text: str, evidence: Evidence) -> None:
    found = objections(text, "length" if reason.startswith("unfinished") else "stop", evidence)
    assert any(each.startswith(reason) for each in found), found


def test_no_answer_is_unfinished() -> None:
    assert objections("This person enjoys drama.", None, TASTE) == ["unfinished: None"]


ODD_TITLES = ["", " ", '"', ".", "(?P<a>x", "[a-z]+)", "\\1\\g<0>", "\ue0000\ue001", "İſK", "x" * 5000]
PLACES = [
    "{0} Since “Heat” is in your history, “Ronin” fits well.",
    "Since “Heat” is in your history, “Ronin” fits well. {0}",
    "Since “Heat” is in your history, “Ronin” fits well: {0}.",
    "Since “Heat” and “{0}” are in your history, “Ronin” fits well.",
    "Since “Heat” is in your history, “Ronin” fits well for {0}.",
]


@pytest.mark.parametrize("text", [*HOSTILE, *INVISIBLE])
def test_hostile_text_is_rejected_wherever_it_stands(text: str) -> None:
    for place in PLACES:
        assert objections(place.format(text), "stop", RONIN), place


@pytest.mark.parametrize("title", [*HOSTILE, *INVISIBLE])
def test_a_hostile_title_is_left_to_the_template(title: str) -> None:
    """A title that is an order, markup, a link, a formula or an address is not told by the model; a template quotes it."""
    told = f'Since "{title}" is in your history, "Ronin" fits well.'
    assert objections(told, "stop", why("Ronin", title)) != []
    assert objections(f'Since "Heat" is in your history, "{title}" fits well.', "stop", why(title, "Heat")) != []
    untold = 'Since "Heat" is in your history, "Ronin" fits well.'
    assert objections(untold, "stop", why("Ronin", title, "Heat")) == [], "others may still be told"


@pytest.mark.parametrize("tag", [text for text in HOSTILE if len(text) > 3])
def test_a_hostile_tag_is_left_to_the_template(tag: str) -> None:
    evidence = Evidence(liked=(tag, "Drama"), tags=(tag, "Drama"), needed=((tag, "Drama"),))
    assert objections(f"This person enjoys drama and {tag}.", "stop", evidence) != []
    assert objections("This person enjoys drama.", "stop", evidence) == []


@pytest.mark.parametrize("user", [*HOSTILE, "u7", "143", "o'brien", "Zoë", 'Dwayne "The Rock"', "a/b/c", "Ann Lee"])
def test_a_users_id_is_told_nowhere(user: str) -> None:
    evidence = replace(RONIN, user=user)
    assert objections('Since "Heat" is in your history, "Ronin" fits well.', "stop", evidence) == []
    for place in PLACES:
        assert objections(place.format(user), "stop", evidence) != []


@pytest.mark.parametrize("title", ODD_TITLES)
def test_odd_titles_break_nothing(title: str) -> None:
    evidence = why("Ronin", title, "Heat")
    assert objections('Since "Heat" is in your history, "Ronin" fits well.', "stop", evidence) == []
    assert objections(f"{title} You may also want wine.", "stop", evidence) != []
    assert objections(title, "stop", evidence) != []


@pytest.mark.parametrize(
    ("title", "spelled"),
    [
        ("Matrix, The", "The Matrix"),
        ("Matrix, The", "Matrix"),
        ("Matrix, The (1999)", "The Matrix"),
        ("Ocean's Eleven", "Ocean’s Eleven"),
        ("Amélie", "Amelie"),
        ("Amelie", "Amélie"),
        ("Avventura, L' (Adventure, The)", "The Adventure"),
        ("Avventura, L' (Adventure, The)", "L'Avventura"),
        ("Lord of the Rings: The Two Towers, The", "The Lord of the Rings: The Two Towers"),
        ("Lord of the Rings: The Two Towers, The", "The Two Towers"),
        ("Speed 2: Cruise Control", "Speed 2"),
        ("Spirited Away (Sen to Chihiro no kamikakushi)", "Sen to Chihiro no kamikakushi"),
        ("The Hobbit, or There and Back Again", "The Hobbit"),
        ("Romeo & Juliet", "Romeo and Juliet"),
        ("Spider-Man", "Spider–Man"),
    ],
)
def test_titles_as_people_write_them(title: str, spelled: str) -> None:
    assert objections(f'Since "{spelled}" is in your history, "Ronin" fits well.', "stop", why("Ronin", title)) == []


@pytest.mark.parametrize(
    ("titles", "spelled"),
    [
        (["Mad Max: Fury Road"], "Mad Max"),
        (["Mad Max: Fury Road", "Rage: Fury Road"], "Fury Road"),
        (["Matrix, The"], "Matrices"),
        (["Heat"], "Heats"),
        (["Once Upon a Time in America"], "Once Upon a Time"),
        (["Big: The Next One"], "The Next One"),
    ],
    ids=["another title", "either of two", "another word", "a plural", "a part without a colon", "common words"],
)
def test_what_names_no_title(titles: list[str], spelled: str) -> None:
    assert objections(f'Since "{spelled}" is in your history, "Ronin" fits well.', "stop", why("Ronin", *titles)) != []


def test_evidence_without_names() -> None:
    assert objections("You enjoy what is good.", "stop", Evidence()) == []
    assert objections("Heat.", "stop", Evidence())[0] == "words: heat"
