"""Our own prose, from the same facts as the model's: what stands where its words did not pass, or where it was not asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from jobs.generate.context import Candidate, Context

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
FEW = "Has only begun: {n} so far, the latest {title}."
BECAUSE = (
    "Because of {titles} in your history, you may like {item}{common}.",
    "You chose {titles}; others who did chose {item} too{common}.",
    "With {titles} in your history, {item} is a natural next step{common}.",
)
COMMON = "; in common: {tags}"
POPULAR = "{item} is what many people choose at the moment."


def summary(user: Context) -> str:
    """One to three sentences about a user."""
    likes, titles = user.labels("likes_tag", 3), user.labels("favourite", 2)
    dislikes = user.labels("dislikes_tag", 2) or [f"“{title}”" for title in user.labels("disliked", 1)]
    parts = [_pick(TASTES, user.user_id).format(likes=listed([like.lower() for like in likes]))] if likes else []
    if titles:
        parts.append(_pick(FAVOURITES, user.user_id).format(titles=quoted(titles)))
    if not parts:
        n = "one event" if user.n_events == 1 else f"{user.n_events} events"
        parts.append(FEW.format(n=n, title=quoted([user.history[-1].title])))
    if dislikes:
        parts.append(
            DISLIKES.format(dislikes=listed([label.lower() if label[0] != "“" else label for label in dislikes]))
        )
    return " ".join(parts)


def explanation(user: Context, item: Candidate, because: Sequence[str], shared: Sequence[str]) -> str:
    """One sentence about why `item` is in the user's list: `because` titles of the events behind it, `shared` their tags."""
    if not because:
        return POPULAR.format(item=f"“{item.title}”")
    common = COMMON.format(tags=listed([tag.lower() for tag in shared[:2]])) if shared else ""
    template = _pick(BECAUSE, user.user_id + item.item_id)
    return template.format(titles=quoted(because), item=f"“{item.title}”", common=common)


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def quoted(titles: Sequence[str]) -> str:
    return listed([f"“{title}”" for title in titles])


def _pick(variants: Sequence[str], key: str) -> str:
    """One of `variants`, always the same for a key."""
    return variants[hashlib.sha256(key.encode()).digest()[0] % len(variants)]
