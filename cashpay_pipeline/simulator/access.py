"""Who may call: tokens and signed headers of one account (cashpay-api, section 3)."""

import hashlib
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cashpay_pipeline.simulator.credentials import Credentials
from cashpay_pipeline.simulator.replies import Refused
from cashpay_pipeline.simulator.signing import api_secure, is_same, signed_token
from cashpay_pipeline.simulator.switches import Switches

SIGNED_HEADERS = ("login", "apireference", "salt", "apisecure")


class Access:
    """The tokens an account has been given and the salts it has used."""

    def __init__(self, name: str, credentials: Credentials) -> None:
        self.name = name
        self.credentials = credentials
        self._tokens: dict[str, datetime] = {}
        self._salts: set[str] = set()
        self._logins = 0

    def accepts_login(self, asked: Mapping[str, Any]) -> bool:
        """Whether an `/auth` body has this account's credentials."""
        expected = self.credentials
        names = ("username", "password", "client_id", "client_secret")
        return all([is_same(str(asked.get(name)), getattr(expected, name)) for name in names])

    def new_token(self, now: datetime, life: int) -> dict[str, Any]:
        """Return an `/auth` reply in Keycloak's shape with a new token in it."""
        self._logins += 1
        session = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.name} {self._logins} {now.isoformat()}"))
        issued = int(now.timestamp())
        claims = {"iat": issued, "exp": issued + life, "jti": session, "sub": self.name}
        token = signed_token(claims, self.credentials.client_secret)
        self._tokens[token] = now + timedelta(seconds=life)
        return {
            "access_token": token,
            "expires_in": life,
            "refresh_expires_in": 2_592_000,
            "refresh_token": signed_token({"jti": session}, self.credentials.client_secret),
            "token_type": "bearer",
            "not-before-policy": 0,
            "session_state": session,
            "scope": "roles offline_access profile internal_access email client_access",
        }

    def knows_token(self, token: str) -> bool:
        """Whether this account was given a token, expired or not."""
        return token in self._tokens

    def check_token(self, token: str, now: datetime) -> None:
        """Raise `Refused` unless a token is known and still lives on the simulated clock."""
        expires = self._tokens.get(token)
        if expires is None:
            raise Refused(401, "Invalid token")
        if expires <= now:
            raise Refused(401, "Expired token")

    def forget_tokens(self) -> None:
        """Make every token given so far invalid, as a key rotation would."""
        self._tokens.clear()

    def check_headers(self, headers: Mapping[str, str], switches: Switches) -> None:
        """Raise `Refused` unless the four signed headers are right and the salt is new.

        Whether CashPay refuses a repeated salt is not known (section 3.2): a switch.
        """
        missing = [name for name in SIGNED_HEADERS if not headers.get(name)]
        if missing:
            raise Refused(401, f"Authentication failed: {missing[0]} is missing")
        salt = headers["salt"]
        expected = api_secure(self.credentials.login, self.credentials.api_key, salt)
        is_right = is_same(headers["apisecure"], expected)
        if not is_right or headers["apireference"] != self.credentials.api_reference:
            raise Refused(401, "Authentication failed: Login incorrect or disabled")
        if 0 < switches.salt_max_digits < len(salt):
            raise Refused(401, "Authentication failed: salt is too long")
        digest = salt_hash(salt)
        if switches.salt_check and digest in self._salts:
            raise Refused(401, "Authentication failed: salt already used")
        self._salts.add(digest)


def salt_hash(salt: str) -> str:
    """Return a digest of a salt to compare by: the salt itself is not kept."""
    return hashlib.sha256(salt.encode()).hexdigest()[:20]
