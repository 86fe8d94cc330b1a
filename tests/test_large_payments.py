"""Payments larger than life, which CashPay lists beside a sum that is sound: one damaged bill stops no table."""

from datetime import date

import pytest
from rows import FLOOZ, MIXX, at, bill, payments

from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.warehouse import Warehouse


@pytest.mark.parametrize("made", [(9 * 10**18, 9 * 10**18), (9 * 10**18, -(9 * 10**18)), (-(9 * 10**18), 1)], ids=str)
def test_payments_that_no_column_can_add_up_explain_nothing(warehouse: Warehouse, made: tuple[int, int]) -> None:
    bill(warehouse, "damaged", "Paid", 1000, payment_count=2, changed_at=at(1))
    payments(warehouse, "damaged", *zip((FLOOZ, MIXX), made, strict=True))
    for mart in all_marts():
        build_mart(warehouse, mart)
    assert warehouse.connection.execute(
        "select received_date, gateway_reference, received_amount from marts.daily_collections"
    ).fetchall() == [(date(2026, 3, 1), FLOOZ, 1000)]
