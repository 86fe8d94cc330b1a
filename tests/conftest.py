"""Fixtures shared by all tests: one simulator process, reset for each test, and settings that point to it."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from outside import outside

from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.process import SimulatorProcess

__all__ = ["outside"]

OAUTH2 = ("username", "password", "client_id", "client_secret")
CASHPAY_AUTH = ("login", "api_key", "api_reference")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the settings, the Dagster home or the .env of whoever runs it."""
    import os

    for name in os.environ:
        if name.startswith(("CASHPAY_", "DAGSTER_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def logger_as_before() -> Iterator[None]:
    """Dagster sets the logger that `deploy/dagster.yaml` names for the life of the process, which here is shared."""
    logger = logging.getLogger("cashpay")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers = handlers


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(seed=7, days=5, bills_per_day=40, start="2026-03-02T10:00:00+00:00", frozen=True) as process:
        yield process


@pytest.fixture
def simulator(simulator_process: SimulatorProcess) -> SimulatorProcess:
    """A made-up shop with 200 bills of five days and those of the sixth morning; time stands still until moved."""
    simulator_process.reset()
    return simulator_process


@pytest.fixture
def make_settings(simulator: SimulatorProcess, tmp_path: Path) -> Callable[..., Settings]:
    """Settings for the simulator; keywords win, `scheme` chooses the credentials."""

    def make(*, scheme: str = "oauth2", **overrides: Any) -> Settings:
        names = OAUTH2 if scheme == "oauth2" else CASHPAY_AUTH
        values = {name: DEMO_CREDENTIALS[name] for name in names}
        defaults = {"base_url": simulator.base_url, "data_dir": tmp_path / "data", "requests_per_second": 5000}
        return load_settings(**(defaults | values | overrides))

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()
