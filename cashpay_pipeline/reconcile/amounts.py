"""How the amounts of a column are to be read. Is "12.500" 12,500 francs or 12.5? The whole column decides."""

from typing import Any

from cashpay_pipeline.reconcile.cells import quoted
from cashpay_pipeline.reconcile.mapping import Mapping
from cashpay_pipeline.reconcile.sheet import Sheet

SIGNS = {"point": ".", "comma": ","}
OTHER = {"point": "comma", "comma": "point"}
ASK = "Say --decimal-mark comma, point or none (amounts without decimals); --save-mapping keeps it."

Kinds = dict[str, dict[str, Any]]
"""The first amount of each form that the column has."""
Roles = dict[str, tuple[str, dict[str, Any]]]
"""What a mark is, `groups` or `decimals`, and the amount that proves it."""


def decide_decimal_mark(sheet: Sheet, mapping: Mapping) -> tuple[str, list[str]]:
    """The sign before decimals, empty if the column has none, and what was assumed.

    Proof, in this order: what the user says; a column of numbers; 1.500.000 or 1.500,00, which can be read in one way
    only; that 12.750 cannot be francs and decimals, because francs have none; that 500 stands beside 12.000, which
    would be 500.000 with decimals.

    Raises:
        OrdersError: an amount is no number, the column contradicts itself, or nothing decides.
    """
    kinds: Kinds = {
        row["amount_kind"]: row
        for row in sheet.scratch.rows(
            "select amount_kind, min(line) as line, arg_min(amount_as_written, line) as written "
            "from cleaned group by amount_kind"
        )
    }
    if bad := kinds.get("unreadable"):
        sheet.stop(f"{quoted(bad['written'])} is not an amount.", bad["line"], "amount", "Correct it and run again.")
    roles = _proven(sheet, kinds)
    if told := mapping.decimal_mark or ("point" if "amount" in sheet.typed else None):
        _compare(sheet, roles, told)
        return SIGNS.get(told, ""), []
    assumed: list[str] = []
    for mark in SIGNS:
        doubtful = kinds.get(f"{mark}_either")
        if doubtful and roles.get(mark, ("groups",))[0] == "groups":
            reason = _reason_for_groups(sheet, kinds, roles, mark)
            if reason is None:
                written = doubtful["written"]
                whole, _, decimals = written.strip().partition(SIGNS[mark])
                sheet.stop(
                    f"{quoted(written)} can be read as {whole}{decimals} or as {whole} and decimals, and no other "
                    "amount decides.",
                    doubtful["line"],
                    "amount",
                    ASK,
                )
            roles.setdefault(mark, ("groups", doubtful))
            assumed.append(
                f"A {mark} in amounts groups thousands: {quoted(doubtful['written'])} "
                f"({sheet.unit} {doubtful['line']:,}) has no decimals, because {reason}."
            )
    if {role for role, _ in roles.values()} == {"groups"} and len(roles) == 2:
        _contradiction(sheet, roles["point"][1], roles["comma"][1])
    decimal = next((mark for mark, (role, _) in roles.items() if role == "decimals"), None)
    if decimal:
        assumed.append(f"A {decimal} in amounts begins the decimals: {quoted(roles[decimal][1]['written'])}.")
    return SIGNS[decimal] if decimal else "", assumed


def _proven(sheet: Sheet, kinds: Kinds) -> Roles:
    """What point and comma certainly are."""
    roles: Roles = {}
    for kind, row in sorted(kinds.items(), key=lambda item: int(item[1]["line"])):
        for mark in SIGNS:
            for role in ("groups", "decimals"):
                if f"{mark}_{role}" in kind and roles.setdefault(mark, (role, row))[0] != role:
                    _contradiction(sheet, roles[mark][1], row)
    if {role for role, _ in roles.values()} == {"decimals"} and len(roles) == 2:
        _contradiction(sheet, roles["point"][1], roles["comma"][1])
    return roles


def _compare(sheet: Sheet, roles: Roles, told: str) -> None:
    for mark, (role, row) in roles.items():
        if (role == "decimals") != (mark == told):
            sheet.stop(f"{quoted(row['written'])} does not fit decimal mark {told}.", row["line"], "amount", ASK)


def _reason_for_groups(sheet: Sheet, kinds: Kinds, roles: Roles, mark: str) -> str | None:
    """Why a mark before exactly three digits groups thousands; None if nothing proves it."""
    if mark in roles:
        proof = roles[mark][1]
        return f"{quoted(proof['written'].strip())} ({sheet.unit} {proof['line']:,}) can be read in one way only"
    if OTHER[mark] in roles and roles[OTHER[mark]][0] == "decimals":
        return f"decimals begin with a {OTHER[mark]} ({quoted(roles[OTHER[mark]][1]['written'])})"
    impossible = sheet.first(
        "select line, amount_as_written, currency from priced where amount_kind = ? "
        "and length(rtrim(right(number, 3), '0')) > decimals order by line",
        [f"{mark}_either"],
    )
    if impossible:
        return (
            f"{quoted(impossible['amount_as_written'].strip())} ({sheet.unit} {impossible['line']:,}) would not be a "
            f"whole number of the smallest unit of {impossible['currency']}"
        )
    short = sheet.first(
        "select line, number from cleaned where amount_kind = 'whole' and length(ltrim(number, '-+0')) in (1, 2, 3)"
    )
    long = sheet.first("select line from cleaned where amount_kind = 'whole' and length(ltrim(number, '-+0')) > 3")
    if short and not long and f"{OTHER[mark]}_either" not in kinds:
        return f"{quoted(short['number'])} ({sheet.unit} {short['line']:,}) is written without"
    return None


def _contradiction(sheet: Sheet, one: dict[str, Any], other: dict[str, Any]) -> None:
    sheet.stop(
        f"{quoted(other['written'])} and {quoted(one['written'])} ({sheet.unit} {one['line']:,}) are not written in "
        "the same way.",
        other["line"],
        "amount",
        "Export the amounts in one form.",
    )
