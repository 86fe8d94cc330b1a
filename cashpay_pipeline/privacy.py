"""Hide who the customer is before anything is stored: phones, names, addresses, in typed columns and in payloads.

A phone becomes its last two digits, to recognise, and a keyed hash, to count customers by. A plain hash would be no
protection: Togo has 10^8 phone numbers, a minute's work to try them all.
"""

import hmac
import itertools
import re
import secrets
import unicodedata
from collections.abc import Collection, Iterator
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import SecretStr

from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.fields import (
    ADDRESS,
    FREE_TEXT_FIELDS,
    KEPT_FIELDS,
    NAME_FIELDS,
    PERSONAL_FIELDS,
    PERSONAL_OBJECTS,
    PHONE_FIELDS,
    SHOPS_REFERENCE,
    field_of,
)
from cashpay_pipeline.forms import FORMS_REMEMBERED, Form, form_of
from cashpay_pipeline.phones import (
    digits_of,
    hide_phones,
    pattern_of,
    phones_in,
    replace_phone_references,
    replace_phones,
    with_country,
)

Mode = Literal["mask", "keep", "drop"]

HIDDEN = "***"
_PARAMETER = re.compile(r"(?<=[?&])([^=&#\s]+)=([^&#\s]+)")
_MASKED = re.compile(r"\*{3}(?:\*{3}\d\d)?")
_MASKED_PHONE = re.compile(r"\*{6}\d\d")
_CLIENT_KEY = re.compile(r"[0-9a-f]{32}")
_FOREIGN = re.compile(r"[^\x00-\x7f]")
"""Only these can be accents, and a French text has few of them."""
_EMAIL = re.compile(r"[^\s@<>(),;:]+@[^\s@<>(),;:]+")
_WORD = re.compile(r"[^\W\d_]{3,}")
"""A shorter one cannot be told from other words."""


class Masker:
    """Masks records with one key.

    Args:
        mode: `mask`, `drop` (no trace of the customer, no client_key) or `keep` (the user's choice: all in clear).
        key: the secret behind `client_key`.
        forgotten: the `client_key` of customers who asked to be forgotten.
    """

    def __init__(self, mode: Mode, key: bytes, forgotten: Collection[str] = ()) -> None:
        self._mode = mode
        self._key = key
        self._keyed_hash = hmac.new(key, digestmod="sha256")
        self._forgotten = frozenset(forgotten)
        self._known_key = lru_cache(maxsize=10_000)(self._client_key)
        self._known_name = lru_cache(maxsize=1_000)(self._name)

    def __repr__(self) -> str:
        return f"Masker(mode={self._mode!r})"

    @property
    def fingerprint(self) -> str:
        """Tells keys apart without telling the key."""
        return hmac.digest(self._key, b"fingerprint", "sha256").hex()[:16]

    def check_of(self, *names: str) -> str:
        """Tells whether names are the same as before, to who has the key, without telling the names."""
        return hmac.digest(self._key, "\0".join(("names", *names)).encode(), "sha256").hex()[:16]

    def client_key(self, phone: str) -> str:
        """The same customer has the same key, whether the phone is written +228..., 00228... or with blanks."""
        return self._known_key(phone)

    def mask(self, record: Any, form: Form | None = None) -> Any:
        """The record as it may be stored; the original is not changed. One that was stored can be masked again.

        Args:
            record: as it came; where it is no object, nobody knows what is what, and it is taken as free text.
            form: the record's form, from whom has it already.
        """
        field = "" if isinstance(record, dict) else "note"
        return self._value(record, form or form_of(record), field, set(), inside=False)

    def forgetting(self, phone: str) -> "Masker":
        """The same, for whom the customer with this phone is forgotten as well."""
        return Masker(self._mode, self._key, {*self._forgotten, self.client_key(phone)})

    def is_forgotten(self, record: Any) -> bool:
        """Whether a record tells a customer who asked to be forgotten: by the key, or by the phone in any reference."""
        return bool(self._forgotten) and (
            not self._forgotten.isdisjoint(_client_keys(record)) or any(True for _ in self._forgotten_phones(record))
        )

    def forget(self, record: Any) -> Any:
        """The record as with `drop`, without any free text, and without the phones of all who are forgotten.

        A name that was masked is not known any more, so no text can be searched for it. In the shop's own reference a
        mark takes the place of the phone: else all who are forgotten would share one order, and one would have paid for
        the other.
        """
        if not isinstance(record, dict):
            return HIDDEN  # nobody knows what is what
        left = _without_texts(Masker("drop", self._key).mask(record))
        left = _without(left, _MASKED_PHONE, HIDDEN)
        for phone in self._forgotten_phones(record):
            left = _without(left, pattern_of(phone), self._mark(phone))
        return left

    def without_forgotten(self, reference: str) -> str:
        """A reference of the shop's with the marks of `forget` in the place of their phones."""
        for phone in self._forgotten_phones(reference):
            reference = pattern_of(phone).sub(self._mark(phone), reference)
        return reference

    def _forgotten_phones(self, value: Any) -> Iterator[str]:
        return (phone for phone in _phones(value) if self.client_key(phone) in self._forgotten)

    def _mark(self, phone: str) -> str:
        return HIDDEN + self.check_of("forgotten", with_country(phone))[:4]

    def _client_key(self, phone: str) -> str:
        keyed = self._keyed_hash.copy()
        keyed.update(with_country(phone).encode())
        return keyed.hexdigest()[:32]

    def _value(self, value: Any, form: Form, field: str, told: set[str], *, inside: bool) -> Any:
        """A value as it may be stored; `told` are the words of the customer's names in this record, met so far."""
        if isinstance(value, (dict, list)):
            return self._box(value, form, field, told, inside=inside)
        if value is None or isinstance(value, bool) or self._mode == "keep":
            return value
        if inside or field in PERSONAL_FIELDS:
            if field in NAME_FIELDS:
                told.update(_words(str(value)))
            return self._hide(value, field)
        if field == ADDRESS:
            return _PARAMETER.sub(self._hide_parameter, value) if isinstance(value, str) and "=" in value else value
        if field in FREE_TEXT_FIELDS:
            text = str(value)
            hidden = self._without_customer(text, told)
            return value if hidden == text else hidden
        return value

    def _box(self, value: Any, form: Form, field: str, told: set[str], *, inside: bool) -> Any:
        careful = _careful(form, field, inside)
        if not careful:
            return value
        if form.fields is None:
            return [self._value(item, form_of(item), field, told, inside=inside) for item in value]
        masked = dict(value)
        phone = ""
        for name, inner_form, inner_field, personal in careful:
            inner = value[name]
            masked[name] = self._value(inner, inner_form, inner_field, told, inside=personal)
            if personal and self._mode == "drop" and not isinstance(inner, (dict, list)):
                del masked[name]
            if name in masked and (shown := self._known_name(name, is_text=personal or bool(inner_field))) != name:
                masked[_unused(shown, masked)] = masked.pop(name)
            if inside and not phone and inner_field in PHONE_FIELDS:
                phone = _phone(inner)
        if phone and self._mode != "drop":
            if _MASKED.fullmatch(phone):
                known = value.get("client_key")
                if isinstance(known, str) and _CLIENT_KEY.fullmatch(known):
                    masked["client_key"] = known
            else:
                masked["client_key"] = self.client_key(phone)
        return masked

    def _name(self, name: str, *, is_text: bool) -> str:
        """A name that is a phone tells it as well: hidden, in what is personal or a text as in a text."""
        if self._mode == "keep":
            return name
        if is_text:
            return replace_phones(name, self._hide_phone)
        return replace_phone_references(name, self._hide_phone)

    def _without_customer(self, text: str, told: Collection[str]) -> str:
        """A free text without phones and emails, whoever they belong to, and without the customer's names."""
        text = replace_phones(text, self._hide_phone)
        if "@" in text:
            text = _EMAIL.sub(HIDDEN, text)
        plain = _plain(text)
        if any(word in plain for word in told):  # hardly ever
            text = _WORD.sub(lambda found: HIDDEN if _plain(found[0]) in told else found[0], text)
        return text

    def _hide_parameter(self, found: re.Match[str]) -> str:
        field = field_of(unquote(found[1]))
        is_personal = field in PERSONAL_OBJECTS or field in PERSONAL_FIELDS
        return f"{found[1]}={self._hide(found[2], field)}" if is_personal else found[0]

    def _hide_phone(self, phone: str) -> str:
        return self._hide(phone, "phone")

    def _hide(self, value: Any, field: str) -> str:
        """Six stars and the last two digits of a phone; three stars for all else."""
        if field not in PHONE_FIELDS or self._mode != "mask":
            return HIDDEN
        text = _as_text(value)
        if _MASKED.fullmatch(text):
            return text
        digits = digits_of(text)
        return f"******{digits[-2:]}" if len(digits) >= 4 else HIDDEN


@lru_cache(maxsize=FORMS_REMEMBERED)
def _careful(form: Form, field: str, inside: bool) -> tuple[tuple[str, Form, str, bool], ...]:
    """Which values of an object or a list need care: name, form, the field it stands for, whether it is personal.

    Inside a personal object all of them do, and in a free text as much as in the text around. What a list holds has no
    name, and stands for what the list stands for. Free texts come last: whom they may name is known then.
    """
    if form.fields is None:
        return tuple(("", item, field, inside) for item in form.items if field or inside or _careful(item, "", False))
    around = field if field in FREE_TEXT_FIELDS else ""
    careful = []
    for name, inner in form.fields.items():
        named = "fullname" if inside and name.casefold() == "name" else field_of(name)
        is_personal = named in PERSONAL_OBJECTS or named in PERSONAL_FIELDS
        told = named if is_personal or named in FREE_TEXT_FIELDS or named == ADDRESS else around
        if told or inside or hide_phones(name) != name or _careful(inner, "", False):
            careful.append((name, inner, told, is_personal or inside))
    return tuple(sorted(careful, key=lambda value: (value[2] in FREE_TEXT_FIELDS, not value[3])))


def _plain(text: str) -> str:
    """Without capitals and accents."""
    if not text.isascii():
        text = _FOREIGN.sub(_unless_combining, unicodedata.normalize("NFKD", text))
    return text.casefold()


def _unless_combining(sign: re.Match[str]) -> str:
    return "" if unicodedata.combining(sign[0]) else sign[0]


@lru_cache(maxsize=10_000)
def _words(name: str) -> list[str]:
    return _WORD.findall(_plain(name))


def _phone(value: Any) -> str:
    """A phone as text, masked or not; empty where it is none."""
    if not value or not isinstance(value, (str, int, Decimal)) or isinstance(value, bool):
        return ""
    text = _as_text(value)
    return text if digits_of(text) or _MASKED.fullmatch(text) else ""


def _as_text(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _client_keys(masked: Any) -> Iterator[str]:
    if isinstance(masked, dict):
        for name, value in masked.items():
            if name == "client_key" and isinstance(value, str):
                yield value
            yield from _client_keys(value)
    elif isinstance(masked, list):
        for value in masked:
            yield from _client_keys(value)


def _phones(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for inner_name, inner in value.items():
            yield from phones_in(inner_name)
            yield from _phones(inner, inner_name)
    elif isinstance(value, list):
        for inner in value:
            yield from _phones(inner, name)
    elif isinstance(value, (str, int, Decimal)) and name not in KEPT_FIELDS:
        text = _as_text(value)
        if field_of(name) in PHONE_FIELDS:
            yield text
        yield from phones_in(text)


def _without(value: Any, written: re.Pattern[str], mark: str, field: str = "") -> Any:
    if isinstance(value, dict):
        left: dict[str, Any] = {}
        for name, inner in value.items():
            shown = _unused(written.sub(HIDDEN, name), left)
            left[shown] = inner if name in KEPT_FIELDS else _without(inner, written, mark, name)
        return left
    if isinstance(value, list):
        return [_without(inner, written, mark) for inner in value]
    if isinstance(value, (str, int)) and written.search(text := str(value)):
        return written.sub(mark if field == SHOPS_REFERENCE else HIDDEN, text)
    return value


def _unused(name: str, taken: Collection[str]) -> str:
    """This name, or one after it: no value is lost where names are alike once they are hidden."""
    names = itertools.chain([name], (f"{name} ({number})" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)


def _without_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: HIDDEN if inner is not None and field_of(name) in FREE_TEXT_FIELDS else _without_texts(inner)
            for name, inner in value.items()
        }
    return [_without_texts(inner) for inner in value] if isinstance(value, list) else value


def load_key(setting: SecretStr | None, folder: Path) -> bytes:
    """The key from the settings, else the one in the data folder, made at first use (readable by its owner only).

    Raises:
        WarehouseError: the key file is empty or cannot be read or written.
    """
    if setting:
        return setting.get_secret_value().encode()
    path = folder / "pii.key"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            new = path.with_suffix(".new")
            new.unlink(missing_ok=True)
            new.touch(mode=0o600)
            new.write_text(secrets.token_hex(32))
            new.rename(path)
        key = path.read_text().strip()
    except OSError as error:
        raise WarehouseError(
            f"The key file of the data folder cannot be used: {error.strerror}",
            where=str(path),
            next_step="Give this user the right to read and write the data folder (CASHPAY_DATA_DIR).",
        ) from None
    if not key:
        raise WarehouseError(
            "The key file of the data folder is empty.",
            where=str(path),
            next_step="Restore it from a backup; without it customers cannot be recognised again.",
        )
    return key.encode()
