"""What Dagster looks at every minute: whether somebody must be told, and whether a run has died unnoticed."""

import json
from collections.abc import Set
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from cashpay_pipeline.defs.causes import Cause, find_causes
from cashpay_pipeline.defs.checks import check_keys
from cashpay_pipeline.defs.names import JOBS, Names
from cashpay_pipeline.defs.resources import WarehouseResource, warehouse_of
from cashpay_pipeline.defs.runs import is_of, tags_of_ours
from cashpay_pipeline.errors import CashpayError, SettingsError, WarehouseBusyError, WarehouseLockError
from cashpay_pipeline.health import Health, read_health

if TYPE_CHECKING:
    from cashpay_pipeline.settings import Settings

QUIET_FOR = timedelta(minutes=5)
UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def sensors(names: Names, tables: Set[dg.AssetKey], *, running: bool) -> list[dg.SensorDefinition]:
    """Every sensor; the tables are all of ours."""
    status = dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED
    return [_alerts(names, status, tables), _dead_runs(names, status, tables)]


def _alerts(names: Names, status: dg.DefaultSensorStatus, tables: Set[dg.AssetKey]) -> dg.SensorDefinition:
    keys = check_keys(names)

    @dg.sensor(
        name=names.name("alerts"),
        minimum_interval_seconds=60,
        default_status=status,
        required_resource_keys={names.warehouse},
        description="Tells a person of failed runs, red checks, stale data, old backups and refused logins: once a "
        "cause, by webhook, mail or command (CASHPAY_ALERT_...). The cursor holds what was told and still is so.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from cashpay_pipeline.alerts import NO_CHANNEL, has_channel, send

        warehouse = warehouse_of(context, names)
        settings, health = _settings_and_health(warehouse)
        if not has_channel(settings):
            return dg.SkipReason(f"Nobody is told; {NO_CHANNEL}")
        told = _told(context.cursor)
        causes = find_causes(
            context.instance,
            names,
            tables,
            tags_of_ours(context, settings),
            keys,
            health,
            warehouse.clock,
            told,
        )
        new = {n: cause for n, cause in causes.items() if n not in told or cause.bad_rows > told[n].bad_rows}
        if new:
            needs = "something needs" if len(new) == 1 else f"{len(new)} things need"
            text = "\n\n".join(cause.text for cause in new.values())
            for problem in send(settings, f"CashPay {settings.account}: {needs} a look", text):
                context.log.error(f"An alert was not sent everywhere. {problem}")
        context.update_cursor(json.dumps(causes))
        if not causes:
            return dg.SkipReason("All is well.")
        before = [name for name in causes if name not in new]
        return dg.SkipReason(f"Told now: {'; '.join(new) or 'nothing'}. Told before: {'; '.join(before) or 'nothing'}.")

    return alerts


def _told(cursor: str | None) -> dict[str, Cause]:
    """What was told before, as it was noted; what an earlier version has noted is told once more."""
    found = json.loads(cursor or "{}").items()
    return {name: Cause(*cause) for name, cause in found if isinstance(cause, list)}


def _settings_and_health(warehouse: WarehouseResource) -> tuple["Settings", Health | CashpayError | None]:
    """The settings, at least whom to tell; and what is known now, or why nothing can be.

    Raises:
        SettingsError: the settings are wrong, and so is whom to tell.
    """
    from pydantic import ValidationError

    from cashpay_pipeline.alerts import WhomToTell

    try:
        settings = warehouse.settings()
    except SettingsError as error:
        try:
            return WhomToTell(), error
        except ValidationError:
            raise error from None
    try:
        return settings, read_health(settings)
    except CashpayError as error:
        return settings, error


def _dead_runs(names: Names, status: dg.DefaultSensorStatus, tables: Set[dg.AssetKey]) -> dg.SensorDefinition:
    jobs = {names.name(job) for job in JOBS}

    @dg.sensor(
        name=names.name("dead_runs"),
        minimum_interval_seconds=120,
        default_status=status,
        required_resource_keys={names.warehouse},
        description="Marks a run as failed whose process has died, so that the next one can start. Every step of ours "
        "holds the lock of the working file or writes events; nobody holds the lock, and the run has been "
        "silent for five minutes: it is dead.",
    )
    def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        instance, settings = context.instance, warehouse_of(context, names).settings()
        silent = [
            run
            for tags in tags_of_ours(context, settings)
            for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY, tags=tags))
            if is_of(run, jobs, tables) and _is_silent(instance, run)
        ]
        if not silent:
            return dg.SkipReason("No run has been silent for long.")
        from cashpay_pipeline.warehouse import open_warehouse
        from cashpay_pipeline.warehouse.syncs import mark_dead_syncs

        try:
            with open_warehouse(settings, owner="sensor dead_runs", wait_seconds=0) as warehouse:
                mark_dead_syncs(warehouse)
        except WarehouseBusyError as busy:
            return dg.SkipReason(f"{busy.message} A silent run may be that one.")
        except WarehouseLockError as error:
            context.log.error(str(error))
            return dg.SkipReason(f"Whether a silent run lives cannot be known. {error.message}")
        except CashpayError as error:
            # Nobody holds the lock of a file that cannot be opened: the runs are dead all the same.
            context.log.warning(str(error))
        for run in silent:
            instance.report_run_failed(
                run, "The process of this run has died. What it had stored is kept; the next run goes on from it."
            )
        return dg.SkipReason(f"Marked as failed: {', '.join(run.run_id[:8] for run in silent)}.")

    return dead_runs


def _is_silent(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    records = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    newest = max((record.event_log_entry.timestamp for record in records), default=0.0)
    return datetime.now(UTC) - datetime.fromtimestamp(newest, UTC) > QUIET_FOR
