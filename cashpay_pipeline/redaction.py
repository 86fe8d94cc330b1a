"""Make a text that came from outside fit to be shown: no secret, no phone number, no control character.

Masks by value, not by name (S9): a server may echo a key under any name, encoded or hashed.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from html.entities import codepoint2name
from threading import Lock

MASK = "***"
LONGEST_TEXT = 300
SHORTEST_ANYWHERE = 4  # a shorter secret, such as key id 17, is masked only as a whole word

# Tokens, digests and anything that may be a phone number or an address, whoever they belong to.
_PRIVATE = re.compile(
    r"eyJ[\w-]{8,}(?:\.[\w-]*)*|[0-9a-fA-F]{32,}|[^\s<>\"'@]{1,64}@[^\s<>\"'@]{1,255}"
    r"|\+?\d(?:[ ./()_\u2010-\u2015-]{0,3}\d){7,}"
)
_BACKSLASH = r"(?:\\|%(?:25)*+5c)"


class Redactor:
    """Remembers every secret value in use, and masks them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = Lock()
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask these values too from now on: a new token, a rotated key."""
        with self._lock:
            self._forms |= {form for secret in secrets if secret for form in _forms(secret)}
            self._pattern = None

    def mask(self, text: str) -> str:
        """The text, whole and with its lines, without the secrets."""
        return self._known().sub(MASK, text)

    def clean(self, text: str, limit: int = LONGEST_TEXT) -> str:
        """The text, masked, on one line, of at most `limit` characters. Masked before it is cut.

        And masked as it is shown: a tab or a hard blank between the digits of a phone becomes a blank first.
        """
        masked = self.mask(text[: 50 * LONGEST_TEXT])
        flat = " ".join("".join(c if c.isprintable() else " " for c in masked).split())
        shown = _PRIVATE.sub(MASK, self.mask(flat))
        return shown if len(shown) <= limit else shown[:limit] + "…"

    def _known(self) -> re.Pattern[str]:
        """Every form of every secret; made when it is first needed, for most logins are followed by no text to mask."""
        with self._lock:
            if self._pattern is None:
                # Longest first: a secret that is part of another one must not leave the rest standing (S7).
                longest_first = sorted(self._forms, key=len, reverse=True)
                self._pattern = re.compile("|".join(map(_expression, longest_first)) or "(?!)", re.IGNORECASE)
            return self._pattern


def _expression(form: str) -> str:
    written = "".join(map(_written, re.sub(r"\\+", r"\\", form)))
    return written if len(form) >= SHORTEST_ANYWHERE else rf"(?<!\w){written}(?!\w)"


def _written(sign: str) -> str:
    """A sign as URLs, HTML and JSON write it, JSON also within itself and the others, or as it is."""
    if sign.isascii() and sign.isalnum():
        return sign
    if sign == "\\":  # of which one expression stands for a whole run
        return _BACKSLASH + "{1,40}+"
    number = ord(sign)
    in_url = "".join(f"%(?:25)*{byte:02x}" for byte in sign.encode()) + (r"|\+" if sign == " " else "")
    in_html = f"&(?:amp;)*(?:{codepoint2name.get(number, '#')}|#0*{number}|#x0*{number:x});"
    units = re.findall("....", sign.encode("utf-16-be").hex())
    in_json = f"u{f'{_BACKSLASH}+u'.join(units)}"
    return f"{_BACKSLASH}{{0,40}}+(?:{in_url}|{in_html}|{in_json}|{re.escape(sign)})"


def _forms(secret: str) -> Iterator[str]:
    """The ways in which a secret may come back: as it is, encoded, hashed; each may be quoted as well (`_written`)."""
    raw = secret.encode()
    yield secret
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode().rstrip("=")
        if len(raw) >= SHORTEST_ANYWHERE:
            yield from _inner_base64(raw, encode)
    yield raw.hex()
    for digest in (hashlib.md5, hashlib.sha1, hashlib.sha256):
        yield digest(raw, usedforsecurity=False).hexdigest()


def _inner_base64(raw: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """What stays the same of it inside something longer that is encoded as a whole, as `user:password` is.

    It can begin at each of three places of a group; the letters at its two ends belong to its neighbours as well.
    """
    for before, mixed in ((0, 0), (1, 2), (2, 3)):
        yield encode(b"\0" * before + raw).decode().rstrip("=")[mixed:-1]
