"""What is told of a title is so: its year and its tags; and how many there are of something."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from jobs.generate.checks.evidence import Evidence, fold, folded
from jobs.generate.checks.reading import END, Token, row, sentences, split, titles
from jobs.generate.checks.vocabulary import words_of

DATING = words_of("( , from of in is was dates a an")  # between a title and its year
DESCRIBING = words_of(
    "a an the another one both their is are was were also , ) which all of them"
)  # between a title and its tag
LINKS = words_of("is are was were ,")
KINDS = words_of("a an the another both their are were")
EXAMPLES = words_of("such as like of is are shown by seen in especially")  # between a tag and titles that have it
ADDING = words_of("add bring offer introduce have with its it")  # tell of what a title has of its own
SHARING = words_of("share both same common another too also like similar their combine")  # tell of more than one title


def numbers(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """A number is the year of the title beside it, how many of a tag were liked, how many titles are named, or all events."""
    for sentence in sentences(tokens):
        for place, token in enumerate(sentence):
            if token.value is not None and not (_is_year(sentence, place, evidence) or _is_count(sentence, place, evidence)):
                return f"numbers: {token.text}"
    digits = re.search(r"\d", "".join(token.text for token in tokens if token.kind in ("word", "mark")))
    return f"numbers: {digits.group()}" if digits else None


def _is_year(sentence: Sequence[Token], place: int, evidence: Evidence) -> bool:
    years = {fold(title): year for title, year in evidence.years.items()}
    before = sentence[max(0, place - 7) : place][::-1]
    near = next((token for token in before if token.text not in DATING and token.kind not in ("tag", "noun")), END)
    ahead = next((token for token in sentence[place + 1 :] if token.kind not in ("noun", "tag", "mark")), END)
    title = near if near.kind == "title" else ahead
    return title.kind == "title" and sentence[place].value == years.get(title.name)


def _is_count(sentence: Sequence[Token], place: int, evidence: Evidence) -> bool:
    counts = {fold(tag): count for tag, count in evidence.counts.items()}
    number, after = sentence[place].value, sentence[place + 1 : place + 3]
    if place and sentence[place - 1].text == "all":
        return number == len(titles(sentence))
    if tag := next((token for token in after if token.kind == "tag"), None):
        of_tag = {title.name for title in titles(sentence) if tag.name in (evidence.of(evidence.traits, title.name) or ())}
        return number == (len(of_tag - {fold(evidence.new)}) if evidence.new else counts.get(tag.name))
    named = {token.name for token in titles(sentence)} - {fold(evidence.new or "")}
    earlier = [counts.get(token.name) for token in sentence[:place] if token.kind == "tag"][-1:]
    whole = any(token.text == "history" for token in sentence[place : place + 5]) and not evidence.new
    of_what = bool(after) and (after[0].kind == "noun" or "plural" in after[0].sorts or after[0].text in ("of", "clear"))
    return of_what and (number == evidence.events if whole else number == len(named) or [number] == earlier)


def tags(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """A tag told of a title is that title's; in an explanation any other is one that the new title shares."""
    for sentence in sentences(tokens):
        for place, token in enumerate(sentence):
            if token.kind == "tag" and (title := _denied(sentence, place, evidence)):
                return f"tags: {token.text} of {title}"
        clauses = split(sentence, ",;:") if evidence.new else []
        for before, clause in pairwise([[END], *clauses]):
            for place, token in enumerate(clause):
                if token.kind != "tag" or _is_added(clause, place, before, evidence):
                    continue
                if title := _not_shared(clause, place, evidence):
                    return f"tags: {token.text} of {title}"
    return None


def _denied(sentence: Sequence[Token], place: int, evidence: Evidence) -> str | None:
    """A title that has not the tag at `place`, though told so beside it."""
    for title in (*_behind(sentence, place), *told_of(sentence, place), *_alike(sentence, place)):
        has = evidence.of(evidence.traits, title.name)
        if has is not None and sentence[place].name not in has:
            return title.text
    return None


def _not_shared(clause: Sequence[Token], place: int, evidence: Evidence) -> str | None:
    """For a tag that is told of no one title: it is shared, or the clause is about the new title only."""
    tag, new = clause[place].name, fold(evidence.new or "")
    if _behind(clause, place):
        return None
    told = {token.name for token in titles(clause)}
    if tag in folded(evidence.common):
        known = [has for name in told - {new} if (has := evidence.of(evidence.traits, name)) is not None]
        return "all that is named" if known and not any(tag in has for has in known) else None
    it = any(token.text == "it" for token in clause)
    alone = (told == {new} or (it and not told)) and not (SHARING - {"also"}) & {token.base for token in clause}
    return None if alone and tag in (evidence.of(evidence.traits, new) or ()) else "what is named"


def _is_added(clause: Sequence[Token], place: int, before: Sequence[Token], evidence: Evidence) -> bool:
    """Whether a tag that is new to the user is told of the new title, or alone behind a clause that tells of something new."""
    if clause[place].name not in folded(evidence.unseen):
        return False
    if all(token.kind == "tag" or token.text == "and" for token in clause):
        return any(token.text == "new" for token in before)
    combines = any(token.base == "combine" for token in clause)
    joints = [at for at in range(place) if clause[at].text == "and" or (clause[at].text == "with" and combines)]
    start = max((at for at in joints if clause[at].text == "with" or clause[at + 1].kind != "tag"), default=0)
    part, new = clause[start:], fold(evidence.new or "")
    words, earlier = {token.base or token.text for token in part}, [token.name for token in titles(clause[:start])]
    adds = "new" in words or (words & ADDING and not words & {"you", "your"})
    of_new = not earlier or new in (earlier[-1:] if "its" in words else earlier)
    return bool(adds) and of_new and {token.name for token in titles(part)} <= {new} and not (SHARING - {"also"}) & words


def _behind(sentence: Sequence[Token], place: int) -> list[Token]:
    """The titles right behind a tag: the crime drama "Heat", dramas such as "Heat" and "Ronin", the drama of "Heat"."""
    for at in range(place + 1, min(place + 7, len(sentence))):
        token = sentence[at]
        if token.kind == "title":
            single = all(each.kind in ("tag", "noun") and not each.plural for each in sentence[place:at])
            return [token] if single else row(sentence[at:])
        joins = token.text == "and" and at + 1 < len(sentence) and sentence[at + 1].kind == "tag"
        if token.kind not in ("tag", "noun") and token.text not in EXAMPLES and not joins:
            break
    return []


def told_of(sentence: Sequence[Token], place: int) -> list[Token]:
    """The titles of which a tag is told: "Heat" is a crime drama; "Heat", a drama; "Heat" and "Ronin" are both dramas."""
    start = place
    while start and (sentence[start - 1].kind == "tag" or "adjective" in sentence[start - 1].sorts):
        start -= 1
    begin = start
    while begin and sentence[begin - 1].text in DESCRIBING:
        begin -= 1
    between = {token.text for token in sentence[begin:start]}
    found = _row_before(sentence[:begin]) if between & LINKS and between & KINDS else []
    return [] if len(found) > 1 and between & {"a", "an"} else found  # "A" and "B" are a drama and a comedy


def _row_before(tokens: Sequence[Token]) -> list[Token]:
    row: list[Token] = []
    for token in reversed(tokens):
        if token.kind == "title":
            row.append(token)
        elif token.kind not in ("number", "mark") and token.text not in ("and", "also", "from"):
            break
    return row


def _alike(sentence: Sequence[Token], place: int) -> Iterator[Token]:
    """Titles of which the same is told: "Heat" is a drama, as is "Ronin"."""
    for at in range(place, len(sentence) - 2):
        if sentence[at].text in ("as", "so") and sentence[at + 1].text in ("is", "are", "does", "do"):
            yield from row(sentence[at + 2 :])
