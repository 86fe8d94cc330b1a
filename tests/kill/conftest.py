"""A shop whose night is read by processes that die."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from children import Children
from truth import assert_warehouse_equals_truth, query, versions

from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.process import SimulatorProcess


@pytest.fixture(scope="session")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Children]:
    with Children(tmp_path_factory.mktemp("children")) as nursery:
        yield nursery


@pytest.fixture(scope="session")
def read_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("read-before") / "data"


class Night:
    """Jobs for one shop, and what must be true once one of them has run to its end."""

    def __init__(self, simulator: SimulatorProcess, settings: Settings, children: Children, read_before: Path) -> None:
        simulator.reset(days=2, bills_per_day=30, start="2026-03-02T10:00:00+00:00", frozen=True)
        self.simulator, self.settings, self.children, self.read_before = simulator, settings, children, read_before

    def job(self, do: str, **options: Any) -> dict[str, Any]:
        names = ("username", "password", "client_id", "client_secret")
        settings = {
            "base_url": self.settings.base_url,
            "data_dir": str(self.settings.data_dir),
            "requests_per_second": 5000,
            "max_in_flight": 1,
            "page_size": 15,
            **{name: DEMO_CREDENTIALS[name] for name in names},
        }
        return {"do": do, "settings": settings, "batch_rows": 20, **options}

    def run(self, do: str, **options: Any) -> dict[str, Any]:
        return self.children.run(self.job(do, **options))

    def read_whole_list(self) -> None:
        """The files after a first full refresh: done for one test, copied for the others, as it is the same for all."""
        if self.read_before.exists():
            shutil.copytree(self.read_before, self.settings.data_dir)
            return
        assert self.run("full_refresh")["outcome"] == "done"
        shutil.copytree(self.settings.data_dir, self.read_before)

    def files(self) -> set[str]:
        folder: Path = self.settings.data_dir
        return {f.name for f in folder.iterdir()}

    def change_much(self) -> None:
        """A day passes: new bills, bills that are paid, and one paid late."""
        self.simulator.advance(days=1)
        late = next(b for b in self.simulator.truth()["bills"] if b["state"] == "Pending")
        self.simulator.put_bill(late["order_reference"], state="Paid")

    def check_heals(self, *, days_later: bool = False) -> None:
        """A clean run needs no help and gives the truth; another one adds nothing.

        Days later two are needed: the first goes on with the walk that was interrupted, and does not look at its first
        part again.
        """
        if days_later:
            assert self.run("full_refresh")["outcome"] == "done"
        clean = self.run("full_refresh")
        assert (clean["outcome"], clean["code"]) == ("done", 0), clean
        assert (clean["status"], clean["warnings"]) == ("complete", [])
        assert_warehouse_equals_truth(self.settings.data_dir, self.simulator.truth())
        before = versions(self.settings.data_dir)
        again = self.run("full_refresh")
        assert (again["bills_new"], again["bills_changed"]) == (0, 0)
        assert versions(self.settings.data_dir) == before
        kinds = query(self.settings.warehouse_path, "select status, count(*) as n from core.syncs group by 1")
        assert "running" not in {k["status"] for k in kinds}
        assert not [name for name in self.files() if name.endswith(".new")]


@pytest.fixture
def night(
    simulator: SimulatorProcess, make_settings: Callable[..., Settings], children: Children, read_before: Path
) -> Night:
    return Night(simulator, make_settings(), children, read_before)
