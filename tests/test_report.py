"""The report on literal rows in a real published file: every figure, both languages, hostile text, and in a browser."""

import base64
import inspect
import itertools
import os
import re
import shutil
import string
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rows import insert
from typer.testing import CliRunner

from cashpay_pipeline.cli import app
from cashpay_pipeline.errors import SettingsError, WarehouseError
from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.report import figures, page, queries, trust
from cashpay_pipeline.report.charts import collections_chart_png
from cashpay_pipeline.report.colours import OTHER, PALETTE, gateway_colours
from cashpay_pipeline.report.figures import AGE_CLASSES, collection_bars
from cashpay_pipeline.report.formats import Formats
from cashpay_pipeline.report.page import report_path, write_report
from cashpay_pipeline.report.texts import LANGUAGES, TEXTS, Texts
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.sync.details import REFUSED, UNREADABLE
from cashpay_pipeline.warehouse import Warehouse, open_published, open_warehouse, publish

CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
SYNCED_AT = datetime(2026, 3, 17, 2, 15, tzinfo=UTC)
SYNC_HEALTH = next(mart for mart in all_marts() if mart.name == "sync_health")
DAY, WEEK_BEFORE = date(2026, 3, 16), date(2026, 3, 9)
FLOOZ, MIXX = "5b0f6a52-0003", "5b0f6a52-0007"
HOSTILE = "<script>alert(1)</script>\x1b[2J\x07 & \u202e\"' ]]> {{ 7 * 7 }}"


class Morning:
    """The clock of the one who makes the report, at breakfast."""

    def __init__(self, moment: datetime = datetime(2026, 3, 17, 7, 30, tzinfo=UTC)) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("a report waits for nothing")


class Page(HTMLParser):
    """What a reader meets: headings, tables, pictures, all text. Spaces that do not break are plain ones here."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._heading: list[str] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag in ("h2", "h3", "h4"):
            self._heading = [*self._heading[: int(tag[1]) - 2], ""]
        if tag == "details":
            self._heading = [*self._heading, "details"]
        if tag == "tr":
            self.tables.setdefault(" / ".join(self._heading), []).append([])
        if tag in ("td", "th"):
            self.tables[" / ".join(self._heading)][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass
        if tag == "details":
            self._heading = self._heading[:-1]

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        data = data.replace("\u00a0", " ").replace("\u202f", " ")
        self.text += data
        if {"h2", "h3", "h4"} & set(self._open) and "small" not in self._open:
            self._heading[-1] += data.strip()
        if {"td", "th"} & set(self._open):
            self.tables[" / ".join(self._heading)][-1][-1] += data.strip()


def sync(warehouse: Warehouse, **values: Any) -> None:
    standard = {
        "sync_id": "s1", "account": "main", "kind": "refresh", "started_at": SYNCED_AT, "heartbeat_at": SYNCED_AT,
        "finished_at": SYNCED_AT, "status": "complete", "pages": 1, "requests": 1, "retries": 0, "waited_seconds": 0,
        "rows_read": 1, "bills_new": 1, "bills_changed": 0, "bills_unchanged": 0, "rows_set_aside": 0,
        "complete": True, "warnings": [], "owner": "test", "version": "0",
    }  # fmt: skip
    insert(warehouse, "core.syncs", **(standard | values))


def bill(warehouse: Warehouse, reference: str = "B-1", **values: Any) -> None:
    standard = {
        "account": "main", "order_reference": reference, "state": "Paid", "amount": 1, "received_amount": 1,
        "currency": "XOF", "payment_count": 1, "first_seen_at": SYNCED_AT, "changed_at": SYNCED_AT,
        "verified_at": SYNCED_AT, "version": 1,
    }  # fmt: skip
    insert(warehouse, "core.bills", **(standard | values))


def collected(warehouse: Warehouse, day: date, gateway: str | None, amount: int, **values: Any) -> None:
    names = {FLOOZ: "Flooz", MIXX: "Mixx by Yas"}
    standard = {
        "account": "main", "received_date": day, "gateway_reference": gateway,
        "gateway_name": names.get(gateway or ""), "currency": "XOF", "bill_count": 1, "received_amount": amount,
        "received_with_uncertain_day": 0, "received_with_assumed_day": 0, "withdrawn_count": 0, "withdrawn_amount": 0,
        "net_amount": amount,
    }  # fmt: skip
    insert(warehouse, "marts.daily_collections", **(standard | values))


def week(warehouse: Warehouse, start: date, bills: int, paid: int, still_open: int, currency: str = "XOF") -> None:
    insert(
        warehouse, "marts.gateway_performance", account="main", week_start=start, currency=currency, bill_count=bills,
        paid_count=paid, open_count=still_open,
    )  # fmt: skip


def difference(warehouse: Warehouse, reference: str, kind: str, billed: int, received: int, **values: Any) -> None:
    standard = {
        "account": "main", "order_reference": reference, "merchant_reference": f"CMD-{reference}", "kind": kind,
        "currency": "XOF", "billed_amount": billed, "received_amount": received,
        "difference_amount": received - billed, "business_date": DAY, "client_key": "canary-key",
    }  # fmt: skip
    insert(warehouse, "marts.payment_differences", **(standard | values))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a shop with credentials, whose CashPay is never asked."""
    return load_settings(
        base_url="https://cashpay.example.test/api", data_dir=tmp_path / "data", login="l", api_key="k" * 8,
        api_reference="r",
    )  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "warehouse.duckdb"


@pytest.fixture
def warehouse(settings: Settings, kept: Path) -> Iterator[Warehouse]:
    """With every mart, and no rows: made for the first test, copied for the others."""
    if kept.exists():
        settings.data_folder.mkdir(parents=True)
        shutil.copyfile(kept, settings.warehouse_path)
    else:
        with open_warehouse(settings) as opened:
            for mart in all_marts():
                build_mart(opened, mart)
        shutil.copyfile(settings.warehouse_path, kept)
    with open_warehouse(settings) as opened:
        yield opened


def account(warehouse: Warehouse, environment: str = "cashpay.example.test/api") -> None:
    insert(
        warehouse, "core.accounts", account="main", environment=environment, pii_key_check="c",
        first_seen_at=SYNCED_AT, full_walk_finished_at=datetime(2026, 3, 15, 3, 20, tzinfo=UTC),
    )  # fmt: skip


def a_shop(warehouse: Warehouse) -> None:
    """Two gateways, two currencies, every kind of trouble in small."""
    account(warehouse)
    sync(warehouse)
    bill(warehouse)
    collected(warehouse, DAY, FLOOZ, 1_234_500, bill_count=12)
    collected(warehouse, DAY, MIXX, 500_000, bill_count=5, received_with_uncertain_day=30_000, withdrawn_amount=700)
    collected(warehouse, DAY, None, 250, received_with_assumed_day=250)
    collected(warehouse, WEEK_BEFORE, FLOOZ, 1_000_000, bill_count=9)
    collected(warehouse, WEEK_BEFORE, MIXX, 600_000, bill_count=6)
    collected(warehouse, DAY, FLOOZ, 12_345, currency="EUR")
    collected(warehouse, date(2025, 12, 17), FLOOZ, 5, bill_count=1)
    collected(warehouse, date(2025, 12, 16), FLOOZ, 777_777_777)
    collected(warehouse, date(2026, 3, 17), FLOOZ, 888_888_888)
    collected(warehouse, DAY, FLOOZ, 999_999_999, account="second")
    week(warehouse, date(2026, 3, 2), 300, 200, 7)
    week(warehouse, date(2026, 3, 2), 100, 50, 1, currency="EUR")
    week(warehouse, date(2026, 3, 16), 3, 1, 2)
    week(warehouse, date(2025, 12, 8), 9, 9, 0)
    for name, start, bills, amount in (("0-1", 0, 2, 1500), ("31-90", 31, 1, 20_000)):
        insert(
            warehouse, "marts.unpaid_aging", account="main", currency="XOF", age_class=name, from_days=start,
            bill_count=bills, open_amount=amount, still_owed_count=1, still_owed_amount=amount - 500,
        )  # fmt: skip
    difference(warehouse, "B-9", "excess", 1000, 1500)
    difference(warehouse, "B-8", "partial", 10_000, 4000, business_date=WEEK_BEFORE, merchant_reference=None)
    difference(warehouse, "B-7", "partial", 2000, 1000, business_date=None)
    difference(warehouse, "B-6", "paid_twice_order", 20_000, 20_000, difference_amount=20_000, currency="EUR")


def made(settings: Settings, warehouse: Warehouse | None, language: str = "en", **options: Any) -> Page:
    html = made_html(settings, warehouse, language, **options)
    return Page(html)


def made_html(settings: Settings, warehouse: Warehouse | None, language: str = "en", now: Any = None) -> str:
    if warehouse is not None:
        build_mart(warehouse, SYNC_HEALTH)
        warehouse.connection.execute("checkpoint")
        settings.published_path.write_bytes(settings.warehouse_path.read_bytes())
    target = settings.data_folder / f"report.{language}.html"
    write_report(settings, target, language, clock=now or Morning())
    return target.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("language", "told"),
    [
        (
            "en",
            "Bills in a state that is not known here (Refunded, Settled): 2, with 1,500 XOF received, counted nowhere.",
        ),
        ("fr", "Factures dans un état inconnu ici (Refunded, Settled) : 2, avec 1 500 XOF reçus, comptées nulle part."),
    ],
)
def test_money_in_a_state_that_is_not_known_is_told(
    settings: Settings, warehouse: Warehouse, language: str, told: str
) -> None:
    a_shop(warehouse)
    bill(warehouse, "U-1", state="Unknown", state_raw="Refunded", received_amount=1500)
    bill(warehouse, "U-2", state="Unknown", state_raw="Settled", received_amount=None)
    text = " ".join(made_html(settings, warehouse, language).replace("\u202f", " ").replace("\xa0", " ").split())
    assert told in text


def test_every_figure_in_english(settings: Settings, warehouse: Warehouse) -> None:
    a_shop(warehouse)
    found = made(settings, warehouse)
    yesterday = "Yesterday, Monday 16 March 2026"
    assert found.tables[f"{yesterday} / XOF"] == [
        ["Gateway", "16 Mar", "9 Mar", "Difference"],
        ["Flooz", "1,234,500", "1,000,000", "+234,500"],
        ["Mixx by Yas", "500,000", "600,000", "−100,000"],
        ["Gateway not told", "250", "0", "+250"],
        ["Total, XOF", "1,734,750", "1,600,000", "+134,750"],
    ]
    assert found.tables[f"{yesterday} / EUR"] == [
        ["Gateway", "16 Mar", "9 Mar", "Difference"],
        ["Flooz", "123.45", "0.00", "+123.45"],
        ["Total, EUR", "123.45", "0.00", "+123.45"],
    ]
    assert found.tables["This month and the last / XOF"] == [
        ["Gateway", "March 2026, to the 16 Mar", "February 2026"],
        ["Flooz", "2,234,500", "0"],
        ["Mixx by Yas", "1,100,000", "0"],
        ["Gateway not told", "250", "0"],
        ["Total, XOF", "3,334,750", "0"],
        ["Withdrawn (refunds, canceled bills)", "−700", "0"],
        ["Net, XOF", "3,334,050", "0"],
    ]
    assert found.tables["This month and the last / EUR"][1:] == [
        ["Flooz", "123.45", "0.00"],
        ["Total, EUR", "123.45", "0.00"],
    ]
    assert found.tables["90 days by gateway / XOF"] == [
        ["Gateway", "Received", "Share", "Receipts"],
        ["Flooz", "2,234,505", "67.0%", "22"],
        ["Mixx by Yas", "1,100,000", "33.0%", "11"],
        ["Gateway not told", "250", "0.0%", "1"],
        ["Total, XOF", "3,334,755", "100.0%", "34"],
    ]
    daily = found.tables["90 days by gateway / XOF / details"]
    assert len(daily) == 91
    assert daily[:2] == [
        ["Day", "Flooz", "Mixx by Yas", "Gateway not told", "Total"],
        ["16 Mar 2026", "1,234,500", "500,000", "250", "1,734,750"],
    ]
    assert daily[-1] == ["17 Dec 2025", "5", "0", "0", "5"]
    assert found.tables["Bills paid, by week of creation"] == [
        ["Week of", "Bills", "Paid", "Still open", "Share paid"],
        ["16 Mar 2026*", "3", "1", "2", "33.3%"],
        ["2 Mar 2026", "400", "250", "8", "62.5%"],
    ]
    assert found.tables["Unpaid bills, by age / XOF"] == [
        ["Age in days", "Bills", "Open", "Still owed"],
        ["under 1", "2", "1,500", "1,000"],
        ["1 to 7", "0", "0", "0"],
        ["8 to 30", "0", "0", "0"],
        ["31 to 90", "1", "20,000", "19,500"],
        ["over 90", "0", "0", "0"],
        ["Total, XOF", "3", "21,500", "20,500"],
    ]
    assert found.tables["Paid, but not what was billed / XOF"] == [
        ["What happened", "Bills", "Difference"],
        ["Paid in part", "2", "−7,000"],
        ["Paid too much", "1", "+500"],
    ]
    assert found.tables["Paid, but not what was billed / XOF / The newest, at most 10"] == [
        ["Your reference", "What happened", "Created", "Billed", "Received", "Bill"],
        ["CMD-B-9", "Paid too much", "16 Mar 2026", "1,000", "1,500", "B-9"],
        ["–", "Paid in part", "9 Mar 2026", "10,000", "4,000", "B-8"],
        ["CMD-B-7", "Paid in part", "–", "2,000", "1,000", "B-7"],
    ]
    assert found.tables["Paid, but not what was billed / EUR"][1] == ["Order paid twice", "1", "+200.00"]
    for sentence in (
        "Received on 16 Mar 2026", "1,734,750 XOF", "Same weekday before: 1,600,000 XOF", "+134,750, +8.4%",
        "The day of 30,250 XOF of this is not certain", "Besides, 700 XOF counted before was withdrawn",
        "17 Dec 2025 to 16 Mar 2026", "Africa/Lome", "EUR, XOF, never added together",
        "The data is complete up to the end of Monday 16 March 2026.", "17 Mar 2026, 07:30 UTC",
        "17 Mar 2026, 02:15 UTC", "15 Mar 2026, 03:20 UTC",
    ):  # fmt: skip
        assert sentence in found.text, sentence


def test_every_figure_in_french(settings: Settings, warehouse: Warehouse) -> None:
    a_shop(warehouse)
    found = made(settings, warehouse, "fr")
    assert ("html", {"lang": "fr"}) in found.tags
    assert found.tables["Hier, lundi 16 mars 2026 / XOF"] == [
        ["Moyen de paiement", "16 mars", "9 mars", "Écart"],
        ["Flooz", "1 234 500", "1 000 000", "+234 500"],
        ["Mixx by Yas", "500 000", "600 000", "−100 000"],
        ["Non communiqué", "250", "0", "+250"],
        ["Total, XOF", "1 734 750", "1 600 000", "+134 750"],
    ]
    assert found.tables["Hier, lundi 16 mars 2026 / EUR"][1] == ["Flooz", "123,45", "0,00", "+123,45"]
    assert found.tables["Factures payées, par semaine de création"][2] == ["2 mars 2026", "400", "250", "8", "62,5 %"]
    assert "Les données sont complètes jusqu’à la fin du lundi 16 mars 2026." in found.text
    assert "XOF franc CFA" in " ".join(found.text.split())


def test_currencies_are_never_added(settings: Settings, warehouse: Warehouse) -> None:
    a_shop(warehouse)
    found = made(settings, warehouse)
    digits = {re.sub(r"\D", "", cell) for rows in found.tables.values() for row in rows for cell in row}
    assert not digits & {str(1_734_750 + 12_345), str(3_334_755 + 12_345), str(-7000 + 500 + 20_000)}


def test_both_languages_have_every_text_with_the_same_values() -> None:
    for key, pair in TEXTS.items():
        assert len(pair) == len(LANGUAGES) and all(pair), key
        fields = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in pair]
        assert fields[0] == fields[1], key


def test_every_text_that_is_used_exists_and_every_text_is_used() -> None:
    template = (Path(page.__file__).parent / "templates" / "report.html").read_text(encoding="utf-8")
    code = template + "".join(inspect.getsource(module) for module in (page, trust, figures))
    used = set(re.findall(r"\b(?:t|texts)\(\s*[\"']([\w]+)[\"']", code)) | {"section_day", "section_last_day"}
    assert used <= set(TEXTS)
    prefixes = ("kind_", "status_", "age_", "reason_", "XOF", "XAF", "EUR")
    assert {key for key in TEXTS if key not in used and not key.startswith(prefixes)} == set()


def test_words_of_the_data_have_texts() -> None:
    differences = "partial short excess kept paid_twice_bill paid_twice_order"
    for kind in (*differences.split(), "refresh", "full_refresh", "recheck"):
        assert f"kind_{kind}" in TEXTS
    assert {f"status_{status}" for status in ("complete", "incomplete", "failed", "dead")} <= set(TEXTS)
    assert {f"age_{name}" for name in AGE_CLASSES} <= set(TEXTS)
    package = Path(page.__file__).parent.parent
    code = "".join(path.read_text(encoding="utf-8") for path in [*package.glob("*.py"), *package.glob("sync/*.py")])
    reasons = set(re.findall(r'BadRecordError\([^()]*"([a-z_]+)"\)', code)) | {"missing", REFUSED, UNREADABLE}
    reasons |= set(re.findall(r'self\.defect = "(\w+)"', code))
    assert len(reasons) > 10 and {f"reason_{reason}" for reason in reasons} <= set(TEXTS)
    assert Formats("fr").short_day(date(2026, 3, 1)) == "1er\xa0mars\xa02026"
    kept = [Texts(language).word("kind_", "kept") for language in LANGUAGES]
    assert kept == ["Canceled, expired or failed, money kept", "Annulée, expirée ou échouée, somme conservée"]
    assert Texts("fr").word("kind_", "one of later") == "one of later"


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_from_cashpay_is_only_ever_text(settings: Settings, warehouse: Warehouse, language: str) -> None:
    account(warehouse, environment=HOSTILE)
    sync(warehouse, warnings=[HOSTILE])
    bill(warehouse)
    collected(warehouse, DAY, HOSTILE, 10, gateway_name=HOSTILE)
    difference(warehouse, HOSTILE, HOSTILE, 10, 20, merchant_reference=HOSTILE)
    insert(
        warehouse, "core.data_issues", issue_id="i", account="main", sync_id="s1", source="list", reason=HOSTILE,
        field=HOSTILE, payload="{}", first_seen_at=SYNCED_AT, last_seen_at=SYNCED_AT,
    )  # fmt: skip
    html = made_html(settings, warehouse, language)
    found = Page(html)
    assert found.text.count("<script>alert(1)</script>") >= 6
    assert "{{ 7 * 7 }}" in found.text
    assert not {tag for tag, _ in found.tags} & {"script", "iframe", "object", "link", "a", "form", "svg"}
    assert not [(tag, name) for tag, attributes in found.tags for name in attributes if name.startswith("on")]
    assert not [c for c in html if not c.isprintable() and c not in "\n \u00a0\u202f"]
    for drawn in pictures(found):
        root = ET.fromstring(drawn)
        assert not [node.tag for node in root.iter() if node.tag.rpartition("}")[2] in ("script", "foreignObject", "a")]
    assert any("alert(1)" in drawn for drawn in pictures(found))


def pictures(found: Page) -> list[str]:
    addresses = [
        address
        for tag, attributes in found.tags
        if tag in ("img", "source") and (address := attributes.get("src") or attributes.get("srcset"))
    ]
    assert addresses and all(address.startswith("data:image/svg+xml;base64,") for address in addresses)
    return [base64.b64decode(address.partition(",")[2]).decode() for address in addresses]


def test_every_picture_says_in_words_what_it_shows(settings: Settings, warehouse: Warehouse) -> None:
    a_shop(warehouse)
    texts = [attributes["alt"] for tag, attributes in made(settings, warehouse).tags if tag == "img"]
    assert len(texts) == 4
    assert "Total 3,334,755\u00a0XOF" in (texts[1] or "") and "123.45\u00a0EUR" in (texts[0] or "")
    assert "latest finished week 62.5%" in (texts[2] or "") and "Total 20,500\u00a0XOF" in (texts[3] or "")


def test_nobody_is_named() -> None:
    source = inspect.getsource(queries)
    assert not [word for word in ("client_", "phone", "payload", "description", "select *") if word in source]


def test_an_empty_warehouse_makes_a_clear_page(settings: Settings, warehouse: Warehouse) -> None:
    found = made(settings, warehouse)
    assert "There are no bills yet" in found.text and "cashpay sync" in found.text
    assert "Last complete sync" in found.text and "never" in found.text
    assert not found.tables


def test_bills_without_marts_make_a_clear_page(settings: Settings) -> None:
    with open_warehouse(settings) as opened:
        account(opened)
        sync(opened)
        bill(opened)
    publish(settings)
    found = made(settings, None, "fr")
    assert "Les tables de ce rapport ne sont pas dans la copie publiée." in found.text
    assert "7 000" not in found.text and not found.tables


def test_bills_that_brought_nothing_make_a_clear_page(settings: Settings, warehouse: Warehouse) -> None:
    account(warehouse)
    sync(warehouse)
    bill(warehouse, state="Pending", received_amount=0)
    found = made(settings, warehouse)
    for sentence in ("No bills in this period.", "No bill is unpaid.", "No differences."):
        assert sentence in found.text


def test_no_section_is_an_empty_heading(settings: Settings, warehouse: Warehouse) -> None:
    account(warehouse)
    sync(warehouse)
    bill(warehouse, state="Canceled", received_amount=0)
    sections = made_html(settings, warehouse).split("<section>")[1:]
    assert len(sections) == 7 and all("</p>" in section or "</dl>" in section for section in sections)
    assert sum("Nothing was received." in section for section in sections) == 3


def test_a_withdrawal_is_told_where_nothing_came_in(settings: Settings, warehouse: Warehouse) -> None:
    """On a day within the period that is not the last one: the sections of the months and the 90 days have it."""
    account(warehouse)
    sync(warehouse)
    bill(warehouse, received_amount=0)
    collected(warehouse, WEEK_BEFORE, FLOOZ, 0, currency="EUR", withdrawn_count=1, withdrawn_amount=5000)
    months, section = made_html(settings, warehouse).split("<section>")[2:4]
    assert "−50.00" in months
    assert [" ".join(text.split()) for text in re.findall("<p.*?>(.*?)</p>", section)] == [
        "Nothing was received.",
        "Besides, 50.00 EUR counted before was withdrawn (refunds, canceled bills).",
    ]


def test_a_bill_paid_in_parts_has_several_receipts_and_the_page_says_so(
    settings: Settings, warehouse: Warehouse
) -> None:
    a_shop(warehouse)
    found = made(settings, warehouse)
    assert found.tables["90 days by gateway / XOF"][0] == ["Gateway", "Received", "Share", "Receipts"]
    assert "a bill paid in parts can have several" in found.text
    assert "une facture payée en plusieurs fois peut en avoir plusieurs" in made(settings, None, "fr").text


def test_months_end_with_their_own_days(settings: Settings, warehouse: Warehouse) -> None:
    account(warehouse)
    sync(warehouse, started_at=datetime(2026, 3, 1, 2, 15, tzinfo=UTC))
    bill(warehouse)
    for day, amount in (("2026-03-01", 1), ("2026-02-28", 20), ("2026-02-01", 300), ("2026-01-31", 4000)):
        collected(warehouse, date.fromisoformat(day), FLOOZ, amount)
    collected(warehouse, date(2026, 1, 1), MIXX, 50_000, withdrawn_amount=60_000)
    collected(warehouse, date(2025, 12, 31), MIXX, 600_000)
    first_of_march = Morning(datetime(2026, 3, 1, 7, 30, tzinfo=UTC))
    assert made(settings, warehouse, now=first_of_march).tables["This month and the last / XOF"] == [
        ["Gateway", "February 2026", "January 2026"],
        ["Mixx by Yas", "0", "50,000"],
        ["Flooz", "320", "4,000"],
        ["Total, XOF", "320", "54,000"],
        ["Withdrawn (refunds, canceled bills)", "0", "−60,000"],
        ["Net, XOF", "320", "−6,000"],
    ]
    assert made(settings, None, "fr", now=first_of_march).tables["Ce mois-ci et le précédent / XOF"][0] == [
        "Moyen de paiement",
        "février 2026",
        "janvier 2026",
    ]


def test_without_a_published_copy_there_is_no_report(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="Nothing has been published"):
        write_report(settings, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_what_a_reader_must_know_first(settings: Settings, warehouse: Warehouse) -> None:
    account(warehouse)
    sync(warehouse)
    later = datetime(2026, 3, 18, 2, 15, tzinfo=UTC)
    sync(
        warehouse, sync_id="s2", kind="full_refresh", started_at=later, finished_at=later, status="incomplete",
        complete=False, warnings=["CashPay counts 9 bills, its list shows 8."],
    )  # fmt: skip
    bill(warehouse)
    bill(warehouse, "B-2", received_amount=None, missing_since=later)
    for number in range(3):
        insert(
            warehouse, "core.data_issues", issue_id=str(number), account="main", sync_id="s1", source="list",
            reason="not_a_number", field="amount", payload="{}", first_seen_at=later, last_seen_at=later,
            resolved_at=later if number == 2 else None,
        )  # fmt: skip
    found = made(settings, warehouse, now=Morning(datetime(2026, 3, 25, 8, 0, tzinfo=UTC)))
    text = " ".join(found.text.split())
    for sentence in (
        "The latest full refresh is incomplete: bills may be missing or out of date.",
        "The data ends on Monday 16 March 2026",
        "The whole list was last read 10 days ago",
        "Records set aside and counted nowhere: 2.",
        "Bills paid at least in part of which CashPay has not told the sum: 1.",
        "amount: not a number (2)",
        "CashPay counts 9 bills, its list shows 8.",
        "Bills that CashPay no longer shows1",
        "The last whole day, Monday 16 March 2026",
    ):
        assert sentence in text, sentence
    assert "is complete up to" not in text and "Yesterday" not in text


@pytest.mark.parametrize(("day", "is_told"), [(16, False), (22, False), (23, True)])
def test_a_whole_list_not_read_on_a_sunday_is_told_on_the_monday(
    day: int, is_told: bool, settings: Settings, warehouse: Warehouse
) -> None:
    """It was read last on Sunday 15 March, from 03:15 on."""
    account(warehouse)
    sync(warehouse)
    bill(warehouse)
    found = made(settings, warehouse, now=Morning(datetime(2026, 3, day, 7, 0, tzinfo=UTC)))
    assert ("The whole list was last read" in found.text) == is_told


def test_a_recheck_does_not_make_up_for_a_list_that_lacks_bills(settings: Settings, warehouse: Warehouse) -> None:
    account(warehouse)
    bill(warehouse)
    syncs = [("refresh", "complete"), ("full_refresh", "incomplete"), ("recheck", "complete")]
    for hours, (kind, status) in enumerate(syncs):
        moment = SYNCED_AT + timedelta(hours=hours)
        sync(
            warehouse, sync_id=kind, kind=kind, started_at=moment, finished_at=moment, status=status,
            complete=status == "complete", warnings=[f"A note of the {kind}."],
        )  # fmt: skip
    text = " ".join(made(settings, warehouse).text.split())
    for sentence in (
        "re-check, complete, ended",
        "full refresh, incomplete, ended",
        "A note of the recheck. A note of the full_refresh.",
    ):
        assert sentence in text, sentence
    assert "A note of the refresh" not in text

    def careful(language: str = "en") -> list[str]:
        html = made_html(settings, warehouse, language)
        return [" ".join(line.split()) for line in re.findall("<li>(.*?)</li>", html)]

    assert careful() == ["The latest full refresh is incomplete: bills may be missing or out of date."]
    warehouse.connection.execute("update core.syncs set status = 'failed', complete = false where kind = 'recheck'")
    assert careful("fr") == [
        "La dernière relecture des factures ouvertes est en échec : "
        "des factures peuvent manquer ou ne pas être à jour.",
        "La dernière lecture complète est incomplète : des factures peuvent manquer ou ne pas être à jour.",
    ]


@pytest.mark.parametrize(
    ("environment", "has_credentials", "expected"),
    [("this-machine/api", True, True), ("cashpay.example.test/api", True, False), (None, False, True)],
)
def test_made_up_data_says_so(
    settings: Settings, warehouse: Warehouse, environment: str | None, has_credentials: bool, expected: bool
) -> None:
    if environment:
        account(warehouse, environment)
    bill(warehouse)
    facts = queries.read_facts(settings) if settings.published_path.exists() else None
    assert facts is None
    assert ("No figure here is real" in made(settings, warehouse).text) == (expected and has_credentials)
    assert trust.is_made_up(queries.read_facts(settings), has_credentials) == expected


def test_all_queries_see_one_and_the_same_copy(settings: Settings, warehouse: Warehouse) -> None:
    bill(warehouse)
    made(settings, warehouse)
    with open_published(settings) as query:
        assert query("select count(*) from core.bills")[1] == [(1,)]
        bill(warehouse, "B-2")
        warehouse.connection.execute("checkpoint")
        new = settings.published_path.with_suffix(".new")
        new.write_bytes(settings.warehouse_path.read_bytes())
        new.replace(settings.published_path)
        assert query("select count(*) from core.bills")[1] == [(1,)]


def linear(colour: str) -> Any:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def perceived(light: Any) -> Any:
    """Oklab."""
    cones = np.cbrt(
        np.array([[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]])
        @ np.clip(light, 0, 1)
    )
    return np.array([[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]]) @ cones


SIGHT = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Machado, Oliveira and Fernandes (2009), severity 1."""


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_are_told_apart_by_every_reader(sight: str) -> None:
    for one, other in itertools.combinations((*PALETTE, OTHER), 2):
        seen = [perceived(np.array(SIGHT[sight]) @ linear(colour)) for colour in (one, other)]
        assert np.linalg.norm(seen[0] - seen[1]) > 0.09, (one, other)


def test_colours_stand_out_from_the_paper() -> None:
    for colour in (*PALETTE, OTHER):
        assert 1.05 / (linear(colour) @ [0.2126, 0.7152, 0.0722] + 0.05) >= 3, colour


def day_of(gateway: str | None, day: int, amount: int = 1, currency: str = "XOF") -> dict[str, Any]:
    return {
        "received_date": date(2026, 3, day), "gateway_reference": gateway,
        "gateway_name": f"Name of {gateway}" if gateway else None,
        "currency": currency, "received_amount": amount,
    }  # fmt: skip


def test_a_gateway_keeps_its_colour_when_others_come_and_go() -> None:
    before = [day_of("b", 1), day_of("c", 2)]
    after = [*before, day_of("a", 3), day_of(None, 3)]
    a, b, c = (("a", ""), ("b", ""), ("c", ""))
    assert gateway_colours(before, [b, c]) == {b: PALETTE[0], c: PALETTE[1]}
    assert gateway_colours(after, [a, c]) == {c: PALETTE[1], a: PALETTE[2]}


def test_more_gateways_than_colours_share_the_last_one() -> None:
    rows = [day_of(f"g{number:02}", 1 + number, amount=100 - number) for number in range(10)]
    bars = collection_bars([*rows, day_of(None, 20)], "XOF", date(2026, 3, 1), date(2026, 3, 31), "Others", "Unknown")
    assert [bar.label for bar in bars] == [f"Name of g{n:02}" for n in range(7)] + ["Others"] * 3 + ["Unknown"]
    assert [bar.colour for bar in bars] == [*PALETTE, *[OTHER] * 4]
    assert sum(bar.amount for bar in bars) == sum(row["received_amount"] for row in rows) + 1


def test_two_gateways_of_one_name_are_told_apart() -> None:
    rows = [day_of("aaaa-1111", 1) | {"gateway_name": "Same"}, day_of("aaaa-2222", 1) | {"gateway_name": "Same"}]
    bars = collection_bars(rows, "XOF", date(2026, 3, 1), date(2026, 3, 1), "Others", "Unknown")
    assert [bar.label for bar in bars] == ["Same (1111)", "Same (2222)"]


def test_gateways_that_have_only_a_name_are_told_apart_by_it(settings: Settings, warehouse: Warehouse) -> None:
    account(warehouse)
    sync(warehouse)
    bill(warehouse)
    collected(warehouse, DAY, None, 1000, gateway_name="Flooz")
    collected(warehouse, DAY, None, 300, gateway_name="Mixx by Yas")
    collected(warehouse, DAY, FLOOZ, 70)
    collected(warehouse, DAY, None, 50)
    found = made(settings, warehouse)
    assert [row[:2] for row in found.tables["Yesterday, Monday 16 March 2026 / XOF"][1:]] == [
        ["Flooz", "1,000"],
        ["Mixx by Yas", "300"],
        ["Flooz (0003)", "70"],
        ["Gateway not told", "50"],
        ["Total, XOF", "1,420"],
    ]
    assert [row[:2] for row in found.tables["90 days by gateway / XOF"][1:4]] == [
        ["Flooz", "1,000"], ["Mixx by Yas", "300"], ["Flooz (0003)", "70"]
    ]  # fmt: skip
    assert found.tables["90 days by gateway / XOF / details"][:2] == [
        ["Day", "Flooz", "Mixx by Yas", "Flooz (0003)", "Gateway not told", "Total"],
        ["16 Mar 2026", "1,000", "300", "70", "50", "1,420"],
    ]


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ("Bills paid at least in part of which CashPay has not told the sum: 2. They count only as far as",
                "Bills of which CashPay has not told the sum: 3. Their differences are not in here.")),
        ("fr", ("Factures payées au moins en partie dont CashPay n’a pas donné le montant reçu : 2. Elles ne comptent",
                "Factures dont CashPay n’a pas donné le montant reçu : 3. Leurs écarts ne sont pas compris.")),
    ],
)  # fmt: skip
def test_a_sum_that_is_not_told_is_never_shown_as_nothing(
    settings: Settings, warehouse: Warehouse, language: str, sentences: tuple[str, str]
) -> None:
    account(warehouse)
    sync(warehouse)
    for number, state in enumerate(("Partial", "Excess", "Canceled", "Pending")):
        bill(warehouse, f"B-{number}", state=state, received_amount=None)
    for number, kind in enumerate(("partial", "partial", "excess")):
        difference(warehouse, f"B-{number}", kind, 1000, 0, received_amount=None, difference_amount=None)
    difference(warehouse, "B-8", "excess", 1000, 1500)
    found = made(settings, warehouse, language)
    (sums,) = (rows[1:] for heading, rows in found.tables.items() if heading.count(" / ") == 1)
    assert sorted(row[1:] for row in sums) == [["2", "+500"], ["2", "–"]]
    text = " ".join(found.text.split())
    assert not [sentence for sentence in sentences if sentence not in text]
    assert "is complete up to" not in text and "sont complètes" not in text


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [day_of(FLOOZ, 1, 10)],
        [day_of(FLOOZ, 1, 0)],
        [day_of(f"g{n}", n, 10 * n) for n in range(1, 12)] + [day_of(None, 3, 5, "EUR"), day_of(HOSTILE, 2, 5, "EUR")],
    ],
    ids=["empty", "one", "nothing", "many"],
)
def test_the_chart_for_the_interface_is_a_png(rows: list[dict[str, Any]]) -> None:
    png = collections_chart_png(rows)
    assert png.startswith(b"\x89PNG\r\n") and png.endswith(b"IEND\xaeB`\x82") and 1_000 < len(png) < 60_000


@pytest.mark.long
def test_charts_are_the_same_in_every_time_zone() -> None:
    program = """
import datetime, hashlib
from cashpay_pipeline.report.charts import WIDE, collections_chart
from cashpay_pipeline.report.figures import Bar
from cashpay_pipeline.report.formats import Formats
first, last = datetime.date(2026, 1, 1), datetime.date(2026, 3, 31)
svg = collections_chart([Bar(first, "A", "#036fd2", 0, 5), Bar(last, "A", "#036fd2", 0, 9)], "XOF", first, last,
    language=Formats("fr"), width=WIDE)
print(hashlib.sha256(svg.encode()).hexdigest(), "mars" in svg, "janv." in svg)
"""
    printed = {
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"TZ": zone}, capture_output=True, text=True, check=True
        ).stdout
        for zone in ("UTC", "America/Los_Angeles", "Pacific/Auckland")
    }
    assert len(printed) == 1 and printed.pop().endswith("True True\n")


@pytest.mark.parametrize(
    ("language", "amount", "currency", "expected"),
    [
        ("en", 1_234_567, "XOF", "1,234,567"),
        ("fr", 1_234_567, "XOF", "1\u202f234\u202f567"),
        ("en", -5, "EUR", "−0.05"),
        ("fr", 123_456, "EUR", "1\u202f234,56"),
        ("fr", 0, "XOF", "0"),
        ("en", 2**62, "XOF", "4,611,686,018,427,387,904"),
    ],
)
def test_amounts_are_written_exactly(language: Any, amount: int, currency: str, expected: str) -> None:
    assert Formats(language).number(amount, currency) == expected


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(1, 3, "33.3%"), (2, 3, "66.7%"), (-1, 8, "−12.5%"), (0, 5, "0.0%"), (5, 0, "–"), (-1, 100_000, "0.0%")],
)
def test_percentages(part: int, whole: int, expected: str) -> None:
    assert Formats("en").percent(part, whole) == expected


def test_the_command(settings: Settings, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_shop(warehouse)
    made(settings, warehouse)
    for name, value in {
        "BASE_URL": "https://cashpay.example.test/api", "LOGIN": "l", "API_KEY": "k" * 8, "API_REFERENCE": "r",
        "DATA_DIR": str(settings.data_dir),
    }.items():  # fmt: skip
        monkeypatch.setenv(f"CASHPAY_{name}", value)
    result = CliRunner().invoke(app, ["report", "--language", "fr"])
    french = settings.data_folder / "rapport.html"
    assert (result.exit_code, result.stdout) == (0, f"The report: {french}\n")
    english = settings.data_folder / "report.html"
    assert CliRunner().invoke(app, ["report"]).stdout == f"The report: {english}\n"
    assert '<html lang="fr">' in french.read_text(encoding="utf-8"), "one does not take the other's place"
    assert '<html lang="en">' in english.read_text(encoding="utf-8")
    elsewhere = CliRunner().invoke(app, ["report", "--to", str(tmp_path / "mine.html")])
    assert elsewhere.exit_code == 0 and '<html lang="en">' in (tmp_path / "mine.html").read_text(encoding="utf-8")
    nowhere = CliRunner().invoke(app, ["report", "--to", str(tmp_path / "mine.html" / "no.html")])
    assert nowhere.exit_code == 1 and "The report cannot be written" in nowhere.stderr
    assert CliRunner().invoke(app, ["report", "--language", "de"]).exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "mine.html"]


def test_each_account_of_a_shared_folder_has_its_own_report(
    settings: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill(warehouse, "B-1")
    bill(warehouse, "B-2", account="second")
    made(settings, warehouse)
    second = settings.model_copy(update={"account": "second"})
    assert report_path(settings, "en").name == "report-main.html"
    assert report_path(second, "fr").name == "rapport-second.html"
    monkeypatch.setenv("CASHPAY_ACCOUNT", "thrid")
    for name in ("BASE_URL", "LOGIN", "API_KEY", "API_REFERENCE"):
        monkeypatch.setenv(f"CASHPAY_{name}", "https://cashpay.example.test/api" if name == "BASE_URL" else "k" * 8)
    monkeypatch.setenv("CASHPAY_DATA_DIR", str(settings.data_folder))
    good = settings.data_folder / "mine.html"
    write_report(settings, good)
    before = good.read_bytes()
    for arguments in ([], ["--to", str(good)]):
        result = CliRunner().invoke(app, ["report", *arguments])
        assert result.exit_code == 1 and "Account thrid has no bills in the published copy." in result.stderr
        assert "Next: It has those of main, second: correct CASHPAY_ACCOUNT" in result.stderr
    assert good.read_bytes() == before and not list(settings.data_folder.glob("report-*"))


def test_a_report_takes_no_other_files_place(settings: Settings, warehouse: Warehouse, tmp_path: Path) -> None:
    a_shop(warehouse)
    made(settings, warehouse)
    (tmp_path / "letter.html").write_text("Dear Madam")
    (tmp_path / "empty.html").touch()
    before = {path: path.read_bytes() for path in (settings.warehouse_path, tmp_path / "letter.html")}
    for target in (settings.warehouse_path, settings.data_folder / "pii.key", tmp_path / ".env", tmp_path / "report"):
        with pytest.raises(SettingsError, match=r"does not end in \.html"):
            write_report(settings, target)
    with pytest.raises(SettingsError, match=r"(?s)letter\.html is another file.*Next: Name another file"):
        write_report(settings, tmp_path / "letter.html")
    assert before == {path: path.read_bytes() for path in before}
    assert not (settings.data_folder / "pii.key").exists() and not (tmp_path / ".env").exists()
    for _ in range(2):
        write_report(settings, tmp_path / "empty.html")
    assert (tmp_path / "empty.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_command_line_starts_without_charts_and_templates() -> None:
    program = "import sys, cashpay_pipeline.cli; print({'altair', 'jinja2', 'vl_convert', 'pandas'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is a development package")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_OPTIONS)
        yield launched
        launched.close()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("names", ["hostile", pytest.param("usual", marks=pytest.mark.long)])
def test_in_a_browser_without_a_network(
    settings: Settings, warehouse: Warehouse, browser: Any, language: str, names: str
) -> None:
    a_shop(warehouse)
    if names == "hostile":
        long = "W" * 300
        collected(warehouse, DAY, "long", 3_000_000_000_000, gateway_name=long)
        sync(warehouse, sync_id="s0", warnings=[long])
        difference(warehouse, long, "excess", 10**15, 10**16, merchant_reference=f"{HOSTILE}{long}")
        warehouse.connection.execute("update core.accounts set environment = ?", [long])
    made_html(settings, warehouse, language)
    for width in (390, 1200):
        opens_without_trouble(settings, browser, language, width)


def opens_without_trouble(settings: Settings, browser: Any, language: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, offline=True)
    opened = context.new_page()
    trouble: list[str] = []
    opened.on("console", lambda message: trouble.append(message.text))
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.on("request", lambda request: request.url.startswith(("file:", "data:")) or trouble.append(request.url))
    opened.goto((settings.data_folder / f"report.{language}.html").as_uri())
    opened.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    shown = opened.evaluate(
        "[...document.images].map(i => [i.complete && i.naturalWidth > 0, i.alt !== '', "
        "i.currentSrc === i.getAttribute('src')])"
    )
    assert shown == [[True, True, width > 640]] * 4
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate("document.querySelectorAll('script').length") == 0
    assert opened.pdf(format="A4").startswith(b"%PDF")
    assert trouble == []
    context.close()
