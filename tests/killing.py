"""Kill points: wraps the package from outside, so that a run can die at a named moment. No hook is in the package.

Two ways to die: SIGKILL of this process, or, ten times as fast, an exception after which nothing reaches the
file any more. A moment is a name, such as "versions written", and how often it must come before the end.
"""

import io
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, Signals
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import duckdb

from cashpay_pipeline.client import CashpayClient
from cashpay_pipeline.sync import batch as batch_module
from cashpay_pipeline.sync.batch import Batch
from cashpay_pipeline.warehouse import database

publish_module = sys.modules["cashpay_pipeline.warehouse.publish"]

STATEMENTS = {
    "staged": r"create or replace temp table known_bill",
    "versions written": r"insert into core\.bill_versions",
    "current merged": r"merge into core\.bills\b",
    "payments written": r"insert into core\.payments",
    "seen written": r"update core\.bills as bill\s+set verified_at",
    "progress written": r"update core\.accounts",
    "gateways written": r"merge into core\.gateways",
    "record written": r"(insert into|update) core\.syncs",
}
"""Moments right after a statement, before its transaction is committed."""

MOMENTS = (
    *("before login", "before gateways", "before page", "before details", "answered", "page parsed"),
    *STATEMENTS,
    *("in commit", "committed", "in checkpoint", "checkpointed", "in close", "migrating", "returned"),
    *("copying", "copy synced", "copy renamed"),
)


class Killed(BaseException):
    """The process would be dead by now."""


@dataclass(frozen=True)
class Death:
    """When and how to die.

    Attributes:
        moment: one of `MOMENTS`, or "any".
        number: at the how-manieth of them.
        delay: so many seconds later, from another thread, while the work goes on; None is at once.
        signal: SIGKILL, or a gentler one.
    """

    moment: str = "any"
    number: int = 1
    delay: float | None = None
    signal: int = SIGKILL


class Watch:
    """Counts moments and brings death at the right one."""

    def __init__(self, death: Death | None, *, real: bool) -> None:
        self._death, self._real = death, real
        self._lock = threading.Lock()
        self.met: Counter[str] = Counter()
        self.died_at: str | None = None

    def reach(self, moment: str) -> None:
        """Say that a moment has come; does not return if it is the last."""
        self.check()
        with self._lock:
            self.met[moment] += 1
            count = self.met.total() if self._death and self._death.moment == "any" else self.met[moment]
            wanted = self._death and self._death.moment in ("any", moment) and count == self._death.number
        if wanted:
            self._die(moment)

    def check(self) -> None:
        """The dead do nothing more."""
        if self.died_at and not self._real:
            raise Killed(self.died_at)

    def _die(self, moment: str) -> None:
        self.died_at = moment
        assert self._death
        if not self._real:
            raise Killed(moment)
        number = Signals(self._death.signal)
        if self._death.delay is None:
            os.kill(os.getpid(), number)
        else:
            timer = threading.Timer(self._death.delay, os.kill, [os.getpid(), number])
            timer.daemon = True
            timer.start()


class WatchedConnection:
    """A DuckDB connection whose steps are moments."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, watch: Watch) -> None:
        self._connection, self._watch = connection, watch
        self._migrating = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def begin(self) -> Any:
        self._watch.check()
        return self._connection.begin()

    def execute(self, sql: str, parameters: Any = None) -> Any:
        self._watch.check()
        if sql == "checkpoint":
            self._watch.reach("in checkpoint")
        if is_migration(sql):
            for statement in self._connection.extract_statements(sql):
                self._connection.execute(statement)
                self._watch.reach("migrating")
            return self._connection
        result = self._connection.execute(sql, parameters) if parameters is not None else self._connection.execute(sql)
        if moment := next((m for m, pattern in STATEMENTS.items() if re.search(pattern, sql)), None):
            rows = result.fetchall()
            self._watch.reach(moment)
            return SimpleNamespace(fetchall=lambda: rows, description=None)
        if sql == "checkpoint":
            self._watch.reach("checkpointed")
        if "core.migrations" in sql:
            self._watch.reach("migrating")
        return result

    def commit(self) -> None:
        self._watch.reach("in commit")
        self._connection.commit()
        self._watch.reach("committed")

    def close(self) -> None:
        try:
            if not self._watch.died_at:
                self._watch.reach("in close")
        finally:
            self._connection.close()


def is_migration(sql: str) -> bool:
    """Whether this is a whole file of sql/core."""
    return sql.startswith("--")


@contextmanager
def watched(
    watch: Watch,
    *,
    answered: Callable[[], None] = lambda: None,
    acknowledged: Path | None = None,
    batch_rows: int | None = None,
) -> Iterator[None]:
    """Wrap the package while the block runs.

    Args:
        watch: told of every moment.
        answered: called after each answer.
        acknowledged: takes a line for each bill read, once it is stored.
        batch_rows: how many rows a batch has.
    """
    connect, exchange, replace = database._connect, CashpayClient._exchange, Path.replace
    add, save, put_in_place = Batch.add, Batch.save, publish_module.put_in_place
    taken: list[str] = []

    def watched_exchange(client: CashpayClient, call: Any, headers: Any) -> Any:
        resource = {"/auth": "login", "/gateways": "gateways", "/orders": "page"}.get(call.path, "details")
        watch.reach(f"before {resource}")
        try:
            answer = exchange(client, call, headers)
        finally:
            answered()
        watch.reach("answered")
        return answer

    def watched_add(batch: Batch, records: Any, *rest: Any) -> None:
        watch.reach("page parsed")
        taken.extend(r["order_reference"] for r in records if isinstance(r, dict) and r.get("order_reference"))
        add(batch, records, *rest)

    def watched_save(batch: Batch, *rest: Any) -> None:
        references = [*taken]
        taken.clear()  # also of a batch that is refused: too many of its rows are bad
        save(batch, *rest)
        if acknowledged and references:
            with acknowledged.open("a") as file:
                file.writelines(f"{reference}\n" for reference in references)

    def half_copy(source: Any, target: Any, length: int) -> None:
        content = io.BytesIO(source.read())
        target.write(content.read(content.getbuffer().nbytes // 2))
        target.flush()
        watch.reach("copying")
        target.write(content.read())

    def watched_replace(path: Path, target: Any) -> Path:
        if path.suffix == ".new":
            watch.reach("copy synced")
        return replace(path, target)

    def watched_put_in_place(made: Path, target: Path, mode: int) -> None:
        put_in_place(made, target, mode)
        watch.reach("copy renamed")

    wrappers: list[tuple[Any, str, Callable[..., Any] | Any]] = [
        (database, "_connect", lambda path: WatchedConnection(connect(path), watch)),
        (CashpayClient, "_exchange", watched_exchange),
        (Batch, "add", watched_add),
        (Batch, "save", watched_save),
        (Path, "replace", watched_replace),
        (publish_module, "put_in_place", watched_put_in_place),
        (publish_module, "shutil", SimpleNamespace(copyfileobj=half_copy)),
        (batch_module, "BATCH_ROWS", batch_rows or batch_module.BATCH_ROWS),
    ]
    patches = [patch.object(*wrapper) for wrapper in wrappers]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in reversed(patches):
            one.stop()
