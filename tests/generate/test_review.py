"""Phrasings that people judge: what their file may say, and that it stands above the model."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jobs.errors import ProfileError
from jobs.generate.phrasebook import Pattern, Phrasebook, Phrasing
from jobs.generate.review import Verdict, reviewed, verdicts
from jobs.profile import Words

AX = Pattern("explanation", "AX")
GOOD, BAD, OWN = "Since {A} is in your history, try {X}.", "Given {A}, {X} is worth a try.", "You know {A}, so try {X}."
BOOK = {AX: [Phrasing(GOOD, "g1"), Phrasing(BAD, "g2", ("fluency: -2 nats",))]}


def written(folder: Path, *entries: dict[str, object]) -> str:
    file = folder / "phrasings.yaml"
    file.write_text(yaml.safe_dump(list(entries)))
    return str(file)


def entry(text: str, use: bool = True, pattern: str = "explanation AX", **more: object) -> dict[str, object]:
    return {"pattern": pattern, "text": text, "use": use} | more


def test_no_file_says_nothing() -> None:
    assert verdicts(Words()) == []
    assert reviewed(BOOK, []) == BOOK


def test_verdicts_stand_above_the_models(tmp_path: Path) -> None:
    said = verdicts(Words(phrasings=written(tmp_path, entry(GOOD, False, why="dull"), entry(BAD), entry(OWN))))
    assert reviewed(BOOK, said)[AX] == [Phrasing(GOOD, "g1", ("by hand: dull",)), Phrasing(BAD, "g2"), Phrasing(OWN, None)]
    book = Phrasebook(reviewed(BOOK, said))
    assert {book.pick(AX, str(key)).text for key in range(20)} == {BAD, OWN}
    assert book.rows()[2] == {
        "pattern": "explanation AX", "text": OWN, "use": True, "checks": [], "generation_id": None,
    }  # fmt: skip


def test_a_sentence_refused_for_liked_titles_does_not_come_back_by_way_of_all_titles() -> None:
    liked = Pattern("explanation", "AX", liked=True)
    said = [Verdict(**entry(f"{GOOD}\n", False, "explanation AX liked"))]
    book = Phrasebook(reviewed({AX: [Phrasing(GOOD, "g1")], liked: [Phrasing(GOOD, "g2")]}, said))
    assert book.pick(AX, "u") == Phrasing(GOOD, "g1")
    assert book.pick(liked, "u") is None


def test_of_patterns_that_a_night_does_not_need_nothing_is_taken() -> None:
    assert reviewed({}, [Verdict(**entry(OWN))]) == {}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (entry("You know {A}."), "slots: A in place of AX"),
        (entry("You know {A} and {A}, so try {X}."), "slots: AAX in place of AX"),
        (entry("You know {A}, so try {X} at www.example.com."), "link: www."),
        (entry("Wonderful {A}, so try {X}."), "words: wonderful"),
        (entry(OWN, pattern="explanation XA"), "no such pattern; there are summary A, "),
        (entry(OWN, verdict="fine"), "verdict\n  Extra inputs"),
        (entry(OWN) | {"use": "perhaps"}, "use\n  Input should be a valid boolean"),
    ],
    ids=["slot missing", "slot twice", "link", "unknown word", "pattern", "key", "no verdict"],
)
def test_what_cannot_be_is_named(tmp_path: Path, wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ProfileError, match=r"words\.phrasings") as error:
        verdicts(Words(phrasings=written(tmp_path, entry(GOOD), wrong)))
    assert told in str(error.value)


def test_bad_phrasings_may_be_told_to_be_bad(tmp_path: Path) -> None:
    assert verdicts(Words(phrasings=written(tmp_path, entry("What a {A}, {X} wonderful.", False))))[0].use is False


@pytest.mark.parametrize("content", ["- [", "just words", "pattern: explanation AX"])
def test_no_such_file_and_no_such_list(tmp_path: Path, content: str) -> None:
    file = tmp_path / "phrasings.yaml"
    with pytest.raises(ProfileError, match="No such file"):
        verdicts(Words(phrasings=str(file)))
    file.write_text(content)
    with pytest.raises(ProfileError, match=r"a list of pattern, text, use and why"):
        verdicts(Words(phrasings=str(file)))
