"""Why somebody should look, as Dagster and the warehouse tell it now: one entry a cause, however often it shows.

What cannot be known at this moment, because a run is under way, stays as it was. A red check with more wrong rows than
were told is another cause: one record that was set aside for good must not keep later ones quiet.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import timedelta
from typing import NamedTuple

import dagster as dg

from cashpay_pipeline.clock import Clock
from cashpay_pipeline.defs.checks import is_of_red_check
from cashpay_pipeline.defs.names import JOBS, Names
from cashpay_pipeline.defs.runs import DRY_RUN_TAG, is_of
from cashpay_pipeline.errors import CashpayError
from cashpay_pipeline.health import Health

STALE_AFTER, STALE_ALL_THE_SAME = timedelta(hours=28), timedelta(hours=76)
"""When the data is stale; and when it is worth telling although it was told that the runs fail."""
BACKUP_OLD_AFTER = timedelta(days=2)
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
LAST_SYNC_CHECK = "last_sync_complete"
ASSET_GRAPH = "__ASSET_JOB"
"""What Dagster calls the job of a run that was started from the asset graph."""
LOOKED_BACK_AT = 10
"""Runs of a job, for the last that did not only try."""


class Cause(NamedTuple):
    """Why somebody should look: what to say of it; of a red check, how many rows are wrong."""

    text: str
    bad_rows: int = 0


def find_causes(
    instance: dg.DagsterInstance,
    names: Names,
    tables: Set[dg.AssetKey],
    tags_of_ours: Sequence[Mapping[str, str]],
    checks: Iterable[dg.AssetCheckKey],
    health: Health | CashpayError | None,
    clock: Clock,
    told: Mapping[str, Cause],
) -> dict[str, Cause]:
    """Every cause by its name."""
    causes = _red_checks(instance, checks, told) | _failed_runs(instance, names, tables, tags_of_ours)
    if any(name.endswith(f": {LAST_SYNC_CHECK}") for name in causes):
        causes.pop("run: incomplete", None)
    if isinstance(health, CashpayError):
        # A run that has failed of it is the same cause.
        causes.setdefault(f"run: {health.code}", Cause(str(health)))
        health = None
    if health is None:
        return causes | {name: told[name] for name in ("locked out", "stale", "backup") if name in told}
    if health.is_locked_out:
        causes["locked out"] = Cause(health.locked_out)
    told_already = any(name.startswith("run: ") for name in causes)
    if health.last_complete_at:
        age = clock.now() - health.last_complete_at
        if age > (STALE_ALL_THE_SAME if told_already else STALE_AFTER):
            causes["stale"] = Cause(
                "The data is stale: the bill list was last read completely at "
                f"{health.last_complete_at:%Y-%m-%d %H:%M} UTC. Is the schedule nightly_refresh on, and does "
                "dagster-daemon run?"
            )
    if health.last_backup_at and (age := clock.now() - health.last_backup_at) > BACKUP_OLD_AFTER:
        causes["backup"] = Cause(
            f"The newest backup is {age.days} days old, of {health.last_backup_at:%Y-%m-%d %H:%M} UTC. Look why what "
            "makes them does not, such as cashpay-backup.timer; run `cashpay backup`. One that you make by hand now "
            "and then is better kept elsewhere (--to)."
        )
    return causes


def _red_checks(
    instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey], told: Mapping[str, Cause]
) -> dict[str, Cause]:
    found: dict[str, Cause] = {}
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(checks))
    for key, record in records.items():
        name = f"check: {key.asset_key.to_user_string()}: {key.name}"
        run = instance.get_run_by_id(record.run_id)
        event = record.event.dagster_event if record.event else None
        evaluation = event.event_specific_data if event else None
        if not isinstance(evaluation, dg.AssetCheckEvaluation) or (run and not run.is_finished):
            # Planned, or just made: it counts when the run has ended.
            if name in told:
                found[name] = told[name]
        elif not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR:
            bad = evaluation.metadata.get("bad_rows")
            found[name] = Cause(
                f"Red check {key.name} on {key.asset_key.to_user_string()}: {evaluation.description or ''} "
                f"Its page in the interface says what must be true{' and shows a sample' if bad else ''}."
                f"{' Until it passes, nothing is built or published.' if evaluation.blocking else ''}",
                int(str(bad.value)) if bad else 0,
            )
    return found


def _failed_runs(
    instance: dg.DagsterInstance,
    names: Names,
    tables: Set[dg.AssetKey],
    tags_of_ours: Sequence[Mapping[str, str]],
) -> dict[str, Cause]:
    """What the last run of each job failed of, and the last one for tables chosen in the asset graph.

    It is over when, later, one that reads the list has ended well. A run that only tried counts for nothing, and what
    a red check has stopped is told by that check.
    """
    jobs = {names.name(job): kind for job, (kind, _) in JOBS.items()}

    def last_runs(job: str, statuses: list[dg.DagsterRunStatus]) -> list[dg.RunRecord]:
        found = [
            record
            for tags in tags_of_ours
            for record in instance.get_run_records(
                dg.RunsFilter(job_name=job, statuses=statuses, tags=tags), limit=LOOKED_BACK_AT
            )
            if is_of(record.dagster_run, jobs.keys(), tables) and DRY_RUN_TAG not in record.dagster_run.tags
        ]
        return sorted(found, key=lambda record: record.storage_id)[-1:]

    of_the_list = [job for job, kind in jobs.items() if kind != "recheck"]
    went_well = [run.storage_id for job in of_the_list for run in last_runs(job, [dg.DagsterRunStatus.SUCCESS])]
    causes: dict[str, Cause] = {}
    for last in (last for job in (*jobs, ASSET_GRAPH) for last in last_runs(job, ENDED)):
        run = last.dagster_run
        if run.status == dg.DagsterRunStatus.FAILURE and last.storage_id > max(went_well, default=0):
            failures = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
            failure = next((event for record in failures if (event := record.event_log_entry.dagster_event)), None)
            if failure and is_of_red_check(failure):
                continue
            code, text = _reason(failure)
            number, is_of_graph = run.run_id[:8], run.job_name == ASSET_GRAPH
            what = f"Run {number} from the asset graph" if is_of_graph else f"Job {run.job_name}, run {number},"
            causes.setdefault(f"run: {code}", Cause(f"{what} failed. {text}"))
    return causes


def _reason(failure: dg.DagsterEvent | None) -> tuple[str, str]:
    """The code and the words of a failure of ours; of any other only where it was, for its text may hold anything."""
    if failure is None:
        stopped = "It was stopped, or its process died. What it had stored is kept; the next run goes on from it."
        return "no reason", stopped
    told = failure.step_failure_data.user_failure_data
    if told and "error_code" in told.metadata:
        return str(told.metadata["error_code"].value), told.description or ""
    return str(failure.step_key), f"Step {failure.step_key} ended unexpectedly: see the run in the interface."
