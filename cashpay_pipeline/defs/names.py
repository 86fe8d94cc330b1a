"""What our assets, jobs and schedules are called: as in the README, or with a prefix in somebody else's location."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from cashpay_pipeline.catalog import TableName

if TYPE_CHECKING:
    from cashpay_pipeline.sync import Kind

CORE_TABLES = (
    *("gateways", "gateway_versions", "bills", "bill_versions", "payments"),
    *("data_issues", "api_fields", "syncs"),
)
PUBLISHED: TableName = ("published", "analytics")
RECONCILIATION: tuple[TableName, ...] = (("marts", "reconciliation"), ("marts", "reconciliation_runs"))

JOBS: dict[str, tuple["Kind", str]] = {
    "refresh": ("refresh", "The newest bills, and those that are due for another look. For every night."),
    "full_refresh": ("full_refresh", "The whole bill list, to its end. For every week."),
    "recheck_open_bills": ("recheck", "Only the bills that can still be paid. Every quarter of an hour, if wanted."),
}
"""By name: how the job reads CashPay, and what for."""


@dataclass(frozen=True)
class Names:
    """Puts a prefix, if there is one, before every name.

    Attributes:
        prefix: parts of a key prefix, as `("finance", "cashpay")`; empty for none.
    """

    prefix: tuple[str, ...] = ()

    @classmethod
    def under(cls, prefix: str | Sequence[str] | None) -> "Names":
        """Names under a key prefix as Dagster takes it: a text or several."""
        return cls((prefix,) if prefix and isinstance(prefix, str) else tuple(prefix or ()))

    def key(self, table: TableName) -> dg.AssetKey:
        """The asset of a table."""
        return dg.AssetKey([*self.prefix, *table])

    def name(self, name: str) -> str:
        """A job, schedule, sensor, step, group or resource."""
        return "_".join([*self.prefix, name])

    def kind_of(self, job: str) -> "Kind":
        """How a job reads CashPay; a run of assets alone, or of somebody else's job, reads as every night."""
        return next((kind for name, (kind, _) in JOBS.items() if self.name(name) == job), "refresh")

    @property
    def warehouse(self) -> str:
        """The resource: several accounts in one code location have one each."""
        return self.name("cashpay_warehouse")
