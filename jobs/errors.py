"""Everything that can go wrong in a way a person can mend, as one small tree.

A message says what was found, where, and what is allowed. `exit_code` is what a job ends with: Airflow does not
retry 3, because the same inputs would fail again, and retries what is `Retryable`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


class NocturneError(Exception):
    """Base of all errors that are for the reader; no retry mends them."""

    exit_code = 3


class Retryable(NocturneError):
    """The next attempt may go better and goes on from what is committed (75 is EX_TEMPFAIL of sysexits.h)."""

    exit_code = 75


class Busy(Retryable):
    """Another worker has the shard."""


class StorageError(Retryable):
    """What is finished could not be written; the message has the system's reason."""


class Damaged(NocturneError):
    """A file or table of ours is not what it was written as; the message says which, and how to have it back."""


class Unwritable(NocturneError):
    """Where a night writes may not be written."""


class ProfileError(NocturneError):
    """The profile has an unknown key, a missing one or an impossible value."""


class InputError(NocturneError):
    """The event log or the catalogue cannot be used as the profile says."""


class ContractError(NocturneError):
    """A contract in schemas/ is wrong, or rows do not keep to it."""


class PromptError(NocturneError):
    """A prompt file is wrong, or was rendered without a variable it needs."""


class GateError(NocturneError):
    """A blocking rule failed; nothing of this night was published."""


class NotFound(NocturneError):
    """The release, run, user or item that was asked for does not exist."""


def inert(error: NocturneError) -> str:
    """The message without what a terminal would obey; ids and keys in it come from the data."""
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in str(error))


def run_main(main: Callable[[], None]) -> None:
    """Run a job's `main`; print a `NocturneError` as one `nocturne:` message and exit with its code."""
    try:
        main()
    except NocturneError as error:
        print(f"nocturne: {inert(error)}", file=sys.stderr, flush=True)
        raise SystemExit(error.exit_code) from error
