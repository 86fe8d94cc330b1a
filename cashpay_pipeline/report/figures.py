"""What the report says, worked out from what the published copy has. No I/O, no clock; currencies never meet."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from cashpay_pipeline.report import PERIOD_DAYS
from cashpay_pipeline.report.colours import OTHER, PALETTE, Gateway, gateway_colours, gateway_of
from cashpay_pipeline.report.formats import plain

LONGEST_NAME = 60
AGE_CLASSES = ("0-1", "1-7", "8-30", "31-90", "90+")
"""As in marts.unpaid_aging, youngest first."""


@dataclass(frozen=True)
class Bar:
    """One coloured piece of a day's bar; `place` is its height in the stack, the largest gateway at the bottom."""

    day: date
    label: str
    colour: str
    place: int
    amount: int


@dataclass(frozen=True)
class GatewayDay:
    """What came in through a gateway on a day, and on the same weekday before."""

    label: str
    amount: int
    before: int

    @property
    def difference(self) -> int:
        """More, or less, than on the weekday before."""
        return self.amount - self.before


@dataclass(frozen=True)
class Month:
    """What came in during a month, or the part of it that is over, and what was withdrawn again meanwhile."""

    first: date
    last: date
    received: int
    withdrawn: int
    uncertain: int

    @property
    def is_over(self) -> bool:
        """Whether the last day is the month's own."""
        return (self.last + timedelta(days=1)).day == 1

    @property
    def net(self) -> int:
        """What is left."""
        return self.received - self.withdrawn


@dataclass(frozen=True)
class GatewayMonths:
    """What came in through a gateway in each of the months."""

    label: str
    amounts: list[int]


@dataclass(frozen=True)
class GatewayTotal:
    """What came in through a gateway over the period, and how often: for a bill, once each day."""

    label: str
    amount: int
    receipt_count: int


@dataclass(frozen=True)
class Collections:
    """One currency's money: the last whole day, the month up to it, the month before, and the period before its end."""

    currency: str
    day: GatewayDay
    gateways_of_day: list[GatewayDay]
    uncertain_of_day: int
    withdrawn_of_day: int
    months: list[Month]
    gateways_of_months: list[GatewayMonths]
    total: int
    uncertain_total: int
    withdrawn_total: int
    gateways: list[GatewayTotal]
    bars: list[Bar]
    labels: list[str]
    days: list[tuple[date, list[int]]]


def currencies(*tables: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every currency that the tables have."""
    return sorted({row["currency"] for table in tables for row in table})


def collections(
    rows: Sequence[Mapping[str, Any]], currency: str, last: date, *, other: str, unknown: str
) -> Collections:
    """One currency's money.

    Args:
        rows: all rows of `marts.daily_collections` of the account.
        currency: the currency.
        last: the last whole day.
        other: what to call the gateways that the chart has no colour left for.
        unknown: what to call a gateway that CashPay has not told.
    """
    first, before = last - timedelta(days=PERIOD_DAYS - 1), last - timedelta(days=7)
    mine = [row for row in rows if row["currency"] == currency]
    period = [row for row in mine if first <= row["received_date"] <= last]
    names = _labels(mine, unknown)
    on_day = [row for row in mine if row["received_date"] == last]
    on_day_before = [row for row in mine if row["received_date"] == before]
    gateways_of_day = sorted(
        (
            GatewayDay(
                label,
                _sum(row for row in on_day if names[gateway_of(row)] == label),
                _sum(row for row in on_day_before if names[gateway_of(row)] == label),
            )
            for label in {names[gateway_of(row)] for row in (*on_day, *on_day_before)}
        ),
        key=lambda row: (-row.amount, -row.before, row.label),
    )
    month_start = last.replace(day=1)
    month_before = month_start - timedelta(days=1)
    months = [(month_start, last), (month_before.replace(day=1), month_before)]
    in_months = [[row for row in mine if begin <= row["received_date"] <= end] for begin, end in months]
    totals = [
        GatewayTotal(label, _sum(found), _sum(found, "bill_count"))
        for label in _labels_by_amount(period, names)
        for found in [[row for row in period if names[gateway_of(row)] == label]]
    ]
    bars = collection_bars(rows, currency, first, last, other, unknown)
    labels = list(dict.fromkeys(bar.label for bar in sorted(bars, key=lambda bar: bar.place)))
    by_day = {(bar.day, bar.label): bar.amount for bar in bars}
    days = [last - timedelta(days=back) for back in range(PERIOD_DAYS)]
    return Collections(
        currency=currency,
        day=GatewayDay("", _sum(on_day), _sum(on_day_before)),
        gateways_of_day=gateways_of_day,
        uncertain_of_day=_sum(on_day, "uncertain_amount"),
        withdrawn_of_day=_sum(on_day, "withdrawn_amount"),
        months=[
            Month(begin, end, _sum(rows), _sum(rows, "withdrawn_amount"), _sum(rows, "uncertain_amount"))
            for (begin, end), rows in zip(months, in_months, strict=True)
        ],
        gateways_of_months=[
            GatewayMonths(label, [_sum(row for row in rows if names[gateway_of(row)] == label) for rows in in_months])
            for label in _labels_by_amount([row for rows in in_months for row in rows], names)
        ],
        total=_sum(period),
        uncertain_total=_sum(period, "uncertain_amount"),
        withdrawn_total=_sum(period, "withdrawn_amount"),
        gateways=totals,
        bars=bars,
        labels=labels,
        days=[(day, [by_day.get((day, label), 0) for label in labels]) for day in days],
    )


def collection_bars(
    rows: Sequence[Mapping[str, Any]], currency: str, first: date, last: date, other: str, unknown: str
) -> list[Bar]:
    """The pieces of the chart of daily collections: a gateway each, the smallest together if there are many."""
    mine = [row for row in rows if row["currency"] == currency]
    period = [row for row in mine if first <= row["received_date"] <= last and row["received_amount"] > 0]
    names = _labels(mine, unknown)
    amounts = {gateway: _sum(row for row in period if gateway_of(row) == gateway) for gateway in names}
    largest = sorted((g for g in amounts if g is not None and amounts[g]), key=lambda g: (-amounts[g], g))
    colours = gateway_colours(rows, largest[: len(PALETTE)])
    places = {gateway: place for place, gateway in enumerate(largest)}
    pieces: dict[tuple[date, str], Bar] = {}
    for row in period:
        gateway = gateway_of(row)
        label, colour, place = unknown, OTHER, len(places) + 1
        if gateway in colours:
            label, colour, place = names[gateway], colours[gateway], places[gateway]
        elif gateway is not None:
            label, place = other, len(places)
        known = pieces.get((row["received_date"], label))
        amount = row["received_amount"] + (known.amount if known else 0)
        pieces[row["received_date"], label] = Bar(row["received_date"], label, colour, place, amount)
    return sorted(pieces.values(), key=lambda bar: (bar.day, bar.place))


def age_classes(rows: Sequence[Mapping[str, Any]], currency: str, label: Callable[[str], str]) -> list[dict[str, Any]]:
    """A row each age class, also the empty ones between; none at all when nothing is unpaid."""
    found = {row["age_class"]: row for row in rows if row["currency"] == currency}
    nothing = {"bill_count": 0, "open_amount": 0, "still_owed_amount": 0}
    return [{**nothing, **found.get(name, {}), "label": label(f"age_{name}")} for name in AGE_CLASSES if found]


def _labels(rows: Sequence[Mapping[str, Any]], unknown: str) -> dict[Gateway | None, str]:
    """A name for each gateway; two of the same name are told apart by the end of their references."""
    names: dict[Gateway | None, str] = {}
    for row in sorted(rows, key=lambda row: row["received_date"]):
        name = plain(row["gateway_name"] or row["gateway_reference"] or unknown)
        names[gateway_of(row)] = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    shared = list(names.values())
    return {
        gateway: f"{name} ({plain(gateway[0])[-4:]})" if gateway and gateway[0] and shared.count(name) > 1 else name
        for gateway, name in names.items()
    }


def _labels_by_amount(rows: Sequence[Mapping[str, Any]], names: Mapping[Gateway | None, str]) -> list[str]:
    labels = {names[gateway_of(row)] for row in rows}
    return sorted(labels, key=lambda label: (-_sum(r for r in rows if names[gateway_of(r)] == label), label))


def _sum(rows: Iterable[Mapping[str, Any]], column: str = "received_amount") -> int:
    return sum(row[column] for row in rows)
