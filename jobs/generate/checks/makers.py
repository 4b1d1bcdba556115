"""Who made what is told as it is: of a title, alone as someone the user likes, and as what titles share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobs.generate.checks.attributes import told_of
from jobs.generate.checks.evidence import Evidence, fold, folded
from jobs.generate.checks.likes import told
from jobs.generate.checks.reading import Token, row, sentences, titles
from jobs.generate.checks.vocabulary import words_of

BETWEEN = words_of("is are was also comes come")  # between a title and "by"
EXAMPLES = words_of("such as like especially particularly just so is are was ,")
SHARED = words_of("both share shares same also too another")
PRONOUNS = words_of("his him her hers")
CREATOR = words_of("creator creators")


def creators(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """Who is told to have made a title has made it; alone stands who is liked or disliked, or made all titles beside."""
    for sentence in sentences(tokens):
        for place, token in enumerate(sentence):
            if token.kind == "creator" and (wrong := _wrong(sentence, place, evidence)):
                return f"creators: {token.text} {wrong}"
            if token.text in PRONOUNS:
                named = [each for each in sentence[:place] if each.kind == "creator"][-1:]
                if named and not _made_all(named[0], titles(sentence), evidence):
                    return f"creators: {token.text}"
    return None


def same(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """Titles that are told to have a creator in common have one; a summary names the creators that it tells of."""
    for sentence in sentences(tokens):
        for place, token in enumerate(sentence):
            if token.kind == "word" and token.text in CREATOR and not _share(sentence, place, evidence):
                return f"creators: {token.text} of {' and '.join(each.text for each in titles(sentence)) or 'what'}"
    return None


def _wrong(sentence: Sequence[Token], place: int, evidence: Evidence) -> str | None:
    """What is wrong with what is told of the creator at `place`."""
    token, named = sentence[place], titles(sentence)
    made = _made(sentence, place, evidence)
    made += _alike(sentence[:place]) if made else []
    if untrue := next((title for title in made if token.name not in _creators(title, evidence)), None):
        return f"for {untrue}"
    if named and _made_all(token, named, evidence):
        return None
    if made:
        others = {each.name for each in named} - {*made}
        is_too = evidence.new and "also" in [each.text for each in sentence[max(0, place - 2) : place]]
        return "too" if is_too and not any(token.name in _creators(title, evidence) for title in others) else None
    return None if _may_stand(sentence, token, evidence) else "alone"


def _may_stand(sentence: Sequence[Token], token: Token, evidence: Evidence) -> bool:
    """Whether a creator may be told of no title: as one the user likes or dislikes; in an explanation as of their history."""
    liked = any(each is token and sign == "liked here" for each, sign in told(sentence))
    if evidence.new is None or liked:
        return token.name in folded((*evidence.makers, *evidence.unliked_makers))
    shared = any(each.text in SHARED for each in sentence)
    return not shared and token.name not in _creators(fold(evidence.new), evidence)


def _made(sentence: Sequence[Token], place: int, evidence: Evidence) -> list[str]:
    """Names of the titles that a creator at `place` is told to have made."""
    behind = sentence[place + 1 :]
    if behind[:1] and behind[0].text == "'s":
        start = next((at for at, token in enumerate(behind[1:4], 1) if token.kind == "title"), len(behind))
        return [title.name for title in row(behind[start:])]
    before = [each for each in sentence[:place] if each.kind not in ("number", "mark") and each.text not in BETWEEN]
    made = _further(behind)
    if len(before) < 2 or before[-1].text not in ("by", "from"):
        return [title.name for title in made]
    subject = before[-2]
    if subject.text == "it":
        return [fold(evidence.new or ""), *[title.name for title in made]]
    if subject.kind == "title":
        made = [subject, *made]
    elif subject.kind in ("tag", "noun"):
        made = [*told_of(sentence, next(at for at, each in enumerate(sentence) if each is subject)), *made]
    return [title.name for title in (*made, *_examples(behind))]


def _alike(before: Sequence[Token]) -> list[str]:
    """Names of titles that a sentence begins with and compares to: like "Emma", "Persuasion" is by."""
    alike = row(before[1:]) if before and before[0].text == "like" else []
    return [title.name for title in alike] if [token.text for token in before].count(",") == 1 else []


def _examples(behind: Sequence[Token]) -> list[Token]:
    """Titles that are named as further ones right behind: such as "Emma", like "Emma", as is "Emma"."""
    start = 0
    while start < len(behind) and (behind[start].text in EXAMPLES or _texts(behind[start:]) == ["and", "so"]):
        start += 1
    return row(behind[start:]) if any(token.kind == "word" for token in behind[:start]) else []


def _texts(tokens: Sequence[Token]) -> list[str]:
    return [token.text for token in tokens[:2]]


def _further(behind: Sequence[Token]) -> list[Token]:
    """Titles in a clause about the creator: who also made "Emma", whose "Emma" you liked."""
    start = 1 if behind[:1] and behind[0].text == "," else 0
    if behind[start : start + 1] and behind[start].text in ("who", "whose"):
        first = next((at for at, token in enumerate(behind) if token.kind == "title"), len(behind))
        return row(behind[first:]) if first <= start + 3 else []
    return []


def _share(sentence: Sequence[Token], place: int, evidence: Evidence) -> bool:
    """Whether those are of one creator of whom the word at `place` tells it: what is recommended and those behind the word."""
    behind = sentence[place + 1 :]
    new = [fold(evidence.new)] if evidence.new else []
    named = [each.name for each in (row(behind[1:]) if behind and behind[0].text in ("of", "with", "as") else titles(sentence))]
    told_too = any(token.kind == "creator" for token in sentence)
    if not new and told_too:
        return True  # and each is judged by itself
    together = list(dict.fromkeys([*new, *named]))
    return len(together) > 1 and bool(set.intersection(*[_creators(title, evidence) for title in together]))


def _made_all(creator: Token, named: Iterable[Token], evidence: Evidence) -> bool:
    return all(creator.name in _creators(title.name, evidence) for title in named)


def _creators(title: str, evidence: Evidence) -> set[str]:
    return evidence.of(evidence.creators, title) or set()
