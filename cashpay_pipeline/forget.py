"""Forget a customer, as Togo's law 2019-014 gives everybody the right to (S12).

No trace is left in current bills, history and rows set aside, nor in references that were made of the phone; CashPay's
own key, amounts, states and times stay. CashPay goes on sending the customer, so the keyed hash of the phone and the
bills are remembered, and every later reading leaves the customer out: by the bill too, for a list may tell her name or
a reference made of her phone, and not the phone.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cashpay_pipeline import changes
from cashpay_pipeline.atomic import sweep
from cashpay_pipeline.changes import OUTDATED
from cashpay_pipeline.errors import SettingsError
from cashpay_pipeline.marts import build_marts
from cashpay_pipeline.normalize import TEXT, TIME, frame, normalize_bills
from cashpay_pipeline.phones import local_digits
from cashpay_pipeline.privacy import Masker
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.warehouse import Warehouse, open_warehouse
from cashpay_pipeline.warehouse.backup import forgotten_in
from cashpay_pipeline.warehouse.compact import compact
from cashpay_pipeline.warehouse.database import refuse_absent
from cashpay_pipeline.warehouse.issues import issue_id
from cashpay_pipeline.warehouse.store import forgotten_clients, masker_of

MAY_TELL = """
select rowid as id, account, order_reference, payload from {table}
where $digits is null or contains(payload, $keys[1]) or contains(regexp_replace(payload, '\\D', '', 'g'), $digits)
"""
"""Payloads that may tell a customer, by the key or the digits of the phone, however they are written; or all."""
HERS = """
create or replace temp table hers as
select account, order_reference from found where order_reference is not null
union
select account, order_reference from core.bills where list_contains($keys, client_key)
"""
NOTE = """
insert into core.forgotten_bills
select account, order_reference from hers
except select account, order_reference from core.forgotten_bills
"""
JOIN_ISSUES = """
update core.data_issues as stored set first_seen_at = same.first_seen_at
from (
    select issue_id, min(first_seen_at) as first_seen_at from core.data_issues group by issue_id having count(*) > 1
) as same
where stored.issue_id = same.issue_id;
delete from core.data_issues where rowid in (
    select rowid from core.data_issues
    qualify row_number() over (partition by issue_id order by resolved_at is null desc, last_seen_at desc) > 1
)
"""
"""Rows set aside that differed in the customer only are one now."""
COPIES = ("*.backup", "backups/*/*.duckdb*", "exports", "report*.html", "rapport*.html")
"""Files and folders of a data folder that may hold a customer of before."""
CHUNK = 10_000
ISSUE = "account, source, reason, field, payload"
PAYLOAD = {"id": "int64", "payload": TEXT, "digest": TEXT}
PAYMENT = {"account": TEXT, "order_reference": TEXT, "payment_number": "Int64", "thirdparty_reference": TEXT}


@dataclass(frozen=True)
class Forgotten:
    """What was done, and which older files and folders may still hold the customer: none if nothing ever did."""

    bills: int
    older_files: list[Path]


def bills_of(settings: Settings, phone: str) -> int:
    """How many bills the customer has, to ask before forgetting; raises like `forget`, and changes nothing."""
    with _opened(settings, phone) as (warehouse, masker):
        _find_hers(warehouse, masker, [masker.client_key(phone)], local_digits(phone))
        (found,) = warehouse.rows(
            "select count(*) as n from core.bills semi join hers using (account, order_reference)"
        )
        return int(found["n"])


def forget(settings: Settings, phone: str) -> Forgotten:
    """Remove a customer from the working file, and write it anew so that no free space holds the customer either.

    Raises:
        SettingsError: that is no phone number.
        WarehouseError: there is no working file.
        GuardError: the key of the data folder is not the one that this file was written with.
        WarehouseBusyError: another run is writing.
    """
    for folder in (settings.data_folder, settings.data_folder / "backups", settings.data_folder / "exports"):
        sweep(folder)
    with _opened(settings, phone) as (warehouse, masker):
        client_key = masker.client_key(phone)
        with warehouse.transaction():
            aside = _find_hers(warehouse, masker, [client_key], local_digits(phone))
            bills, issues = _forget_hers(warehouse, settings, masker, aside)
            _forget_elsewhere(warehouse, masker)
            again = warehouse.execute("delete from core.forgotten_clients where client_key = ?", [client_key])
            warehouse.execute("insert into core.forgotten_clients values (?, ?)", [client_key, datetime.now(UTC)])
        build_marts(warehouse)
        compact(warehouse)
    copies = COPIES if bills or issues or again else ()
    return Forgotten(bills, sorted(path for copy in copies for path in settings.data_folder.glob(copy)))


def forget_again(settings: Settings, former: Path) -> int:
    """Forget in a restored file whoever `former`, which it replaced, had forgotten since; how many customers that are.

    Raises:
        WarehouseError: the former file cannot be read.
        GuardError: the key of the data folder is not the one that this file was written with.
        WarehouseBusyError: another run is writing.
    """
    clients, bills = forgotten_in(former)
    with open_warehouse(settings, owner="cashpay restore") as warehouse:
        since = sorted(set(clients) - set(forgotten_clients(warehouse)))
        if not since:
            return 0
        with warehouse.transaction():
            rows = frame([(key, datetime.now(UTC)) for key in since], {"client_key": TEXT, "forgotten_at": TIME})
            warehouse.execute("insert into core.forgotten_clients by name from since", since=rows)
            masker = masker_of(warehouse, settings)
            aside = _find_hers(warehouse, masker, since)
            noted = frame(bills, {"account": TEXT, "order_reference": TEXT})
            warehouse.execute("insert into hers from noted except from hers", noted=noted)
            _forget_hers(warehouse, settings, masker, aside)
            _forget_elsewhere(warehouse, masker)
        build_marts(warehouse)
        compact(warehouse)
    return len(since)


def forget_bills(warehouse: Warehouse, settings: Settings, masker: Masker, references: Collection[str]) -> None:
    """Clean and note bills that a reading has just told to be those of a forgotten customer.

    Rows of the list that tell no phone may have been stored before. Runs inside a transaction of the caller's.
    """
    warehouse.execute(
        "create or replace temp table hers as select ? as account, order_reference from found",
        [settings.account],
        found=frame([(reference,) for reference in references], {"order_reference": TEXT}),
    )
    _forget_hers(warehouse, settings, masker)


def mask_again(warehouse: Warehouse, masker: Masker) -> int:
    """Put what was stored under a laxer `CASHPAY_PII` as the present setting has it; how many payloads that were.

    Runs inside a transaction of the caller's; the typed columns are to be derived anew.
    """

    def mask(row: dict[str, Any]) -> str:
        return changes.payload(masker.mask(_record(row)))

    count = 0
    for table, column, fingerprint, columns in (
        ("core.bill_versions", "digest", _digest, "payload"),
        ("core.data_issues", "issue_id", _issue_id, ISSUE),
    ):
        chunk = f"select rowid as id, {columns} from {table} where rowid > ? order by rowid limit ?"  # noqa: S608 - ours
        last = -1
        while rows := warehouse.rows(chunk, [last, CHUNK]):
            last = rows[-1]["id"]
            count += _rewrite(warehouse, table, column, fingerprint, rows, mask)
    if count:
        warehouse.execute(JOIN_ISSUES)
    return count


@contextmanager
def _opened(settings: Settings, phone: str) -> Iterator[tuple[Warehouse, Masker]]:
    """The working file, and what knows her by the key that this file was masked with."""
    if not _is_phone(phone):
        raise SettingsError("This is not a phone number.", next_step="Give all its digits: +228 and eight more.")
    refuse_absent(settings, "Nothing is stored yet.")
    with open_warehouse(settings, owner="cashpay forget") as warehouse:
        yield warehouse, masker_of(warehouse, settings).forgetting(phone)


def _is_phone(phone: str) -> bool:
    """A number of Togo has eight digits behind its country code; of others, only that a phone has at least eight."""
    digits = re.sub(r"[^\d+]", "", phone)
    if country := re.match(r"(\+|00)228", digits):
        return len(digits) - country.end() == 8
    return len(digits.replace("+", "")) >= 8


def _find_hers(warehouse: Warehouse, masker: Masker, keys: Sequence[str], digits: str | None = None) -> list[int]:
    """Put the keys of her bills into a table `hers`; the rows set aside that tell her, of a bill or of none.

    Whom `keys` name; of one customer the digits of the phone tell where to look.
    """
    tell = {"keys": list(keys), "digits": digits}
    versions, issues = (
        [row for row in warehouse.rows(MAY_TELL.format(table=table), tell) if masker.is_forgotten(_record(row))]
        for table in ("core.bill_versions", "core.data_issues")
    )
    found = [(row["account"], row["order_reference"]) for row in (*versions, *issues)]
    warehouse.execute(HERS, {"keys": list(keys)}, found=frame(found, {"account": TEXT, "order_reference": TEXT}))
    return [row["id"] for row in issues]


def _record(row: dict[str, Any]) -> Any:
    return changes.record_of(row["payload"])


def _digest(row: dict[str, Any]) -> str:
    return changes.digest(row["payload"])


def _issue_id(row: dict[str, Any]) -> str:
    return issue_id(**row)


def _forget_hers(
    warehouse: Warehouse, settings: Settings, masker: Masker, aside: Sequence[int] = ()
) -> tuple[int, int]:
    """Clean and note the bills of `hers`, and these rows set aside; how many bills and rows set aside."""
    warehouse.execute(NOTE)

    def clean(row: dict[str, Any]) -> str:
        return changes.payload(masker.forget(_record(row)))

    versions = warehouse.rows(
        "select v.rowid as id, v.payload from core.bill_versions as v join hers using (account, order_reference)"
    )
    _rewrite(warehouse, "core.bill_versions", "digest", _digest, versions, clean)
    issues = warehouse.rows(
        f"select rowid as id, {ISSUE} from core.data_issues "  # noqa: S608 - columns of ours
        "where list_contains(?, rowid) or (account, order_reference) in (select (account, order_reference) from hers)",
        [list(aside)],
    )
    _rewrite(warehouse, "core.data_issues", "issue_id", _issue_id, issues, clean)
    if issues:
        warehouse.execute(JOIN_ISSUES)
    return _forget_bills(warehouse, settings), len(issues)


def _rewrite(
    warehouse: Warehouse,
    table: str,
    column: str,
    fingerprint: Callable[[dict[str, Any]], str],
    rows: list[dict[str, Any]],
    clean: Callable[[dict[str, Any]], str],
) -> int:
    """Put cleaned payloads in the place of others, and their fingerprints in the same way; how many were others."""
    cleaned = [row | {"payload": text} for row in rows if (text := clean(row)) != row["payload"]]
    if not cleaned:
        return 0
    warehouse.execute(
        f"update {table} as stored set payload = cleaned.payload, {column} = cleaned.digest "  # noqa: S608 - ours
        "from cleaned where stored.rowid = cleaned.id",
        cleaned=frame([(row["id"], row["payload"], fingerprint(row)) for row in cleaned], PAYLOAD),
    )
    return len(cleaned)


def _forget_bills(warehouse: Warehouse, settings: Settings) -> int:
    """Type the newest payloads anew, for any text may name the phone; gives the number of bills.

    Fingerprints of what was read with the customer go as well, but for the note of which source was contradicted.
    """
    rows = warehouse.rows(
        "select b.rowid as id, b.account, v.payload from core.bills as b join hers using (account, order_reference) "
        "join core.bill_versions as v using (account, order_reference, version)"
    )
    if not rows:
        return 0
    typed = normalize_bills([_record(row) for row in rows], source_timezone=settings.source_timezone)
    warehouse.execute(
        "update core.bills as stored set client_key = null, client_phone_masked = null, "
        "merchant_reference = cleaned.merchant_reference, code = cleaned.code, description = cleaned.description, "
        "bill_url = cleaned.bill_url, "
        "list_digest = nullif(regexp_extract(list_digest, $contradicted), ''), "
        "details_digest = nullif(regexp_extract(details_digest, $contradicted), '') "
        "from cleaned where stored.rowid = cleaned.id",
        {"contradicted": f"^{OUTDATED}"},
        cleaned=typed.bills().assign(id=[rows[place]["id"] for place in typed.contents]),
    )
    warehouse.execute(
        "update core.payments as stored set thirdparty_reference = cleaned.thirdparty_reference from cleaned "
        "where (stored.account, stored.order_reference, stored.payment_number) "
        "= (cleaned.account, cleaned.order_reference, cleaned.payment_number)",
        cleaned=frame(
            [
                (rows[place]["account"], *payment[:3])
                for place, (_, payments) in typed.contents.items()
                for payment in payments
            ],
            PAYMENT,
        ),
    )
    return len(rows)


def _forget_elsewhere(warehouse: Warehouse, masker: Masker) -> None:
    """The shop's own orders may have the phone as their reference, and a field of CashPay's as its name."""
    references = [row["reference"] for row in warehouse.rows("select distinct reference from marts.reconciliation")]
    cleaned = [(old, new) for old in references if old and (new := masker.without_forgotten(old)) != old]
    warehouse.execute(
        "update marts.reconciliation as stored set reference = cleaned.new from cleaned "
        "where stored.reference = cleaned.old",
        cleaned=frame(cleaned, {"old": TEXT, "new": TEXT}),
    )
    fields = [row["field"] for row in warehouse.rows("select distinct field from core.api_fields")]
    telling = [field for field in fields if masker.without_forgotten(field) != field]
    warehouse.execute("delete from core.api_fields where list_contains(?, field)", [telling])
