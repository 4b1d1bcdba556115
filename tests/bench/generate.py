"""The worker beside other ways to run the same calls: same prompts, same model, same machine, one after the other.

The workload is that of any personalization with a language model: everything asked about a user begins with the user's
history (40 films of a MovieLens user, about 550 tokens): a description, the likelihood of five titles, three explanations.
`worker` is Nocturne's; `phased` hands lists to `LLM.generate`, one phase after the other, with the same vLLM options;
`spark` and `ray` do so within Spark's `mapInArrow` and Ray Data, user by user; `transformers` runs `generate` and forward
passes in batches of eight. Each run is a process of its own; times begin when the model is loaded. Ratios are of medians.
Computed prompt tokens are held against those that any cache must compute (`distinct`: the nodes of the prefix tree) and any
that keeps whole blocks.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from statistics import median
from typing import Any

from jobs.generate.context import Context
from jobs.generate.rehearsal import distinct_tokens
from jobs.generate.session import Session
from jobs.generate.tokens import Tokenizer
from jobs.home import REPOSITORY, home
from jobs.profile import Model, load_profile
from jobs.prompts import Message, Prompt, Sampling

HISTORY, SCORED, EXPLAINED, WRITTEN = 40, 5, 3, 40
SYSTEM = "You know what a person watched, oldest first, and speak of nothing else."
ABOUT = "# system\n" + SYSTEM + "\n\n# user\n{% for event in history %}\n{{ event.title }} ({{ event.year }})\n{% endfor %}\n"
TEXT = {"type": "string"}
SAMPLING = Sampling(max_tokens=WRITTEN)
PROMPTS = {
    "taste": Prompt(
        name="taste", version=1, task="complete", output=TEXT, sampling=SAMPLING, body=ABOUT + "Describe this person's taste.\n"
    ),
    "likely": Prompt(
        name="likely", version=1, task="score", output={"type": "number"}, body=ABOUT + "What comes next?\n\n# assistant\n"
    ),
    "why": Prompt(
        name="why",
        version=1,
        task="complete",
        output=TEXT,
        sampling=SAMPLING,
        body=ABOUT + "Why would {{ title }} fit this person?\n",
    ),
}
BATCH = 8  # of transformers
Call = tuple[str, tuple[int, ...], tuple[int, ...]]  # prompt's name, its tokens, the continuation to score


def main() -> None:
    parser = argparse.ArgumentParser(prog="infra/bench generate", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, nargs="+", default=[50])
    parser.add_argument("--cache-users", type=int, default=20, help="users whose prompts the KV cache holds")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--systems", nargs="+", default=["worker", "phased"], choices=SYSTEMS)
    parser.add_argument("--one", choices=SYSTEMS, help=argparse.SUPPRESS)
    parser.add_argument("--set", type=json.loads, default={}, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.users[0], arguments.cache_users, arguments.set)))
        return
    for users in arguments.users:
        compare(arguments.systems, users, arguments.cache_users, arguments.repeat)


def compare(systems: list[str], users: int, cache_users: int, repeat: int) -> None:
    """Print a table of medians for one number of users."""
    runs: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(repeat):
        for system in systems:
            told = alone(system, users, cache_users)
            runs[system].append(told)
            print(f"  {system}: {told['seconds']:.1f} s, {told['computed']:.0f} tokens computed", file=sys.stderr, flush=True)
    found = {system: {name: median(each[name] for each in made) for name in made[0]} for system, made in runs.items()}
    slowest = max(each["seconds"] for each in found.values())
    print(f"{users} users, a cache for {cache_users}, median of {repeat}")
    tokens = f"{'computed':>10}{'cached':>9}{'of distinct':>12}{'of blocks':>11}"
    print(f"{'system':14}{'seconds':>9}{'users/s':>9}{'times':>7}{tokens}{'outside step':>14}")
    for system, each in found.items():
        outside = f"{each['outside']:.1%}" if "outside" in each else "-"
        print(
            f"{system:14}{each['seconds']:9.1f}{users / each['seconds']:9.2f}{slowest / each['seconds']:7.2f}"
            f"{each['computed']:10.0f}{each['cached']:9.0f}{each['computed'] / each['distinct']:12.2f}"
            f"{each['computed'] / each['in blocks']:11.2f}{outside:>14}",
            flush=True,
        )


def alone(
    system: str, users: int, cache_users: int, changed: Mapping[str, Any] | None = None, **environment: str
) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--one", system, "--users", str(users), "--cache-users", str(cache_users)]
    command += ["--set", json.dumps(changed or {})]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=os.environ | environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(system: str, users: int, cache_users: int, changed: Mapping[str, Any]) -> dict[str, float]:
    """One run of one system, some of vLLM's options `changed`: seconds, prompt tokens computed, cached, and to be computed."""
    model = load_profile().model
    people = sample(users)
    tokenizer = Tokenizer(model)
    asked = [call for user in people for call in prompts(user, tokenizer)]
    flat = [tokens + tail for _, tokens, tail in asked]
    distinct = distinct_tokens(flat)
    room = distinct / users + WRITTEN * (1 + EXPLAINED)
    options = model.options | changed
    block = int(options["block_size"])
    options |= {"num_gpu_blocks_override": int(cache_users * room / block) + 8}
    told = SYSTEMS[system](people, asked, model.model_copy(update={"options": options}))
    return {"distinct": distinct, "in blocks": in_blocks(flat, block), **told}


def in_blocks(prompts: list[tuple[int, ...]], block: int) -> int:
    """Tokens that must be computed where only whole blocks are kept, and each request computes one token at least."""
    kept: set[tuple[int, ...]] = set()
    computed = 0
    for prompt in prompts:
        ends = range(block, len(prompt) + 1, block)
        found = sum(1 for _ in takewhile(lambda end: prompt[:end] in kept, ends)) * block  # noqa: B023
        computed += len(prompt) - (found if found < len(prompt) else found - block)
        kept |= {prompt[:end] for end in ends}
    return computed


def sample(users: int) -> list[Context]:
    """Users of MovieLens with long histories, and titles they have not seen."""
    folder = home() / "data" / "movielens"
    with (folder / "items.csv").open() as file:
        films = {row["item_id"]: row for row in csv.DictReader(file)}
    seen: dict[str, list[tuple[int, str]]] = defaultdict(list)
    with (folder / "events.csv").open() as file:
        for row in csv.DictReader(file):
            if row["item_id"] in films:
                seen[row["user_id"]].append((int(row["timestamp"]), row["item_id"]))
    long = sorted(user for user, events in seen.items() if len(events) >= HISTORY)[:users]
    if len(long) < users:
        raise SystemExit(f"bench: {len(long)} users have {HISTORY} events; {users} were asked for")
    return [_context(user, sorted(seen[user]), films) for user in long]


def _context(user: str, events: list[tuple[int, str]], films: dict[str, dict[str, str]]) -> Context:
    had = {item for _, item in events}
    unseen = [item for item in films if item not in had][int(user) :: 97][:SCORED]

    def film(item: str) -> dict[str, Any]:
        about = {"item_id": item, "title": films[item]["title"], "year": int(films[item]["year"] or 0)}
        return about | {"tags": [], "creators": [], "text": None}

    doing = {"value": None, "type": None, "positive": True, "negative": False}
    history = [film(item) | doing | {"event_id": f"e{at}", "time": None} for at, item in events[-HISTORY:]]
    found: dict[str, Any] = {"source": "retrieval", "contributions": [], "retrieval_score": 1.0}
    offered = [film(item) | found | {"retrieval_rank": rank} for rank, item in enumerate(unseen, 1)]
    about = {"user_id": user, "context_hash": "0" * 64, "cold": False, "n_events": len(events), "experiment_group": "treatment"}
    nothing: dict[str, Any] = {name: [] for name in ("facts", "common", "unseen", "known")}
    return Context.from_row(about | nothing | {"history": history, "candidates": offered})


def prompts(user: Context, tokenizer: Tokenizer) -> list[Call]:
    """Every call about a user."""

    def rendered(name: str, **variables: Any) -> tuple[int, ...]:
        messages: tuple[Message, ...] = PROMPTS[name].render(history=user.history, **variables)
        return tokenizer.encode(messages)

    calls = [("taste", rendered("taste"), ())]
    calls += [("likely", rendered("likely"), tokenizer.encode_text(item.title)) for item in user.candidates]
    return calls + [("why", rendered("why", title=item.title), ()) for item in user.candidates[:EXPLAINED]]


def with_worker(people: list[Context], asked: list[Call], model: Model) -> dict[str, float]:
    """Nocturne's worker, files and all."""
    import asyncio

    import pyarrow as pa
    import pyarrow.parquet as pq

    from jobs.contracts import contract
    from jobs.generate import session, worker
    from jobs.generate.vllm_engine import VllmEngine
    from jobs.manifest import Manifest
    from jobs.progress import Progress

    async def program(user: Context, ask: Session, _: Any) -> dict[str, Any]:
        await ask.complete("taste", history=user.history)
        await asyncio.gather(*[ask.score("likely", item.title, history=user.history) for item in user.candidates])
        chosen = user.candidates[:EXPLAINED]
        await asyncio.gather(*[ask.complete("why", history=user.history, title=item.title) for item in chosen])
        words = {"summary": "-", "source": "llm", "generation_id": None, "checks": []}
        taste = {"interests": [], "dislikes": [], "n_events": user.n_events, "cold": False}
        return {
            "user_id": user.user_id, "context_hash": user.context_hash, "summary": words | taste, "rankings": [],
            "explanations": [], "evidence": [], "calls_answered": ask.answered, "calls_refused": 0,
            "settled": True, "fallbacks": [],
        }  # fmt: skip

    session.load_prompt = PROMPTS.__getitem__  # type: ignore[assignment]
    worker.personalize = program  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        profile = load_profile().model_copy(update={"model": model})
        profile = profile.model_copy(update={"storage": profile.storage.model_copy(update={"warehouse": folder})})
        path = Path(f"{profile.work('2020-01-01')}/contexts/shard=0")
        path.mkdir(parents=True)
        rows = [json.loads(json.dumps(user, default=vars)) for user in map(vars, people)]
        for row in rows:
            row.pop("events", None)
            for event in row["history"]:
                event["time"] = 0
        schema = contract("contexts").arrow(without=("shard",))
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path / "part-0.parquet")
        manifest = Manifest(
            run_id="bench", run_date="2020-01-01", users=len(people), users_changed=len(people), shards=[0],
            counts={}, release_before=None, seconds={},
        )  # fmt: skip
        engine = VllmEngine(model, "bench", lambda _: None)
        watch = Watch(engine._engine)
        engine.encode_text("")  # the tokenizer is the model's
        made = worker.Worker(profile, manifest, 0, engine, Progress("bench"))
        start = time.perf_counter()
        sys.stdout = sys.stderr
        made.run()
        sys.stdout = sys.__stdout__
        return watch.told(time.perf_counter() - start)


def with_phases(people: list[Context], asked: list[Call], model: Model) -> dict[str, float]:
    """`LLM.generate` with all users' descriptions, then all scores, then all explanations."""
    return lists(model.model_dump_json(), [batch([call for call in asked if call[0] == name]) for name in PROMPTS])


def with_spark(people: list[Context], asked: list[Call], model: Model) -> dict[str, float]:
    """A barrier task of Spark's `mapInArrow`: one list of all calls, user by user, as if none needed another's answer."""
    spark = str(home() / "envs" / "spark" / "bin" / "python")
    return elsewhere(spark, "map_in_arrow.py", asked, model, PYSPARK_PYTHON=sys.executable, PYTHONPATH=str(REPOSITORY))


def with_ray(people: list[Context], asked: list[Call], model: Model) -> dict[str, float]:
    """Ray Data's LLM batches: one list of all calls, user by user."""
    path = f"{REPOSITORY}:{home() / 'envs' / 'bench'}"
    return {"computed": math.nan, "cached": math.nan} | elsewhere(sys.executable, "ray_data.py", asked, model, PYTHONPATH=path)


def elsewhere(python: str, script: str, asked: list[Call], model: Model, **environment: str) -> dict[str, float]:
    """What a script beside this one tells in its last line, given the calls and the model."""
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as folder:
        prompts = f"{folder}/prompts.parquet"
        pq.write_table(batch(asked), prompts)
        command = [python, str(Path(__file__).with_name(script)), prompts, model.model_dump_json()]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=os.environ | environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def batch(calls: list[Call]) -> Any:
    """Calls as an Arrow table: how many of its tokens are to be scored, and its tokens."""
    import pyarrow as pa

    tokens = [[*prompt, *tail] for _, prompt, tail in calls]
    return pa.table({"tail": [len(tail) for _, _, tail in calls], "tokens": tokens})


def lists(model: str, batches: Iterable[Any]) -> dict[str, float]:
    """Hand batches to `LLM.generate` one after the other; scores read the prefix cache.

    Where the cache has the whole prompt, what its last token leads to is not computed: those are asked for once more.
    """
    from jobs.generate.vllm_engine import ALWAYS, VllmEngine

    told = Model.model_validate_json(model)
    VllmEngine(told, "bench", lambda _: None)  # sets the CPU's environment
    from vllm import LLM, SamplingParams

    llm = LLM(model=told.location, max_model_len=told.max_model_len, **(ALWAYS | told.options))
    watch = Watch(llm.llm_engine)
    writing = SamplingParams(temperature=0, max_tokens=WRITTEN)
    scoring = SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=0, detokenize=False, skip_reading_prefix_cache=False)
    one_step = SamplingParams(temperature=0, max_tokens=1, logprobs=0, detokenize=False)
    start = time.perf_counter()
    for each in batches:
        asked = list(zip(each.column("tokens").to_pylist(), each.column("tail").to_pylist(), strict=True))
        params = [scoring if tail else writing for _, tail in asked]
        done = llm.generate([{"prompt_token_ids": tokens} for tokens, _ in asked], params, use_tqdm=False)
        prompts = [tokens[:-tail] for tokens, tail in asked if tail]
        scored = [output for output, (_, tail) in zip(done, asked, strict=True) if tail]
        ends = [prompt for prompt, output in zip(prompts, scored, strict=True) if output.num_cached_tokens == len(prompt)]
        if ends:
            llm.generate([{"prompt_token_ids": prompt} for prompt in ends], one_step, use_tqdm=False)
    return watch.told(time.perf_counter() - start)


def with_transformers(people: list[Context], asked: list[Call], model: Model) -> dict[str, float]:
    """`generate` in batches, padded on the left; scores by forward passes over whole prompts."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model.location, dtype=torch.bfloat16).eval()
    start, computed = time.perf_counter(), 0
    for name in PROMPTS:
        lists = [list(tokens + tail) for kind, tokens, tail in asked if kind == name]
        for place in range(0, len(lists), BATCH):
            batch = lists[place : place + BATCH]
            longest = max(map(len, batch))
            ids = torch.tensor([[0] * (longest - len(each)) + each for each in batch])
            mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in batch])
            computed += sum(map(len, batch))
            with torch.no_grad():
                if name == "likely":
                    loaded(ids, attention_mask=mask).logits.log_softmax(-1)
                else:
                    loaded.generate(ids, attention_mask=mask, max_new_tokens=WRITTEN, do_sample=False, pad_token_id=0)
    return {"seconds": time.perf_counter() - start, "computed": computed, "cached": 0}


class Watch:
    """Counts what an engine does from now on: seconds in `step()`, prompt tokens of every request computed and cached."""

    def __init__(self, engine: Any) -> None:
        self.inside, self.computed, self.cached = 0.0, 0, 0
        self._step = engine.step
        engine.step = self

    def __call__(self) -> Any:
        start = time.perf_counter()
        outputs = self._step()
        self.inside += time.perf_counter() - start
        for output in outputs:
            if output.finished:
                cached = output.num_cached_tokens or 0
                self.cached += cached
                self.computed += len(output.prompt_token_ids) - cached
        return outputs

    def told(self, seconds: float) -> dict[str, float]:
        outside = 1 - self.inside / seconds
        return {"seconds": seconds, "computed": self.computed, "cached": self.cached, "outside": outside}


SYSTEMS = {
    "worker": with_worker,
    "phased": with_phases,
    "spark": with_spark,
    "ray": with_ray,
    "transformers": with_transformers,
}

if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
