"""Numbers, money, days and moments, as each language writes them. Money stays whole numbers up to here."""

from datetime import UTC, date, datetime
from typing import Any

from cashpay_pipeline.report.texts import MONTHS, SHORT_MONTHS, WEEKDAYS, Language
from cashpay_pipeline.terminal import printable
from cashpay_pipeline.values import CURRENCY_DECIMALS

NARROW_SPACE = "\u202f"
"""Between French groups of digits; it does not break."""
MINUS = "−"
THOUSANDS: dict[Language, str] = {"en": ",", "fr": NARROW_SPACE}
DECIMAL: dict[Language, str] = {"en": ".", "fr": ","}


def decimals(currency: str) -> int:
    """Digits behind the point of a currency: none for francs."""
    return CURRENCY_DECIMALS.get(currency, 0)


def plain(text: object) -> str:
    """A text from outside on one line, without characters that hide, steer or break a page (X3)."""
    return " ".join(printable(text).split())


class Formats:
    """How one language writes figures."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def count(self, value: int) -> str:
        """1,234 or 1 234."""
        digits = f"{abs(value):,}".replace(",", THOUSANDS[self.language])
        return f"{MINUS}{digits}" if value < 0 else digits

    def number(self, amount: int, currency: str) -> str:
        """An amount without its currency, from the smallest unit: exact, no floats."""
        places = decimals(currency)
        whole, rest = divmod(abs(amount), 10**places)
        text = self.count(whole) + (f"{DECIMAL[self.language]}{rest:0{places}d}" if places else "")
        return f"{MINUS}{text}" if amount < 0 else text

    def money(self, amount: int, currency: str) -> str:
        """An amount with its currency; the two never part at a line's end."""
        return f"{self.number(amount, currency)}\u00a0{currency}"

    def signed(self, amount: int, currency: str) -> str:
        """A difference: its sign is always there, but for zero."""
        return f"+{self.number(amount, currency)}" if amount > 0 else self.number(amount, currency)

    def percent(self, part: int, whole: int, *, sign: bool = False) -> str:
        """12.3% or 12,3 %; nothing of nothing is a dash."""
        if not whole:
            return "–"
        tenths = (abs(part) * 2000 + abs(whole)) // (2 * abs(whole))
        text = f"{self.count(tenths // 10)}{DECIMAL[self.language]}{tenths % 10}"
        mark = MINUS if part < 0 < tenths else "+" if sign and tenths else ""
        return f"{mark}{text}" + (f"{NARROW_SPACE}%" if self.language == "fr" else "%")

    def day(self, day: date) -> str:
        """Monday 2 March 2026."""
        return f"{WEEKDAYS[self.language][day.weekday()]} {self._number(day)} {self.month(day)}"

    def short_day(self, day: date) -> str:
        """2 Mar 2026."""
        return f"{self.day_and_month(day)}\u00a0{day.year}"

    def day_and_month(self, day: date) -> str:
        """2 Mar, where the year is plain."""
        return f"{self._number(day)}\u00a0{SHORT_MONTHS[self.language][day.month - 1]}"

    def _number(self, day: date) -> str:
        return "1er" if self.language == "fr" and day.day == 1 else str(day.day)

    def month(self, day: date) -> str:
        """March 2026."""
        return f"{MONTHS[self.language][day.month - 1]} {day.year}"

    def moment(self, moment: datetime) -> str:
        """2 Mar 2026, 02:15 UTC: Lome keeps UTC all year, and readers elsewhere need the zone."""
        utc = moment.astimezone(UTC)
        return f"{self.short_day(utc.date())}, {utc:%H:%M}\u00a0UTC"

    def number_locale(self) -> dict[str, Any]:
        """The same separators for the charts (d3-format)."""
        return {
            "decimal": DECIMAL[self.language],
            "thousands": THOUSANDS[self.language],
            "grouping": [3],
            "currency": ["", ""],
            "percent": f"{NARROW_SPACE}%" if self.language == "fr" else "%",
        }

    def time_locale(self) -> dict[str, Any]:
        """The same months and weekdays for the charts (d3-time-format)."""
        weekdays = [WEEKDAYS[self.language][-1], *WEEKDAYS[self.language][:-1]]
        return {
            "dateTime": "%d/%m/%Y %H:%M",
            "date": "%d/%m/%Y",
            "time": "%H:%M",
            "periods": ["AM", "PM"],
            "days": weekdays,
            "shortDays": [day[:3] for day in weekdays],
            "months": MONTHS[self.language],
            "shortMonths": SHORT_MONTHS[self.language],
        }
