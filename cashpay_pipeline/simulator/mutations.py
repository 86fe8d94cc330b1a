"""Bad rows: records changed on their way out, as a faulty server would serve them.

The truth keeps the good values; only what goes over the wire is spoilt.
"""

import json
from dataclasses import dataclass, field
from typing import Any

_MARK = "\ue000raw:"


@dataclass(frozen=True)
class Mutation:
    r"""What to change in which rows of a reply.

    Attributes:
        references: Order references of the rows; empty means by `every`.
        every: Each so-many-th row of the reply, the first one included.
        set: Values to set, by field name.
        set_raw: JSON text to set, by field name, e.g. `NaN`, `1e400` or `"a\ud800"`; written as it is.
        delete: Fields to leave out.
        drop: Leave the row out.
        twice: Serve the row twice.
        duplicate_keys: Raw JSON by field name, written as a second key of the same name (Y11).
    """

    references: tuple[str, ...] = ()
    every: int = 1
    set: dict[str, Any] = field(default_factory=dict)
    set_raw: dict[str, str] = field(default_factory=dict)
    delete: tuple[str, ...] = ()
    drop: bool = False
    twice: bool = False
    duplicate_keys: dict[str, str] = field(default_factory=dict)

    def apply(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows as they go out."""
        served: list[dict[str, Any]] = []
        for position, row in enumerate(rows):
            if not self._is_meant(position, row):
                served.append(row)
            elif not self.drop:
                changed = self._changed(row)
                served.extend([changed, changed] if self.twice else [changed])
        return served

    def _is_meant(self, position: int, row: dict[str, Any]) -> bool:
        if self.references:
            return row.get("order_reference") in self.references
        return position % self.every == 0

    def _changed(self, row: dict[str, Any]) -> dict[str, Any]:
        changed = {name: value for name, value in row.items() if name not in self.delete}
        changed.update(self.set)
        changed.update({name: _MARK + text for name, text in self.set_raw.items()})
        for name, text in self.duplicate_keys.items():
            changed[_MARK + name] = _MARK + text
        return changed


def to_json(content: Any) -> str:
    """Return JSON text, with the raw pieces of `Mutation` written as they are."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return _unwrapped(text) if _MARK in text else text


def _unwrapped(text: str) -> str:
    pieces = text.split(f'"{_MARK}')
    result = [pieces[0]]
    for piece in pieces[1:]:
        raw, length = json.JSONDecoder().raw_decode(f'"{piece}')
        is_key = piece[length - 1 : length] == ":"
        result.append(f'"{raw}"' if is_key else raw)
        result.append(piece[length - 1 :])
    return "".join(result)
