"""The jobs for real: in process, with an instance of their own, against the simulator."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_home import QUIET
from processes import environment_of
from pydantic import SecretStr

from cashpay_pipeline.definitions import build_defs
from cashpay_pipeline.defs.names import CORE_TABLES
from cashpay_pipeline.errors import UnavailableError
from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.warehouse import database, open_warehouse, read_published


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield instance


def run(settings: Settings, instance: dg.DagsterInstance, job: str = "refresh", **config: Any) -> Any:
    return (
        build_defs(settings=settings)
        .resolve_job_def(job)
        .execute_in_process(
            instance=instance, raise_on_error=False, run_config={"ops": {"sync": {"config": config}}} | QUIET
        )
    )


def metadata(result: Any) -> dict[str, dict[str, Any]]:
    return {
        "/".join(event.asset_key.path): {
            name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


def verdicts(result: Any) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def failures(result: Any) -> dict[str, str]:
    return {
        event.step_key: event.step_failure_data.user_failure_data.description
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    }


def test_a_refresh_fills_every_table_and_says_what_it_did(
    settings: Settings, simulator: SimulatorProcess, instance: dg.DagsterInstance
) -> None:
    result = run(settings, instance)

    truth = simulator.truth()
    received = sum(bill["received_amount"] or 0 for bill in truth["bills"])
    told = metadata(result)
    assert result.success and all(verdicts(result).values())
    assert told["core/bills"]["dagster/row_count"] == len(truth["bills"])
    assert told["core/bills"]["bills_new"] == len(truth["bills"])
    assert told["core/bills"]["received_xof"] == received
    assert told["core/gateways"]["dagster/row_count"] == len(truth["gateways"])
    assert told["core/syncs"]["status"] == "complete"
    assert told["marts/bill_states"]["dagster/row_count"] == len({bill["state"] for bill in truth["bills"]})
    assert "gateway_name" in told["marts/daily_collections"]["dagster/column_lineage"].deps_by_column
    assert Path(told["published/analytics"]["path"]) == settings.published_path
    _, rows = read_published(settings, "select count(*), sum(received_amount) from core.bills")
    assert rows == [(len(truth["bills"]), received)]
    _, rows = read_published(settings, "select dagster_run_id, status from core.syncs")
    assert rows == [(result.run_id, "complete")]


def test_no_personal_data_and_no_secret_is_in_the_metadata(
    settings: Settings, simulator: SimulatorProcess, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with dg.instance_for_test(temp_dir=str(home)) as instance:
        result = run(settings, instance)
    private = {str(bill["client"].get("phone")) for bill in simulator.truth()["bills"] if bill.get("client")}
    _, rows = read_published(settings, "select client_phone_masked, client_key from core.bills")
    private |= {value for row in rows for value in row} | set(settings.secrets())
    stored = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file()).decode("latin-1")
    assert result.success and "daily_collections" in stored
    assert not [value for value in private - {None, "None"} if value in stored]


def test_the_copy_is_told_with_its_whole_path(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Who looks at the interface does not know in which folder it was started."""
    relative = settings.model_copy(update={"data_dir": Path(os.path.relpath(settings.data_dir))})
    told = metadata(run(relative, instance))["published/analytics"]["path"]
    assert told == str(settings.published_path.absolute())


def test_a_second_refresh_finds_nothing_new(settings: Settings, instance: dg.DagsterInstance) -> None:
    run(settings, instance)
    told = metadata(run(settings, instance))
    assert told["core/bills"]["bills_new"] == told["core/bills"]["bills_changed"] == 0


@pytest.mark.long
def test_each_job_reads_in_its_own_way_unless_told_otherwise(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Also where the launchpad says something else only; tables chosen in the asset graph are refreshed."""
    for job in ("refresh", "full_refresh", "recheck_open_bills"):
        assert run(settings, instance, job, dry_run=False).success
    assert run(settings, instance, "full_refresh", kind="recheck", limit=5).success
    assert (
        build_defs(settings=settings)
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(["core", name]) for name in CORE_TABLES], run_config=QUIET
        )
        .success
    )
    with open_warehouse(settings) as warehouse:
        rows = warehouse.rows("select kind from core.syncs order by rowid")
    assert [row["kind"] for row in rows] == ["refresh", "full_refresh", "recheck", "recheck", "refresh"]


def test_a_job_under_a_prefix_reads_in_its_own_way(settings: Settings, instance: dg.DagsterInstance) -> None:
    job = build_defs(settings=settings, key_prefix="shop").resolve_job_def("shop_full_refresh")
    assert job.execute_in_process(
        instance=instance, run_config={"ops": {"shop_sync": {"config": {"dry_run": False}}}} | QUIET
    ).success
    assert read_published(settings, "select kind from core.syncs")[1] == [("full_refresh",)]


def test_a_limit_for_the_whole_list_is_refused_as_the_command_line_does(
    settings: Settings, instance: dg.DagsterInstance, simulator: SimulatorProcess
) -> None:
    told = failures(run(settings, instance, "full_refresh", limit=5))["sync"]
    assert told.startswith("`limit` is for bills that are looked at again; a full refresh reads the whole list.")
    assert simulator.log() == []


def test_an_incomplete_sync_is_published_and_turns_the_run_red(
    settings: Settings, simulator: SimulatorProcess, instance: dg.DagsterInstance
) -> None:
    simulator.set(total="high")
    result = run(settings, instance, "full_refresh")

    assert not result.success
    assert set(failures(result)) == {"published__analytics"}
    assert "incomplete" in failures(result)["published__analytics"]
    assert verdicts(result)["last_sync_complete"] is False
    assert "marts/daily_collections" in metadata(result) and "published/analytics" in metadata(result)
    _, rows = read_published(settings, "select count(*) from core.bills")
    assert rows == [(len(simulator.truth()["bills"]),)]


def test_a_sync_that_stops_says_why_and_builds_nothing(
    make_settings: Callable[..., Settings], instance: dg.DagsterInstance
) -> None:
    result = run(make_settings(password="canary-wrong-password"), instance)

    assert not result.success and not metadata(result)
    assert "[credentials_rejected]" in failures(result)["sync"]
    assert "canary-wrong-password" not in failures(result)["sync"]
    with open_warehouse(make_settings()) as warehouse:
        assert [row["status"] for row in warehouse.rows("select status from core.syncs")] == ["failed"]


def test_settings_that_do_not_fit_fail_the_step_with_their_names(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASHPAY_USERNAME", "somebody")
    result = (
        build_defs()
        .resolve_job_def("refresh")
        .execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)
    )
    assert not result.success
    assert "CASHPAY_PASSWORD" in failures(result)["sync"]


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        ("bills_key_unique", "insert into core.bills select * from core.bills limit 1"),
        ("bills_key_present", "update core.bills set order_reference = ' ' where rowid = 0"),
    ],
)
def test_marts_are_not_built_on_bills_without_identity(
    settings: Settings, instance: dg.DagsterInstance, check: str, damage: str
) -> None:
    run_sync(settings)
    with open_warehouse(settings) as warehouse:
        warehouse.connection.execute(damage)
    result = run(settings, instance, "recheck_open_bills")
    assert not result.success
    assert verdicts(result)[check] is False
    assert "marts/bill_states" not in metadata(result) and "published/analytics" not in metadata(result)


def test_a_refresh_has_few_steps_and_opens_the_working_file_once_in_each(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a night without news costs: benchmarks/dagster_cost.py measures it."""
    run(settings, instance)
    opened: list[Settings] = []
    really_open = database._open
    monkeypatch.setattr(database, "_open", lambda settings: opened.append(settings) or really_open(settings))
    result = run(settings, instance)
    steps = {event.step_key for event in result.all_events if event.step_key}
    assert steps == {"sync", "check_core", "build_marts", "published__analytics", "reconcile"}
    # Reading, what it found, checks, marts, publishing.
    assert len(opened) == 5


def materialize(settings: Settings, instance: dg.DagsterInstance, *key: str) -> Any:
    return (
        build_defs(settings=settings)
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(key)], raise_on_error=False, run_config=QUIET
        )
    )


def test_one_mart_can_be_built_alone(settings: Settings, instance: dg.DagsterInstance) -> None:
    run(settings, instance)
    result = materialize(settings, instance, "marts", "monthly_summary")
    assert result.success and set(metadata(result)) == {"marts/monthly_summary"}
    assert not verdicts(result)


def one_check_alone(settings: Settings, key: dg.AssetCheckKey) -> dg.JobDefinition:
    job = dg.define_asset_job("alone", selection=dg.AssetSelection.checks(key))
    return dg.Definitions.merge(build_defs(settings=settings), dg.Definitions(jobs=[job])).resolve_job_def("alone")


def test_one_check_can_be_run_alone(settings: Settings, instance: dg.DagsterInstance) -> None:
    run_sync(settings)
    alone = one_check_alone(settings, dg.AssetCheckKey(dg.AssetKey(["core", "gateways"]), "gateways_key_unique"))
    assert verdicts(alone.execute_in_process(instance=instance, run_config=QUIET)) == {"gateways_key_unique": True}


@pytest.mark.long
def test_a_change_is_told_once_though_the_run_that_read_it_died_before_all_checks_had_looked(
    settings: Settings, simulator: SimulatorProcess, instance: dg.DagsterInstance
) -> None:
    alone = one_check_alone(settings, dg.AssetCheckKey(dg.AssetKey(["core", "bill_versions"]), "amount_unchanged"))
    assert verdicts(run(settings, instance))["amount_unchanged"]
    reference = simulator.truth()["bills"][-1]["order_reference"]
    simulator.advance(minutes=15)
    simulator.put_bill(reference, amount=777_777)
    run_sync(settings, kind="full_refresh")
    assert not verdicts(alone.execute_in_process(instance=instance, run_config=QUIET))["amount_unchanged"]
    assert not verdicts(run(settings, instance))["amount_unchanged"]
    simulator.advance(minutes=15)
    assert verdicts(run(settings, instance))["amount_unchanged"]


def test_a_mart_that_fails_is_named_and_nothing_is_published(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(settings, instance)
    built = [mart.name for mart in all_marts()]
    breaking = next(mart for mart in all_marts() if mart.name == "monthly_summary")
    broken = replace(breaking, sql="select cast(state as bigint) as month from core.bills")
    monkeypatch.setattr(
        "cashpay_pipeline.defs.marts.build_mart",
        lambda warehouse, mart: build_mart(warehouse, broken if mart == breaking else mart),
    )
    result = run(settings, instance, "recheck_open_bills")
    assert not result.success
    made = {key for key in metadata(result) if not key.startswith("core/")}
    assert made == {f"marts/{name}" for name in built[: built.index("monthly_summary")]}
    logged = [entry.user_message for entry in instance.all_logs(result.run_id) if entry.level == logging.ERROR]
    assert "marts.monthly_summary was not built, nor were those after it." in logged
    with open_warehouse(settings) as warehouse:
        assert warehouse.rows("select count(*) > 0 as is_there from marts.monthly_summary") == [{"is_there": True}]


@pytest.mark.long
def test_a_chart_is_drawn_again_only_when_its_rows_have_changed(
    settings: Settings, simulator: SimulatorProcess, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(
        "cashpay_pipeline.report.charts.collections_chart_png",
        lambda rows: drawn.append(len(rows)) or b"picture %d" % len(drawn),
    )
    charts = [metadata(run(settings, instance))["marts/daily_collections"]["chart"] for _ in range(2)]
    assert len(drawn) == 1 and charts[0] == charts[1]
    simulator.put_bill("paid-late", state="Paid", amount=1_000_000, received_amount=1_000_000)
    charts.append(metadata(run(settings, instance))["marts/daily_collections"]["chart"])
    assert len(drawn) == 2 and charts[2] != charts[1]


def test_a_record_set_aside_turns_its_check_red_but_not_the_run(
    settings: Settings, simulator: SimulatorProcess, instance: dg.DagsterInstance
) -> None:
    simulator.put_bill("bad-amount", amount="12.50")
    result = run(settings, instance)
    assert result.success
    assert verdicts(result)["no_open_data_issues"] is False


def test_the_warehouse_is_closed_after_a_step_that_failed(settings: Settings, instance: dg.DagsterInstance) -> None:
    """C4: the next step, and the next process, can open it."""
    resource = build_defs(settings=settings).resources["cashpay_warehouse"]  # type: ignore[index]
    run_record = instance.create_run_for_job(build_defs(settings=settings).resolve_job_def("refresh"))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), resource.open(run_record) as warehouse:
            warehouse.rows("select 1")
            raise ZeroDivisionError


def test_A13_a_run_reads_credentials_that_were_rotated_meanwhile(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    read = []

    def rotate_and_stop(_: Settings, *, reload: Callable[[], Settings], **__: Any) -> None:
        monkeypatch.setenv("CASHPAY_PASSWORD", "the-new-one")
        read.append(reload().password)
        raise UnavailableError("Enough.")

    monkeypatch.setattr("cashpay_pipeline.sync.run_sync", rotate_and_stop)
    assert (
        not build_defs()
        .resolve_job_def("refresh")
        .execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)
        .success
    )
    assert read == [SecretStr("the-new-one")]
