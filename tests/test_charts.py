"""The pictures in the Dagster interface: from which rows they are drawn, what is drawn, and what a failure does."""

import base64
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import vl_convert
from rows import FLOOZ, insert, sync_row

from cashpay_pipeline.defs.charts import AGING, CHARTS, COLLECTIONS, CONVERSION, DRAWN_FROM, chart_and_tags, chart_of
from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.report import charts
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse import Warehouse, open_warehouse

SYNCED_AT = datetime(2026, 3, 17, 2, 15, tzinfo=UTC)
ADDRESS = "data:image/png;base64,"


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """With every mart, and no rows."""
    with open_warehouse(load_settings(data_dir=tmp_path / "data")) as opened:
        for mart in all_marts():
            build_mart(opened, mart)
        yield opened


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each picture is made of, in the order of drawing."""
    described: list[dict[str, Any]] = []
    draw = vl_convert.vegalite_to_png

    def watched(spec: dict[str, Any], **options: Any) -> bytes:
        described.append(spec)
        return draw(spec, **options)

    monkeypatch.setattr(vl_convert, "vegalite_to_png", watched)
    return described


def week(warehouse: Warehouse, start: date, bills: int, paid: int, **values: Any) -> None:
    standard = {"account": "main", "currency": "XOF", "gateway_reference": FLOOZ}
    insert(
        warehouse,
        "marts.gateway_performance",
        **(standard | {"week_start": start, "bill_count": bills, "paid_count": paid} | values),
    )


def owed(warehouse: Warehouse, age: str, amount: int, **values: Any) -> None:
    standard = {"account": "main", "currency": "XOF", "age_class": age, "still_owed_amount": amount}
    insert(warehouse, "marts.unpaid_aging", **(standard | values))


def a_shop(warehouse: Warehouse) -> None:
    """Two accounts, two currencies, weeks at both ends of the 90 days."""
    sync_row(warehouse, "s1", "refresh", SYNCED_AT, "complete")
    sync_row(warehouse, "s2", "recheck", datetime(2026, 3, 30, tzinfo=UTC), "complete")
    week(warehouse, date(2026, 3, 16), 4, 1)
    week(warehouse, date(2026, 3, 9), 300, 200)
    week(warehouse, date(2026, 3, 9), 100, 50, currency="EUR")
    week(warehouse, date(2026, 3, 9), 100, 25, account="second")
    week(warehouse, date(2025, 12, 15), 10, 9)
    week(warehouse, date(2025, 12, 8), 10, 10)
    week(warehouse, date(2026, 3, 23), 10, 10)
    insert(warehouse, "marts.gateway_performance", account="main", currency="XOF", bill_count=7, paid_count=7)
    owed(warehouse, "0-1", 1500)
    owed(warehouse, "0-1", 500, account="second")
    owed(warehouse, "31-90", 20_000)
    owed(warehouse, "90+", 12_345, currency="EUR")
    insert(
        warehouse, "marts.daily_collections", account="main", received_date=date(2026, 3, 16),
        gateway_reference=FLOOZ, gateway_name="Flooz", currency="XOF", received_amount=1_234_500,
    )  # fmt: skip


def values(spec: Any) -> list[list[dict[str, Any]]]:
    """The data of every chart in a description, in its order; Altair lifts those of a single chart to the top."""
    return [chart.get("data", spec.get("data"))["values"] for chart in spec["vconcat"]]


def test_each_picture_is_drawn_from_these_rows(warehouse: Warehouse, drawn: list[dict[str, Any]]) -> None:
    a_shop(warehouse)
    pictures = {table: chart_of(warehouse, table)["chart"].value for table in CHARTS}
    assert {table: text.partition("](")[0] for table, text in pictures.items()} == {
        COLLECTIONS: "![Money received, by day and gateway",
        CONVERSION: "![Share of bills paid, by week of creation",
        AGING: "![Money still owed, by age of the bill",
    }
    for text in pictures.values():
        png = base64.b64decode(text.partition(ADDRESS)[2].rstrip(")"))
        assert png.startswith(b"\x89PNG\r\n") and png.endswith(b"IEND\xaeB`\x82") and 1_000 < len(png) < 40_000
    collections, conversion, aging = drawn
    assert values(collections) == [[{"day": "2026-03-16", "gateway": "Flooz", "amount": 1_234_500, "place": 0}]]
    weeks = [
        {"week": "15\u00a0Dec", "share": 0.9, "opacity": 1},
        {"week": "9\u00a0Mar", "share": 0.55, "opacity": 1},
        {"week": "16\u00a0Mar", "share": 0.25, "opacity": 0.25},
    ]
    assert values(conversion) == [weeks]
    euros = [("under 1", 0, "0.00"), ("1 to 7", 0, "0.00"), ("8 to 30", 0, "0.00"), ("31 to 90", 0, "0.00"),
             ("over 90", 123.45, "123.45")]  # fmt: skip
    francs = [("under 1", 2000, "2,000"), ("1 to 7", 0, "0"), ("8 to 30", 0, "0"), ("31 to 90", 20_000, "20,000"),
              ("over 90", 0, "0")]  # fmt: skip
    assert [[tuple(row.values()) for row in shown] for shown in values(aging)] == [euros, francs]
    assert [chart["title"]["text"] for chart in aging["vconcat"]] == [
        "EUR still owed, by age of the bill in days",
        "XOF still owed, by age of the bill in days",
    ]


def test_without_rows_each_says_so(warehouse: Warehouse, drawn: list[dict[str, Any]]) -> None:
    for table in CHARTS:
        assert ADDRESS in chart_of(warehouse, table)["chart"].value
    assert [spec["vconcat"][0]["encoding"]["text"]["value"] for spec in drawn] == [
        "No money received yet",
        "No whole day has been read yet",
        "Nothing is unpaid",
    ]


def test_a_table_without_a_picture_has_none(warehouse: Warehouse) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert chart_and_tags(instance, dg.AssetKey("x"), warehouse, ("marts", "orders")) == ({}, {})


def test_what_has_not_changed_is_not_drawn_again(warehouse: Warehouse, drawn: list[dict[str, Any]]) -> None:
    """A week that ends changes no row of the table, but the picture."""
    a_shop(warehouse)
    key = dg.AssetKey(list(CONVERSION))
    with dg.DagsterInstance.ephemeral() as instance:

        def look() -> str:
            chart, tags = chart_and_tags(instance, key, warehouse, CONVERSION)
            instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata=chart, tags=tags))
            return tags[DRAWN_FROM]

        assert look() == look() and len(drawn) == 1
        sync_row(warehouse, "s3", "refresh", datetime(2026, 3, 23, 2, 15, tzinfo=UTC), "complete")
        look()
    assert [values(spec)[0][-1]["opacity"] for spec in drawn] == [0.25, 1]


@pytest.mark.parametrize("table", CHARTS)
def test_a_picture_that_cannot_be_drawn_is_a_warning(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, table: tuple[str, str]
) -> None:
    def broken(*arguments: Any, **options: Any) -> bytes:
        raise ValueError("with a customer's name in it")

    monkeypatch.setattr(charts.vl_convert, "vegalite_to_png", broken)
    logging.getLogger("dagster").propagate = True
    with dg.DagsterInstance.ephemeral() as instance, caplog.at_level(logging.WARNING):
        assert chart_and_tags(instance, dg.AssetKey(list(table)), warehouse, table) == ({}, {})
    assert f"The chart of {'.'.join(table)} cannot be drawn (ValueError)." in caplog.text
    assert "customer" not in caplog.text
