"""What the user has is in their history; the recommended title is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile

from jobs.generate.checks.evidence import Evidence, fold, folded
from jobs.generate.checks.reading import END, PARTS, Token, row, sentences, split, titles
from jobs.generate.checks.vocabulary import words_of

HAD = words_of("""
    like love enjoy prefer adore admire appreciate favour favor watch see read buy choose pick own know explore discover
    try rank
""")
FEELING = words_of("fan fans love lover taste liking fondness passion interest appreciation history reader viewer")
OFTEN = words_of("often usually also typically generally frequently")
INTRODUCED = words_of("to for and kind kinds type types genre genres category categories theme themes")  # behind "new"
OFFERED = words_of("fits suits next try worth recommended suggested matches")


def seen(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """The recommended title is nothing the user has, and what they have is not offered."""
    if evidence.new is None:
        return None
    new, had = fold(evidence.new), {fold(name) for group in evidence.needed for name in group} - {fold(evidence.new)}
    for sentence in sentences(tokens):
        earlier: list[Token] = []
        for part in _clauses(sentence):
            here = {token.name for token in titles(part)}
            yours = any(one.text == "your" and other.name == new for one, other in pairwise(part))
            if yours or new in _had(part, earlier) or ({"again", "revisit"} & {token.text for token in part} and new in here):
                return "seen: told as already in the history"
            offers = [place for place, token in enumerate(part) if token.text in OFFERED]
            if offers and new not in here and had & {token.name for token in titles(part[: offers[-1]])}:
                return "seen: offered though in the history"
            earlier += part
            if "it" in _objects_had(part):
                return "seen: told as already in the history"
    return None


def new(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """What is told as new to the user is the recommended title, or a tag of it that they have had nothing of."""
    known = folded((*evidence.unseen, evidence.new or ""))
    for sentence in sentences(tokens):
        for place, token in enumerate(sentence):
            told = _told_as_new(sentence, place) if token.text == "new" and _is_new_to_them(sentence, place) else []
            if wrong := next((each.text for each in told if each.name not in known), None):
                return f"new: {wrong}"
    return None


def _is_new_to_them(sentence: Sequence[Token], place: int) -> bool:
    """Not a new drama, but something new, a new kind, new to you."""
    before, after = [END, *sentence][place], [*sentence[place + 1 :], END][0]
    return before.text == "something" or after.text in INTRODUCED or after.kind in ("mark", "end")


def _told_as_new(sentence: Sequence[Token], place: int) -> list[Token]:
    """Names that "new" at `place` tells of: those before it, or those that something new, or new to you, introduces."""
    marks = [at for at, token in enumerate(sentence) if token.kind in ("mark", "word") and token.text in PARTS]
    start = max((at + 1 for at in marks if at < place), default=0)
    end = min((at for at in marks if at > place), default=len(sentence))
    before, after = sentence[start:place], sentence[place + 1 :]
    last = [token.text for token in before[-2:]]
    if not before or (last[-1] in ("something", "a") and "as" not in last):
        return _names(after)
    if before[0].text in ("which", "that", "both", "all"):
        return _names(sentence[:start][::-1])
    heads = [
        each for owner, each in pairwise([END, *before]) if each.kind != "title" or owner.text != "of"
    ]  # the drama of "Heat"
    return _names(heads[::-1]) or _names(sentence[place + 1 : end])


def _names(tokens: Sequence[Token]) -> list[Token]:
    """The first tags or titles in a row."""
    start = next((at for at, token in enumerate(tokens) if token.kind in ("tag", "title")), len(tokens))
    found = takewhile(lambda each: each.kind == tokens[start].kind or each.text in ("and", ","), tokens[start:])
    return [token for token in found if token.name]


def _clauses(sentence: Sequence[Token]) -> Iterable[list[Token]]:
    """Parts with one verb each, as far as marks and conjunctions show them; what you may do begins one."""
    breaks = {*PARTS, "so", "because", "since", "if", "given", "when"}
    for part in split(sentence, breaks):
        cuts = [place for place in range(1, len(part) - 1) if part[place].text == "you" and "modal" in part[place + 1].sorts]
        for start, end in zip([0, *cuts], [*cuts, len(part)], strict=True):
            yield part[start:end]


def _had(part: list[Token], earlier: list[Token]) -> set[str]:
    """Names of titles that a clause tells as had; `earlier` is what stands before it in the sentence."""
    found: set[str] = set()
    for place in range(len(part)):
        if _is_had(part, place):
            behind = _objects(part[place:])
            named = [each for each in part[:place] if each.kind in ("title", "tag", "noun")]
            kind_of = "base" in part[place].sorts and bool(named) and named[-1].kind != "title"  # a drama you like
            found |= behind or (set() if kind_of else _nearest(part[:place], earlier))
            just = [each.text for each in part[max(0, place - 3) : place]]
            if "what" in just or just[-2:] == ["one", "you"] or (place and "be" in part[place - 1].sorts):
                found |= _nearest(part[:place], [])
        elif part[place].text in FEELING and part[place + 1 : place + 2] and part[place + 1].text in ("of", "for", "in"):
            found |= {each.name for each in row(part[place + 2 :])}
        elif part[place].text == "behind" and part[place + 1 : place + 2] and part[place + 1].text == "you":
            found |= _nearest(part[:place], [])
        elif part[place].text == "after":
            found |= {each.name for each in row(part[place + 1 :])}
        elif _is_state(part, place):
            named = [each for each in part[:place] if each.kind in ("title", "tag", "noun")]
            if named and named[-1].plural:  # the classics in your history
                continue
            found |= _nearest(part[:place], []) or {each.name for each in titles(part[place:])} or _nearest([], earlier, part)
    return found


def _objects(part: Sequence[Token]) -> set[str]:
    """Names of titles behind a verb, up to what others often do."""
    often = [place for place, token in enumerate(part) if token.text in OFTEN]
    return {each.name for each in titles(part[: often[0]] if often else part)}


def _is_had(part: Sequence[Token], place: int) -> bool:
    """A verb of what the user did: liked, have seen, (you) own; not what they may do, nor what was chosen for them."""
    token, before = part[place], part[max(0, place - 3) : place]
    if token.base not in HAD or any("modal" in each.sorts for each in before) or (before and before[-1].text == "to"):
        return False
    past = {"past", "participle"} & token.sorts and not {"base"} & token.sorts
    if past:
        return not (before and "be" in before[-1].sorts and token.base in ("choose", "pick", "find", "rank"))
    words = [each for each in before if "adverb" not in each.sorts]
    return bool(words) and words[-1].text in ("you", "have", "has", "had", "person", "'ve") and "base" in token.sorts


def _is_state(part: Sequence[Token], place: int) -> bool:
    token, before = part[place].text, [each.text for each in part[max(0, place - 3) : place]]
    if token in ("history", "list", "watchlist", "collection"):
        after = [each.base for each in part[place + 1 : place + 2]]
        return bool({"in", "from", "of", "part"} & set(before)) or after in (["include"], ["have"])
    return token in ("favourite", "favourites", "favorite", "favorites", "already")


def _nearest(before: Sequence[Token], earlier: Sequence[Token], part: Sequence[Token] = ()) -> set[str]:
    """Names of the last titles in a row before a place; for a clause with "which" the last one, else any before it."""
    if not before and earlier and part and part[0].text not in ("which", "that"):
        return {token.name for token in titles(earlier)} if "be" in part[0].sorts else set()
    names: set[str] = set()
    for token in reversed([*earlier, *before] if not titles(before) else before):
        if token.kind == "title":
            names.add(token.name)
        elif names and token.text not in ("and", "or"):
            break
    return names


def _objects_had(part: Sequence[Token]) -> set[str]:
    """Pronouns that a clause tells as had: "you liked it"."""
    return {part[place + 1].text for place in range(len(part) - 1) if _is_had(part, place)}
