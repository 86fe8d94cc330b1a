"""One colour a gateway: kept from report to report, told apart by colour-blind readers, strong enough on white.

A test measures them: 3:1 on white, and a distance between any two that lasts under each kind of colour blindness.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Gateway = tuple[str, str]
"""What tells a gateway from all others: its reference, or its name where CashPay gives it no reference."""

PALETTE = ("#036fd2", "#b24309", "#00a95f", "#791d58", "#133d9a", "#b182b9", "#33330c")
OTHER = "#696969"
"""For all gateways beyond the palette, and for money of which CashPay has not told the gateway."""


def gateway_of(row: Mapping[str, Any]) -> Gateway | None:
    """The gateway of a row of `marts.daily_collections`; none when CashPay has told neither reference nor name."""
    if row["gateway_reference"]:
        return row["gateway_reference"], ""
    return ("", row["gateway_name"]) if row["gateway_name"] else None


def gateway_colours(rows: Iterable[Mapping[str, Any]], shown: Iterable[Gateway]) -> dict[Gateway, str]:
    """The colour of each gateway in `shown`, at most as many as the palette has.

    Args:
        rows: all rows of `marts.daily_collections`: a gateway's place is by the first day on which it brought money,
            so that a new gateway takes no other's colour.
        shown: the gateways that need a colour of their own.
    """
    first: dict[Gateway, Any] = {}
    for row in rows:
        gateway = gateway_of(row)
        if gateway is not None:
            first[gateway] = min(first.get(gateway, row["received_date"]), row["received_date"])
    places = {gateway: place for place, gateway in enumerate(sorted(first, key=lambda g: (first[g], g)))}
    taken: dict[Gateway, str] = {}
    free = list(PALETTE)
    for gateway in sorted(shown, key=lambda g: places.get(g, len(places))):
        colour = PALETTE[places.get(gateway, 0) % len(PALETTE)]
        taken[gateway] = colour if colour in free else free[0]
        free.remove(taken[gateway])
    return taken
