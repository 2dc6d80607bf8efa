"""Small files of a user's folder, read or refused in one sentence. Standard library only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chexphi.schema import InputError


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        InputError: If the file holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}): copy it again") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is no JSON object: copy it again")
    return found
