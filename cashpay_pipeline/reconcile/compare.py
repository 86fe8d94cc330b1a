"""The comparison itself: the SQL in `sql/reconciliation`. When it would say nothing, and why a finding can be false."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cashpay_pipeline.clock import BUSINESS_TIMEZONE
from cashpay_pipeline.errors import OrdersError
from cashpay_pipeline.normalize import TEXT, frame
from cashpay_pipeline.phones import hide_phones
from cashpay_pipeline.reconcile.mapping import Mapping
from cashpay_pipeline.reconcile.orders import Orders, run_sql
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.terminal import many
from cashpay_pipeline.warehouse import Warehouse
from cashpay_pipeline.warehouse.store import forgotten_clients, masker_of


def compare(warehouse: Warehouse, orders: Orders, mapping: Mapping, settings: Settings, limits: dict[str, Any]) -> None:
    """Fill the temporary table `compared`: every group of orders and bills, with its class."""
    run_sql(warehouse, "macros")
    warehouse.execute("create or replace temp table shop_orders as from read_parquet(?)", [str(orders.path)])
    _leave_out_forgotten(warehouse, settings, orders.source)
    run_sql(warehouse, "bills", account=settings.account, key_column=mapping.key, is_loose=mapping.loose)
    if mapping.loose:
        _refuse_lookalikes(warehouse, orders.source)
    run_sql(warehouse, "compared", is_loose=mapping.loose, **limits)


def _leave_out_forgotten(warehouse: Warehouse, settings: Settings, source: str) -> None:
    """A phone as a reference stays forgotten (S12): the order gets the mark that its bills have."""
    if not forgotten_clients(warehouse):
        return
    masker = masker_of(warehouse, settings)
    references = [row["reference"] for row in warehouse.rows("select distinct reference from shop_orders")]
    cleaned = [(old, new) for old in references if (new := masker.without_forgotten(old)) != old]
    if len({new for _, new in cleaned}) < len(cleaned):
        raise OrdersError(
            "Two orders have the same phone, of a customer who asked to be forgotten, as their reference.",
            where=source,
            next_step="Give them references without the phone.",
        )
    warehouse.execute(
        "update shop_orders as stored set reference = cleaned.new from cleaned where stored.reference = cleaned.old",
        cleaned=frame(cleaned, {"old": TEXT, "new": TEXT}),
    )


def _refuse_lookalikes(warehouse: Warehouse, source: str) -> None:
    """Loosely read, two references can become one: then they are no references any more."""
    for table in ("shop_orders", "counted_bills"):
        for row in warehouse.rows(
            "select min(reference) as one, max(reference) as other "  # noqa: S608 - one of two names
            f"from {table} where reference is not null "
            "group by reference_key(reference, true) having min(reference) != max(reference) order by one limit 1"
        ):
            raise OrdersError(
                f"Read loosely, “{hide_phones(row['one'])}” and “{hide_phones(row['other'])}” are the same reference.",
                where=source if table == "shop_orders" else "core.bills",
                next_step="Run without --loose, or correct the references in the export.",
            )


def refuse_strange_account(warehouse: Warehouse, account: str) -> None:
    """An account without bills beside others that have some is a slip; alone, it is a shop that has just begun.

    Raises:
        OrdersError: there are bills, but of other accounts.
    """
    accounts = [row["account"] for row in warehouse.rows("select distinct account from core.bills order by account")]
    if accounts and account not in accounts:
        raise OrdersError(
            f"Account {account} has no bills to compare with.",
            where="core.bills",
            next_step=f"It has those of {', '.join(accounts)}: correct CASHPAY_ACCOUNT, or run `cashpay sync`.",
        )


def left_out(warehouse: Warehouse, orders: Orders, limits: dict[str, Any]) -> Iterator[str]:
    """How many orders the days that were said leave out, as a sentence.

    Raises:
        OrdersError: all of them; then no difference would mean nothing.
    """
    (outside,) = warehouse.rows(
        "select count(*) as many from shop_orders where ordered_at < $first_at or ordered_at >= $end_at",
        {"first_at": limits["first_at"], "end_at": limits["end_at"]},
    )
    if outside["many"] == orders.count:
        raise OrdersError(
            f"Of {many(orders.count, 'order')} none is of these days.",
            where=orders.source,
            next_step="Correct --from and --to, or export the orders of these days.",
        )
    if outside["many"]:
        yield (
            f"{outside['many']:,} of {many(orders.count, 'order')} {'lies' if outside['many'] == 1 else 'lie'} outside "
            "these days: left out, with all of their bills."
        )


def doubts(warehouse: Warehouse, account: str, mapping: Mapping) -> Iterator[str]:
    """Each reason why findings can be false, as a sentence."""
    if not mapping.loose:
        (near,) = warehouse.rows(
            "select count(*) as many from compared as orders semi join compared as bills "
            "on reference_key(orders.reference, true) = reference_key(bills.reference, true) "
            "and bills.class = 'bill_without_order' where orders.class = 'order_without_bill'"
        )
        if near["many"]:
            yield (
                f"{many(near['many'], 'order')} without a bill would find one if capitals, blanks, #, leading zeros "
                "and a final .0 of references did not count: see --loose."
            )
    (aside,) = warehouse.rows(
        "select count(*) as many from core.data_issues "
        "where account = ? and resolved_at is null and source != 'gateways'",
        [account],
    )
    if aside["many"]:
        yield (
            f"Set aside: {many(aside['many'], 'record')} of CashPay (core.data_issues); an order without a bill can "
            "have its bill among them, and a known bill its latest change."
        )
    (read,) = warehouse.rows(
        "select arg_max(started_at, rowid) as at from core.syncs "  # the last one stored: a clock may have been wrong
        "where account = ? and complete and kind != 'recheck'",
        [account],
    )
    if read["at"] is None:
        yield "The bill list has never been read completely: orders can lack a bill for that reason alone."
        return
    (late,) = warehouse.rows(
        "select count(*) as many from compared semi join shop_orders "
        "on compared.order_line = shop_orders.line and shop_orders.ordered_before > ? "
        "where class = 'order_without_bill'",
        [read["at"]],
    )
    if late["many"]:
        yield (
            f"{many(late['many'], 'order')} without a bill can be newer than the last complete reading of CashPay "
            f"({local_time(read['at'])}): run `cashpay sync`, then this again."
        )


def local_time(moment: datetime) -> str:
    """A moment as a clock in Lome shows it."""
    return f"{moment.astimezone(ZoneInfo(BUSINESS_TIMEZONE)):%Y-%m-%d %H:%M:%S}"
