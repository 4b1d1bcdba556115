"""Which engine a profile asks for."""

from __future__ import annotations

from jobs.generate.engine import Engine
from jobs.generate.fake_engine import FakeEngine
from jobs.generate.openai_engine import OpenAIEngine
from jobs.generate.vllm_engine import VllmEngine
from jobs.profile import Model
from jobs.progress import Progress


def make_engine(model: Model, digest: str, progress: Progress) -> Engine:
    """An engine by the name that `[model] engine` has; none loads its model before it is asked something."""
    match model.engine:
        case "fake":
            return FakeEngine(model.max_model_len)
        case "openai":
            return OpenAIEngine(model, digest)
        case _:
            return VllmEngine(model, digest, progress)
