"""The promise of the first sync: what is stored equals what CashPay has, whatever form CashPay gives it."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from truth import assert_warehouse_equals_truth, query, versions

from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import SyncResult
from cashpay_pipeline.sync import run_sync as run_sync_by_clock

ENVELOPES = (
    "items_total bare data_total data_meta embedded orders_count bills results records_total content hydra".split()
)
DATE_FORMS = "iso_offset space iso_z_ms php_object epoch_s epoch_ms iso_naive".split()


def run_sync(settings, **options) -> SyncResult:
    return run_sync_by_clock(settings, clock=SimulatedClock(settings.base_url), **options)


def check_two_syncs(settings, simulator):
    first = run_sync(settings, kind="full_refresh")
    assert (first.status, first.warnings) == ("complete", [])
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())
    before = versions(settings.data_dir)
    second = run_sync(settings)
    assert (second.status, second.bills_new, second.bills_changed) == ("complete", 0, 0)
    assert versions(settings.data_dir) == before
    return first


@pytest.fixture
def a_month(simulator: SimulatorProcess) -> SimulatorProcess:
    """3,000 bills."""
    simulator.reset(days=30, bills_per_day=100, start="2026-03-02T00:00:00+00:00")
    return simulator


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_every_envelope_is_read_completely(envelope, make_settings, simulator):
    simulator.set(envelope=envelope)
    first = check_two_syncs(make_settings(page_size=50), simulator)
    assert first.bills_new == len(simulator.truth()["bills"])


@pytest.mark.parametrize("form", DATE_FORMS)
def test_every_date_form_is_read(form, settings, simulator):
    simulator.set(date_form=form)
    check_two_syncs(settings, simulator)


def test_the_record_of_a_sync_is_stored_with_who_made_it_by_which_version(settings, simulator):
    simulator.set(total="high")
    result = run_sync(settings, kind="full_refresh", dagster_run_id="run-1")
    (stored,) = query(settings.warehouse_path, "from core.syncs")
    assert len(result.warnings) == 1
    assert {name: stored.pop(name) for name in vars(result)} == vars(result)
    assert stored.pop("owner").startswith("full_refresh run-1 on ")
    assert stored.pop("heartbeat_at") >= result.finished_at
    assert stored == {
        "error_code": None, "dagster_run_id": "run-1", "version": version("cashpay_pipeline"), "is_checked": False
    }  # fmt: skip


@pytest.mark.parametrize("scheme", ["oauth2", "cashpay"])
def test_both_schemes_log_in(scheme, make_settings, a_month):
    simulator = a_month
    settings = make_settings(scheme=scheme)
    result = run_sync(settings)
    assert result.status == "complete"
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())
    schemes = {entry["auth"] for entry in simulator.log() if entry["path"] != "/auth"}
    assert schemes == {"bearer" if scheme == "oauth2" else "headers"}


@pytest.mark.parametrize(
    "switches",
    [
        {"amount_form": "int"},
        {"amount_form": "float"},
        {"amount_form": "decimal_string", "received_form": "string"},
        {"details_wrapped": True, "gateways_wrapped": True},
        {"payments_method": "nested_everywhere"},
        {"canceled_spelling": "mixed", "state_case": "padded"},
        {"total": "missing"},
        {"shuffled_keys": True, "code_form": "int"},
        {"auth_reply": "json_string"},
        {"auth_reply": "strings", "token_expiry": "400_expired"},
    ],
    ids=lambda s: "-".join(f"{k}={v}" for k, v in s.items()),
)
def test_every_other_form_is_read(switches, settings, simulator):
    simulator.set(**switches)
    check_two_syncs(settings, simulator)


def test_H3_a_read_answered_with_201_is_read_and_told_once(settings, simulator):
    simulator.set(read_status=201)
    result = run_sync(settings)
    assert (result.status, result.warnings) == ("complete", ["CashPay answered a read with 201 instead of 200"])
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_a_second_sync_after_a_day_has_what_changed(settings, simulator: SimulatorProcess):
    run_sync(settings)
    simulator.advance(days=1)
    result = run_sync(settings)
    assert result.status == "complete"
    assert result.bills_new > 0 and result.bills_changed > 0
    run_sync(settings, kind="full_refresh")
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_the_sync_record_tells_what_was_done(settings, simulator: SimulatorProcess):
    simulator.faults([{"path": "/orders", "status": 503, "times": 2, "kind": "reply"}])
    result = run_sync(settings)
    log = simulator.log()
    (stored,) = query(settings.warehouse_path, "select * from core.syncs")
    bills = len(simulator.truth()["bills"])
    answered = [e for e in log if e["template"] == "/orders" and e["status"] == 200]
    assert stored["requests"] == len(log) == result.requests
    assert stored["retries"] == 2
    assert stored["waited_seconds"] > 0
    assert stored["pages"] == len(answered)
    assert stored["rows_read"] == sum(e["rows"] for e in answered)
    assert (stored["bills_new"], stored["bills_changed"], stored["rows_set_aside"]) == (bills, 0, 0)
    assert (stored["reported_total"], stored["list_order"]) == (bills, "newest_first")
    assert (stored["status"], stored["complete"], stored["error_code"], stored["warnings"]) == (
        "complete",
        True,
        None,
        [],
    )


def test_masking_comes_before_storing(settings, simulator: SimulatorProcess, tmp_path: Path):
    simulator.put_bill(
        client={
            "phone": "+22800004242",
            "lastname": "CANARYLAST",
            "firstname": "Canaryfirst",
            "email": "canary@example.test",
        },
        description="call +228 00 00 42 42 or 00004242",
    )
    run_sync(settings)
    run_sync(settings, kind="full_refresh")
    stored = b"".join(f.read_bytes() for f in tmp_path.rglob("*") if f.is_file())
    secrets = [v for v in settings.secrets() if len(v) > 4]
    for canary in ["CANARYLAST", "Canaryfirst", "canary@", "22800004242", "00004242", "00 00 42 42", *secrets]:
        assert canary.encode() not in stored
    (version,) = query(
        settings.warehouse_path, "select payload from core.bill_versions where payload like '%call ***%'"
    )
    assert json.loads(version["payload"])["description"] == "call ******42 or ******42"
