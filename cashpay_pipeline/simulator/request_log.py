"""What was asked of the simulator and when: the evidence for politeness rules. Holds no secrets."""

import hashlib
import time
from collections import deque
from datetime import datetime
from typing import Any

from cashpay_pipeline.simulator.access import SIGNED_HEADERS, salt_hash
from cashpay_pipeline.simulator.wire import Reply, Request

_LONGEST = 500_000


class RequestLog:
    """The API requests since the start, or since the log was cleared."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=_LONGEST)

    def add(self, now: datetime, request: Request, reply: Reply, **facts: Any) -> None:
        """Note a request.

        Args:
            now: Simulated time.
            request: The request; of its headers only the kind of login and a digest of the salt are kept.
            reply: Its reply, of which status, number of rows and a digest of the body are kept.
            **facts: What else is known: path, template, page, size, fault, account.
        """
        headers = request.headers
        kinds = [name for name, sign in (("bearer", "authorization"), ("headers", "apisecure")) if sign in headers]
        self._entries.append(
            {
                "number": len(self._entries) + 1,
                "at": now.isoformat(),
                "monotonic": time.monotonic(),
                "method": request.method,
                **facts,
                "status": reply.status,
                "rows": reply.facts.get("rows"),
                "reply_digest": hashlib.sha256(reply.body).hexdigest()[:20],
                "auth": "+".join(kinds) or "none",
                "salt_hash": salt_hash(headers["salt"]) if "salt" in headers else None,
                "has_all_headers": all(name in headers for name in SIGNED_HEADERS),
            }
        )

    def entries(self) -> list[dict[str, Any]]:
        """Return the noted requests, oldest first."""
        return list(self._entries)

    def clear(self) -> None:
        """Forget the noted requests."""
        self._entries.clear()
