"""Run a job here and now, in this process, with the instance that the interface shows. Loaded when the CLI must."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EACCES
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import dagster as dg
from alembic.util import CommandError
from dagster_shared.error import SerializableErrorInfo
from sqlalchemy.exc import DBAPIError

from cashpay_pipeline.definitions import build_defs
from cashpay_pipeline.defs.checks import is_of_red_check
from cashpay_pipeline.defs.names import JOBS
from cashpay_pipeline.defs.runs import by_hand
from cashpay_pipeline.errors import SettingsError
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.sqlfiles import shipped_folder
from cashpay_pipeline.sync import Kind, Progress

LONGEST_REASON = 300
"""Dagster follows what is wrong with all that could be right."""
JOB_NAMES: dict[Kind, str] = {kind: name for name, (kind, _) in JOBS.items()}


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run_id: its name in the interface.
        failures: what each failed step says; or the run, if it failed before or between them.
        red_checks: what must be true and is not.
        yellow_checks: what should be looked at.
        signal: what interrupted it, if anything did.
    """

    run_id: str
    failures: list[str]
    red_checks: list[str]
    yellow_checks: list[str]
    signal: Signals | None = None

    @property
    def is_good(self) -> bool:
        """Whether all is well."""
        return not self.failures and not self.red_checks


def dagster_home() -> Path:
    """Dagster's own folder, made and set up if there is none.

    Raises:
        SettingsError: this user may not write there.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or ".dagster").expanduser().resolve()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)  # what Dagster writes, everybody may read
        if not (home / "dagster.yaml").exists():
            shutil.copyfile(shipped_folder("deploy") / "dagster.yaml", home / "dagster.yaml")
        if not os.access(home, os.W_OK):
            raise PermissionError(EACCES, os.strerror(EACCES))
    except OSError as error:
        raise SettingsError(
            f"Dagster's own folder cannot be written: {error.strerror}.",
            where=str(home),
            next_step="Set DAGSTER_HOME to a folder that this user can write, or run in another folder.",
        ) from None
    return home


def _set_up(home: Path) -> dg.DagsterInstance:
    try:
        return dg.DagsterInstance.from_config(str(home))
    except (DBAPIError, CommandError, OSError):  # of the records, not of the file
        raise
    except Exception as error:  # YAML's, Dagster's own, or of a class that the file names
        raise SettingsError(
            f"Dagster cannot be set up as its dagster.yaml says: {' '.join(str(error).split())[:LONGEST_REASON]}",
            where=str(home / "dagster.yaml"),
            next_step="Correct the file, or move it aside: the one that is shipped takes its place. Then run again.",
        ) from None


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance]:
    home = dagster_home()
    try:
        with _set_up(home) as instance:
            yield instance
    except (DBAPIError, CommandError) as error:  # no words of ours, and a long way to those that matter
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise SettingsError(
            f"Dagster's own records cannot be used: {str(reason).rstrip('.')}.",
            where=str(home),
            next_step="If its disk is full, free some space. If not, move history and schedules in it aside: Dagster "
            "makes new ones, and no data is lost. Then run again.",
        ) from None


def run_job(
    settings: Settings, kind: Kind, *, limit: int | None, progress: Callable[[Progress], None], log_level: str
) -> Outcome:
    """Run the job that reads in this way, and tell how it ended.

    Raises:
        SettingsError: Dagster's own folder cannot be used.
    """
    defs = build_defs(settings=settings, progress=progress)
    config = {"kind": kind} | ({} if limit is None else {"limit": limit})
    with _instance() as instance:
        result = defs.resolve_job_def(JOB_NAMES[kind]).execute_in_process(
            instance=instance,
            raise_on_error=False,
            tags=by_hand(settings),
            run_config={
                "ops": {"sync": {"config": config}},
                "loggers": {"console": {"config": {"log_level": log_level}}},
            },
        )
    red, yellow = (
        [
            f"{check.asset_key.to_user_string()}: {check.check_name}"
            for check in result.get_asset_check_evaluations()
            if not check.passed and check.severity == severity
        ]
        for severity in (dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN)
    )
    failures = [event for event in result.all_events if event.is_step_failure] or [
        event for event in result.all_events if event.is_run_failure
    ]
    heard = next((signal for event in failures if (signal := _signal(event))), None)
    return Outcome(result.run_id, [_reason(event) for event in failures], red, yellow, heard)


def _error(event: dg.DagsterEvent) -> SerializableErrorInfo | None:
    return event.step_failure_data.error if event.is_step_failure else event.job_failure_data.error


def _signal(event: dg.DagsterEvent) -> Signals | None:
    """What interrupted a step; the sync notes a SIGTERM (sync/run.py)."""
    error = _error(event)
    if error is None or error.cls_name != dg.DagsterExecutionInterruptedError.__name__:
        return None
    return SIGTERM if SIGTERM.name in error.message else SIGINT


def _reason(event: dg.DagsterEvent) -> str:
    """What a failure of ours says of itself; of an unexpected one, its last line and where it happened."""
    if event.is_step_failure:
        told = event.step_failure_data.user_failure_data
        if told and told.description:
            return told.description
        if is_of_red_check(event):
            return "A check that guards the tables is red: nothing was built on them, and nothing was published."
    if _signal(event):
        return "Interrupted. What was read is kept; run the same command again to go on."
    error = _error(event)
    while error and error.cause:
        error = error.cause
    reason = error.message.strip() if error else "no reason given"
    return f"Unexpected failure in {event.step_key or 'Dagster'}: {reason}"
