"""infra/ is scripts, not a package: its modules are loaded from their files."""

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

INFRA = Path(__file__).resolve().parents[2] / "infra"


def script(name: str) -> ModuleType:
    """A script without `.py`, as a module."""
    loader = SourceFileLoader(name, str(INFRA / name))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


sys.path.insert(0, str(INFRA))
script("bootstrap")
