"""`prompt render` shows what the model reads; it needs the tokenizer, not the model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import NotFound, PromptError
from jobs.generate import preview
from jobs.profile import load_profile
from tests.data.inputs import write_profile
from tests.generate.rows import RUN_DATE, candidate, night, row


def show(folder: Path, monkeypatch: pytest.MonkeyPatch, user: str, prompt: str, *nights: str) -> None:
    night(folder, {0: [row("u1"), row("new", facts=[], candidates=[candidate(1, "Ronin", 1.0, [])])], 1: [row("u2")]})
    file = write_profile(folder, model={"path": load_profile().model.location})
    arguments = ["preview", "--profile", str(file), "--user", user, "--prompt", prompt]
    monkeypatch.setattr(sys, "argv", [*arguments, *nights])
    preview.main()


@pytest.mark.parametrize("user", ["u1", "u2"])
@pytest.mark.parametrize(
    ("prompt", "count", "end"),
    [
        (
            "summary", 1,
            'user\n1. likes drama titles\n2. a favourite: “Heat”\n3. did not like “Tron”<|im_end|>\n<|im_start|>assistant\n',
        ),
        (
            "explanation", 2,
            'user\n1. in the reader\'s history: “Heat”\n2. recommended: “Fargo”\n3. all of them: drama<|im_end|>\n'
            "<|im_start|>assistant\n",
        ),
        ("next", 3, "user\nHeat\nTron (disliked)\nWhat comes next?<|im_end|>\n<|im_start|>assistant\nSpeed"),
        ("prior", 3, "user\nWhat comes next?<|im_end|>\n<|im_start|>assistant\nSpeed"),
    ],
)  # fmt: skip
def test_the_prompts_of_a_user(
    user: str, prompt: str, count: int, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    show(tmp_path, monkeypatch, user, prompt, "2020-02-03", RUN_DATE)
    shown = capsys.readouterr().out.removesuffix("\n").split("\n--------\n")
    assert len(shown) == count
    assert all(each.startswith("<|im_start|>system\n") for each in shown)
    assert shown[-1].endswith(end)


@pytest.mark.parametrize(
    ("user", "prompt", "nights", "error", "says"),
    [
        ("u9", "summary", [RUN_DATE], NotFound, "user 'u9' has no context"),
        ("u1", "summary", ["2020-02-03"], NotFound, "of 2020-02-03"),
        ("u1", "sumary", [RUN_DATE], PromptError, "no prompt 'sumary'; there are by_id, by_title, explanation, fluency, next"),
        ("new", "summary", [RUN_DATE], PromptError, "asks 'summary' nothing about user 'new'"),
    ],
)
def test_what_cannot_be_shown(
    user: str,
    prompt: str,
    nights: list[str],
    error: type[Exception],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(error, match=says):
        show(tmp_path, monkeypatch, user, prompt, *nights)
