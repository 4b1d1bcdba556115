"""What the user likes and dislikes is told as it is, and not as a guess."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from jobs.generate.checks.evidence import Evidence, fold, folded
from jobs.generate.checks.reading import PARTS, Token, sentences, split
from jobs.generate.checks.times import timed
from jobs.generate.checks.vocabulary import words_of

LIKING = words_of("""
    like love enjoy prefer favour favor appreciate adore admire favourite favourites favorite favorites fan fans lover lovers
    fond fondness keen drawn taste tastes liking appeal interest interests interested best passion appetite weakness
""")
NEGATION = words_of("not never no rarely seldom hardly nothing none")
FORWARD = words_of("to over than without except unlike besides despite instead")  # say nothing of what stands before
LESS = words_of("less fewer away rarely seldom")  # rejections, unless something is less frequent than it was
REJECTING = FORWARD - {"to", "over"} | words_of("dislike hate avoid skip less fewer least little away apart aside")
HEDGES = words_of("probably perhaps maybe possibly likely")
OPEN = words_of("will would may might could should")  # what the user may think of the new title


def polarity(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """What is disliked stands with a word of rejection, what is liked with none, and what is neither is not told as liked."""
    disliked = folded((*evidence.disliked, *evidence.unliked_makers))
    makers = chain(*[names for title, names in evidence.creators.items() if fold(title) not in disliked])
    liked = folded((*evidence.liked, *evidence.makers, *evidence.eras, *makers, evidence.new or "")) - disliked
    for sentence in sentences(tokens):
        if [token.text for token in sentence[:1]] == ["not"] and sentence[1:2] and sentence[1].text != "only":
            return "polarity: not first"
        if NEGATION & {token.text for token in sentence} and (twice := _twice(sentence)):
            return f"polarity: {twice} is denied"
        later = {id(token) for part in timed(sentence) for token in part}  # where less is a direction
        for token, sign in told(sentence):
            if token.name in disliked and sign not in ("rejected", "less"):
                return f"polarity: {token.name} told as liked"
            if token.name in liked and (sign == "rejected" or (sign == "less" and id(token) not in later)):
                return f"polarity: {token.name} told as disliked"
            neutral = token.kind == "title" or (token.kind == "tag" and evidence.new is None and id(token) not in later)
            if neutral and token.name not in liked | disliked and sign == "liked here":
                return f"polarity: {token.name} told as liked"
    return None


def _twice(sentence: Sequence[Token]) -> str | None:
    """A rejection that is denied: "does not avoid horror"."""
    for place, token in enumerate(sentence):
        if token.text in NEGATION and sentence[place + 1 : place + 2] != [] and sentence[place + 1].text != "only":
            for each in sentence[place + 1 : place + 4]:
                if each.base in ("dislike", "hate", "avoid", "skip", "without"):
                    return each.text
    return None


def told(sentence: Sequence[Token]) -> Iterator[tuple[Token, str | None]]:
    """Each name with what is told of it: liked here, liked (in the part before), rejected, less, or nothing."""
    prefers = any(token.base == "prefer" for token in sentence)
    for clause in split(sentence, ";"):
        inherited: str | None = None
        for part in split(clause, PARTS):
            signs = _signs(part, prefers or inherited == "liked")
            may = any("modal" in token.sorts for token in part)
            if part[0].text == "with" and inherited == "rejected":
                inherited = None
            for place, token in enumerate(part):
                if token.kind in ("title", "tag", "creator", "era"):
                    before = [sign for at, sign in signs if at < place][-1:]
                    after = [sign for at, sign in signs if at > place and _governs_before(part, at)][:1]
                    said = next(iter(before + after), inherited)
                    yield token, ("liked here" if said == "liked" and (before or after) and not may else said)
            inherited = signs[-1][1] if signs else inherited


def _governs_before(part: Sequence[Token], place: int) -> bool:
    """Whether a word says something of names before it: not where it only looks forward or begins a further statement."""
    if part[place].text in FORWARD:
        return False
    while place and part[place - 1].sorts & {"adverb", "third", "base", "past", "do", "have", "be", "particle"}:
        place -= 1
    return not place or part[place - 1].text not in ("and", "or")


def _signs(part: Sequence[Token], prefers: bool) -> list[tuple[int, str]]:
    """Places of words that say whether what stands with them is liked or rejected."""
    found: list[tuple[int, str]] = []
    denied = -9
    for place, token in enumerate(part):
        after = part[place + 1].text if place + 1 < len(part) else ""
        if token.text in NEGATION and after != "only":
            found.append((place, "less" if token.text in LESS or after == "longer" else "rejected"))
            denied = place
        elif (
            (token.base in REJECTING and not (token.text == "than" and after in ("before", "they", "you")))
            or (token.text == "clear" and after == "of")
            or (token.text in ("to", "over") and prefers and _between_names(part, place))
        ):
            found.append((place, "less" if token.text in LESS else "rejected"))
            denied = place if token.text in ("less", "least", "little") else denied
        elif _is_liking(part, place) and place - denied > 3:
            found.append((place, "liked"))
    return found


def _between_names(part: Sequence[Token], place: int) -> bool:
    between = 0 < place < len(part) - 1 and part[place - 1].kind in ("tag", "title", "noun") and part[place + 1].kind != "word"
    return between and part[max(0, place - 2)].text != "from"


def _is_liking(part: Sequence[Token], place: int) -> bool:
    """A word of liking; "like" behind a noun or a mark only compares."""
    token = part[place]
    if token.text == "like":
        before = part[place - 1] if place else None
        return before is not None and bool(
            before.sorts & {"subject", "modal", "adverb", "conjunction", "do"} or before.text == "to"
        )
    return token.base in LIKING or token.text in LIKING


def hedges(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """Nothing is told of the user as if it were a guess. What they may think of the new title is one, in an explanation."""
    for place, token in enumerate(tokens):
        before = [each.text for each in tokens[max(0, place - 3) : place]]
        after = [each.text for each in tokens[place + 1 : place + 4]]
        past = "have" in after[:2] or after[:1] == ["had"]
        if "modal" in token.sorts and after[:1] != ["rather"] and (evidence.new is None or past):
            return f"hedges: {token.text}"
        if token.text == "had" and "participle" in tokens[min(place + 1, len(tokens) - 1)].sorts and "if" in before:
            return "hedges: if … had"
        open_ = not OPEN.isdisjoint(before) or (token.text == "likely" and before[-2:] == ["you", "are"])
        if token.text in HEDGES and (evidence.new is None or not open_ or "have" in after):
            return f"hedges: {token.text}"
    return None
