from __future__ import annotations

from tests.cli.conftest import nocturne

__all__ = ["nocturne"]
