"""A shop with only the bills that a test makes, and syncs of it on simulated time."""

import json
from typing import Any

from truth import query

from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import Kind, SyncResult, run_sync


class Shop:
    """`sync` lets a quarter of an hour pass first: no two readings are at the same moment, and young bills stay due."""

    def __init__(self, simulator: SimulatorProcess, settings: Settings) -> None:
        simulator.reset(days=1, bills_per_day=1, start="2026-03-02T10:00:00+00:00", frozen=True)
        for bill in simulator.truth()["bills"]:
            simulator.delete_bill(bill["order_reference"])
        self.simulator, self.settings = simulator, settings

    def bill(self, reference: str = "SANDBOX-1", **fields: Any) -> None:
        self.simulator.put_bill(reference, **fields)

    def spoil(self, *references: str, path: str = "*", **mutate: Any) -> None:
        """Serve these bills, or all, with changed fields from now on; no `mutate` means as they are."""
        rule = {"path": path, "kind": "mutate", "times": None, "mutate": {"references": list(references), **mutate}}
        self.simulator.faults([rule] if mutate else [])

    def sync(self, kind: Kind = "full_refresh", **overrides: Any) -> SyncResult:
        self.simulator.advance(minutes=15)
        settings = self.settings.model_copy(update=overrides)
        return run_sync(settings, kind=kind, clock=SimulatedClock(self.simulator.base_url))

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in query(self.settings.warehouse_path, sql, *parameters)]

    def bills(self, *columns: str) -> list[tuple[Any, ...]]:
        return self.rows(f"select {', '.join(columns)} from core.bills order by order_reference")

    def issues(self) -> list[tuple[Any, ...]]:
        """Open issues: reference, field, reason."""
        return self.rows(
            "select order_reference, field, reason from core.data_issues where resolved_at is null order by all"
        )

    def payload(self, reference: str = "SANDBOX-1") -> dict[str, Any]:
        """The newest payload of a bill."""
        ((text,),) = self.rows(
            "select last(payload order by version) from core.bill_versions where order_reference = ?", reference
        )
        return json.loads(text)
