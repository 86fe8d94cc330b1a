"""The export while it is looked at: its cleaned rows, and how to point a finger at one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from cashpay_pipeline.errors import OrdersError
from cashpay_pipeline.reconcile.columns import Column
from cashpay_pipeline.warehouse import Warehouse


@dataclass(frozen=True)
class Sheet:
    """Rows of the export in a scratch database.

    Attributes:
        scratch: the database.
        name: of the file.
        unit: what its rows are counted in: `line` or `row`.
        columns: the column of each role.
        typed: roles whose column holds numbers or dates and not text.
    """

    scratch: Warehouse
    name: str
    unit: str
    columns: dict[str, Column]
    typed: frozenset[str]

    def first(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, Any] | None:
        """The first row of a query, if there is one."""
        found = self.scratch.rows(f"{sql} limit 1", parameters)
        return found[0] if found else None

    def at(self, line: int, role: str) -> str:
        """The place of a cell, for people."""
        return f"{self.name}, {self.unit} {line:,}, column “{self.columns[role].name}”"

    def stop(self, message: str, line: int, role: str, next_step: str) -> NoReturn:
        """Stop because of one cell.

        Raises:
            OrdersError: always.
        """
        raise OrdersError(message, where=self.at(line, role), next_step=next_step)
