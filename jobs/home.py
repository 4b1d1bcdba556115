"""Where things live: the repository's own folders, and NOCTURNE_HOME for everything that is not code."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PROMPTS = REPOSITORY / "prompts"
TEMPLATES = PROMPTS / "templates"
SCHEMAS = REPOSITORY / "schemas"


def home() -> Path:
    """NOCTURNE_HOME, by default `.nocturne/` in the repository."""
    return Path(os.environ.get("NOCTURNE_HOME") or REPOSITORY / ".nocturne").resolve()
