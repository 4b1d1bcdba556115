"""What is told of times is so: what is more or less frequent lately, when the user comes, of which decade something is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from jobs.generate.checks.evidence import Evidence, fold, folded
from jobs.generate.checks.reading import END, PARTS, Token, row, sentences
from jobs.generate.checks.vocabulary import words_of

Phrases = Mapping[str, Sequence[tuple[tuple[str, ...], str]]]  # first word -> the whole phrase and its label, longest first


def _phrases(by_label: Mapping[str, str]) -> Phrases:
    found: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for label, phrases in by_label.items():
        for phrase in phrases.split(", "):
            found.setdefault(phrase.split()[0], []).append((tuple(phrase.split()), label))
    return {first: sorted(each, key=lambda phrase: -len(phrase[0])) for first, each in found.items()}


LATELY = _phrases({
    "lately": "lately, recently, recent, nowadays, now, of late, these days, than before, than they used to, than you used to",
    "changed": "become, becomes, became, becoming, move, moves, moved, moving",
    "more": "increasingly, more and more",
    "less": "no longer, less and less, fewer and fewer",
    "once": "used to",
    "": "now that",
})  # fmt: skip
RHYTHMS = _phrases({
    "daily": "daily, every day, each day, most days",
    "weekly": "weekly, every week, each week, most weeks, week after week",
    "in bursts": "in bursts",
    "at once": "at once, in one go, within one day",
    "weekends": "on weekends, at weekends, during weekends, at the weekend, on the weekend, than weekends, weekend reader",
    "weekdays": "on weekdays, during weekdays, during the week, than weekdays",
})  # fmt: skip
BOUND = words_of("""
    late longer days day week weeks weekend weekends weekday weekdays burst bursts every each once during
""")  # stand in such a phrase only
OF_RHYTHM = BOUND | words_of("daily weekly in active")  # in any phrase of them
MORE, LESS = words_of("more increasingly"), words_of("less fewer rarely seldom away longer")
MOVES = {"from": "less", "to": "more", "toward": "more", "towards": "more", "into": "more"}
SWAPPED = {"more": "less", "less": "more"}
OTHER = {"weekends": "weekdays", "weekdays": "weekends"}
DENIED = words_of("not never no rarely seldom hardly less least")
LISTED = ("tag", "noun", "title", "creator", "era")
OF_TITLE = words_of("the of from in , ( ) is are comes come")  # between a title and its decade
TO_TITLE = words_of("such as like especially particularly including , favourite favourites both")


def lately(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """What is told of a time is of a tag that is more or less frequent lately, and in that direction."""
    known = {"more": folded(evidence.more), "less": folded(evidence.less)}
    for sentence in sentences(tokens):
        for part in timed(sentence):
            told = [place for place, token in enumerate(part) if token.kind == "tag"]
            other = next((token.text for token in part if token.kind in ("title", "creator", "era", "number")), None)
            if other or not told:
                return f"lately: {other or 'of what'}"
            for place in told:
                direction = _direction(part, place)
                if part[place].name not in known[direction]:
                    return f"lately: {part[place].text} told as {direction}"
    return None


def timed(sentence: Sequence[Token]) -> list[list[Token]]:
    """Parts of a sentence that tell of a time: those with its words, beside such words alone, or with a further direction."""
    if not _has(sentence, LATELY):
        return []
    parts = _parts(sentence)
    marked = [_has(part, LATELY) for part in parts]
    alone = [is_marked and _is_alone(part) for part, is_marked in zip(parts, marked, strict=True)]
    found: list[list[Token]] = []
    for at, part in enumerate(parts):
        beside = (at > 0 and alone[at - 1]) or (at + 1 == len(parts) - 1 and alone[at + 1])
        texts = {token.text for token in part}
        further = texts & (MORE | LESS) and "than" not in texts and any(token.kind == "tag" for token in part)
        if (marked[at] and not (alone[at] and len(parts) > 1)) or beside or further:
            found.append(part)
    return found


def rhythms(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """When the user comes is one of their rhythms; a word of such a phrase stands in no other."""
    for sentence in sentences(tokens):
        if OF_RHYTHM.isdisjoint(token.text for token in sentence):
            continue
        phrases = list(_found(sentence, RHYTHMS))
        for start, _, label in phrases:
            than = "than" in (sentence[start].text, [END, *sentence][start].text)
            if (OTHER.get(label) if than else label) not in evidence.rhythms:
                return f"rhythms: {label}"
        inside = {at for start, end, _ in (*phrases, *_found(sentence, LATELY)) for at in range(start, end)}
        loose = (token for place, token in enumerate(sentence) if token.text in BOUND and place not in inside)
        if wrong := next(chain(loose, _denied(sentence)), None):
            return f"rhythms: {wrong.text}"
    return None


def _denied(sentence: Sequence[Token]) -> Iterator[Token]:
    """What denies a rhythm, or calls the user active without one."""
    for part in _parts(sentence):
        wrong = DENIED if _has(part, RHYTHMS) else {"active"}
        yield from (token for token in part if token.text in wrong)


def told_rhythms(tokens: list[Token]) -> set[str]:
    """Labels of the rhythms that are told."""
    return {label for sentence in sentences(tokens) for *_, label in _found(sentence, RHYTHMS)}


def tags_lately(tokens: list[Token]) -> set[str]:
    """Names of the tags that are told to be more or less frequent lately."""
    parts = [part for sentence in sentences(tokens) for part in timed(sentence)]
    return {token.name for part in parts for token in part if token.kind == "tag"}


def eras(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """A decade beside a title is that of its year, and two are no range. One that is not in the evidence is a number."""
    years = {fold(title): year for title, year in evidence.years.items()}
    for sentence in sentences(tokens):
        for place, token in enumerate(sentence):
            if token.kind != "era":
                continue
            if _is_range(sentence, place):
                return f"eras: to {token.text}"
            for title in _of_decade(sentence, place):
                if f"{years.get(title.name, 0) // 10 * 10}s" != token.name:
                    return f"eras: {token.text} for {title.text}"
    return None


def _is_range(sentence: Sequence[Token], place: int) -> bool:
    """Whether two decades stand for those between them: from the 1930s to the 1980s."""
    before = sentence[max(0, place - 3) : place]
    return any(token.kind == "era" for token in before) and any(token.text in ("to", "–", "-") for token in before)


def _found(tokens: Sequence[Token], phrases: Phrases) -> Iterator[tuple[int, int, str]]:
    """Start, end and label of each phrase, the longest that begins at a place."""
    end = 0
    for start, token in enumerate(tokens):
        for words, label in phrases.get(token.text, ()) if start >= end else ():
            if tuple(each.text for each in tokens[start : start + len(words)]) == words:
                end = start + len(words)
                if label:  # else it tells of no time
                    yield start, end, label
                break


def _has(tokens: Sequence[Token], phrases: Phrases) -> bool:
    return next(_found(tokens, phrases), None) is not None


def _parts(sentence: Sequence[Token]) -> list[list[Token]]:
    """What is said one after another: between marks, and at an "and" that joins more than two names."""
    whole = {at for start, end, _ in _found(sentence, LATELY) for at in range(start, end)}
    parts: list[list[Token]] = [[]]
    for place, token in enumerate(sentence):
        before, after = [END, *sentence][place], [*sentence[place + 1 :], END][0]
        joins = token.text == "and" and place not in whole and not (before.kind in LISTED and after.kind in LISTED)
        if joins or (token.kind in ("mark", "word") and token.text in PARTS):
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _is_alone(part: Sequence[Token]) -> bool:
    """Whether a part is nothing but words of a time: "Lately", "and more recently"."""
    inside = {at for start, end, _ in _found(part, LATELY) for at in range(start, end)}
    return all(at in inside or token.text in ("and", "more", "even") for at, token in enumerate(part))


def _direction(part: Sequence[Token], place: int) -> str:
    """Whether a tag is told as more or as less: by the nearest word before it, else behind it, else by a preposition."""
    said = ["more" if token.text in MORE else "less" if token.text in LESS else "" for token in part]
    named = next(filter(None, [*reversed(said[:place]), *said[place:]]), "") or _moved(part, place)
    once = any(label == "once" for *_, label in _found(part, LATELY))
    return SWAPPED[named or "more"] if once else named or "more"


def _moved(part: Sequence[Token], place: int) -> str:
    """By "from" and "to" before a row of tags."""
    start = place
    while start and (part[start - 1].kind in ("tag", "noun") or part[start - 1].text in ("and", "more")):
        start -= 1
    return MOVES.get(part[start - 1].text, "") if start else ""


def _of_decade(sentence: Sequence[Token], place: int) -> list[Token]:
    """Titles told to be of the decade at `place`: "Emma" from the 1810s, books of the 1810s such as "Emma"."""
    before = next((token for token in reversed(sentence[:place]) if token.text not in OF_TITLE and token.kind != "number"), END)
    start = place + 1
    while start < len(sentence) and (sentence[start].kind in ("tag", "noun") or sentence[start].text in TO_TITLE):
        start += 1
    return [*([before] if before.kind == "title" else []), *row(sentence[start:])]
