"""The money that the Dagster interface plots is that of marts.bill_states."""

from pathlib import Path

from rows import bill

from cashpay_pipeline.defs.assets import _money
from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse import open_warehouse


def test_amounts_of_negative_sign_are_in_no_sum_of_the_interface(tmp_path: Path) -> None:
    with open_warehouse(load_settings(data_dir=tmp_path)) as warehouse:
        bill(warehouse, "paid", "Paid", 1000)
        bill(warehouse, "refund", "Paid", -400, amount=-400)
        build_mart(warehouse, next(mart for mart in all_marts() if mart.name == "bill_states"))
        ((received,),) = warehouse.connection.execute("select received_amount from marts.bill_states").fetchall()
        assert _money(warehouse, "main")["received_xof"] == received == 1000
