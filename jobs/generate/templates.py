"""Our own prose, from the same facts as the model's: what stands where its words did not pass, or where it was not asked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from jobs.generate.checks.evidence import fronted
from jobs.generate.checks.form import inert
from jobs.generate.context import Candidate, Context
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
FEW = "So far {n}, the latest {title}; no clear favourite yet."
BECAUSE = (
    "Because of {titles} in your history, you may like {item}{common}.",
    "You chose {titles}; others who did chose {item} too{common}.",
    "With {titles} in your history, {item} is a natural next step{common}.",
)
COMMON = "; in common: {tags}"
LONGEST = 72  # characters of a name: seven of them and the words between fit into a summary's 600
POPULAR = "{item} is what many people choose at the moment."


def summary(user: Context) -> str:
    """One to three sentences about a user."""
    likes, titles, dislikes = user.labels("likes_tag", 3), user.labels("favourite", 2), user.labels("dislikes_tag", 2)
    parts = []
    if likes:
        parts.append(_pick(TASTES, user.user_id).format(likes=tags(likes)))
    if titles:
        parts.append(_pick(FAVOURITES, user.user_id).format(titles=quoted(titles)))
    if not parts:
        n = "one event" if user.n_events == 1 else f"{user.n_events} events"
        parts.append(FEW.format(n=n, title=quoted([user.history[-1].title])))
    if disliked := tags(dislikes) or quoted(user.labels("disliked", 1)):
        parts.append(DISLIKES.format(dislikes=disliked))
    return " ".join(parts)


def explanation(user: Context, item: Candidate, because: Sequence[str], shared: Sequence[str]) -> str:
    """One sentence about why `item` is in the user's list: `because` titles of the events behind it, `shared` their tags."""
    if not because:
        return POPULAR.format(item=quoted([item.title]))
    common = COMMON.format(tags=tags(shared[:2])) if shared else ""
    template = _pick(BECAUSE, user.user_id + item.item_id)
    return template.format(titles=quoted(because), item=quoted([item.title]), common=common)


def listed(words: Sequence[str]) -> str:
    """Nothing, `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def quoted(titles: Sequence[str]) -> str:
    return listed([f"“{shortened(fronted(title))}”" for title in titles])


def tags(names: Sequence[str]) -> str:
    return listed([shortened(name.lower()) if inert(name) else quoted([name]) for name in names])


def kinds(names: Sequence[str], noun: str) -> str:
    """Nothing, `drama films`, `drama and crime films`: what is meant by tags that someone likes."""
    plural = re.sub(r"(?<=[^aeiou])y$", "ie", noun)
    plural += "es" if re.search(r"(?:s|x|z|ch|sh)$", plural) else "s"
    return f"{tags(names)} {plural}" if names else ""


def shortened(name: str) -> str:
    """`name` as it stands in prompts (`in_place`); a very long one ends in an ellipsis: a contract limits the text."""
    name = " ".join(in_place(name).split())
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…"


def _pick(variants: Sequence[str], key: str) -> str:
    """One of `variants`, always the same for a key."""
    return variants[hashlib.sha256(key.encode()).digest()[0] % len(variants)]
