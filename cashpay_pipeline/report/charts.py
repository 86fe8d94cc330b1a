"""The pictures, as SVG for the page and PNG for the Dagster interface: no browser, no network, no script inside.

Names from CashPay are data values in here, never part of an expression.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

import altair as alt
import vl_convert

from cashpay_pipeline.report import PERIOD_DAYS
from cashpay_pipeline.report.colours import PALETTE
from cashpay_pipeline.report.figures import Bar, age_classes, collection_bars, currencies
from cashpay_pipeline.report.formats import Formats, decimals
from cashpay_pipeline.report.png import pack
from cashpay_pipeline.report.texts import Texts

WIDE, NARROW = 760, 280
"""Width of a chart's plane in CSS pixels, for a desk and for a phone."""
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
INK, GRID = "#1b1f24", "#d9dde2"
ENGLISH = Formats("en")
"""The language of the Dagster interface."""
_UTC = partial(alt.Scale, type="utc")


def collections_chart(
    bars: Sequence[Bar], currency: str, first: date, last: date, *, language: Formats, width: int
) -> str:
    """Money received each day, stacked by gateway, as SVG."""
    return _svg(_collections(bars, currency, first, last, width), language)


def collections_chart_png(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The rows of `marts.daily_collections`, the last 90 days of each currency, as PNG for the Dagster interface.

    Args:
        rows: all rows of the mart, of one account or several; they may be none.
    """
    last = max((row["received_date"] for row in rows), default=date.min + timedelta(days=PERIOD_DAYS))
    first = last - timedelta(days=PERIOD_DAYS - 1)
    bars = {
        currency: collection_bars(rows, currency, first, last, "Other gateways", "Gateway not told")
        for currency in sorted({row["currency"] for row in rows})
    }
    charts = [
        _titled(_collections(found, currency, first, last, WIDE), "Money received, by day and gateway")
        for currency, found in bars.items()
        if found
    ]
    return _png(charts, "No money received yet")


def conversion_chart(weeks: Sequence[Mapping[str, Any]], *, language: Formats, width: int) -> str:
    """Share of bills paid by week of creation, as SVG; weeks that can still grow are pale."""
    return _svg(_conversion(weeks, language, width), language)


def conversion_chart_png(weeks: Sequence[Mapping[str, Any]]) -> bytes:
    """The same for the Dagster interface.

    Args:
        weeks: week_start, bill_count, paid_count and is_unfinished, the newest last; they may be none.
    """
    chart = _titled(_conversion(weeks, ENGLISH, WIDE), "Share of bills paid, by week of creation (pale: not over yet)")
    return _png([chart] if weeks else [], "No whole day has been read yet")


def aging_chart(classes: Sequence[Mapping[str, Any]], currency: str, *, language: Formats, width: int) -> str:
    """Money still owed by age of the bill, as SVG."""
    return _svg(_aging(classes, currency, language, width), language)


def aging_chart_png(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The same for the Dagster interface, each currency below the other.

    Args:
        rows: currency, age_class and still_owed_amount of `marts.unpaid_aging`; they may be none.
    """
    label = Texts("en")
    charts = [
        _titled(
            _aging(age_classes(rows, currency, label), currency, ENGLISH, WIDE),
            f"{currency} still owed, by age of the bill in days",
        )
        for currency in currencies(rows)
    ]
    return _png(charts, "Nothing is unpaid")


def _conversion(weeks: Sequence[Mapping[str, Any]], language: Formats, width: int) -> Any:
    values = [
        {
            "week": language.day_and_month(week["week_start"]),
            "share": week["paid_count"] / week["bill_count"],
            "opacity": 0.25 if week["is_unfinished"] else 1,
        }
        for week in weeks
    ]
    base = _chart(values).encode(
        x=alt.X("week:O", sort=None, title=None, axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=8)),
        y=alt.Y("share:Q", scale=alt.Scale(domain=[0, 1]), title=None, axis=alt.Axis(format=".0%", tickCount=5)),
    )
    bars = base.mark_bar(color=PALETTE[0], stroke=PALETTE[0], strokeWidth=1).encode(
        fillOpacity=alt.FillOpacity("opacity:Q", scale=None)
    )
    shares = base.mark_text(dy=-7, fontSize=11, color=INK).encode(text=alt.Text("share:Q", format=".0%"))
    layers = [bars, shares] if width == WIDE else [bars]
    return alt.layer(*layers).properties(width=width, height=200)


def _aging(classes: Sequence[Mapping[str, Any]], currency: str, language: Formats, width: int) -> Any:
    scale = 10 ** decimals(currency)
    values = [
        {"age": row["label"], "amount": row["still_owed_amount"] / scale,
         "text": language.number(row["still_owed_amount"], currency)}
        for row in classes
    ]  # fmt: skip
    most = max([value["amount"] for value in values], default=0) or 1
    room = 1.2 if width == WIDE else 1.45
    base = _chart(values).encode(
        y=alt.Y("age:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=6)),
        x=alt.X("amount:Q", title=None, axis=None, scale=alt.Scale(domain=[0, most * room])),
    )
    bars = base.mark_bar(color=PALETTE[0], height=18)
    labels = base.mark_text(align="left", dx=5, fontSize=12, color=INK).encode(text="text:N")
    return alt.layer(bars, labels).properties(width=width, height=alt.Step(28))


def _collections(bars: Sequence[Bar], currency: str, first: date, last: date, width: int) -> alt.Chart:
    scale = 10 ** decimals(currency)
    colours = {bar.label: bar.colour for bar in sorted(bars, key=lambda bar: bar.place)}
    values = [
        {"day": bar.day.isoformat(), "gateway": bar.label, "amount": bar.amount / scale, "place": bar.place}
        for bar in bars
    ]
    days = [first.isoformat(), (last + timedelta(days=1)).isoformat()]
    chart: alt.Chart = (
        _chart(values)
        .mark_bar()
        .encode(
            x=alt.X(
                "utcyearmonthdate(day):T",
                title=None,
                scale=_UTC(domain=[{"expr": f"utcParse('{day}', '%Y-%m-%d')"} for day in days], nice=False),
                axis=alt.Axis(format="%-d %b", grid=False, tickCount=width // 80, labelFlush=False),
            ),
            y=alt.Y(
                "sum(amount):Q",
                title=currency,
                axis=alt.Axis(
                    format=",.0f", tickCount=5, titleAngle=0, titleAlign="left", titleAnchor="end", titleX=0, titleY=-12
                ),
            ),
            color=alt.Color(
                "gateway:N",
                title=None,
                scale=alt.Scale(domain=list(colours), range=list(colours.values())),
                legend=alt.Legend(
                    orient="bottom", columns=4 if width == WIDE else 1, labelLimit=170 if width == WIDE else 260
                ),
            ),
            order=alt.Order("place:Q"),
        )
    )
    return chart.properties(width=width, height=260)


def _chart(values: Sequence[Mapping[str, Any]]) -> alt.Chart:
    return alt.Chart(alt.Data(values=list(values)))  # type: ignore[no-untyped-call]


def _described(chart: Any) -> dict[str, Any]:
    configured = (
        chart.configure(font=FONT, background="white", padding=4)
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=12, titleFontSize=12, labelColor=INK, titleColor=INK, gridColor=GRID, titleFontWeight="bold"
        )
        .configure_legend(labelFontSize=12, labelColor=INK, symbolType="square", symbolSize=140)
    )
    described: dict[str, Any] = configured.to_dict()
    return described


def _svg(chart: Any, language: Formats) -> str:
    return vl_convert.vegalite_to_svg(
        _described(chart),
        allowed_base_urls=[],
        format_locale=language.number_locale(),
        time_format_locale=language.time_locale(),
    )


def _titled(chart: Any, title: str) -> Any:
    """With a title, where no page has it."""
    return chart.properties(title=alt.Title(title, anchor="start", fontSize=12, color=INK))


def _png(charts: Sequence[Any], nothing: str) -> bytes:
    """The charts, one below the other, or a word where there is none."""
    note = _chart([{}]).mark_text(fontSize=14).encode(text=alt.value(nothing)).properties(width=WIDE, height=80)
    chart = alt.vconcat(*(charts or [note])).resolve_scale(color="independent")
    return pack(vl_convert.vegalite_to_png(_described(chart), scale=1.25, allowed_base_urls=[]))
