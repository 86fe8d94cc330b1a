"""Every uncertainty of the CashPay API as a switch that can be set to each of its possible answers.

CashPay's documentation leaves much open. Each open question is one field here, with the line that says which question
it stands for. The defaults are the likeliest answers.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def _switch(default: Any, question: str, *values: Any) -> Any:
    return field(default=default, metadata={"question": question, "values": values})


@dataclass(frozen=True, slots=True)
class Switches:
    """How this simulated CashPay answers what the documentation does not say."""

    # The bill list: shape
    envelope: str = _switch(
        "items_total",
        "Shape of the bill list; `unknown` is a shape nobody expects.",
        *("items_total", "bare", "data_total", "data_meta", "embedded", "orders_count", "bills"),
        *("results", "records_total", "content", "hydra", "unknown"),
    )
    total: str = _switch(
        "right",
        "Can the total be believed? `stale` is yesterday's, `low` and `high` are wrong.",
        *("right", "missing", "string", "zero", "stale", "null", "low", "high"),
    )
    order: str = _switch(
        "newest_first",
        "Order of the list; `updated` is the last change first, `random` a stable shuffle.",
        *("newest_first", "oldest_first", "updated", "random"),
    )
    list_fields: str = _switch("full", "Are list rows as rich as details? `poor` has no payments.", "full", "poor")
    details_fields: str = _switch("full", "Do details carry payments and the received amount?", "full", "poor")
    # The bill list: paging
    paging: str = _switch(
        "page",
        "How the server pages. `ignored`: always the whole list; `page_ignored`: always the first page.",
        *("page", "zero_based", "offset", "ignored", "page_ignored"),
    )
    page_param: str = _switch("page", "Name of the page parameter (with `offset` paging: `offset`).")
    size_param: str = _switch("limit", "Name of the size parameter, e.g. limit, per_page, size.")
    default_size: int = _switch(20, "Rows of a page when no size is asked for.")
    page_cap: int = _switch(0, "Most rows the server gives, whatever is asked for; 0 is no cap.")
    cap_skips_by: str = _switch(
        "cap", "Does a capped page skip by the cap, or by the size asked (which hides rows)?", "cap", "asked"
    )
    size_refused_above: int = _switch(0, "Sizes above this are refused; 0 refuses none.")
    size_refused_status: int = _switch(400, "Status of that refusal.", 400, 413, 422)
    end: str = _switch(
        "empty",
        "What a page past the end brings: an empty list, 204, 404, or the last page again.",
        *("empty", "204", "404", "last_page"),
    )
    empty_page_at: int = _switch(0, "This page is empty though more follow; 0 is none.")
    short_page_at: int = _switch(0, "This page is half full though more follow; 0 is none.")
    extra_params: str = _switch("ignored", "Is an unknown query parameter ignored or a 400?", "ignored", "refused")
    # Values
    amount_form: str = _switch(
        "string",
        "`amount` on the wire: the documentation says Integer in and String out.",
        *("string", "int", "float", "decimal_string"),
    )
    received_form: str = _switch(
        "int", "`received_amount` and payment amounts.", "int", "string", "float", "decimal_string"
    )
    date_form: str = _switch(
        "iso_offset",
        "Form of `date_create`: no sample was ever seen.",
        *("iso_offset", "space", "iso_z_ms", "php_object", "epoch_s", "epoch_ms", "iso_naive", "day_first"),
    )
    date_zone: str = _switch("UTC", "Zone of dates, e.g. Europe/Paris if the server runs there.")
    code_form: str = _switch("string", "The short `code`, also as a number, like an error's.", "string", "int")
    payments_method: str = _switch(
        "flat",
        "`payments_method` of a new bill, flat or as lists in lists; `*_everywhere` also in list and details.",
        *("flat", "nested", "flat_everywhere", "nested_everywhere"),
    )
    missing_optional: str = _switch(
        "none", "Are optional fields left out: never, for every third bill, always?", "none", "some", "all"
    )
    canceled_spelling: str = _switch("Canceled", "Spelling of the cancelled state.", "Canceled", "Cancelled", "mixed")
    state_case: str = _switch(
        "documented", "Letter case of states; `padded` adds a blank.", "documented", "upper", "lower", "padded"
    )
    unknown_state: str = _switch("", "A state nobody documented, e.g. Refunded, on some paid bills; empty is none.")
    shuffled_keys: bool = _switch(False, "Do the keys of a record come in another order each time (D6)?")
    # Replies
    details_wrapped: bool = _switch(False, 'Are details wrapped in `{"items": [bill]}`?')
    gateways_wrapped: bool = _switch(False, 'Are gateways wrapped in `{"items": [...]}`? All evidence says bare.')
    read_status: int = _switch(200, "Status of a good read.", 200, 201)
    error_shape: str = _switch("status_message", "Shape of error bodies.", "status_message", "code_message")
    date_header: bool = _switch(True, "Does the reply carry a Date header (the simulated time)?")
    # Authentication
    auth_schemes: str = _switch("both", "Which schemes are accepted.", "both", "oauth2", "cashpay")
    auth_reply: str = _switch(
        "normal",
        "Oddities of the `/auth` reply.",
        *("normal", "201", "no_token", "json_string", "no_expires_in", "strings"),
    )
    auth_error: str = _switch(
        "keycloak", "Body of a refused login: Keycloak's, or the API's own error.", "keycloak", "message"
    )
    token_life: int = _switch(3600, "Seconds that a token lives.")
    token_expiry: str = _switch("401", "How an expired or invalid token is refused.", "401", "400_expired", "403")
    salt_check: bool = _switch(True, "Is a salt refused that was used before?")
    salt_max_digits: int = _switch(0, "Widest salt that is accepted; 0 is any.")
    # Bills made through POST /orders
    created_bills: str = _switch(
        "wait", "What becomes of a bill you create: it waits for you, or is paid after 30 s.", "wait", "paid"
    )

    def changed(self, changes: dict[str, Any]) -> Self:
        """Return a copy with some switches set, values checked.

        Args:
            changes: Value by switch name; text is converted to the switch's type.

        Raises:
            ValueError: An unknown switch, or a value that it does not have.
        """
        known = {one.name: one for one in fields(self)}
        checked = {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown switch {name!r}; known are: {', '.join(sorted(known))}")
            values = known[name].metadata["values"]
            value = _converted(name, value, type(known[name].default))
            if values and value not in values:
                raise ValueError(f"switch {name} has no value {value!r}; it has: {', '.join(map(str, values))}")
            if name == "date_zone":
                _check_zone(value)
            checked[name] = value
        return replace(self, **checked)

    def as_json(self) -> dict[str, Any]:
        """Return every switch by name."""
        return asdict(self)


def describe_switches() -> list[dict[str, Any]]:
    """Return name, default, possible values and question of every switch, for help texts."""
    return [
        {"name": one.name, "default": one.default, **one.metadata, "values": list(one.metadata["values"])}
        for one in fields(Switches)
    ]


def parse_switch(text: str) -> tuple[str, str]:
    """Split `name=value` from the command line."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"expected name=value, got {text!r}")
    return name.strip(), value.strip()


def _converted(name: str, value: Any, wanted: type) -> Any:
    if wanted is bool:
        if isinstance(value, bool):
            return value
        words = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False}
        if str(value).lower() not in words:
            raise ValueError(f"switch {name} is true or false, not {value!r}")
        return words[str(value).lower()]
    if wanted is int:
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ValueError(f"switch {name} is a whole number, not {value!r}") from None
    return str(value)


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, ZoneInfoNotFoundError, OSError):  # an odd key, an unknown one, a folder
        raise ValueError(f"switch date_zone: {name!r} is not a time zone") from None
