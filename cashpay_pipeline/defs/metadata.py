"""What the interface shows about a table: schema, row count, a few rows. API text only as plain text (X3).

A preview is Dagster's own table value and not Markdown, so that nothing in it can be rendered; columns that could tell
who a customer is, or that open a page, are left out. Shops and operators may use a phone as their reference: it is
hidden.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from cashpay_pipeline.catalog import TableName, catalog
from cashpay_pipeline.clock import BUSINESS_TIMEZONE
from cashpay_pipeline.defs.names import Names
from cashpay_pipeline.phones import hide_phones

if TYPE_CHECKING:
    from cashpay_pipeline.warehouse import Warehouse

OWNERS = ["team:data"]
EVERY_MORNING = dg.FreshnessPolicy.cron(
    deadline_cron="0 6 * * *", lower_bound_delta=timedelta(hours=4), timezone=BUSINESS_TIMEZONE
)
"""At six in the morning all of it must have been made since two: turns red when a night was missed."""
PREVIEW_ROWS = 5
NEVER_SHOWN = {"client_key", "client_phone_masked", "description", "payload", "bill_url", "logo_url"}

MAY_BE_A_PHONE = {"merchant_reference", "reference", "thirdparty_reference"}
"""References of the shop's making, and of the operator's."""


def table_spec(names: Names, table: TableName, **fields: Any) -> dg.AssetSpec:
    """What is known of a table before anything is read: its comment, its columns, and when it must be new again."""
    comment, columns = catalog().tables[table]
    schema = dg.TableSchema([dg.TableColumn(c.name, c.type.lower(), c.comment) for c in columns])
    metadata = {"dagster/table_name": ".".join(table), "dagster/column_schema": schema}
    return dg.AssetSpec(
        key=names.key(table),
        description=comment,
        group_name=names.name(table[0]),
        owners=OWNERS,
        tags={"domain": "payments"},
        metadata=metadata | fields.pop("metadata", {}),
        freshness_policy=EVERY_MORNING,
        **fields,
    )


def table_facts(warehouse: "Warehouse", table: TableName) -> dict[str, Any]:
    """What is true of a table now: how many rows, and the last ones that were written."""
    name = ".".join(table)
    shown = ", ".join(c.name for c in catalog().tables[table][1] if c.name not in NEVER_SHOWN)
    (counted,) = warehouse.rows(f"select count(*) as row_count from {name}")  # noqa: S608 - names from our own DDL
    newest = warehouse.rows(f"select {shown} from {name} order by rowid desc limit {PREVIEW_ROWS}")  # noqa: S608
    facts: dict[str, Any] = {"dagster/row_count": int(counted["row_count"])}
    if newest:
        facts["preview"] = rows_as_table(newest)
    return facts


def rows_as_table(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows as a table value: numbers as they are, everything else as plain text."""
    records = [dg.TableRecord({name: _plain(value, name) for name, value in row.items()}) for row in rows]
    columns = [dg.TableColumn(name) for name in records[0].data]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


def _plain(value: Any, name: str) -> str | int | float | bool | None:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, str) and name in MAY_BE_A_PHONE:
        return hide_phones(value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
