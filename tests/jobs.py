"""What a process of a test does: one sync, publication or look at the files, which may end before its end."""

import random
import traceback
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from killing import Death, Killed, Watch, watched
from truth import reading

from cashpay_pipeline.errors import CashpayError
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.sync.rebuild import rebuild
from cashpay_pipeline.warehouse import database, open_warehouse, publish


class QuickClock(SimulatedClock):
    """Asks for the simulated time once between two answers: nothing else moves it, but waiting."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.forget()
        self.known: tuple[object, datetime] | None = None

    def now(self) -> datetime:
        since, known = self.since, self.known
        if known is None or known[0] is not since:  # a thread that asked before the last answer knows nothing
            known = self.known = since, super().now()
        return known[1]

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.forget()

    def forget(self) -> None:
        self.since = object()


TABLES = ("accounts", "bills", "bill_versions", "payments", "gateways", "gateway_versions", "syncs", "data_issues")


def run(job: dict[str, Any], *, real: bool = True) -> dict[str, Any]:
    """Do a job.

    Args:
        job: `do` (refresh, full_refresh, recheck, publish, rebuild, migrate, digest), `settings`, and optionally
            `death`, `seed`, `acknowledged`, `batch_rows`, `sql_folder`, `wait_seconds`.
        real: whether death is SIGKILL, or an exception.

    Returns:
        `outcome` (done, error, killed, defect) and what is known of it; `met`, the moments reached.
    """
    random.seed(job.get("seed", 0))
    settings = load_settings(**job["settings"])
    watch = Watch(Death(**job["death"]) if job.get("death") else None, real=real)
    acknowledged = Path(job["acknowledged"]) if job.get("acknowledged") else None
    folder = Path(job["sql_folder"]) if job.get("sql_folder") else database.sql_folder()
    assert settings.base_url
    clock = QuickClock(settings.base_url)
    try:
        with (
            watched(watch, answered=clock.forget, acknowledged=acknowledged, batch_rows=job.get("batch_rows")),
            patch.object(database, "sql_folder", lambda: folder),
        ):
            result = _do(job["do"], settings, clock, watch)
        answer = {"outcome": "done", **result}
    except CashpayError as error:
        answer = {"outcome": "error", "error_code": error.code, "text": str(error)}
    except Killed:
        answer = {"outcome": "killed"}
    except Exception:
        answer = {"outcome": "defect", "text": traceback.format_exc()}
    return {**answer, "met": dict(watch.met), "died_at": watch.died_at}


def _do(what: str, settings: Any, clock: QuickClock, watch: Watch) -> dict[str, Any]:
    if what in ("refresh", "full_refresh", "recheck"):
        result = asdict(run_sync(settings, kind=what, clock=clock))  # type: ignore[arg-type]
        watch.reach("returned")
        return {name: result[name] for name in ("status", "complete", "warnings", "bills_new", "bills_changed")}
    if what == "publish":
        return {"bytes": publish(settings, clock=clock).bytes}
    if what == "rebuild":
        return {"versions": rebuild(settings, clock=clock)}
    if what == "migrate":
        with open_warehouse(settings, clock=clock):
            return {}
    if what == "digest":
        return {"digest": digest(settings.published_path)}
    raise ValueError(what)


def digest(path: Path) -> str:
    """A fingerprint of every row of a file, whatever their order, and proof that all of it can be read."""
    with reading(path) as connection:
        counted = [
            connection.execute(
                f"select count(*), sum(cast(hash(line) as hugeint)) from core.{table} as line"
            ).fetchone()
            for table in TABLES
        ]
    return repr(counted)
