"""The worker under other settings of vLLM on this machine, each changed alone from what the demo's profile has."""

from __future__ import annotations

import argparse
import os
from statistics import median

from tests.bench.generate import alone

CHANGES: dict[str, tuple[dict[str, object], dict[str, str]]] = {
    "as in the profile": ({}, {}),
    "block_size 64": ({"block_size": 64}, {}),
    "block_size 128": ({"block_size": 128}, {}),
    "max_num_seqs 8": ({"max_num_seqs": 8}, {}),
    "max_num_seqs 16": ({"max_num_seqs": 16}, {}),
    "max_num_seqs 256": ({"max_num_seqs": 256}, {}),
    "max_num_batched_tokens 512": ({"max_num_batched_tokens": 512}, {}),
    "max_num_batched_tokens 1024": ({"max_num_batched_tokens": 1024}, {}),
    "max_num_batched_tokens 4096": ({"max_num_batched_tokens": 4096}, {}),
    "without tcmalloc": ({}, {"LD_PRELOAD": ""}),
    "one thread": ({}, {"VLLM_CPU_OMP_THREADS_BIND": str(min(os.sched_getaffinity(0)))}),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="infra/bench settings", description=__doc__)
    parser.add_argument("--users", type=int, default=30)
    parser.add_argument("--cache-users", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CHANGES, default=list(CHANGES))
    arguments = parser.parse_args()
    print(f"{'':30}{'seconds':>9}{'users/s':>9}{'times':>7}{'computed':>10}")
    first = 0.0
    for name in arguments.only:
        changed, environment = CHANGES[name]
        about = ("worker", arguments.users, arguments.cache_users, changed)
        runs = [alone(*about, **environment) for _ in range(arguments.repeat)]
        seconds = median(run["seconds"] for run in runs)
        first = first or seconds
        computed = median(run["computed"] for run in runs)
        print(f"{name:30}{seconds:9.1f}{arguments.users / seconds:9.2f}{first / seconds:7.2f}{computed:10.0f}", flush=True)


if __name__ == "__main__":
    main()
