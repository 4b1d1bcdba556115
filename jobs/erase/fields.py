"""The fields of a record that cannot be read, whatever its format was."""

from __future__ import annotations

import re

SEPARATORS = (r"""[,;|\t\s"'{}\[\]:]+""", r"""[,;\t"]+""", '"', ",")  # one after the other: ids hold some ("auth0|5f7", "a b")


def fields(line: str) -> list[str]:
    return [field for each in SEPARATORS for field in re.split(each, line)]
