"""What a model is, whatever its folder is called: a digest of its weights."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobs.errors import ProfileError
from jobs.profile import Model
from jobs.storage import read_json, write_json

WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")


def model_digest(model: Model) -> str:
    """sha256 over the weights of a local model, kept beside them while they stay as they are; of any other what it is called.

    Raises:
        ProfileError: there are no weights.
    """
    if model.path is None or model.endpoint:
        return model.identity
    folder, files = Path(model.location), _files(model)
    if not files:
        raise ProfileError(f"model.path: no weights in {folder}; infra/bootstrap makes the demo's model")
    seen = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    stored = folder / "digest.json"
    kept: dict[str, Any] = {}
    with suppress(FileNotFoundError, ValueError):  # not there yet, or torn
        kept = read_json(str(stored))
    if kept.get("files") == seen:
        return str(kept["digest"])
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    with suppress(OSError):  # a folder that is only for reading is hashed each time
        write_json(str(stored), {"files": seen, "digest": digest.hexdigest()})
    return digest.hexdigest()


def local_digest(model: Model) -> str | None:
    """The same where this machine has the weights; None where only the workers do."""
    return model_digest(model) if model.path is None or model.endpoint or _files(model) else None


def _files(model: Model) -> list[Path]:
    return sorted(file for kind in WEIGHTS for file in Path(model.location).glob(kind))
