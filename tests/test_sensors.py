"""What the sensors and schedules do by themselves: told once a cause, paused after three refusals, the dead found."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import freeze_time
from dagster_home import LOCATION, QUIET, REPOSITORY, Home, dagster_home, metadata
from listeners import Webhook, webhook

from cashpay_pipeline.definitions import build_defs
from cashpay_pipeline.defs.runs import by_hand
from cashpay_pipeline.errors import SettingsError
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.warehouse import database, open_warehouse, publish, read_published
from cashpay_pipeline.warehouse.backup import backup

DOWN = {"path": "*", "kind": "reply", "status": 503, "times": None}
REFUSED = {"path": "/auth", "kind": "reply", "status": 401, "body": {"message": "Bad credentials"}, "times": None}


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as found:
        yield found


@pytest.fixture
def home(make_settings: Callable[..., Settings], hook: Webhook, tmp_path: Path) -> Iterator[Home]:
    with dagster_home(tmp_path / "home", make_settings(alert_webhook=hook.url)) as found:
        yield found


def told(hook: Webhook) -> list[str]:
    texts, hook.posts[:] = hook.texts, []
    return texts


def test_after_three_refusals_the_schedules_pause_and_say_so_until_a_login_is_good(
    home: Home, hook: Webhook, simulator: SimulatorProcess
) -> None:
    """A5."""
    simulator.faults([REFUSED])
    messages = []
    for _ in range(3):
        assert home.tick("nightly_refresh")[0]
        assert not home.run("refresh").success
        home.sense("alerts")
        messages.append(told(hook))
    assert [len(texts) for texts in messages] == [1, 0, 1]
    assert "[credentials_rejected]" in messages[0][0] and "Paused: " in messages[2][0]
    logins = len([request for request in simulator.log() if request["path"].endswith("/auth")])
    for schedule in ("nightly_refresh", "weekly_full_refresh", "frequent_recheck", "second_try"):
        starts, why = home.tick(schedule)
        assert not starts and "refused the login 3 times in a row" in why
    assert len([request for request in simulator.log() if request["path"].endswith("/auth")]) == logins

    simulator.faults([DOWN])
    assert not home.run("refresh").success
    assert not home.tick("nightly_refresh")[0], "nobody knows yet whether the login is good"
    simulator.faults([DOWN | {"path": "/orders", "after": 1}])
    assert not home.run("refresh").success
    assert home.tick("nightly_refresh")[0], "it has read with it"
    simulator.faults([])
    assert home.run("refresh").success
    assert home.tick("nightly_refresh")[0]
    assert home.sense("alerts") == "All is well."


@pytest.mark.long
def test_a_second_try_only_after_an_outage(home: Home, simulator: SimulatorProcess) -> None:
    assert home.run("refresh").success
    assert home.tick("second_try") == (False, "The last sync needs no second try.")
    simulator.faults([DOWN])
    home.run("refresh")
    assert home.tick("second_try")[0]
    simulator.faults([])
    assert home.run("recheck_open_bills").success
    assert home.tick("second_try")[0], "a re-check reads no new bills: the night is still to be made up for"
    assert home.run("refresh").success
    assert not home.tick("second_try")[0]


def test_a_second_try_after_a_power_cut_that_nobody_has_marked_yet(home: Home, simulator: SimulatorProcess) -> None:
    """The missed ticks come as soon as the machine is on again, before any run or sensor has found the dead sync."""
    assert home.run("recheck_open_bills").success
    with open_warehouse(home.settings) as warehouse:
        warehouse.execute("update core.syncs set kind = 'refresh', status = 'running', complete = false")
        assert home.tick("second_try") == (False, "The last sync needs no second try."), "it may be that one"
    assert home.tick("second_try")[0]


def test_a_second_try_where_what_was_read_was_not_published(home: Home, simulator: SimulatorProcess) -> None:
    """The sync was stored, and the power failed before the marts were made."""
    run_sync(home.settings, clock=home.clock)
    assert home.tick("second_try")[0]
    publish(home.settings)
    assert home.tick("second_try") == (False, "The last sync needs no second try.")
    run_sync(home.settings, clock=home.clock)
    with open_warehouse(home.settings):
        assert not home.tick("second_try")[0], "a run is at it"
    assert home.tick("second_try")[0]


def test_no_re_check_of_every_quarter_of_an_hour_waits_for_a_run_that_takes_hours(home: Home) -> None:
    with open_warehouse(home.settings):
        assert home.tick("frequent_recheck") == (False, "A run is writing; the next time does what is left.")
        assert home.tick("nightly_refresh")[0], "the night is made up for, if only later"
    assert home.tick("frequent_recheck")[0]


@pytest.mark.long
@pytest.mark.parametrize("first", ["full_refresh", "recheck_open_bills"])
def test_a_failure_that_was_made_up_for_keeps_no_later_one_quiet(
    first: str, home: Home, hook: Webhook, simulator: SimulatorProcess
) -> None:
    assert home.run("refresh").success
    simulator.faults([DOWN])
    home.run(first)
    home.sense("alerts")
    assert len(told(hook)) == 1
    simulator.faults([])
    simulator.advance(days=1)
    assert home.run("refresh").success
    assert home.sense("alerts") == "All is well."

    simulator.faults([DOWN])
    simulator.advance(days=1)
    home.run("refresh")
    home.sense("alerts")
    (message,) = told(hook)
    assert "Job refresh, run " in message and "[unavailable]" in message


@pytest.mark.long
def test_jobs_that_fail_of_one_outage_are_told_once(home: Home, hook: Webhook, simulator: SimulatorProcess) -> None:
    assert home.run("refresh").success
    simulator.faults([DOWN])
    for job in ("recheck_open_bills", "refresh", "full_refresh"):
        home.run(job)
        home.sense("alerts")
    assert len(told(hook)) == 1
    simulator.faults([])
    assert home.run("full_refresh").success
    assert home.sense("alerts") == "All is well."
    assert told(hook) == []


@pytest.mark.long
def test_a_red_check_is_told_once_although_an_outage_hides_it_for_a_night(
    home: Home, hook: Webhook, simulator: SimulatorProcess
) -> None:
    simulator.put_bill("bad-amount", amount="12.50")
    home.run("refresh")
    home.sense("alerts")
    (message,) = told(hook)
    assert "Red check no_open_data_issues on core/data_issues: One row is wrong." in message
    assert "12.50" not in message

    simulator.faults([DOWN])
    home.run("refresh")
    home.sense("alerts")
    (message,) = told(hook)
    assert "[unavailable]" in message and "no_open_data_issues" not in message

    simulator.faults([])
    home.run("refresh")
    check = "check: core/data_issues: no_open_data_issues"
    assert home.sense("alerts") == f"Told now: nothing. Told before: {check}."
    assert told(hook) == []

    simulator.put_bill("bad-amount", amount="1250")
    home.run("refresh")
    assert home.sense("alerts") == "All is well."


@pytest.mark.long
def test_a_red_check_is_told_again_when_more_is_wrong_and_not_when_less_is(
    home: Home, hook: Webhook, simulator: SimulatorProcess
) -> None:
    """A record that stays set aside for good must not keep quiet about those after it."""
    said = []
    for reference, amount in (("A", "12.50"), ("B", "12.50"), ("B", "1250"), ("C", "12.50")):
        simulator.put_bill(reference, amount=amount)
        home.run("refresh")
        home.sense("alerts")
        said.append([text.partition("no_open_data_issues on core/data_issues: ")[2][:19] for text in told(hook)])
    assert said == [["One row is wrong. I"], ["2 rows are wrong. I"], [], ["2 rows are wrong. I"]]


def test_a_red_check_that_stops_a_run_is_one_cause_and_not_two(home: Home, hook: Webhook) -> None:
    assert home.run("refresh").success
    with open_warehouse(home.settings) as warehouse:
        warehouse.execute("update core.bills set account = ' ' where rowid = 0")
    assert not home.run("recheck_open_bills").success
    home.sense("alerts")
    (message,) = told(hook)
    assert "Red check bills_key_present on core/bills: One row is wrong." in message
    assert message.endswith("Until it passes, nothing is built or published.") and "unexpectedly" not in message


def test_an_incomplete_sync_is_one_cause_and_not_two(home: Home, hook: Webhook, simulator: SimulatorProcess) -> None:
    simulator.set(total="high")
    home.run("full_refresh")
    home.sense("alerts")
    (message,) = told(hook)
    assert message.count("last_sync_complete") == 1 and "Job full_refresh" not in message


def test_what_was_not_taken_by_any_channel_is_told_later(
    home: Home, hook: Webhook, simulator: SimulatorProcess
) -> None:
    simulator.faults([DOWN])
    home.run("refresh")
    hook.status = 500
    with pytest.raises(Exception, match="No alert could be sent"):
        home.sense("alerts")
    hook.status = 200
    home.sense("alerts")
    assert len(told(hook)) == 1


def test_with_nobody_to_tell_the_sensor_says_so(settings: Settings, tmp_path: Path) -> None:
    with dagster_home(tmp_path / "home", settings) as home:
        assert home.sense("alerts").startswith("Nobody is told; set CASHPAY_ALERT_WEBHOOK")


def started(
    home: Home,
    silent_for: timedelta,
    job: dg.JobDefinition | None = None,
    location: str | None = LOCATION,
    **fields: Any,
) -> dg.DagsterRun:
    """A run as its process leaves it when it is killed; without a location, one that was started in a process."""
    job = job or home.defs.resolve_job_def("refresh")
    repository = location and RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), REPOSITORY)
    run = home.instance.create_run_for_job(
        job,
        status=dg.DagsterRunStatus.STARTING,
        remote_job_origin=repository.get_job_origin(job.name) if repository else None,
        **fields,
    )
    with freeze_time(datetime.now(UTC) - silent_for):
        home.instance.report_engine_event("Started", run)
        home.instance.report_dagster_event(
            dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=run.job_name), run.run_id
        )
    return run


def status(home: Home, run: dg.DagsterRun) -> Any:
    found = home.instance.get_run_by_id(run.run_id)
    return found and found.status


def test_a_run_whose_process_died_is_marked_failed_within_ten_minutes(home: Home, hook: Webhook) -> None:
    """R9: also with the default launcher, which cannot be asked."""
    assert home.run("refresh").success
    fresh = started(home, timedelta(minutes=4))
    assert home.sense_now("dead_runs") == "No run has been silent for long."
    dead = started(home, timedelta(minutes=6))
    with open_warehouse(home.settings, owner="another run"):
        assert home.sense_now("dead_runs").startswith("Another run is writing: another run")
    assert status(home, dead) == dg.DagsterRunStatus.STARTED
    assert home.sense_now("dead_runs") == f"Marked as failed: {dead.run_id[:8]}."
    assert (status(home, dead), status(home, fresh)) == (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED)
    home.sense("alerts")
    assert "its process died" in told(hook)[0]


def test_a_dead_run_is_found_however_it_was_started(home: Home, hook: Webhook) -> None:
    hour, of_the_graph = timedelta(hours=1), home.defs.resolve_implicit_global_asset_job_def()
    dead = [
        started(home, hour),
        started(home, hour, of_the_graph, asset_selection={dg.AssetKey(["marts", "orders"])}),
        started(home, hour, location=None, tags=by_hand(home.settings)),
    ]
    assert home.sense_now("dead_runs").startswith("Marked as failed: ")
    assert {status(home, run) for run in dead} == {dg.DagsterRunStatus.FAILURE}


def test_a_run_of_somebody_else_is_neither_failed_nor_told_whatever_it_is_called(
    home: Home, hook: Webhook, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    @dg.asset(key=["marts", "orders"])
    def orders() -> None:
        """Where dbt would put it, too."""

    @dg.asset
    def cashpay() -> None:
        """In the same code location as ours."""

    theirs = dg.Definitions([orders, cashpay], jobs=[dg.define_asset_job("refresh", "*")])
    refresh, of_the_graph = theirs.resolve_job_def("refresh"), theirs.resolve_implicit_global_asset_job_def()
    hour, elsewhere = timedelta(hours=1), make_settings(data_dir=tmp_path / "other")
    runs = [
        started(home, hour, refresh, "theirs"),
        started(home, hour, of_the_graph, "theirs", asset_selection={orders.key}),
        started(home, hour, of_the_graph, LOCATION, asset_selection={cashpay.key}),
        started(home, hour, refresh, None),
        started(home, hour, of_the_graph, None, asset_selection={orders.key}),
        started(home, hour, location=None, tags=by_hand(elsewhere)),
    ]
    assert home.sense_now("dead_runs") == "No run has been silent for long."
    assert {status(home, run) for run in runs} == {dg.DagsterRunStatus.STARTED}
    for run in runs:
        home.instance.report_run_failed(run)
    assert home.sense("alerts") == "All is well."


def test_a_failure_is_over_when_a_run_by_hand_ended_well_and_not_when_one_of_somebody_else_did(
    home: Home, hook: Webhook
) -> None:
    home.instance.report_run_failed(started(home, timedelta(minutes=1)))
    assert home.sense("alerts") == "Told now: run: no reason. Told before: nothing."
    started_elsewhere = started(home, timedelta(minutes=1), location="theirs")
    home.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, job_name="refresh"), started_elsewhere.run_id
    )
    assert home.sense("alerts") == "Told now: nothing. Told before: run: no reason."
    assert home.run("refresh").success
    assert home.sense("alerts") == "All is well."


def test_a_failure_is_not_over_when_a_dry_run_ended_well_which_read_nothing(
    home: Home, hook: Webhook, simulator: SimulatorProcess
) -> None:
    simulator.faults([DOWN])
    home.run("refresh")
    assert home.sense("alerts") == "Told now: run: unavailable. Told before: nothing."
    simulator.faults([])
    assert home.run("refresh", dry_run=True).success
    assert home.sense("alerts") == "Told now: nothing. Told before: run: unavailable."
    simulator.faults([DOWN])
    assert not home.run("refresh", dry_run=True).success
    assert home.sense("alerts") == "Told now: nothing. Told before: run: unavailable."
    simulator.faults([])
    assert home.run("refresh").success
    assert home.sense("alerts") == "All is well."


def test_a_failed_run_that_was_started_from_the_asset_graph_is_told(home: Home, hook: Webhook) -> None:
    of_the_graph = home.defs.resolve_implicit_global_asset_job_def()
    chosen = {dg.AssetKey(["marts", "orders"])}
    run = started(home, timedelta(minutes=1), of_the_graph, asset_selection=chosen)
    home.instance.report_run_failed(run)
    assert home.sense("alerts") == "Told now: run: no reason. Told before: nothing."
    assert f"Run {run.run_id[:8]} from the asset graph failed. It was stopped" in told(hook)[0]
    assert home.run("refresh").success
    assert home.sense("alerts") == "All is well."


@pytest.mark.long
def test_backups_that_come_no_more_are_told_once_and_where_there_never_was_one_nothing_is(
    home: Home, hook: Webhook, simulator: SimulatorProcess
) -> None:
    """Whatever is to make them, nobody looks at it."""
    assert home.run("refresh").success
    assert home.sense("alerts") == "All is well."
    backup(home.settings, clock=home.clock)
    (home.settings.data_folder / "backups" / "2026-THE-Z").mkdir()  # somebody else's
    simulator.advance(hours=47)
    assert home.run("refresh").success
    assert home.sense("alerts") == "All is well."
    simulator.advance(hours=27)
    assert home.run("refresh").success
    assert home.sense("alerts") == "Told now: backup. Told before: nothing."
    assert "The newest backup is 3 days old" in told(hook)[0]
    with open_warehouse(home.settings, owner="another run"):
        assert home.sense("alerts") == "Told now: nothing. Told before: backup."
    backup(home.settings, clock=home.clock)
    assert home.sense("alerts") == "All is well."


def damage(settings: Settings) -> None:
    with settings.warehouse_path.open("r+b") as file:
        file.write(b"\0" * 8192)


def test_a_damaged_working_file_is_told_once(home: Home, hook: Webhook) -> None:
    assert home.run("refresh").success
    damage(home.settings)
    assert home.sense("alerts") == "Told now: run: warehouse. Told before: nothing."
    (message,) = told(hook)
    assert "The working file is damaged. [warehouse]" in message and "Copy analytics.duckdb" in message
    assert not home.run("refresh").success
    again = home.sense("alerts")
    assert again == "Told now: nothing. Told before: run: warehouse.", "the run failed of the same cause"


def test_a_run_that_failed_for_want_of_space_is_told(
    home: Home, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home.run("refresh").success
    monkeypatch.setattr(database.shutil, "disk_usage", lambda _: SimpleNamespace(free=database.SPARE_BYTES - 1))
    assert not home.run("refresh").success
    assert home.sense("alerts") == "Told now: run: warehouse. Told before: nothing."
    (message,) = told(hook)
    assert "Job refresh, run " in message and "The disk has 499 MB free" in message


def test_data_is_stale_although_one_night_was_read_by_a_clock_that_was_a_year_ahead(
    home: Home, hook: Webhook, simulator: SimulatorProcess
) -> None:
    run_sync(home.settings, clock=home.clock)
    with open_warehouse(home.settings) as warehouse:
        warehouse.execute("update core.syncs set finished_at = finished_at + interval 1 year")
    run_sync(home.settings, clock=home.clock)
    assert home.sense("alerts") == "All is well."
    simulator.advance(hours=29)
    assert home.sense("alerts") == "Told now: stale. Told before: nothing."


def test_settings_that_are_wrong_are_told_to_who_is_named_in_them(
    home: Home, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip while something else was changed: every run fails of it from now on."""
    monkeypatch.setenv("CASHPAY_ALERT_WEBHOOK", hook.url)
    monkeypatch.setenv("CASHPAY_ACCOUNT", "north")
    monkeypatch.setenv("CASHPAY_PAGE_SIZE", "canary")
    home.defs = build_defs(clock=home.clock)
    assert home.sense("alerts") == "Told now: run: settings. Told before: nothing."
    (message,) = told(hook)
    assert message.startswith("*CashPay north: something needs a look*\nWrong: CASHPAY_PAGE_SIZE: must be a whole")
    assert "canary" not in message
    assert home.sense("alerts") == "Told now: nothing. Told before: run: settings."
    monkeypatch.setenv("CASHPAY_ALERT_MAIL_TO", "owner@shop.example")
    with pytest.raises(SettingsError, match="CASHPAY_PAGE_SIZE"):
        home.sense("alerts")


def test_a_dead_run_is_marked_failed_although_the_working_file_is_damaged(home: Home) -> None:
    assert home.run("refresh").success
    damage(home.settings)
    dead = started(home, timedelta(minutes=6))
    assert home.sense_now("dead_runs") == f"Marked as failed: {dead.run_id[:8]}."
    assert status(home, dead) == dg.DagsterRunStatus.FAILURE


def test_a_silent_run_lives_for_all_we_know_where_its_lock_is_another_users(home: Home) -> None:
    """A first sync that root runs by hand is silent for long, and this user cannot see whether it holds the lock."""
    home.settings.data_folder.mkdir(parents=True)
    home.settings.warehouse_path.with_suffix(".lock").mkdir()  # for root, no mode binds
    run = started(home, timedelta(minutes=6))
    assert home.sense_now("dead_runs").startswith("Whether a silent run lives cannot be known.")
    assert status(home, run) == dg.DagsterRunStatus.STARTED


def test_a_dry_run_reads_a_little_stores_nothing_and_builds_nothing(home: Home, simulator: SimulatorProcess) -> None:
    result = home.run("refresh", dry_run=True)
    assert result.success and not result.get_asset_materialization_events()
    assert not home.settings.warehouse_path.exists()
    assert 0 < len(simulator.log()) < 10


@pytest.mark.parametrize("limit", [0, -5])
def test_a_limit_that_is_none_is_refused_in_plain_words(limit: int, home: Home, simulator: SimulatorProcess) -> None:
    result = home.run("refresh", limit=limit)
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data
    assert (failure.user_failure_data.description or "").startswith(
        "`limit` in the run's configuration must be 1 or more. [settings]"
    )
    assert simulator.log() == []


def test_a_dry_run_that_finds_something_wrong_is_red_and_says_what(home: Home, simulator: SimulatorProcess) -> None:
    simulator.faults([REFUSED])
    result = home.run("refresh", dry_run=True)
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert not result.success and not home.settings.warehouse_path.exists()
    assert failure.user_failure_data and "[credentials_rejected]" in (failure.user_failure_data.description or "")


@pytest.mark.long
def test_the_numbers_of_a_run_can_be_plotted(home: Home, simulator: SimulatorProcess) -> None:
    home.run("refresh")
    simulator.advance(hours=5)
    found = metadata(home.run("refresh"), "core", "bills")
    numbers = {name for name, value in found.items() if isinstance(value, (int, float))}
    assert numbers >= {
        *("dagster/row_count", "bills_new", "bills_changed", "received_xof", "open_bills"),
        *("oldest_unverified_open_hours", "requests", "retries", "waited_seconds", "pages", "rows_read"),
    }
    chart = metadata(home.run("refresh"), "marts", "daily_collections")["chart"]
    assert chart.startswith("![Money received, by day and gateway](data:image/png;base64,iVBOR")


@pytest.mark.long
def test_two_accounts_in_one_code_location_keep_their_own_warehouses(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    accounts = {
        name: make_settings(account=name, data_dir=tmp_path / name, alert_command="true") for name in ("north", "south")
    }
    clock = SimulatedClock(accounts["north"].base_url or "")
    defs = dg.Definitions.merge(
        *(build_defs(key_prefix=name, settings=accounts[name], clock=clock) for name in accounts)
    )
    dg.Definitions.validate_loadable(defs)
    resources = dict(defs.resources or {})
    with dg.DagsterInstance.ephemeral() as instance:
        for name, settings in accounts.items():
            assert (
                defs.resolve_job_def(f"{name}_refresh").execute_in_process(instance=instance, run_config=QUIET).success
            )
            assert read_published(settings, "select distinct account from core.bills")[1] == [(name,)]
            schedule = dg.build_schedule_context(instance, datetime.now(UTC), resources=resources)
            assert defs.resolve_schedule_def(f"{name}_nightly_refresh").evaluate_tick(schedule).run_requests
            sensor = dg.build_sensor_context(instance, resources=resources)
            said = defs.resolve_sensor_def(f"{name}_alerts").evaluate_tick(sensor).skip_message
            assert said == "All is well."


def test_in_another_location_everything_has_the_prefix_and_runs(
    settings: Settings, simulator: SimulatorProcess, tmp_path: Path
) -> None:
    """The three lines of docs/dagster.md."""

    @dg.asset(group_name="core")
    def warehouse() -> None:
        """An asset, and a resource of that name, of the location's own."""

    theirs = dg.Definitions([warehouse], resources={"warehouse": "theirs"}, executor=dg.multiprocess_executor)
    defs = dg.Definitions.merge(theirs, build_defs(key_prefix=["finance", "cashpay"], settings=settings))
    dg.Definitions.validate_loadable(defs)
    keys = {spec.key for spec in defs.resolve_all_asset_specs()} - {dg.AssetKey("warehouse")}
    assert {tuple(key.path[:2]) for key in keys} == {("finance", "cashpay")} and len(keys) > 10
    job = defs.resolve_job_def("finance_cashpay_refresh")
    assert dg.AssetKey("warehouse") not in job.asset_layer.executable_asset_keys
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance,
            run_config={
                "ops": {"finance_cashpay_sync": {"config": {"kind": "refresh"}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
    assert result.success
    assert all(check.passed for check in result.get_asset_check_evaluations())
    lineage = metadata(result, "finance", "cashpay", "marts", "daily_collections")["dagster/column_lineage"]
    assert lineage.deps_by_column["account"][0].asset_key.path[:3] == ["finance", "cashpay", "core"]
