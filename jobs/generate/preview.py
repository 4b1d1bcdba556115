"""Print the prompts that a user's program would send, as the model reads them.

python -m jobs.generate.preview --profile FILE --user ID --prompt NAME DATE [DATE …]
"""

from __future__ import annotations

import argparse
import asyncio

import pyarrow.dataset as ds

from jobs.errors import NotFound, PromptError, run_main
from jobs.generate.context import Context, Generation
from jobs.generate.programs import personalize
from jobs.generate.session import Memory, Session
from jobs.generate.vllm_engine import VllmEngine
from jobs.profile import Profile, load_profile
from jobs.progress import Progress
from jobs.prompts import Prompt, prompt_names
from jobs.storage import filesystem


class Preview(Session):
    """A session that notes what it is asked and gets no answer."""

    def __init__(self, memory: Memory, user: Context) -> None:
        super().__init__(memory, user, ())
        self.sent: list[tuple[str, tuple[int, ...]]] = []

    async def _ask(self, prompt: Prompt, kind: str, subject: str, tokens: tuple[int, ...], tail: tuple[int, ...]) -> Generation:
        self.sent.append((prompt.name, tokens + tail))
        return Generation("", prompt.task, subject, kind, prompt.name, prompt.version, "", "failed", None, None, 0, 0, 0)


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
    session = Preview(Memory(engine), user)
    asyncio.run(personalize(user, session, profile))
    sent = [engine.decode(tokens) for name, tokens in session.sent if name == arguments.prompt]
    if not sent:
        raise PromptError(f"the program asks {arguments.prompt!r} nothing about user {arguments.user!r}")
    print("\n--------\n".join(sent))


def find_context(profile: Profile, user_id: str, nights: list[str]) -> Context:
    """The user's newest context; users whose history did not change have none of that night."""
    for night in nights:
        files, folder = filesystem(f"{profile.work(night)}/contexts")
        try:
            data = ds.dataset(folder, filesystem=files, format="parquet", partitioning=None)
        except FileNotFoundError:
            continue
        if rows := data.to_table(filter=ds.field("user_id") == user_id).to_pylist():
            return Context.from_row(rows[0])
    raise NotFound(f"user {user_id!r} has no context in {profile.work('')} of {', '.join(nights)}")


if __name__ == "__main__":
    run_main(main)
