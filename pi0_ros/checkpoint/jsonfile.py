"""JSON objects beside the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pi0_ros.checkpoint.errors import CheckpointError


def read_object(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in ``path``. Raises :class:`CheckpointError` saying what was expected."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not {what} ({error}); copy it again") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path}: not {what} (a {type(data).__name__}, not an object)")
    return data
