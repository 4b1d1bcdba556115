"""generate: the second of a night's three stages. One worker takes one shard of contexts and writes results.

    python -m jobs.generate --profile FILE --run-date 2016-10-17 --run-id ID --shard 0

Started again it goes on where it was: committed users are kept, and no call is repeated whose answer was committed. Exit
codes: 0 done; 3 no retry helps; 75 the next attempt goes on (another worker, engine or storage down); 143 stopped by SIGTERM.
"""

from __future__ import annotations

import json

from jobs.arguments import run_parser
from jobs.errors import Damaged, InputError, NotFound, run_main
from jobs.generate.engines import make_engine
from jobs.generate.worker import Worker
from jobs.manifest import made_with, read_manifest
from jobs.profile import load_profile
from jobs.progress import Progress
from jobs.storage import exists, folders, write_json
from jobs.weights import model_digest


def main() -> None:
    parser = run_parser("generate", __doc__, started_at=False)
    parser.add_argument("--shard", required=True, type=int)
    arguments = parser.parse_args()
    profile = load_profile(arguments.profile)
    run_date = str(arguments.run_date)
    progress = Progress("generate")
    manifest = read_manifest(profile, run_date, arguments.run_id)
    if arguments.shard not in manifest.shards:
        raise NotFound(f"shard {arguments.shard} has no contexts for {run_date}; there are {manifest.shards}")
    told = f"{profile.work(run_date)}/generate/{arguments.shard}.json"
    if exists(told) and f"shard={arguments.shard}" not in folders(f"{profile.work(run_date)}/results"):
        raise InputError(f"{run_date} was done, and publish has taken its results over; start the night again")
    digest = model_digest(profile.model)
    manifest.refuse_changed(made_with(profile, digest, manifest.fusion))
    worker = Worker(profile, manifest, arguments.shard, make_engine(profile.model, digest, progress), progress)
    if (written := manifest.sizes.get(arguments.shard, worker.total)) != worker.total:
        lost = f"shard {arguments.shard} has {worker.total} contexts of the {written} that prepare wrote"
        raise Damaged(f"{profile.work(run_date)}/contexts: {lost}; start the night again")
    worker.run()
    write_json(told, {"seconds": worker.seconds, "predicted": worker.journal.predicted or {}})
    print(json.dumps({"shard": arguments.shard, **worker.counts}))


if __name__ == "__main__":
    run_main(main)
