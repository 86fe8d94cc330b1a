"""`POST /auth`, and finding out which account a request comes from."""

import json
from collections.abc import Iterable
from typing import Any

from cashpay_pipeline.simulator.access import SIGNED_HEADERS
from cashpay_pipeline.simulator.account import Account
from cashpay_pipeline.simulator.replies import Refused, error_reply, json_reply
from cashpay_pipeline.simulator.switches import Switches
from cashpay_pipeline.simulator.universe import Universe
from cashpay_pipeline.simulator.wire import Reply, Request


class BadToken(Refused):
    """The bearer token is unknown or has expired."""


def log_in(universe: Universe, request: Request) -> Reply:
    """Answer `POST /auth` (cashpay-api, section 3.1), with the oddities the switches ask for."""
    switches = universe.switches
    asked = json_body(request)
    if not isinstance(asked, dict):
        return error_reply(400, "A JSON object is expected", switches)
    account = next((one for one in universe.accounts.values() if one.access.accepts_login(asked)), None)
    if account is None or switches.auth_schemes == "cashpay":
        return _refused_login(switches)
    token = account.access.new_token(universe.now(), switches.token_life)
    if switches.auth_reply == "no_token":
        return json_reply({"status": "error", "message": "Invalid client credentials"})
    if switches.auth_reply == "no_expires_in":
        del token["expires_in"]
    if switches.auth_reply == "strings":
        token = {name: str(value) for name, value in token.items()}
    if switches.auth_reply == "json_string":
        return json_reply(json.dumps(token))
    return json_reply(token, 201 if switches.auth_reply == "201" else 200)


def _refused_login(switches: Switches) -> Reply:
    if switches.auth_error == "message":
        return error_reply(401, "Invalid client credentials", switches)
    return json_reply({"error": "invalid_grant", "error_description": "Invalid user credentials"}, 401)


def identify(accounts: Iterable[Account], request: Request) -> Account | None:
    """Return the account that a request claims to come from, without checking the claim."""
    token, login = bearer_token(request), request.headers.get("login")
    for account in accounts:
        is_by_token = token is not None and account.access.knows_token(token)
        if is_by_token or (login is not None and account.access.credentials.login == login):
            return account
    asked = json_body(request)
    username = asked.get("username") if isinstance(asked, dict) else None
    return next((one for one in accounts if one.access.credentials.username == username), None)


def check_access(universe: Universe, account: Account | None, request: Request) -> Account:
    """Return the account of a request whose credentials are right.

    A caller may send a bearer token, the four signed headers or both (section 3.2); whatever is sent
    has to be right.

    Raises:
        Refused: They are not.
    """
    switches = universe.switches
    token = bearer_token(request)
    is_signed = any(name in request.headers for name in SIGNED_HEADERS)
    if token is None and not is_signed:
        raise Refused(401, "Authentication required")
    if token is not None and switches.auth_schemes != "cashpay":
        if account is None or not account.access.knows_token(token):
            raise BadToken(401, "Invalid token")
        try:
            account.access.check_token(token, universe.now())
        except Refused as refused:
            raise BadToken(refused.status, refused.message) from None
    elif token is not None and not is_signed:
        raise Refused(401, "Authentication failed: signed headers are required")
    if is_signed and switches.auth_schemes != "oauth2":
        if account is None:
            raise Refused(401, "Authentication failed: Login incorrect or disabled")
        account.access.check_headers(request.headers, switches)
    elif is_signed and token is None:
        raise Refused(401, "Authentication failed: a token is required")
    if account is None:
        raise Refused(401, "Authentication failed: Login incorrect or disabled")
    return account


def bearer_token(request: Request) -> str | None:
    """Return the token of the Authorization header, or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def json_body(request: Request) -> Any:
    """Return the JSON of a request's body, or None if there is none."""
    try:
        return json.loads(request.body)
    except ValueError:
        return None
