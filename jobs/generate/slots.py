"""Whether the placeholders of a phrasing stand where English has room for such names.

A name of a title, of tags, of what is liked or not: each kind goes with few words before it and after it; what else is beside a
placeholder is taken for a mistake. Likewise for the frame of the sentence: what an opening needs, who does what, number. Better
no phrasing than a bad one: `tests/data/phrasings.yaml` has what a small model wrote, and says which of it is English.
"""

from __future__ import annotations

import re
from collections import Counter

from jobs.generate.checks.vocabulary import words_of

PART = re.compile(r"\{[a-z]\}|[\w'’-]+|[^\w\s]")
BEFORE = {
    "A": words_of("""
        with because since if as given know knows chose liked loved enjoyed like likes loves enjoys love enjoy counts count
        and of is are has have
    """),
    "X": words_of(", try and so consider then :"),
    "T": words_of("share shares has have of its their both with :"),
    "L": words_of("likes loves enjoys like love enjoy for of into to"),
    "D": words_of("not avoid avoids from of for dislikes dislike"),
}
AFTER = {
    "A": words_of("and is are was were in among best most before very too , . ;"),
    "X": words_of("is could may might can fits has shares suits should would too as , . :"),
    "T": words_of("too in . , ;"),
    "L": words_of("most best and with above , . ;"),
    "D": words_of("and . , ;"),
}
FRAMES = {
    "an opening with a preposition has no verb": r"^(?:with|after|besides)\b[^,]*\b(?:is|are|was|were)\b|^having you\b",
    "for whom, not for what": r"^for\b",
    "one is, two are": r"\{A\} and \{B\} (?:is|was|has|fits|shares)\b|\b(?:is|was) \{A\} and",
    "one is, none are": r"(?<!and )\{[ABX]\} (?:are|were|have|fit|share)\b",
    "nobody is a title": r"^(?!among\b).*\b(?:is|are|was|were) \{[AB]\}",
    "what a person has among others": r"\b(?:has|have) \{A\}(?: and \{B\})?(?! among)",
    "of whom or what": r"^(?:fond of|drawn to) (?!\{)",
    "titles do nothing": r"\bthey (?!share|have|are|love|like|enjoy|do not|avoid|stay|count)",
    "a person, not a favourite": r"\bfavourites? (?:of|among)\b|^(?:one|a) (?:person|reader) (?:is|of)\b|^here\b|^favourites\b",
    "liked, not loved": r"\b(?:loved|adored)\b",
    "a taste is not enjoyed": r"\b(?:enjoy|prefer|love|like)s? an? (?:love|taste|preference|liking)\b",
}
MAY_REPEAT = words_of("and the a in to of for with is are it has have your their its too not but as")


def misplaced(text: str) -> str | None:
    """Why a phrasing is not English; None where nothing is seen."""
    parts = PART.findall(text.lower().replace("’", "'"))
    for before, slot, after in zip(["", *parts], parts, [*parts[1:], ""], strict=False):
        if slot[0] != "{":
            continue
        kind = slot[1].upper().replace("B", "A")
        if before and before not in BEFORE[kind]:
            return f"slots: {before!r} before {slot.upper()}"
        if after and after not in AFTER[kind]:
            return f"slots: {after!r} after {slot.upper()}"
    for why, frame in FRAMES.items():
        if re.search(frame, text, re.IGNORECASE):
            return f"slots: {why}"
    stems = Counter(re.sub(r"(?:e?s|ed|d|e)$", "", part) for part in parts if part[0].isalpha() and part not in MAY_REPEAT)
    again = next((stem for stem, n in stems.items() if n > 1 and len(stem) > 2 and stem != "you"), None)
    return f"slots: {again!r} comes twice" if again else None
