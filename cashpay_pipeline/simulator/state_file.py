"""The state file: lets a simulator go on after a restart as if it had never stopped."""

import json
import os
from pathlib import Path
from typing import Any

_FORMAT = 1


def load_state(path: Path) -> dict[str, Any] | None:
    """Return the saved state, or None if there is none yet.

    Raises:
        ValueError: The file is not a simulator's state.
    """
    if not path.exists():
        return None
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        saved = None
    if not isinstance(saved, dict) or saved.get("format") != _FORMAT:
        raise ValueError(f"{path} is not the state of a simulator; move it away to begin anew")
    return saved


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state in one step, so that a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        json.dump({"format": _FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
