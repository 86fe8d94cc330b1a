"""A small client of the control API, for tests and for the simulated clock, which looks at the time all the while."""

import json
import os
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

_PATIENCE = 60.0

_idle: dict[str, list[HTTPConnection]] = {}
"""Open connections that nobody uses, by simulator: to open one takes longer than to look at the time."""

if hasattr(os, "register_at_fork"):  # two processes on one connection would read each other's replies
    os.register_at_fork(after_in_child=_idle.clear)


class ControlError(Exception):
    """The simulator refused; the message says why."""


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
        OSError: It cannot be reached.
    """
    given = {key: value for key, value in query.items() if value is not None}
    path = f"/_simulator/{quote(name)}" + (f"?{urlencode(given)}" if given else "")
    status, text = _exchange(root, method, path, None if body is None else json.dumps(body))
    answer = json.loads(text)
    if status >= 400:
        raise ControlError(answer.get("message", f"HTTP {status}"))
    return answer


def _exchange(root: str, method: str, path: str, body: str | None) -> tuple[int, bytes]:
    """Status and body; on a new connection if the one used before was closed at the other end meanwhile."""
    idle = _idle.setdefault(root, [])
    connection = idle.pop() if idle else HTTPConnection(urlsplit(root).netloc, timeout=_PATIENCE)
    was_open = connection.sock is not None
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
    except OSError:
        connection.close()
        if was_open:
            return _exchange(root, method, path, body)
        raise
    idle.append(connection)
    return reply.status, text
