"""A phone, however it is written: found in a text, compared by its digits, hidden but for its last two."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

_NO_DIGIT = re.compile(r"\D")
_WITH_POINT = re.compile(r"(\d{8,15})\.0+")
_SIGNS = r"\s.()_\u2010-\u2015\-"
"""What may stand between the digits of a phone. A slash may as well, where a date is no danger."""
_APART, _APART_OR_SLASH = rf"[{_SIGNS}]{{0,3}}", rf"[{_SIGNS}/]{{0,3}}"
_MANY_DIGITS = re.compile(rf"\+?\d[\d{_SIGNS}/]{{6,}}\d")
"""Where a text can have phones: most have no such place, and this is told quickly."""
_PHONE_IN_TEXT = re.compile(
    rf"\+\d(?:{_APART}\d){{7,14}}|"
    rf"(?<!\d)(?:00{_APART})?(?:228(?:{_APART}\d){{8}}|2[23]\d(?:{_APART}\d){{8,10}})(?!\d)|"
    rf"(?<!\d)(?:(?:00{_APART})?228{_APART})?(?:\d{{2}}(?:{_APART}\d{{2}}){{3}}|"
    rf"(?<!/)\d{{2}}(?:/\d{{2}}){{3}}(?!/)|(?:2[2-7]|[79]\d)(?:{_APART}\d){{6}})(?!\d)"
)
"""International; of a country whose code begins with 22 or 23, as Togo's and its neighbours'; eight digits in pairs."""
_GROUPS = re.compile(rf"\d+(?:[{_SIGNS}/]{{1,3}}\d+)*")
_PHONE_DIGITS = range(8, 18)
"""Of a phone with its country: fifteen at most, and 00 before them."""
_PHONE_AS_REFERENCE = re.compile(
    r"\+\d[\d\s.\-]{6,18}\d|(?<!\d)(?:(?:00[\s.\-]?)?228[\s.\-]?)?(?:2[2-7]|[79]\d)([\s.\-]?)\d{2}(?:\1\d{2}){2}(?!\d)"
)
"""International, or of Togo (landlines begin with 22 to 27, mobiles with 7 or 9) in pairs of digits."""


@lru_cache(maxsize=16)
def digits_of(text: str) -> str:
    """The digits of a phone, which is looked at several times in a row; one that was a number may end with .0."""
    if with_point := _WITH_POINT.fullmatch(text):
        text = with_point[1]
    digits = _NO_DIGIT.sub("", text)
    return digits if digits.isascii() else "".join(str(int(digit)) for digit in digits)


def phones_in(text: str) -> Iterator[str]:
    """Whatever in a text `pattern_of` could find if it were a phone: groups of digits, one or several in a row."""
    for found in _GROUPS.findall(text):
        groups = _NO_DIGIT.split(found)
        for first in range(len(groups)):
            digits = ""
            for group in groups[first : first + _PHONE_DIGITS.stop]:
                digits += group
                if len(digits) in _PHONE_DIGITS:
                    yield digits


def with_country(phone: str) -> str:
    """The digits of a phone with those of its country: of eight alone, Togo's."""
    digits = digits_of(phone)
    if len(digits) > 8:
        digits = digits.removeprefix("00")
    return f"228{digits}" if len(digits) == 8 else digits


def local_digits(phone: str) -> str:
    """The digits that a phone has wherever it is written: of Togo's, those after the country."""
    digits = with_country(phone)
    return digits[3:] if digits.startswith("228") and len(digits) == 11 else digits


def pattern_of(phone: str) -> re.Pattern[str]:
    """A phone however it is written: with its country or without, in groups or in one."""
    digits = local_digits(phone)
    number = _APART_OR_SLASH.join(digits)
    country = rf"(?:228{_APART_OR_SLASH})?" if digits != with_country(phone) else ""
    return re.compile(rf"(?<!\d)(?:(?:\+|00){_APART_OR_SLASH})?{country}{number}(?!\d)")


def replace_phones(text: str, by: Callable[[str], str]) -> str:
    """A free text with something else in the place of each phone."""
    return _MANY_DIGITS.sub(lambda digits: _PHONE_IN_TEXT.sub(lambda found: by(found[0]), digits[0]), text)


def replace_phone_references(text: str, by: Callable[[str], str]) -> str:
    """A reference or a name with something else in the place of a phone.

    Narrower than for free text, so that CMD-2026-0042 stays what it is.
    """
    return _PHONE_AS_REFERENCE.sub(lambda found: by(found[0]), text)


def hide_phones(text: str) -> str:
    """A reference as a screen or a log may show it: where it is a phone, its last two digits."""
    return replace_phone_references(text, lambda phone: f"******{digits_of(phone)[-2:]}")
