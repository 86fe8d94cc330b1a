"""One colour a gateway: kept from report to report, told apart by colour-blind readers, strong enough on white.

A test measures them: 3:1 on white, and a distance between any two that lasts under each kind of colour blindness.
"""

from collections.abc import Iterable, Mapping
from typing import Any

PALETTE = ("#036fd2", "#b24309", "#00a95f", "#791d58", "#133d9a", "#b182b9", "#33330c")
OTHER = "#696969"
"""For all gateways beyond the palette, and for money of which CashPay has not told the gateway."""


def gateway_colours(rows: Iterable[Mapping[str, Any]], shown: Iterable[str]) -> dict[str, str]:
    """The colour of each gateway in `shown`, at most as many as the palette has.

    Args:
        rows: all rows of `marts.daily_collections`: a gateway's place is by the first day on which it brought money,
            so that a new gateway takes no other's colour.
        shown: references of the gateways that need a colour of their own.
    """
    first: dict[str, Any] = {}
    for row in rows:
        reference = row["gateway_reference"]
        if reference is not None:
            first[reference] = min(first.get(reference, row["received_date"]), row["received_date"])
    places = {reference: place for place, reference in enumerate(sorted(first, key=lambda r: (first[r], r)))}
    taken: dict[str, str] = {}
    free = list(PALETTE)
    for reference in sorted(shown, key=lambda r: places.get(r, len(places))):
        colour = PALETTE[places.get(reference, 0) % len(PALETTE)]
        taken[reference] = colour if colour in free else free[0]
        free.remove(taken[reference])
    return taken
