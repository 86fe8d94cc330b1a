"""Play one seed's story against the simulator, and hand every step to the oracle."""

import json
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import jobs
from children import Children
from oracle import Oracle
from plan import START, Plan, make_plan

from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.process import SimulatorProcess

OAUTH2, CASHPAY = ("username", "password", "client_id", "client_secret"), ("login", "api_key", "api_reference")


class Player:
    """Plays plans one after the other.

    Args:
        simulator: is reset for each plan.
        children: real processes for the plans that want them.
        folder: takes the data folders.
    """

    def __init__(self, simulator: SimulatorProcess, children: Children, folder: Path) -> None:
        self.simulator, self.children, self.folder = simulator, children, folder
        self.covered: Counter[tuple[str, str]] = Counter()

    def play(self, plan: Plan) -> list[str]:
        """What went wrong; an empty list is good."""
        home = self.folder / f"seed-{plan.seed}"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        try:
            return self._play(plan, home)
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def _play(self, plan: Plan, home: Path) -> list[str]:
        simulator, data = self.simulator, home / "data"
        simulator.reset(**plan.world, start=START.isoformat(), frozen=True, switches=plan.contract)
        oracle = Oracle(plan, data, home / "acknowledged")
        for number, step in enumerate(plan.steps, start=1):
            simulator.advance(seconds=step["advance"])
            simulator.set(**{"short_page_at": 0, "empty_page_at": 0, **step.get("switches", {})})
            simulator.script(step.get("script", []))
            simulator.faults(step.get("faults", []))
            simulator.clear_log()
            before = simulator.truth()
            published = self._published(data) if step["do"] == "publish" else _place(data)
            ended = self._run(plan, step, home, number)
            wrong = oracle.check(step, before, simulator.truth(), ended, simulator.history(), simulator.log())
            wrong += self._atomic(step, data, published, ended)
            for end in ended:
                died = end.get("died_at") or (step["death"]["moment"] if end.get("outcome") == "killed" else "not")
                self.covered[step.get("family", "-"), died] += 1
            if wrong:
                return [f"step {number} {step['do']}: {w}" for w in wrong]
        return self._end(plan, oracle, home)

    def _end(self, plan: Plan, oracle: Oracle, home: Path) -> list[str]:
        """Faults stop: two runs give the truth, a third one changes nothing."""
        simulator = self.simulator
        simulator.set(short_page_at=0, empty_page_at=0)
        simulator.script([])
        simulator.faults([])
        simulator.advance(minutes=1)
        for _ in range(2):
            ended = self._job(plan, {"do": "full_refresh"}, home, 100)
        if oracle.poor:  # the list does not tell what came in: the details do
            ended = self._job(plan, {"do": "refresh"}, home, 100)
        if ended.get("outcome") != "done" or not ended["complete"]:
            return [f"I6 the last run is not complete: {ended}"]
        oracle.read()
        wrong = [
            *oracle.equal(simulator.truth(), simulator.history()),
            *oracle.settled(),
            *oracle.paid_intervals(simulator.history()),
        ]
        before = oracle.tables["bill_versions"]
        again = self._job(plan, {"do": "full_refresh"}, home, 101)
        oracle.read()
        if (again.get("bills_new"), again.get("bills_changed"), oracle.tables["bill_versions"]) != (0, 0, before):
            wrong.append(f"I7 a further run changed something: {again}")
        published = self._job(plan, {"do": "publish"}, home, 102)
        if published.get("outcome") != "done" or self._published(home / "data") != jobs.digest(oracle.path):
            wrong.append(f"I8 the published copy is not the working file: {published}")
        return [f"end: {w}" for w in wrong]

    def _run(self, plan: Plan, step: dict[str, Any], home: Path, number: int) -> list[dict[str, Any]]:
        if step["do"] != "two":
            return [self._job(plan, step, home, number)]
        first = self.children.start(self._description(plan, {**step, "do": "refresh"}, home, number))
        second = self.children.start(self._description(plan, {"do": "recheck"}, home, number))
        return [self.children.wait(first), self.children.wait(second)]

    def _job(self, plan: Plan, step: dict[str, Any], home: Path, number: int) -> dict[str, Any]:
        job = self._description(plan, step, home, number)
        return self.children.run(job) if plan.real else jobs.run(job, real=False)

    def _description(self, plan: Plan, step: dict[str, Any], home: Path, number: int) -> dict[str, Any]:
        chosen = plan.settings
        credentials = OAUTH2 if chosen["scheme"] == "oauth2" else CASHPAY
        settings = {
            "base_url": self.simulator.base_url,
            "data_dir": str(home / "data"),
            "requests_per_second": 5000,
            **{name: chosen[name] for name in ("page_size", "max_in_flight", "first_page")},
            **{name: DEMO_CREDENTIALS[name] for name in credentials},
        }
        return {
            "do": step["do"],
            "settings": settings,
            "death": step.get("death"),
            "seed": plan.seed * 1000 + number,
            "acknowledged": str(home / "acknowledged"),
            "batch_rows": chosen["batch_rows"],
        }

    @staticmethod
    def _published(data: Path) -> str | None:
        path = data / "analytics.duckdb"
        return jobs.digest(path) if path.exists() else None

    def _atomic(self, step: dict[str, Any], data: Path, before: Any, ended: list[dict[str, Any]]) -> list[str]:
        """I8: the published copy is the one before, or what the working file holds."""
        if step["do"] != "publish":
            return [] if _place(data) == before else ["I8 the published copy changed without a publication"]
        after = self._published(data)
        working = jobs.digest(data / "warehouse.duckdb") if (data / "warehouse.duckdb").exists() else None
        allowed = [working] if ended[0]["outcome"] == "done" else [before, working]
        return [] if after in allowed else ["I8 the published copy is neither the old one nor the new one"]


def _place(data: Path) -> Any:
    """Which file the published copy is, and when it was last written."""
    path = data / "analytics.duckdb"
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def shrink(player: Player, plan: Plan, wrong: list[str], seconds: float = 60) -> Plan:
    """The shortest story found that still breaks the same invariant: steps, then kills, faults and changes left out."""
    end = time.monotonic() + seconds
    wanted = _invariants(wrong)
    best = plan

    def still_fails(steps: list[dict[str, Any]]) -> bool:
        nonlocal best
        if time.monotonic() > end:
            return False
        candidate = Plan(plan.seed, best.contract, plan.world, plan.settings, plan.real, steps)
        if wanted & _invariants(player.play(candidate)):
            best = candidate
            return True
        return False

    position = 0
    while position < len(best.steps):
        if not still_fails(best.steps[:position] + best.steps[position + 1 :]):
            position += 1
    for position in range(len(best.steps)):
        for part in ("death", "faults", "script", "switches"):
            step = best.steps[position]
            if part in step:
                less = {k: v for k, v in step.items() if k != part}
                still_fails([*best.steps[:position], less, *best.steps[position + 1 :]])
        index = 0
        while index < len(best.steps[position].get("script", [])):
            step = best.steps[position]
            less = {**step, "script": step["script"][:index] + step["script"][index + 1 :]}
            if not still_fails([*best.steps[:position], less, *best.steps[position + 1 :]]):
                index += 1
    for name in list(best.contract):
        kept = best.contract
        best = Plan(
            plan.seed, {k: v for k, v in kept.items() if k != name}, plan.world, plan.settings, plan.real, best.steps
        )
        if not still_fails(best.steps):
            best = Plan(plan.seed, kept, plan.world, plan.settings, plan.real, best.steps)
    return best


def _invariants(wrong: list[str]) -> set[str]:
    return {w.split(": ", 1)[-1].split(" ")[0] for w in wrong}


def play_slice(first: int, seeds: int) -> tuple[int, Counter[tuple[str, str]]]:
    """Play some seeds in this process, and tell at once of those that fail; how many, and what was covered."""
    failed = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        SimulatorProcess(frozen=True) as simulator,
        Children(Path(folder)) as children,
    ):
        player = Player(simulator, children, Path(folder))
        for seed in range(first, first + seeds):
            plan = make_plan(seed)
            if wrong := player.play(plan):
                failed += 1
                print(report(seed, wrong, shrink(player, plan, wrong)), flush=True)
        return failed, player.covered


def report(seed: int, wrong: list[str], shortest: Plan) -> str:
    """What to say of a seed that fails."""
    story = json.dumps(shortest.as_json(), indent=1)
    lines = [f"seed {seed} fails:", *(w[:500] for w in wrong[:5])]
    return "\n  ".join(lines) + f"\nshortest story found:\n{story}\nagain: make chaos SEEDS=1 FIRST={seed}\n"
