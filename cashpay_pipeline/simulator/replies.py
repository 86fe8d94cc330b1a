"""Replies of the API: good ones as JSON, refusals in the shape that the switches name."""

from typing import Any

from cashpay_pipeline.simulator.mutations import to_json
from cashpay_pipeline.simulator.switches import Switches
from cashpay_pipeline.simulator.wire import Reply


class Refused(Exception):
    """The request is refused with this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def json_reply(content: Any, status: int = 200) -> Reply:
    """Return a JSON reply; a lone surrogate in a text goes out as its JSON escape."""
    body = to_json(content).encode("utf-8", errors="backslashreplace")
    return Reply(status, body, {"Content-Type": "application/json"})


def html_reply(page: str, status: int = 200) -> Reply:
    """Return a page for a browser."""
    return Reply(status, page.encode(), {"Content-Type": "text/html; charset=utf-8"})


def error_reply(status: int, message: str, switches: Switches) -> Reply:
    """Return a refusal; both shapes were seen in public code (cashpay-api, section 8)."""
    if switches.error_shape == "code_message":
        return json_reply({"code": status, "message": message}, status)
    return json_reply({"status": "error", "message": message}, status)


def token_refusal(message: str, switches: Switches) -> Reply:
    """Return the refusal of a bad token: as 401, or as 400 with a code in the body (section 3.3)."""
    if switches.token_expiry == "400_expired":
        return json_reply({"code": 400, "message": message}, 400)
    return error_reply(int(switches.token_expiry), message, switches)
