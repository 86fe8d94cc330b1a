"""What was known of a bill at each moment: once a moment, also where two contents were read in one."""

from pathlib import Path

from rows import ask, at, history

from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse import open_warehouse, publish


def test_a_moment_is_told_once(tmp_path: Path) -> None:
    """P12: the bill came twice in one page, and the payment between the two."""
    settings = load_settings(data_dir=tmp_path)
    with open_warehouse(settings) as warehouse:
        history(warehouse, "twice", ("Pending", 0, at(2), None), ("Partial", 400, at(3), at(2)),
                ("Paid", 1000, at(3), at(3)))  # fmt: skip
    publish(settings)
    rows = ask(tmp_path, "bill_over_time")
    assert [(row[0], row[4], row[7]) for row in rows] == [(at(2), "Pending", 0), (at(3), "Paid", 1000)]
