"""Differences of bills whose money went back, wholly or in part, and of bills of negative sign."""

from rows import at, bill

from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.warehouse import Warehouse

MART = next(mart for mart in all_marts() if mart.name == "payment_differences")


def differences(warehouse: Warehouse) -> list[tuple[object, ...]]:
    build_mart(warehouse, MART)
    return warehouse.connection.execute(
        "select order_reference, kind, difference_amount from marts.payment_differences order by all"
    ).fetchall()


def test_an_excess_that_was_given_back_is_not_too_much(warehouse: Warehouse) -> None:
    """CashPay goes on calling it Excess: what lacks now must not be taken off what others have paid too much."""
    bill(warehouse, "too-much", "Excess", 1500)
    bill(warehouse, "all-back", "Excess", 0)
    bill(warehouse, "part-back", "Excess", 400)
    bill(warehouse, "surplus-back", "Excess", 1000)
    bill(warehouse, "not-told", "Excess", None)
    assert differences(warehouse) == [
        ("all-back", "short", -1000),
        ("not-told", "excess", None),
        ("part-back", "short", -600),
        ("surplus-back", "excess", 0),
        ("too-much", "excess", 500),
    ]


def test_amounts_of_negative_sign_are_no_difference(warehouse: Warehouse) -> None:
    bill(warehouse, "a", "Paid", 0, amount=-500)
    bill(warehouse, "b", "Paid", -300, amount=-500)
    bill(warehouse, "c", "Paid", -500, amount=-500)
    bill(warehouse, "d", "Paid", 200, amount=-500)
    bill(warehouse, "free", "Paid", 0, amount=0, merchant_reference="A", paid_before=at(1))
    bill(warehouse, "free-too", "Paid", -70, amount=0, merchant_reference="A", paid_before=at(2))
    assert differences(warehouse) == [("d", "excess", 200), ("free-too", "paid_twice_order", 0)]
