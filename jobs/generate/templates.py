"""Our own prose, from the same facts as the model's: what stands where its words did not pass, or where it was not asked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from jobs.generate.checks.evidence import fronted
from jobs.generate.checks.form import inert
from jobs.generate.told import Told, labels
from jobs.prompts import in_place

TASTES = (
    "Enjoys {likes} most.",
    "Comes back to {likes} again and again.",
    "Has a clear taste for {likes}.",
)
FAVOURITES = (
    "Favourites include {titles}.",
    "Liked {titles} best.",
)
DISLIKES = "Tends not to enjoy {dislikes}."
ASIDES = {
    "more_lately": "Lately more {label}.",
    "less_lately": "Lately less {label}.",
    "likes_creator": "Often chooses works by {label}.",
    "era": "Much of it is from the {label}.",
    "rhythm": "Comes {label}.",
    "shared_creator": "It is by {label} too.",
    "new_tag": "It has {label} too, which is new for you.",
}
FEW = "So far {n}, the latest {title}; no clear favourite yet."
BECAUSE = (
    "Because of {titles} in your history, you may like {item}{common}.",
    "You chose {titles}; others who did chose {item} too{common}.",
    "With {titles} in your history, {item} is a natural next step{common}.",
)
COMMON = "; in common: {tags}"
LONGEST = 72  # characters of a name: seven of them and the words between fit into a summary's 600
POPULAR = "{item} is what many people choose at the moment."


def summary(told: Sequence[Told], noun: str, n_events: int, key: str) -> str:
    """One to four sentences that tell the facts `of_summary` of somebody with `n_events`; `key` chooses among variants."""
    parts = []
    if likes := liked(told, noun):
        parts.append(_pick(TASTES, key).format(likes=likes))
    if titles := labels(told, "favourite"):
        parts.append(_pick(FAVOURITES, key).format(titles=quoted(titles)))
    if newest := labels(told, "recent"):
        n = "one event" if n_events == 1 else f"{n_events} events"
        parts.append(FEW.format(n=n, title=quoted(newest)))
    if dislikes := disliked(told, noun) or quoted(labels(told, "disliked")):
        parts.append(DISLIKES.format(dislikes=dislikes))
    return " ".join([*parts, *asides(told)])


def liked(told: Sequence[Told], noun: str) -> str:
    """`drama films`, or `films by Ann Lee` where the taste is in creators; nothing where it is in titles alone."""
    return kinds(labels(told, "likes_tag"), noun) or by(labels(told, "likes_creator"), noun)


def disliked(told: Sequence[Told], noun: str) -> str:
    """Likewise what is not liked."""
    return kinds(labels(told, "dislikes_tag"), noun) or by(labels(told, "dislikes_creator"), noun)


def asides(told: Sequence[Told]) -> list[str]:
    """The last sentence: about a creator, an era, what is new or how often, if there is such a fact."""
    about = told[-1]
    is_taste = about.kind == "likes_creator" and not labels(told, "likes_tag")
    return [ASIDES[about.kind].format(label=_plain(about.label))] if about.kind in ASIDES and not is_taste else []


def explanation(told: Sequence[Told], key: str) -> str:
    """A sentence that tells the facts `of_explanation`."""
    because, (item,), shared = labels(told, "event"), labels(told, "recommended"), labels(told, "shared_tag")
    if not because:
        return POPULAR.format(item=quoted([item]))
    common = COMMON.format(tags=tags(shared)) if shared else ""
    told_first = _pick(BECAUSE, key).format(titles=quoted(because), item=quoted([item]), common=common)
    return " ".join([told_first, *asides(told)])


def listed(words: Sequence[str]) -> str:
    """Nothing, `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def quoted(titles: Sequence[str]) -> str:
    return listed([f"“{shortened(fronted(title))}”" for title in titles])


def tags(names: Sequence[str]) -> str:
    return listed([_plain(name.lower()) for name in names])


def _plain(name: str) -> str:
    """A name without quotes, unless it needs them to stay inert."""
    return shortened(name) if inert(name) else quoted([name])


def kinds(names: Sequence[str], noun: str) -> str:
    """Nothing, `drama films`, `drama and crime films`: what is meant by tags that someone likes."""
    return f"{tags(names)} {plural(noun)}" if names else ""


def by(creators: Sequence[str], noun: str) -> str:
    """Nothing, `books by Ann Lee`."""
    return f"{plural(noun)} by {listed([_plain(each) for each in creators])}" if creators else ""


def plural(noun: str) -> str:
    stem = re.sub(r"(?<=[^aeiou])y$", "ie", noun)
    return stem + ("es" if re.search(r"(?:s|x|z|ch|sh)$", stem) else "s")


def shortened(name: str) -> str:
    """`name` as it stands in prompts (`in_place`); a very long one ends in an ellipsis: a contract limits the text."""
    name = " ".join(in_place(name).split())
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…"


def _pick(variants: Sequence[str], key: str) -> str:
    """One of `variants`, always the same for a key."""
    return variants[hashlib.sha256(key.encode()).digest()[0] % len(variants)]
