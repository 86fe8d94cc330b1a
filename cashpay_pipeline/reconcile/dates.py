"""How the dates of a column are to be read. 02/03/2026 is in March or in February: the whole column decides."""

from cashpay_pipeline.reconcile.cells import quoted
from cashpay_pipeline.reconcile.mapping import Mapping
from cashpay_pipeline.reconcile.sheet import Sheet
from cashpay_pipeline.terminal import many

KNOWN = "Known forms: 2026-03-31, 2026-03-31 14:05, 31/03/2026, 31/03/2026 14:05."


def decide_date_order(sheet: Sheet, mapping: Mapping) -> tuple[bool, list[str]]:
    """Whether the day comes first where the year comes last, and what was assumed.

    Raises:
        OrdersError: a date is in no known form, the column contradicts itself, or nothing decides.
    """
    if "date" not in sheet.columns:
        return True, []
    kinds = {
        row["date_kind"]: row
        for row in sheet.scratch.rows(
            "select date_kind, count(*) as many, min(line) as line, arg_min(date_text, line) as written "
            "from cleaned group by date_kind"
        )
    }
    if bad := kinds.get("unreadable"):
        sheet.stop(
            f"{quoted(bad['written'])} is not a date in a form that is known.",
            bad["line"],
            "date",
            f"{KNOWN} Or leave dates out: --date none.",
        )
    said = []
    if empty := kinds.get("empty"):
        said.append(f"{many(empty['many'], 'row')} without a date.")
    last = kinds.get("year_last")
    if not last:
        return True, said
    if first := kinds.get("year_first"):
        row, other = sorted((first, last), key=lambda kind: int(kind["line"]))
        sheet.stop(
            f"{quoted(other['written'])} and {quoted(row['written'])} ({sheet.unit} {row['line']:,}) are not in the "
            "same form.",
            other["line"],
            "date",
            "Export the dates in one form, or leave them out: --date none.",
        )
    day = _above_twelve(sheet, 1)
    month = _above_twelve(sheet, 2)
    if day and month:
        line, written = month
        sheet.stop(
            f"{quoted(written)} and {quoted(day[1])} ({sheet.unit} {day[0]:,}) are not in the same form: which is the "
            "day?",
            line,
            "date",
            "Export the dates in one form, or leave them out: --date none.",
        )
    if mapping.date_order is None and not (day or month):
        sheet.stop(
            f"{quoted(last['written'])} can be read in two ways, and no other date decides: is the day first or the "
            "month?",
            last["line"],
            "date",
            "Say --date-order day or month; --save-mapping keeps it.",
        )
    proof = day or month
    is_day_first = day is not None if proof else mapping.date_order == "day"
    if proof:
        if mapping.date_order and (mapping.date_order == "day") != is_day_first:
            sheet.stop(f"{quoted(proof[1])} does not fit --date-order.", proof[0], "date", KNOWN)
        said.append(f"In dates the {'day' if is_day_first else 'month'} comes first: {quoted(proof[1])}.")
    return is_day_first, said


def _above_twelve(sheet: Sheet, part: int) -> tuple[int, str] | None:
    """The first date of which this part cannot be a month."""
    found = sheet.first(
        "select line, date_text from cleaned where date_kind = 'year_last' "  # noqa: S608 - a number of ours
        f"and cast(regexp_extract(date_text, '^([0-9]+)[-/.]([0-9]+)', {part}) as integer) > 12 order by line"
    )
    return (int(found["line"]), str(found["date_text"])) if found else None
