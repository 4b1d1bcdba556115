"""One shard and the real engine: without memory for its cache, then killed behind a commit, then undisturbed."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from jobs.profile import load_profile
from tests.generate.rows import night, results
from tests.generate.test_faults import CALLS, start
from tests.generate.test_worker import paid, people

USERS = 9


def attempt(profile: Any, fault: str = "none", **environment: str) -> tuple[int, str, str]:
    """Exit code of a worker, what it printed and what it complained of."""
    process = start(profile, fault, **environment)
    told, complained = process.communicate(timeout=300)
    return process.returncode, told, complained


def test_three_workers_of_the_real_engine_pay_each_call_once(tmp_path: Path) -> None:
    model = load_profile().model.model_dump(include={"path", "options"}) | {"max_model_len": 512}
    profile = night(tmp_path, {0: people(USERS)}, model=model, chunk_users=2)

    code, _, complained = attempt(profile, VLLM_CPU_KVCACHE_SPACE="1000000")  # GiB
    assert code == 75, complained
    assert "could not be loaded" in complained
    assert not results(profile)

    code, _, complained = attempt(profile, "kill:committed, not acknowledged:1")
    assert code == -signal.SIGKILL, complained
    committed = paid(profile).total()
    assert committed > 0

    code, told, complained = attempt(profile)
    assert code == 0, complained
    total = paid(profile).total()
    assert json.loads(told.splitlines()[-1])["new"] == total - committed
    assert set(paid(profile).values()) == {1}
    assert USERS * (CALLS - 2) <= total <= USERS * CALLS, "two answers may be refused, and asked for again"
    assert len(results(profile)) == USERS
