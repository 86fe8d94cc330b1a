"""How values and records look on the wire, under the switches in force."""

import zlib
from datetime import UTC, datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from cashpay_pipeline.simulator.switches import Switches

_POOR_FIELDS = (
    *("order_reference", "merchant_reference", "code", "state", "date_create"),
    *("amount", "currency", "client", "bill_url"),
)
_OPTIONAL_FIELDS = (
    *("merchant_reference", "code", "description", "bill_url", "long_bill_url", "qrcode_bill_url"),
    *("message", "payments_method"),
)


def money(value: Any, form: str) -> Any:
    """Return an amount in one of the wire forms; what is not a whole number is served as it is."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if form == "string":
        return str(value)
    if form == "decimal_string":
        return f"{value}.00"
    return float(value) if form == "float" else value


def moment(value: datetime, form: str, zone: str) -> Any:
    """Return a time in one of the forms that `date_create` may have (cashpay-api, section 9)."""
    local = value.astimezone(ZoneInfo(zone) if zone != "UTC" else UTC)
    if form == "iso_offset":
        return local.isoformat()
    if form == "space":
        return local.strftime("%Y-%m-%d %H:%M:%S")
    if form == "iso_naive":
        return local.replace(tzinfo=None).isoformat()
    if form == "day_first":
        return local.strftime("%d/%m/%Y %H:%M:%S")
    if form == "iso_z_ms":
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if form == "php_object":
        return {"date": local.strftime("%Y-%m-%d %H:%M:%S.%f"), "timezone_type": 3, "timezone": zone}
    return int(value.timestamp()) if form == "epoch_s" else int(value.timestamp() * 1000)


def shown_state(content: dict[str, Any], switches: Switches) -> Any:
    """Return a bill's state as this API would canonically have it: the documented one, or an unknown one.

    With the switch `unknown_state` about one paid bill in twenty carries that state instead.
    """
    state = content.get("state")
    if switches.unknown_state and state == "Paid" and _chance(content, "unknown") % 20 == 0:
        return switches.unknown_state
    return state


def bill_record(content: dict[str, Any], switches: Switches, fields: str) -> dict[str, Any]:
    """Return a bill as the API serves it.

    Args:
        content: The bill in canonical form, as `Bill.content` gives it.
        switches: The switches in force.
        fields: `full`, or `poor` for a row without payments and received amount.
    """
    record = dict(content)
    record["state"] = _spelled(shown_state(content, switches), content, switches)
    record["amount"] = money(content.get("amount"), switches.amount_form)
    record["received_amount"] = money(content.get("received_amount"), switches.received_form)
    record["date_create"] = moment(
        datetime.fromisoformat(content["date_create"]), switches.date_form, switches.date_zone
    )
    if isinstance(content.get("payments"), list):
        record["payments"] = [_payment(one, switches) for one in content["payments"]]
    if switches.code_form == "int" and str(content.get("code")).isdecimal():
        record["code"] = int(content["code"])
    if switches.payments_method.endswith("_everywhere"):
        record["payments_method"] = payments_method(content, switches)
    if fields == "poor":
        record = {name: value for name, value in record.items() if name in _POOR_FIELDS}
    return _shuffled(_without_optional(record, content, switches), content, switches)


def payments_method(content: dict[str, Any], switches: Switches) -> list[Any]:
    """Return how a new bill can be paid; one integration reads it as lists in lists (section 4.2)."""
    ways = [
        {
            "id": 1,
            "method": "USSD",
            "action": f"*000*{content.get('code')}#",
            "gateway": "Mixx by Yas (exemple)",
            "description": "Composez le code",
            "reference": "5b0f6a52-1d7e-4c8a-9a11-000000000012",
        }
    ]
    return [ways] if switches.payments_method.startswith("nested") else ways


def _payment(payment: Any, switches: Switches) -> Any:
    if not isinstance(payment, dict) or "amount" not in payment:
        return payment
    return {**payment, "amount": money(payment["amount"], switches.received_form)}


def _spelled(state: Any, content: dict[str, Any], switches: Switches) -> Any:
    if not isinstance(state, str):
        return state
    if state == "Canceled" and switches.canceled_spelling != "Canceled":
        spellings = ("Cancelled", "CANCELED", "cancelled", "Canceled")
        mixed = spellings[_chance(content, "spelling") % len(spellings)]
        state = "Cancelled" if switches.canceled_spelling == "Cancelled" else mixed
    changed = {"upper": state.upper(), "lower": state.lower(), "padded": f"{state} "}
    return changed.get(switches.state_case, state)


def _without_optional(record: dict[str, Any], content: dict[str, Any], switches: Switches) -> dict[str, Any]:
    left_out = switches.missing_optional
    if left_out == "none" or (left_out == "some" and _chance(content, "optional") % 3):
        return record
    kept = {name: value for name, value in record.items() if name not in _OPTIONAL_FIELDS}
    if isinstance(kept.get("client"), dict):
        kept["client"] = {"phone": kept["client"].get("phone")}
    return kept


def _shuffled(record: dict[str, Any], content: dict[str, Any], switches: Switches) -> dict[str, Any]:
    if not switches.shuffled_keys:
        return record
    names = list(record)
    Random(_chance(content, "keys")).shuffle(names)
    return {name: record[name] for name in names}


def _chance(content: dict[str, Any], purpose: str) -> int:
    """Return a number that looks like chance and is always the same for a bill."""
    return zlib.crc32(f"{purpose}:{content.get('order_reference')}".encode())
