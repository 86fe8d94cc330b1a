"""What an answer of CashPay's means: data, try again, log in again, or stop with a named error. No HTTP here.

The status table is the documentation's (200 to 500) and its neighbours; errors also come under HTTP 200, as
`{"status": "error", "message"}` or `{"code": <int>, "message"}` [docs copy, 1 public].
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from cashpay_pipeline.decoding import JSON, NotJSONError, decode_json
from cashpay_pipeline.errors import (
    AccessDeniedError,
    BillNotFoundError,
    CashpayError,
    CredentialsRejectedError,
    RateLimitedError,
    RequestRefusedError,
    UnavailableError,
    UnexpectedReplyError,
    WrongAddressError,
)
from cashpay_pipeline.fields import PERSONAL_FIELDS, PERSONAL_OBJECTS
from cashpay_pipeline.forms import DuplicateKeys
from cashpay_pipeline.privacy import Masker
from cashpay_pipeline.shapes import KEY_FIELDS

MAX_TRIES = 6
TRIES_WHEN_CUT_OFF = 4
TRIES_WHEN_UNCLEAR = 3
OVERLOADED = (429, 503)
PASSING = (500, 502, 503, 504, 520)
LONGEST_CREDIBLE_PAUSE_SECONDS = 24 * 60 * 60
SAFE_CHARACTERS_SHOWN = 80
ERROR_FIELDS = ("message", "error_description", "error", "errors")
TOOL = f"cashpay_pipeline {version('cashpay_pipeline')}"

Clean = Callable[..., str]

_WITHOUT_CUSTOMERS = Masker("drop", b"")
_DATA = re.compile(rf"[{{\[]|(?<![^\W_])(?:{'|'.join(PERSONAL_OBJECTS | PERSONAL_FIELDS)})\d*(?![^\W_])", re.IGNORECASE)
"""Where data begins in a text that should have been JSON: an object, a list, the name of what a customer has."""
_DEAD_TOKEN = re.compile(r"(expired|invalid) token", re.IGNORECASE)


@dataclass(frozen=True)
class Call:
    """One request to make. `page` is for the list, `bill` for one bill; `tries` is 1 for what must not be repeated."""

    method: str
    path: str
    params: Mapping[str, int] | None = None
    json: Mapping[str, Any] | None = field(default=None, repr=False)
    page: int | None = None
    ends_list: bool = False
    bill: str | None = None
    is_login: bool = False
    tries: int = MAX_TRIES


@dataclass(frozen=True)
class Answer:
    """One answer as it came. `headers` ignores letter case."""

    status: int
    headers: Mapping[str, str]
    raw: bytes = field(repr=False)
    url: str
    received_at: datetime

    @property
    def date(self) -> datetime | None:
        """The server's own time, to the second."""
        return http_date(self.headers.get("Date", ""))


class Again(Exception):
    """Another attempt may work; `error` is for when none does.

    Args:
        error: what to raise after the last try.
        tries: how many tries this trouble is worth.
        wait: seconds that CashPay asks to wait.
        everyone: whether all requests must wait, not only this one.
    """

    def __init__(
        self, error: CashpayError, *, tries: int = MAX_TRIES, wait: float | None = None, everyone: bool = False
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.tries = tries
        self.wait = wait
        self.everyone = everyone


class LoginAgain(Exception):
    """CashPay refuses the token or signature; once, a new one is worth a try. `error` is for when it is not."""

    def __init__(self, error: CashpayError) -> None:
        super().__init__(error.message)
        self.error = error


def judge(call: Call, answer: Answer, clean: Clean) -> tuple[JSON, tuple[str, ...]]:
    """The answer's data and warnings; None for a 204.

    Args:
        call: what was asked.
        answer: what came.
        clean: masks a text of the server's.

    Raises:
        Again, LoginAgain, CashpayError: there is no data in it.
    """
    if answer.status == 204:
        return None, ()
    if answer.status not in (200, 201):
        raise _verdict(call, answer, answer.status, clean(_message(_decoded_or_none(answer.raw))))
    warnings: list[str] = []
    body = _decoded(answer, clean, warnings)
    status = _inner_status(call, body)
    if status is not None:
        raise _verdict(call, answer, status, clean(_message(body)))
    if isinstance(body, DuplicateKeys) and not {*KEY_FIELDS} & body.keys():
        raise UnexpectedReplyError("An answer names the same field twice, so one of the two was lost.")
    if answer.status == 201 and call.method == "GET":
        warnings.append("CashPay answered a read with 201 instead of 200")
    return body, tuple(warnings)


def http_date(text: str) -> datetime | None:
    """A date of an HTTP header, or None."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else None


def retry_after(answer: Answer) -> float | None:
    """How long CashPay asks to wait: seconds, or a date, which counts from the server's own `Date` (H14).

    None where there is nothing to go by: no header, junk, a time that has passed, or more than a day, which is an
    error of theirs rather than a wish (H15).
    """
    text = answer.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text, re.ASCII):
        seconds = float(text)
    elif (until := http_date(text)) is not None:
        seconds = (until - (answer.date or answer.received_at)).total_seconds()
    else:
        return None
    return seconds if 0 < seconds <= LONGEST_CREDIBLE_PAUSE_SECONDS else None


def _verdict(call: Call, answer: Answer, status: int, message: str) -> Exception:
    said = f": {message}" if message else "."
    if call.is_login and status in (200, 400, 401, 403):
        return CredentialsRejectedError(f"CashPay refuses the login{said}")
    if status == 401 or (status in (200, 400, 403) and _DEAD_TOKEN.search(message)):
        return LoginAgain(CredentialsRejectedError(f"CashPay does not accept the login, nor a fresh one{said}"))
    if status == 403:
        return LoginAgain(
            AccessDeniedError(f"The login is valid, but this is not allowed, or the path or stage is wrong{said}")
        )
    if status == 200:
        error = RequestRefusedError(f"CashPay answers with an error under HTTP 200{said}", status=200)
        return Again(error, tries=TRIES_WHEN_UNCLEAR)
    if status == 429 or status in PASSING:
        return _passing(answer, status, said)
    if 300 <= status < 400:
        return WrongAddressError(f"{_origin(answer.url)} sends on to {_target(answer)}; not followed.")
    # A web server that has files only answers 405 to any POST; these two are the first requests of the two schemes.
    is_elsewhere = status == 405 and (call.is_login or call.path == "/ping")
    if status == 404 or is_elsewhere or (status == 410 and call.bill is not None):
        return _not_found(call, answer, status)
    if status in (405, 415):
        return RequestRefusedError(
            f"CashPay refuses the form of this request (status {status}): a defect in this tool, {TOOL}{said}",
            status=status,
            next_step=f"Report this text; the version is {TOOL}.",
        )
    if 400 <= status < 500:
        return RequestRefusedError(f"CashPay refuses this request (status {status}){said}", status=status)
    if status >= 500:
        return UnavailableError(f"CashPay fails (status {status}){said}", status=status)
    return UnexpectedReplyError(f"CashPay answers with HTTP {status}, which its documentation does not know.")


def _passing(answer: Answer, status: int, said: str) -> Again:
    wait = retry_after(answer)
    error: CashpayError
    if status == 429:
        error = RateLimitedError(f"CashPay is asked too often (status 429){said}", resume_at=None)
    else:
        error = UnavailableError(f"CashPay fails (status {status}){said}", status=status)
    return Again(error, wait=wait, everyone=status in OVERLOADED or wait is not None)


def _not_found(call: Call, answer: Answer, status: int) -> CashpayError:
    if call.bill is not None:
        return BillNotFoundError(f"CashPay has no such bill (status {status}).")
    if call.ends_list:
        return RequestRefusedError(f"CashPay has no page {call.page} (status 404).", status=404)
    address = f"{_origin(answer.url)}{urlsplit(answer.url).path}"
    return WrongAddressError(f"CashPay's API is not at {address} (status {status}): wrong base URL or version.")


def _decoded(answer: Answer, clean: Clean, warnings: list[str]) -> JSON:
    try:
        return decode_json(answer.raw, warnings)
    except NotJSONError:
        pass
    kind = clean(answer.headers.get("Content-Type", "no type"), SAFE_CHARACTERS_SHOWN)
    what = f"{kind}, {len(answer.raw)} bytes"
    if answer.raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[", b""):
        raise Again(UnavailableError(f"CashPay's answers arrive cut off ({what})."), tries=TRIES_WHEN_CUT_OFF)
    before_data = _DATA.split(answer.raw.decode("utf-8", "replace"), maxsplit=1)[0]
    begin = clean(before_data, SAFE_CHARACTERS_SHOWN)
    raise Again(UnexpectedReplyError(f"Expected JSON, got {what}, beginning: {begin}"), tries=TRIES_WHEN_UNCLEAR)


def _decoded_or_none(raw: bytes) -> JSON:
    try:
        return decode_json(raw)
    except UnexpectedReplyError:
        return None


def _inner_status(call: Call, body: JSON) -> int | None:
    """The status that an error under HTTP 200 stands for: 200 if it names none. None for data (H1).

    A bill has a `code` too, which can look like 404: so whatever has a bill's key, or a list that holds
    something, is data (Y18).
    """
    if not isinstance(body, dict) or {*KEY_FIELDS, "state", "access_token"} & body.keys():
        return None
    holds = [value for name, value in body.items() if isinstance(value, dict | list) and name not in ERROR_FIELDS]
    if any(isinstance(value, list) and value for value in holds):
        return None
    for code in (body.get("code"), body.get("status")):
        if isinstance(code, int) and not isinstance(code, bool) and code >= 400:
            return code if code < 600 else 400
    outcome = str(body.get("status", "")).casefold()
    if outcome == "error" or body.get("error"):
        return 200
    # A message alone is no data either, except from ping, whose answer nobody has described.
    alone = "message" in body and not holds and outcome != "success"
    return 200 if alone and call.path != "/ping" else None


def _message(body: JSON) -> str:
    if not isinstance(body, dict):
        return ""
    return "; ".join(_text(body[name]) for name in ERROR_FIELDS if body.get(name))


def _text(said: JSON) -> str:
    """What an error field says; where it repeats a record, without the customer."""
    if isinstance(said, dict | list):
        return json.dumps(_WITHOUT_CUSTOMERS.mask(said), ensure_ascii=False, default=str)
    return str(said)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _target(answer: Answer) -> str:
    """Scheme and host that a redirect names: not its path or query, which can hold a token."""
    try:
        parts = urlsplit(answer.headers.get("Location", ""))
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    if not host:
        return "another path of the same host" if answer.headers.get("Location") else "nowhere"
    return f"{parts.scheme or urlsplit(answer.url).scheme}://{''.join(c for c in host if c.isprintable())[:200]}"
