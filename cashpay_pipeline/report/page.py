"""The file: everything put together by a template that escapes all it is given (X3)."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from cashpay_pipeline.atomic import put_in_place, refuse_other_file, workshop
from cashpay_pipeline.clock import BUSINESS_TIMEZONE, Clock, SystemClock
from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.phones import hide_phones
from cashpay_pipeline.report import PERIOD_DAYS, charts
from cashpay_pipeline.report.figures import Collections, age_classes, collections, currencies
from cashpay_pipeline.report.formats import Formats, plain
from cashpay_pipeline.report.queries import NEWEST_DIFFERENCES, Facts, read_facts
from cashpay_pipeline.report.texts import Language, Texts
from cashpay_pipeline.report.trust import is_made_up, reservations
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.warehouse import read_published


@dataclass(frozen=True)
class Picture:
    """A chart for a desk and one for a phone, as data addresses, and what it shows in words."""

    wide: str
    narrow: str
    alt: str


@dataclass(frozen=True)
class CurrencyPart:
    """All that the page shows of one currency."""

    collections: Collections
    collections_picture: Picture | None
    aging: list[dict[str, Any]]
    aging_picture: Picture | None
    difference_sums: list[dict[str, Any]]
    newest_differences: list[dict[str, Any]]


def report_path(settings: Settings, language: Language) -> Path:
    """Where the report goes if nobody names a file: to each account its own, where several share the data folder.

    Raises:
        WarehouseError: there is no published copy, or it cannot be read.
    """
    name = "rapport" if language == "fr" else "report"
    account = f"-{settings.account}" if len(_accounts(settings)) > 1 else ""
    return settings.data_folder / f"{name}{account}.html"


def write_report(settings: Settings, target: Path, language: Language = "en", *, clock: Clock | None = None) -> None:
    """Make the report from the published copy; the file is replaced as a whole, and is its maker's alone.

    Raises:
        WarehouseError: there is no published copy, it has bills of other accounts only, or the file cannot be written.
        SettingsError: `target` is another file than a report.
    """
    refuse_other_file(target, ".html", "<!doctype html>")
    accounts = _accounts(settings)
    if accounts and settings.account not in accounts:
        raise WarehouseError(
            f"Account {settings.account} has no bills in the published copy.",
            where=str(settings.published_path),
            next_step=f"It has those of {', '.join(accounts)}: correct CASHPAY_ACCOUNT, or run `cashpay sync`.",
        )
    html = report_html(read_facts(settings), settings, language, (clock or SystemClock()).now())
    try:
        with workshop(target.parent) as folder:
            (folder / target.name).write_text(html, encoding="utf-8")
            put_in_place(folder / target.name, target)
    except OSError as error:
        raise WarehouseError(
            f"The report cannot be written: {error.strerror}.",
            where=str(target),
            next_step="Name another file with --to.",
        ) from None


def _accounts(settings: Settings) -> list[str]:
    """Those that have bills in the published copy."""
    _, rows = read_published(settings, "select distinct account from core.bills order by account")
    return [account for (account,) in rows]


def report_html(facts: Facts, settings: Settings, language: Language, now: datetime) -> str:
    """The whole page."""
    texts, formats = Texts(language), Formats(language)
    today = now.astimezone(ZoneInfo(BUSINESS_TIMEZONE)).date()
    last = facts.last_day or today - timedelta(days=1)
    first = last - timedelta(days=PERIOD_DAYS - 1)
    names = currencies(facts.collections, facts.aging, facts.difference_sums)
    weeks = [{**row, "is_unfinished": row["week_start"] + timedelta(days=6) > last} for row in facts.weeks]
    environment = Environment(
        loader=PackageLoader("cashpay_pipeline.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        t=texts,
        f=formats,
        plain=plain,
        reference=plain if settings.pii == "keep" else lambda text: hide_phones(plain(text)),
        facts=facts,
        account=settings.account,
        zone=BUSINESS_TIMEZONE,
        now=now,
        first=first,
        last=last,
        weekday_before=last - timedelta(days=7),
        period_days=PERIOD_DAYS,
        newest_count=NEWEST_DIFFERENCES,
        is_yesterday=last == today - timedelta(days=1),
        is_made_up=is_made_up(facts, settings.has_credentials),
        is_empty=not facts.bills["bill_count"],
        reservations=list(reservations(facts, now, today, texts, formats)),
        parts=[_currency_part(facts, currency, first, last, texts, formats) for currency in names],
        weeks=weeks,
        conversion_picture=_conversion_picture(weeks, texts, formats),
    )


def _currency_part(
    facts: Facts, currency: str, first: date, last: date, texts: Texts, formats: Formats
) -> CurrencyPart:
    money = collections(facts.collections, currency, last, other=texts("other_gateways"), unknown=texts("no_gateway"))
    aging = age_classes(facts.aging, currency, texts)
    return CurrencyPart(
        collections=money,
        collections_picture=_picture(
            lambda width: charts.collections_chart(money.bars, currency, first, last, language=formats, width=width),
            texts(
                "alt_collections",
                currency=currency,
                first=formats.short_day(first),
                last=formats.short_day(last),
                total=formats.money(money.total, currency),
            ),
        )
        if money.bars
        else None,
        aging=aging,
        aging_picture=_picture(
            lambda width: charts.aging_chart(aging, currency, language=formats, width=width),
            texts(
                "alt_aging",
                currency=currency,
                total=formats.money(sum(row["still_owed_amount"] for row in aging), currency),
            ),
        )
        if aging
        else None,
        difference_sums=[row for row in facts.difference_sums if row["currency"] == currency],
        newest_differences=[row for row in facts.newest_differences if row["currency"] == currency],
    )


def _conversion_picture(weeks: list[dict[str, Any]], texts: Texts, formats: Formats) -> Picture | None:
    if not weeks:
        return None
    finished = [week for week in weeks if not week["is_unfinished"]]
    share = formats.percent(finished[-1]["paid_count"], finished[-1]["bill_count"]) if finished else "–"
    return _picture(
        lambda width: charts.conversion_chart(weeks, language=formats, width=width),
        texts("alt_conversion", share=share),
    )


def _picture(draw: Callable[[int], str], alt: str) -> Picture:
    return Picture(_address(draw(charts.WIDE)), _address(draw(charts.NARROW)), alt)


def _address(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
