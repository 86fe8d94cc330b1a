"""Signatures: the four headers' digest and the callback's token, with the standard library alone."""

import base64
import hashlib
import hmac
import json
from typing import Any


def api_secure(login: str, api_key: str, salt: str) -> str:
    """Return `sha256(login + apiKey + salt)` in lower-case hex (cashpay-api, section 3.2)."""
    return hashlib.sha256(f"{login}{api_key}{salt}".encode()).hexdigest()


def is_same(left: str, right: str) -> bool:
    """Compare two texts in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())


def signed_token(claims: dict[str, Any], key: str, algorithm: str = "HS256") -> str:
    """Return a JSON Web Token, HS256 with the API key as secret (cashpay-api, section 12).

    Args:
        claims: What the token says.
        key: The secret.
        algorithm: `none` leaves the signature out: a forgery to test receivers with.
    """
    head = _segment({"typ": "JWT", "alg": algorithm})
    unsigned = f"{head}.{_segment(claims)}"
    if algorithm == "none":
        return f"{unsigned}."
    digest = hmac.new(key.encode(), unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{_base64url(digest)}"


def _segment(content: dict[str, Any]) -> str:
    return _base64url(json.dumps(content, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
