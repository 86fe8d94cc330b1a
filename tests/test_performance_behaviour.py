"""What lies behind the figures of benchmarks/: requests made, batches bounded, work not done twice. No figures here."""

import gc
from collections.abc import Callable
from typing import Any

import pytest

from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import Kind, SyncResult, batch, run_sync


@pytest.fixture
def sync(simulator: SimulatorProcess, make_settings: Callable[..., Settings]) -> Callable[..., SyncResult]:
    def run(kind: Kind = "refresh", **overrides: Any) -> SyncResult:
        return run_sync(make_settings(**overrides), kind=kind, clock=SimulatedClock(simulator.base_url))

    return run


def test_a_full_refresh_asks_for_each_page_once_and_twice_for_the_first(
    sync: Callable[..., SyncResult], simulator: SimulatorProcess
) -> None:
    result = sync("full_refresh", page_size=20)
    pages = -(-(result.reported_total or 0) // 20)
    login, gateways, empty_page, newest_again = 1, 1, 1, 1
    assert result.pages in (pages + newest_again, pages + empty_page + newest_again)
    assert result.requests <= login + gateways + pages + empty_page + newest_again


def test_a_refresh_with_nothing_new_reads_gateways_the_overlap_and_what_is_due(
    sync: Callable[..., SyncResult], simulator: SimulatorProcess
) -> None:
    sync("full_refresh", page_size=20)
    again = sync("refresh", page_size=20, overlap_hours=0)
    assert (again.bills_new, again.bills_changed) == (0, 0)
    assert again.pages < (again.reported_total or 0) / 20


@pytest.mark.parametrize("rows", [7, 50])
def test_a_batch_is_stored_when_it_is_full_and_holds_no_more(
    rows: int, sync: Callable[..., SyncResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[int] = []
    save = batch.Batch._save_round
    monkeypatch.setattr(batch, "BATCH_ROWS", rows)
    monkeypatch.setattr(batch.Batch, "_save_round", lambda b, r: (stored.append(len(r)), save(b, r))[1])
    result = sync("full_refresh", page_size=5)
    assert sum(stored) >= (result.reported_total or 0)
    assert max(stored) < rows + 5


def test_the_garbage_collector_is_as_it_was_after_a_sync(sync: Callable[..., SyncResult]) -> None:
    before = gc.get_threshold()
    sync()
    assert gc.get_threshold() == before


def test_bills_read_again_and_found_the_same_are_not_typed_again(
    sync: Callable[..., SyncResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    sync("full_refresh")
    typed: list[int] = []
    normalize = batch.normalize_bills
    monkeypatch.setattr(batch, "normalize_bills", lambda r, **k: (typed.append(len(r)), normalize(r, **k))[1])
    again = sync("full_refresh")
    assert (again.bills_new, again.bills_changed, sum(typed)) == (0, 0, 0)
