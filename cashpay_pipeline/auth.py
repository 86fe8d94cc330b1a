"""The two ways to prove who we are to CashPay, and the way CashPay proves who it is in a callback. No HTTP here.

Both schemes make their headers anew for every attempt: a token may die during a wait (A2), a salt may never be used
twice (A8).
"""

import hashlib
import secrets
import warnings
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Protocol

import jwt

from cashpay_pipeline.clock import Clock
from cashpay_pipeline.decoding import JSON, NotJSONError, decode_json
from cashpay_pipeline.errors import CredentialsRejectedError, UnexpectedReplyError
from cashpay_pipeline.settings import OAUTH2_FIELDS, Settings

DEFAULT_TOKEN_SECONDS = 300.0
RENEW_AT = 0.8  # of a token's life
MAX_CALLBACK_BYTES = 64 * 1024

Headers = dict[str, str]


class Auth(Protocol):
    """One authentication scheme."""

    def headers(self) -> Headers:
        """The headers for one attempt, and only for that one."""
        ...

    def drop(self, refused: Mapping[str, str]) -> None:
        """CashPay refused these headers: make different ones next time."""
        ...


class SignatureAuth:
    """Cashpay Auth: four headers, signed with a new salt for every request [doc].

    Args:
        source: where the settings come from; asked again after a refusal, for a key that was rotated (A13).
    """

    def __init__(self, source: Callable[[], Settings]) -> None:
        self._source = source
        self._settings = source()

    def headers(self) -> Headers:
        """Login, key id, a fresh salt, and the digest over them."""
        login, key, reference = (_value(self._settings, name) for name in ("login", "api_key", "api_reference"))
        salt = str(secrets.randbelow(2**self._settings.salt_bits - 1) + 1)
        return {
            "login": login,
            "apireference": reference,
            "salt": salt,
            "apisecure": sign(login, key, salt),
        }

    def drop(self, refused: Mapping[str, str]) -> None:
        """Read the key once more; the salt is a new one anyway."""
        self._settings = self._source()


class BearerAuth:
    """OAuth2: a token from `/auth`, renewed before it ends [10 public].

    Its life is counted by the monotonic clock from what CashPay says it is; the dates inside the token are never
    looked at, so a wrong clock on this machine does no harm (A7).

    Args:
        source: where the settings come from, their secrets masked; asked again at every login, for a password that was
            rotated (A13).
        clock: what the token's life is measured by.
        log_in: sends the credentials to `/auth` and returns the answer's body.
        learn: told each new token, so that it can be masked.
    """

    def __init__(
        self,
        source: Callable[[], Settings],
        clock: Clock,
        log_in: Callable[[dict[str, str]], JSON],
        learn: Callable[[list[str]], None],
    ) -> None:
        self._source = source
        self._clock = clock
        self._log_in = log_in
        self._learn = learn
        self._lock = Lock()
        self._token: str | None = None
        self._renew_at = 0.0
        self._refused: dict[str, str] | None = None

    def headers(self) -> Headers:
        """The token, after a login when there is none or it is getting old; one login, however many threads (A3).

        Raises:
            CredentialsRejectedError: CashPay gives no token for these credentials. They are not sent a second time:
                repeated refusals can lock an account (A5).
        """
        with self._lock:
            if self._token is None or self._clock.monotonic() >= self._renew_at:
                self._token = self._new_token()
            return {"Authorization": f"Bearer {self._token}"}

    def drop(self, refused: Mapping[str, str]) -> None:
        """Forget the refused token, unless another thread has a newer one by now."""
        with self._lock:
            if refused.get("Authorization") == f"Bearer {self._token}":
                self._token = None

    def _new_token(self) -> str:
        settings = self._source()
        credentials = {name: _value(settings, name) for name in OAUTH2_FIELDS}
        if credentials == self._refused:
            raise CredentialsRejectedError("CashPay has refused these credentials already; not sent again.")
        asked_at = self._clock.monotonic()
        try:
            token, seconds = _read_token(self._log_in(credentials))
        except CredentialsRejectedError:
            self._refused = credentials
            raise
        self._learn([token])
        self._renew_at = asked_at + RENEW_AT * seconds
        return token


def sign(login: str, api_key: str, salt: str) -> str:
    """Cashpay Auth's `apisecure`: sha256 of login, key and salt, in lower-case hex [doc, official plugin]."""
    return hashlib.sha256(f"{login}{api_key}{salt}".encode()).hexdigest()


def decode_callback(token: str, key: str) -> dict[str, Any]:
    """Verify a callback's token, which is signed with the merchant's API key [official plugin].

    The algorithm is pinned to HS256: a token must not choose how it is checked (X7, RFC 8725). No `exp` is asked
    for, because none is documented.

    Raises:
        UnexpectedReplyError: too large, unsigned, signed by another key or otherwise, or no JSON object inside.
        CredentialsRejectedError: there is no key to verify with.
    """
    if not key:
        raise CredentialsRejectedError("A callback cannot be verified without the API key.")
    if len(token) > MAX_CALLBACK_BYTES:
        raise UnexpectedReplyError(f"A callback's token is longer than {MAX_CALLBACK_BYTES} bytes.")
    try:
        with warnings.catch_warnings():
            # CashPay issues the keys: we cannot lengthen one that is shorter than RFC 7518 asks for.
            warnings.filterwarnings("ignore", message="The HMAC key is")
            claims = decode_json(jwt.api_jws.decode(token, key, algorithms=["HS256"]))
    except (jwt.PyJWTError, ValueError):
        raise UnexpectedReplyError("A callback's token is not signed with this account's API key.") from None
    except NotJSONError:
        claims = None
    if not isinstance(claims, dict):
        raise UnexpectedReplyError("A callback's token holds no JSON object.")
    return claims


def _read_token(body: JSON) -> tuple[str, float]:
    """Token and life in seconds; without a life 5 minutes. The body may be JSON text within JSON [1 public] (A4)."""
    if isinstance(body, str):
        try:
            body = decode_json(body.encode())
        except NotJSONError:
            body = None
    fields = body if isinstance(body, dict) else {}
    token = fields.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.split() == [token]:
        raise CredentialsRejectedError("CashPay answered the login without a usable access_token.")
    return token, _seconds(fields.get("expires_in"))


def _seconds(life: Any) -> float:
    try:
        seconds = 0.0 if isinstance(life, bool) else float(life)
    except (TypeError, ValueError, OverflowError):
        seconds = 0.0
    return seconds if 0 < seconds < float("inf") else DEFAULT_TOKEN_SECONDS


def _value(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    return str(value.get_secret_value()) if value is not None else ""
