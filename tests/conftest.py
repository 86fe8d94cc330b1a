"""Fixtures shared by all tests: one simulator process, reset for each test, and settings that point to it."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from outside import outside

from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.warehouse import Warehouse, database, open_warehouse

__all__ = ["outside"]

IN_MEMORY, ENOUGH_BYTES = Path("/dev/shm"), 4_000_000_000
if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > ENOUGH_BYTES:
    # Dagster's databases wait for the disk at each event; what the tests kill are processes, not machines.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

OAUTH2 = ("username", "password", "client_id", "client_secret")
CASHPAY_AUTH = ("login", "api_key", "api_reference")


def leave_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Go where the settings, the Dagster home and the .env of whoever runs the tests are not seen."""
    for name in os.environ:
        if name.startswith(("CASHPAY_", "DAGSTER_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that ask the webserver come first: all by one worker, and not alone at the end while the other has none."""
    items.sort(key=lambda item: "outside" not in getattr(item, "fixturenames", ()))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the settings, the Dagster home or the .env of whoever runs it."""
    leave_environment(monkeypatch, tmp_path)


@pytest.fixture(autouse=True)
def logger_as_before() -> Iterator[None]:
    """Dagster sets the logger that `deploy/dagster.yaml` names for the life of the process, which here is shared."""
    logger = logging.getLogger("cashpay")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers = handlers


@pytest.fixture(scope="session")
def new_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working file as it is when it is new."""
    folder = tmp_path_factory.mktemp("new")
    with pytest.MonkeyPatch.context() as monkeypatch:
        leave_environment(monkeypatch, folder)  # a session's fixture comes before those of each test
        settings = load_settings(data_dir=folder)
        with open_warehouse(settings):
            return settings.warehouse_path


@pytest.fixture(autouse=True)
def new_files_are_copies(monkeypatch: pytest.MonkeyPatch, new_file: Path) -> None:
    """To make a new working file, step by step, takes a tenth of a second: a fifth of the time of many tests."""
    make_new, steps = database._make_new, database.sql_folder

    def copy_new(path: Path) -> None:
        if database.sql_folder is not steps:
            return make_new(path)
        try:
            shutil.copyfile(new_file, path)
        except OSError:  # a disk that is full is for the real steps to meet
            path.unlink(missing_ok=True)
            make_new(path)

    monkeypatch.setattr(database, "_make_new", copy_new)


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


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """An empty working file, open."""
    with open_warehouse(load_settings(data_dir=tmp_path)) as opened:
        yield opened
