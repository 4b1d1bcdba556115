"""The endpoint engine against vLLM's own API server with the demo's model, and what a server may do wrong."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
import pytest

from jobs.generate.engine import EngineDown, Reply
from jobs.generate.openai_engine import OpenAIEngine
from jobs.generate.vllm_engine import ALWAYS, CPU
from jobs.profile import Endpoint, load_profile
from jobs.prompts import Message, Sampling, load_prompt
from tests.generate.rows import event, user

MODEL = load_profile().model
GREEDY = Sampling(max_tokens=12)
TEXT = {"type": "string"}
SAYS = (Message("system", "You are brief."), Message("user", "Name a film."))
READY_S = 180


def engine_at(url: str, **settings: Any) -> OpenAIEngine:
    endpoint = Endpoint(url=url, serves="demo", **settings)
    return OpenAIEngine(MODEL.model_copy(update={"engine": "openai", "endpoint": endpoint, "max_model_len": 512}), "digest")


def run(*calls: Coroutine[Any, Any, Reply]) -> list[Reply]:
    async def together() -> list[Reply]:
        return await asyncio.gather(*calls)

    return asyncio.run(together())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM's API server on the loopback; its address."""
    port, log = free_port(), tmp_path_factory.mktemp("server") / "log"
    options = ["--host", "127.0.0.1", "--port", str(port), "--model", MODEL.location, "--served-model-name", "demo"]
    options += ["--max-model-len", "512", "--dtype", "bfloat16", "--enforce-eager", "--block-size", "32"]
    options += ["--structured-outputs-config", json.dumps(ALWAYS["structured_outputs_config"])]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *options],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | CPU | {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"},
        )
    try:
        deadline = time.monotonic() + READY_S
        while True:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health").is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        family = [*psutil.Process(process.pid).children(recursive=True), process]  # its engine would outlive it
        for member in family:
            member.kill()  # asked to stop it waits for its clients' connections
        process.wait()


def test_completions(server: str) -> None:
    engine = engine_at(server)
    prompt = engine.encode(SAYS)
    choice = {"enum": ["drama", "crime"]}
    shape = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": False}
    first, second, chosen, shaped = run(*[engine.complete(prompt, GREEDY, schema) for schema in (TEXT, TEXT, choice, shape)])
    assert first.text == second.text != ""
    assert (first.prompt_tokens, first.error) == (len(prompt), None)
    assert 0 < first.output_tokens <= 12
    assert chosen.text in ("drama", "crime")
    assert json.loads(shaped.text or "").keys() == {"ok"}


def test_scores_and_labels_are_those_of_the_engine_in_process(server: str) -> None:
    """Held against transformers in float32, as the engine in process is."""
    import torch
    from transformers import AutoModelForCausalLM

    engine = engine_at(server)
    titles = user(history=[event(n, f"Film {n} of Many") for n in range(12)]).history
    prompt, tail = engine.encode(load_prompt("next").render(history=titles)), engine.encode_text("The Two Towers")
    scored, chosen = run(engine.score(prompt, tail), engine.choose(engine.encode(SAYS), ("A", "The")))
    with torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(MODEL.location, dtype=torch.float32).eval()
        steps = model(torch.tensor([prompt + tail])).logits[0].log_softmax(-1)
        ending = model(torch.tensor([engine.encode(SAYS)])).logits[0, -1].log_softmax(-1)
    expected = sum(steps[len(prompt) - 1 + place, token].item() for place, token in enumerate(tail))
    assert scored.nats == pytest.approx(expected, abs=0.15 * len(tail))
    assert scored.prompt_tokens == len(prompt) + len(tail)
    for label, nats in (chosen.labels or {}).items():
        assert nats == pytest.approx(ending[engine.encode_text(label)[0]].item(), abs=0.3)
    assert chosen.error is None


def test_what_a_server_refuses_is_one_reply(server: str) -> None:
    engine = engine_at(server)
    prompt = engine.encode(SAYS)
    refused, fine = run(engine.complete(prompt * 100, GREEDY, TEXT), engine.complete(prompt, GREEDY, TEXT))
    assert (refused.error or "").startswith("400")
    assert fine.error is None


def test_a_model_it_does_not_serve_is_down(server: str) -> None:
    engine = OpenAIEngine(
        MODEL.model_copy(update={"engine": "openai", "endpoint": Endpoint(url=server, serves="other")}), "digest"
    )
    with pytest.raises(EngineDown, match="NotFoundError"):
        run(engine.complete(engine.encode(SAYS), GREEDY, TEXT))


@pytest.fixture
def moody() -> Iterator[Any]:
    """A server that answers with these status codes one after the other, then well; notes when it was asked."""

    moods = SimpleNamespace(codes=[], asked=[], at_once=0, most=0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            moods.asked.append(time.monotonic())
            moods.at_once += 1
            moods.most = max(moods.most, moods.at_once)
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(0.05)
            code = moods.codes.pop(0) if moods.codes else 200
            choice = {"index": 0, "text": " Heat ", "finish_reason": "stop", "logprobs": None}
            usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
            answer = {"id": "x", "object": "text_completion", "created": 1, "model": "demo", "choices": [choice]}
            body = json.dumps(answer | {"usage": usage} if code == 200 else {"error": {"message": "busy"}}).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if code == 429:
                self.send_header("Retry-After", "1")
            self.end_headers()
            moods.at_once -= 1
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    moods.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    yield moods
    httpd.shutdown()
    thread.join()


def test_a_busy_server_is_asked_again_after_what_it_says(moody: Any) -> None:
    moody.codes[:] = [429, 503]
    engine = engine_at(moody.url)
    (reply,) = run(engine.complete(engine.encode(SAYS), GREEDY, TEXT))
    assert (reply.text, reply.error, len(moody.asked)) == ("Heat", None, 3)
    assert moody.asked[1] - moody.asked[0] >= 1, "Retry-After"
    assert moody.asked[2] > moody.asked[1]


def test_no_more_at_once_than_it_may(moody: Any) -> None:
    engine = engine_at(moody.url, concurrency=3)
    assert len(run(*[engine.complete(engine.encode(SAYS), GREEDY, TEXT) for _ in range(9)])) == 9
    assert moody.most == 3


def test_a_server_that_stays_down_ends_the_worker(moody: Any) -> None:
    moody.codes[:] = [500, 500]
    engine = engine_at(moody.url, retries=1)
    with pytest.raises(EngineDown, match="InternalServerError"):
        run(engine.complete(engine.encode(SAYS), GREEDY, TEXT))
    nobody = engine_at(f"http://127.0.0.1:{free_port()}/v1", retries=0)
    with pytest.raises(EngineDown, match="APIConnectionError"):
        run(nobody.complete(nobody.encode(SAYS), GREEDY, TEXT))


def test_a_server_without_logprobs_says_so(moody: Any) -> None:
    engine = engine_at(moody.url)
    prompt = engine.encode(SAYS)
    scored, chosen = run(engine.score(prompt, (1, 2)), engine.choose(prompt, ("A", "B")))
    assert "gives no log-probabilities" in (scored.error or "")
    assert "is not among" in (chosen.error or "")
