"""A small client of the control API, for tests and for the simulated clock, which looks at the time all the while."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote, urlencode

from urllib3 import PoolManager

_PATIENCE = 60.0
_THREADS = 8


class ControlError(Exception):
    """The simulator refused; the message says why."""


def _new_connections() -> PoolManager:
    return PoolManager(maxsize=_THREADS, timeout=_PATIENCE, retries=False)


def _after_fork() -> None:
    """Two processes on one connection would read each other's replies."""
    global _connections
    _connections = _new_connections()


_connections = _new_connections()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def call(root: str, method: str, name: str, body: Any = None, **query: str | None) -> Any:
    """Call the control API and return the JSON of its reply.

    Args:
        root: Address of the simulator, without a path.
        method: HTTP method.
        name: What follows `/_simulator/`.
        body: A value to send as JSON.
        **query: Query parameters; None leaves one out.

    Raises:
        ControlError: The simulator refused.
    """
    given = {key: value for key, value in query.items() if value is not None}
    address = f"{root}/_simulator/{quote(name)}" + (f"?{urlencode(given)}" if given else "")
    headers = {"Content-Type": "application/json"}
    reply = _connections.request(method, address, body=None if body is None else json.dumps(body), headers=headers)
    answer = json.loads(reply.data)
    if reply.status >= 400:
        raise ControlError(answer.get("message", f"HTTP {reply.status}"))
    return answer
