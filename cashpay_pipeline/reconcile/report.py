"""What the screen says of a reconciliation."""

from collections.abc import Iterator
from dataclasses import astuple

from cashpay_pipeline.reconcile.store import CLASSES, Reconciliation

COLUMNS = ("class", "currency", "references", "bills", "ordered", "billed", "received", "difference")


def result_table(found: Reconciliation) -> list[tuple[str, ...]]:
    """A line for each class and currency, amounts as people write them."""
    return [
        (
            CLASSES[total.name],
            total.currency,
            *(f"{number:,}" for number in astuple(total)[2:]),
        )
        for total in found.totals
    ]


def result_lines(found: Reconciliation) -> Iterator[str]:
    """What was assumed, and where everything is."""
    yield "Assumed:"
    for assumption in found.assumed:
        yield f"  - {assumption}"
    yield "Amounts are whole numbers of the currency's smallest unit (francs for XOF)."
    yield "Received is what came in; difference is received less what the shop takes for paid."
    if found.details:
        yield f"Details: {found.details}"
    yield f"In the database: marts.reconciliation, run_id {found.run_id}"
