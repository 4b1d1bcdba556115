"""How texts name users, and what is left of them."""

from __future__ import annotations

import html
import json
import shlex

import pytest

from jobs.erase.people import People, is_rare
from jobs.errors import InputError

HOSTILE = """=cmd|'/c calc'!A1 "ü\\\n-7"""
PEOPLE = People.of(["user-1000000", "15", "anna", HOSTILE, "u" * 30 + "-100-of-many"], "uid")

NAMED = {
    "as it is": (b"gone: user-1000000.", b"gone: xxxxxxxxxxxx."),
    "after an escaped line break": (rb'"a\nuser-1000000"', rb'"a\nxxxxxxxxxxxx"'),
    "a column of the log": (b'{"uid":"15","item":"15"}', b'{"uid":"xx","item":"15"}'),
    "a number": (b'{"uid": 15, "n": 15}', b'{"uid": xx, "n": 15}'),
    "a key of a rule": (b"user_id=15, item_id=3", b"user_id=xx, item_id=3"),
    "in a sentence": (b"no user anna: 15 times", b"no user xxxx: 15 times"),
    "JSON in JSON": (rb"{\"user_id\":\"15\"}", rb"{\"user_id\":\"xx\"}"),
    "several asked for": (b'{"users": ["anna", "7", "15"]}', b'{"users": ["xxxx", "7", "xx"]}'),
    "cut by statistics": (b"u" * 30 + b"-1", b"x" * 32),
}


@pytest.mark.parametrize("case", NAMED)
def test_a_text_that_names_them_is_redacted_and_as_long_as_before(case) -> None:
    text, less = NAMED[case]
    assert (PEOPLE.names(text), PEOPLE.redacted(text)) == (True, less)
    assert not PEOPLE.names(less)


OTHERS = {
    "a longer id": b"user-10000001 and my-user-1000000b",
    "a number": b"15 users in 15 s",
    "an item": b'{"item_id":"15","user_id":"151"}',
    "a part": b"user_id=15-3",
    "a word": b"anna",
}


@pytest.mark.parametrize("case", OTHERS)
def test_others_stay_as_they_are(case) -> None:
    assert not PEOPLE.names(OTHERS[case])
    assert PEOPLE.redacted(OTHERS[case]) == OTHERS[case]


LONGER = {
    "longer": b"user_id=acct-12345678-b, acct-12345678-bc",
    "within": b'["j.acct-12345678"]',
    "in JSON": rb"\"acct-12345678-b\"",
}


@pytest.mark.parametrize("case", LONGER)
def test_a_longer_id_of_another_stays(case) -> None:
    others = frozenset({"acct-12345678-b", "acct-12345678-bc", "j.acct-12345678"})
    people = People(frozenset({"acct-12345678"}), "uid", longer=others)
    text = LONGER[case]
    assert (people.names(text), people.redacted(text)) == (False, text)
    both = text + b" and acct-12345678"
    assert (people.names(both), people.redacted(both)) == (True, text + b" and " + b"x" * 13)


SPELLED = {
    "JSON": json.dumps,
    "JSON of any letters": lambda user: json.dumps(user, ensure_ascii=False),
    "JSON in JSON": lambda user: json.dumps(json.dumps({"user": user})),
    "HTML": html.escape,
    "CSV": lambda user: '"' + user.replace('"', '""') + '"',
    "Python": repr,
    "a shell": shlex.quote,
}


@pytest.mark.parametrize("way", SPELLED)
def test_a_hostile_id_is_found_however_it_is_written(way) -> None:
    written = f"<{SPELLED[way](HOSTILE)}>".encode()
    assert PEOPLE.names(written)
    assert b"calc" not in PEOPLE.redacted(written)


def test_words_of_their_rows_are_redacted_in_every_spelling() -> None:
    told = People(PEOPLE.ids, "uid", frozenset({'Loves "quiet" films & more.', "short"}))
    page = b'<td>Loves &quot;quiet&quot; films &amp; more.</td> short {"a": "Loves \\"quiet\\" films & more."}'
    assert b"Loves" not in told.redacted(page)
    assert b"short" in told.redacted(page)


@pytest.mark.parametrize(("user", "rare"), [("15", False), ("1234567", False), ("summaries", False), ("beefbeef", False),
                                            ("123456789012345", True), ("u-1234567", True), ("a@b.org", True)])  # fmt: skip
def test_which_ids_no_text_holds_by_chance(user, rare) -> None:
    assert is_rare(user) is rare


@pytest.mark.parametrize("users", [[], [""], [" "], ["a\x00"], ["\udcff"]])
def test_who_is_nobody(users) -> None:
    with pytest.raises(InputError):
        People.of(users, "uid")


RECORDS = {
    '{"uid": 15, "item": 3}': True,
    '{"uid": "3", "item": "15"}': False,
    '{"uid": "3", "item": ': False,
    '{"uid": "15", "item": ': True,
    "15,3,extra,extra": True,
    "3,115,extra,extra": False,
    '{"uid": "3", "note": "user-1000000"}': False,
    '3,"user-1000000",,,,': True,
}


@pytest.mark.parametrize("record", RECORDS)
def test_whose_a_record_is(record) -> None:
    assert PEOPLE.is_theirs(record) is RECORDS[record]
