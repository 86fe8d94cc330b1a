"""A small client of the control API, for tests and for the simulated clock; standard library only."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlencode

_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_PATIENCE = 60.0


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
    """
    given = {key: value for key, value in query.items() if value is not None}
    address = f"{root}/_simulator/{quote(name)}" + (f"?{urlencode(given)}" if given else "")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data=data, method=method)
    request.add_header("Content-Type", "application/json")
    try:
        with _NO_PROXY.open(request, timeout=_PATIENCE) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            raise ControlError(json.load(error).get("message", f"HTTP {error.code}")) from None
