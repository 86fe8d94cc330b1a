"""What the report says, worked out from what the published copy has. No I/O, no clock; currencies never meet."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from cashpay_pipeline.report import PERIOD_DAYS
from cashpay_pipeline.report.colours import OTHER, PALETTE, gateway_colours
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
class GatewayTotal:
    """What came in through a gateway over the period."""

    label: str
    amount: int
    bill_count: int


@dataclass(frozen=True)
class Collections:
    """One currency's money: the last whole day, and the period before its end."""

    currency: str
    day: GatewayDay
    gateways_of_day: list[GatewayDay]
    uncertain_of_day: int
    withdrawn_of_day: int
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
                _sum(row for row in on_day if names[row["gateway_reference"]] == label),
                _sum(row for row in on_day_before if names[row["gateway_reference"]] == label),
            )
            for label in {names[row["gateway_reference"]] for row in (*on_day, *on_day_before)}
        ),
        key=lambda row: (-row.amount, -row.before, row.label),
    )
    totals = [
        GatewayTotal(label, _sum(found), _sum(found, "bill_count"))
        for label in _labels_by_amount(period, names)
        for found in [[row for row in period if names[row["gateway_reference"]] == label]]
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
    references = [row["gateway_reference"] for row in mine]
    amounts = {reference: _sum(r for r in period if r["gateway_reference"] == reference) for reference in references}
    largest = sorted((r for r in amounts if r is not None and amounts[r]), key=lambda r: (-amounts[r], r))
    colours = gateway_colours(rows, largest[: len(PALETTE)])
    places = {reference: place for place, reference in enumerate(largest)}
    pieces: dict[tuple[date, str], Bar] = {}
    for row in period:
        reference = row["gateway_reference"]
        rest = unknown if reference is None else other
        label = names[reference] if reference in colours else rest
        place = places[reference] if reference in colours else len(places) + (reference is None)
        known = pieces.get((row["received_date"], label))
        amount = row["received_amount"] + (known.amount if known else 0)
        pieces[row["received_date"], label] = Bar(
            row["received_date"], label, colours.get(reference, OTHER), place, amount
        )
    return sorted(pieces.values(), key=lambda bar: (bar.day, bar.place))


def age_classes(rows: Sequence[Mapping[str, Any]], currency: str, label: Callable[[str], str]) -> list[dict[str, Any]]:
    """A row each age class, also the empty ones between; none at all when nothing is unpaid."""
    found = {row["age_class"]: row for row in rows if row["currency"] == currency}
    nothing = {"bill_count": 0, "open_amount": 0, "still_owed_count": 0, "still_owed_amount": 0}
    return [{**nothing, **found.get(name, {}), "label": label(f"age_{name}")} for name in AGE_CLASSES if found]


def _labels(rows: Sequence[Mapping[str, Any]], unknown: str) -> dict[str | None, str]:
    """A name for each gateway; two of the same name are told apart by the end of their references."""
    names: dict[str | None, str] = {}
    for row in sorted(rows, key=lambda row: row["received_date"]):
        reference = row["gateway_reference"]
        name = plain(row["gateway_name"] or reference or unknown)
        names[reference] = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    shared = list(names.values())
    return {
        reference: f"{name} ({plain(reference)[-4:]})" if reference and shared.count(name) > 1 else name
        for reference, name in names.items()
    }


def _labels_by_amount(rows: Sequence[Mapping[str, Any]], names: Mapping[str | None, str]) -> list[str]:
    labels = {names[row["gateway_reference"]] for row in rows}
    return sorted(labels, key=lambda label: (-_sum(r for r in rows if names[r["gateway_reference"]] == label), label))


def _sum(rows: Iterable[Mapping[str, Any]], column: str = "received_amount") -> int:
    return sum(row[column] for row in rows)
