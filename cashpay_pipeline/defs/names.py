"""What our assets, jobs and schedules are called: as in the README, or with a prefix in somebody else's location."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from cashpay_pipeline.catalog import TableName

CORE_TABLES = (
    *("gateways", "gateway_versions", "bills", "bill_versions", "payments"),
    *("data_issues", "api_fields", "syncs"),
)
PUBLISHED: TableName = ("published", "analytics")
RECONCILIATION: tuple[TableName, ...] = (("marts", "reconciliation"), ("marts", "reconciliation_runs"))


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

    @property
    def warehouse(self) -> str:
        """The resource: several accounts in one code location have one each."""
        return self.name("cashpay_warehouse")
