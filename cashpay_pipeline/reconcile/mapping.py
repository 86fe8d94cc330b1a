"""Which column of the shop's export means what, and how it is to be read: options, or a small TOML file."""

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cashpay_pipeline.atomic import refuse_other_file
from cashpay_pipeline.errors import OrdersError, SettingsError

NO_COLUMN = "none"
"""Given as a column's name, it says that there is none."""

TITLE = "# How `cashpay reconcile` reads the shop's orders.\n"


class Mapping(BaseModel):
    """Everything that can be told about an export. What is not told is found in the export itself, or asked for.

    Attributes:
        reference: column of the shop's order reference.
        amount: column of the amount, in whole units of the currency (francs, euros).
        paid: column that tells whether the order is paid.
        date: column of the order's date; `none`: there is none.
        currency: column of the currency; `none`: there is none.
        table: table to read, when the source is a database.
        query: SELECT to read instead.
        key: what of the bill the reference must equal.
        loose: capitals, blanks, `#`, leading zeros and a final `.0` of references do not count.
        all_paid: every order in the export is paid.
        paid_words: further words that mean paid.
        unpaid_words: further words that mean not paid.
        decimal_mark: how the amounts write decimals; `none`: they have no decimals.
        date_order: whether 02/03/2026 is in March (`day` first) or in February (`month` first).
        repeated: what several rows of one reference are: an error, each the same `total`, `parts` to add up, or
            states of which the `last` one counts.
        only: `column=value`; other rows are left out.
        skip_without_reference: leave rows without a reference out, such as a line of totals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    reference: str | None = None
    amount: str | None = None
    paid: str | None = None
    date: str | None = None
    currency: str | None = None
    table: str | None = None
    query: str | None = None
    key: Literal["merchant_reference", "order_reference"] = "merchant_reference"
    loose: bool = False
    all_paid: bool = False
    paid_words: tuple[str, ...] = ()
    unpaid_words: tuple[str, ...] = ()
    decimal_mark: Literal["comma", "point", "none"] | None = None
    date_order: Literal["day", "month"] | None = None
    repeated: Literal["stop", "total", "parts", "last"] = "stop"
    only: str | None = None
    skip_without_reference: bool = False


def load_mapping(path: Path | None, **told: Any) -> Mapping:
    """The mapping of a file, if there is one; what is told beside it, and not None, wins.

    Raises:
        SettingsError: an option or a line of the file means nothing, or the file cannot be read.
    """
    stored: dict[str, Any] = {}
    if path is not None:
        try:
            stored = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(
                f"The mapping cannot be read: {error}.",
                where=path.name,
                next_step="Check its path and form; --save-mapping writes one.",
            ) from None
    try:
        return Mapping(**(stored | {name: value for name, value in told.items() if value is not None}))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)]
    raise SettingsError(
        f"The mapping does not fit: {'; '.join(problems)}",
        where=path.name if path else "",
        next_step="`cashpay reconcile --help` lists what a mapping may hold.",
    )


def refuse_other_mapping(path: Path) -> None:
    """See that `save_mapping` may write this file.

    Raises:
        SettingsError: there is another file of this name.
    """
    refuse_other_file(path, ".toml", TITLE)


def save_mapping(mapping: Mapping, path: Path) -> None:
    """Write what differs from the defaults.

    Raises:
        OrdersError: the file cannot be written.
        SettingsError: there is another file of this name.
    """
    refuse_other_mapping(path)
    told = mapping.model_dump(mode="json", exclude_defaults=True)
    # Texts, lists of texts and booleans are the same in JSON and TOML.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in told.items()]
    try:
        path.write_text(TITLE + "".join(lines), encoding="utf-8")
    except OSError as error:
        raise OrdersError(f"The mapping cannot be written: {error.strerror}.", where=str(path)) from None
