"""Print the prompts that a user's program would send, as the model reads them; those of scores also while they count nothing.

python -m jobs.generate.preview --profile FILE --user ID --prompt NAME DATE [DATE …]
"""

from __future__ import annotations

import argparse
import asyncio

import pyarrow.dataset as ds

from jobs.errors import NotFound, PromptError, run_main
from jobs.generate.context import Context
from jobs.generate.phrasing import written
from jobs.generate.programs import personalize
from jobs.generate.rehearsal import rehearse
from jobs.generate.scoring import METHODS
from jobs.generate.session import Memory, Session
from jobs.generate.tokens import Tokenizer
from jobs.generate.vllm_engine import VllmEngine
from jobs.profile import Profile, load_profile
from jobs.progress import Progress
from jobs.prompts import prompt_names
from jobs.storage import parquet


def main() -> None:
    parser = argparse.ArgumentParser(prog="jobs.generate.preview", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("nights", nargs="+")
    arguments = parser.parse_args()
    if arguments.prompt not in prompt_names():
        raise PromptError(f"no prompt {arguments.prompt!r}; there are {', '.join(prompt_names())}")
    profile = load_profile(arguments.profile)
    user = find_context(profile, arguments.user, arguments.nights)
    engine = VllmEngine(profile.model, "", Progress("preview"))

    async def everything(user: Context, ask: Session) -> None:
        await personalize(user, ask, profile)
        await written(ask, profile.words)
        for method in METHODS.values():
            await method(user, ask, user.candidates[: profile.night.scored], profile.night.permutations)

    asked = asyncio.run(rehearse(everything, user, Memory(engine))).asked
    tokens = dict.fromkeys(each.tokens + each.tail for each in asked if each.prompt.name == arguments.prompt)
    sent = [Tokenizer(profile.model).decode(each) for each in tokens]
    if not sent:
        raise PromptError(f"the program asks {arguments.prompt!r} nothing about user {arguments.user!r}")
    print("\n--------\n".join(sent))


def find_context(profile: Profile, user_id: str, nights: list[str]) -> Context:
    """The user's newest context; users whose history did not change have none of that night."""
    for night in nights:
        try:
            data = parquet(f"{profile.work(night)}/contexts")
        except FileNotFoundError:
            continue
        if rows := data.to_table(filter=ds.field("user_id") == user_id).to_pylist():
            return Context.from_row(rows[0])
    raise NotFound(f"user {user_id!r} has no context in {profile.work('')} of {', '.join(nights)}")


if __name__ == "__main__":
    run_main(main)
