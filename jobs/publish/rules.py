"""Every rule that publish judges beside those of the contracts, as `TABLE.RULE`, and what it does unless the profile says
otherwise (`[gates.severity]`): block the night, or only warn.

What must hold of any night blocks. Of what is compared with the last release only that blocks which no ordinary night comes
near: people gone, other lists, words that templates had to write, records that cannot be read. A change of prompt, model or
weight moves scores and lengths, and a new prompt pays for everyone once more: that is for people to see.
"""

from __future__ import annotations

from typing import Literal

Severity = Literal["block", "warn"]

RULES: dict[str, Severity] = {
    # within rows, at any depth (jobs/publish/values.py)
    "user_summaries.values": "block",
    "rankings.values": "block",
    "explanations.values": "block",
    "evidence.values": "block",
    # across tables (jobs/publish/gates.py)
    "user_summaries.every_user": "block",
    "user_summaries.made_or_carried_over": "block",
    "user_summaries.every_status": "block",
    "rankings.list_for_every_user": "block",
    "rankings.ranks_without_gap": "block",
    "rankings.contributions_add_up": "block",
    "rankings.items_exist": "block",
    "rankings.items_withdrawn": "warn",  # of lists carried over: they wait for their user's next event
    "rankings.nothing_consumed": "block",
    "explanations.every_ranked_item": "block",
    "explanations.only_ranked_items": "block",
    "evidence.every_contribution": "block",
    "evidence.every_cited_event": "block",
    "evidence.items_exist": "block",
    "evidence.events_of_the_user": "block",
    "rejected.counts_in_are_counts_out": "block",
    # shares of the night (jobs/publish/gates.py)
    "rejected.share": "block",
    "explanations.template_share": "block",
    "generations.failed_share": "block",
    # its words (jobs/publish/quality.py)
    "user_summaries.grounding": "block",
    "explanations.grounding": "block",
    # against the last release (jobs/publish/drift.py)
    "user_summaries.coverage": "block",
    "rankings.overlap": "block",
    "rankings.score_psi": "warn",
    "user_summaries.length_psi": "warn",
    "explanations.length_psi": "warn",
    "explanations.template_share_rise": "block",
    "rejected.share_rise": "block",
    "generations.tokens_a_user": "warn",
}
