"""A stand-in for every runtime's Python: it does what a plan in NOCTURNE_HOME says, and keeps a record.

The tests of dags/ are about wiring, so the jobs are not real. `plan.json` maps a job's name to its outcomes,
attempt by attempt, the last one for all that follow: {"prepare": [{"exit": 1, "stderr": "..."}, {"result":
{...}}]}. Every call appends {"job", "pid", "argv", "env", "given"} to `calls.jsonl`; `given` is its stdin.
"""

import json
import os
import sys
import time
from pathlib import Path


def main(argv: list[str]) -> int:
    home = Path(os.environ["NOCTURNE_HOME"])
    job = argv[1].removeprefix("jobs.")
    with (home / "calls.jsonl").open("a+") as calls:
        call = {"job": job, "pid": os.getpid(), "argv": argv, "env": dict(os.environ), "given": sys.stdin.read()}
        calls.write(json.dumps(call) + "\n")
        calls.seek(0)
        attempt = sum(json.loads(line)["job"] == job for line in calls) - 1
    outcomes = json.loads((home / "plan.json").read_text())[job]
    outcome = outcomes[min(attempt, len(outcomes) - 1)]
    print(f"nocturne | {job}: attempt {attempt}", flush=True)
    time.sleep(outcome.get("sleep_s", 0))
    if "stderr" in outcome:
        print(outcome["stderr"], file=sys.stderr)
    if "result" in outcome:
        print(json.dumps(outcome["result"]))
    return outcome.get("exit", 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
