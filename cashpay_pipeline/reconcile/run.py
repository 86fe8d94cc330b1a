"""Compare, store, export, publish.

A group is everything that carries one reference: at most one order of the shop, any number of bills (customers try
again), or a single bill without a reference. Each group has exactly one class, the first that fits:

    bill_without_order    the shop has no such order
    order_without_bill    CashPay has no such bill
    paid_twice            two or more bills are Paid or Excess and more came in than the order asks for; or one bill
                          has two or more payments that make at least twice its amount
    paid_at_cashpay_only  money came in, also in part, and the shop does not take the order for paid
    paid_in_shop_only     the shop takes the order for paid, and no money came in, where order or bill asks for any
    amount_differs        both say paid, and what came in is not the order's amount; or both say not paid, and the
                          newest bill asks for another amount than the order
    matched               all else: both say the same, to the franc

"Came in" is the received amount of the bill, in whatever state it is; never what was billed. Where CashPay has not told
it, a Paid bill stands for its amount, and a Partial or Excess bill for an amount that surely differs.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cashpay_pipeline.atomic import workshop
from cashpay_pipeline.clock import BUSINESS_TIMEZONE
from cashpay_pipeline.errors import OrdersError, WarehouseError
from cashpay_pipeline.reconcile.compare import compare, doubts, left_out, local_time, refuse_strange_account
from cashpay_pipeline.reconcile.mapping import Mapping
from cashpay_pipeline.reconcile.orders import Orders, read_orders
from cashpay_pipeline.reconcile.store import Reconciliation, details_file, refuse_other_details, store
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.warehouse import open_warehouse, publish


def details_path(settings: Settings) -> Path:
    """Where the details of a run that begins now go, if nobody says otherwise."""
    return settings.data_folder / "exports" / f"reconciliation-{datetime.now(UTC):%Y%m%d-%H%M%S}.csv"


def reconcile(
    settings: Settings,
    address: str,
    mapping: Mapping,
    *,
    first_day: date | None = None,
    last_day: date | None = None,
    details: Path | None = None,
    owner: str = "cashpay reconcile",
) -> Reconciliation:
    """Compare an export of the shop's orders with the bills, store what is found, and publish it.

    Args:
        settings: whose bills.
        address: a file, or `postgres:...`.
        mapping: what its columns mean.
        first_day: orders before this day (Africa/Lome) do not count.
        last_day: nor those after this one.
        details: write every group into this CSV file.
        owner: who holds the lock meanwhile.

    Raises:
        OrdersError: the export cannot be read, or in two ways, or there is nothing to compare in these days or in this
            account; nothing has been changed.
        SettingsError: there is no such file, what was said does not fit one, or `details` is another file than one of
            details.
        WarehouseError: the data folder or the working file cannot be written.
    """
    if not settings.warehouse_path.exists():
        raise OrdersError("There are no bills to compare with yet.", next_step="Run `cashpay sync` first.")
    if details:
        refuse_other_details(details)
    with (
        _workshop(settings) as folder,
        read_orders(address, mapping, folder) as orders,
        open_warehouse(settings, owner=owner) as warehouse,
        details_file(details) as made,
    ):
        limits, assumed = _limits(orders, first_day, last_day)
        assumed = [*orders.assumed, *assumed]
        refuse_strange_account(warehouse, settings.account)
        compare(warehouse, orders, mapping, settings, limits)
        assumed += left_out(warehouse, orders, limits)
        assumed += doubts(warehouse, settings.account, mapping)
        result = store(warehouse, settings.account, orders, limits, assumed, made, details)
    publish(settings, owner=owner)
    return result


@contextmanager
def _workshop(settings: Settings) -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(workshop(settings.data_folder))
        except OSError as error:
            raise WarehouseError(
                f"The data folder cannot be written: {error.strerror}.",
                where=str(settings.data_folder),
                next_step="Give this user the right to write there, or set CASHPAY_DATA_DIR to another folder.",
            ) from None
        yield folder


def _limits(orders: Orders, first_day: date | None, last_day: date | None) -> tuple[dict[str, Any], list[str]]:
    """From when to when orders count, and bills without an order."""
    start = _midnight(first_day) if first_day else None
    end = _midnight(last_day + timedelta(days=1)) if last_day else None
    limits: dict[str, Any] = {"first_at": start, "end_at": end}
    limits |= {"period_start": start or orders.first_at, "period_end": end or orders.end_at}
    if limits["period_start"] is None and limits["period_end"] is None:
        return limits, ["No dates: every bill without an order in the file counts, however old."]
    ends = [
        f"{word} {local_time(limit)} ({'as was said' if is_said else found})"
        for word, limit, is_said, found in (
            ("from", limits["period_start"], start, "the oldest order"),
            ("to before", limits["period_end"], end, "just after the newest order"),
        )
        if limit
    ]
    return limits, [f"Bills without an order count if created {' '.join(ends)}."]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(BUSINESS_TIMEZONE)).astimezone(UTC)
