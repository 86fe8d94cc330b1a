"""Dagster from outside, by GraphQL and in a real browser: launch, checks, freshness, ticks, no secret to be seen.

One file, so that one webserver and one daemon serve it, and end with it: they use the processor also when nobody asks.
"""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from outside import SELECTOR, Outside, serving
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

FRESH = (["core", "bills"], ["marts", "daily_collections"], ["published", "analytics"])

pytestmark = pytest.mark.long  # whichever comes first waits ten seconds for the webserver, the daemon and their code


def test_every_job_can_be_launched_and_ends_well(outside: Outside) -> None:
    """They are launched at once: the pool lets one write after the other."""
    jobs = {"refresh": "refresh", "full_refresh": "full_refresh", "recheck_open_bills": "recheck"}
    runs = [outside.launch("refresh", {"kind": "refresh", "dry_run": True})]
    runs += [outside.launch(job, {"kind": kind}) for job, kind in jobs.items()]
    assert [outside.ended(run) for run in runs] == ["SUCCESS"] * 4


def checks_of(outside: Outside, key: list[str]) -> list[dict[str, Any]]:
    """The checks of a table, with what they found, once all have run."""

    def look() -> Any:
        found = outside.ask(
            """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
                assetChecksOrError { ... on AssetChecks { checks { name description blocking
                    executionForLatestMaterialization { status evaluation { success description } } } } } } } }""",
            key={"path": key},
        )
        checks = found["assetNodeOrError"]["assetChecksOrError"]["checks"]
        return checks if all(check["executionForLatestMaterialization"] for check in checks) else None

    checks: list[dict[str, Any]] = outside.until("the checks have run", look)
    return checks


def freshness(outside: Outside, key: list[str]) -> str | None:
    """What the daemon says of a table."""
    found = outside.ask(
        """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
            freshnessStatusInfo { freshnessStatus } } } }""",
        key={"path": key},
    )["assetNodeOrError"]["freshnessStatusInfo"]
    return found and found["freshnessStatus"]


def test_a_check_tells_its_result_and_what_must_be_true(outside: Outside) -> None:
    # Alone: steps of runs that overlap alternate, and then Dagster counts a check for an older materialization.
    assert outside.ended(outside.launch("refresh", {"kind": "refresh"})) == "SUCCESS"
    checks = {check["name"]: check for check in checks_of(outside, ["core", "bills"])}
    unique = checks["bills_key_unique"]
    assert unique["blocking"] and unique["description"].startswith("No bill is stored twice")
    assert unique["executionForLatestMaterialization"]["evaluation"]["description"] == "Nothing is wrong."
    states = {check["executionForLatestMaterialization"]["status"] for check in checks.values()}
    assert states == {"SUCCEEDED"} and len(checks) > 10


def test_a_tick_of_the_schedule_would_start_the_job(outside: Outside) -> None:
    answer = outside.ask(
        """mutation ($selector: ScheduleSelector!, $at: Float!) {
            scheduleDryRun(selectorData: $selector, timestamp: $at) {
            __typename ... on DryRunInstigationTick { evaluationResult {
                runRequests { runConfigYaml jobName } skipReason error { message } } } } }""",
        selector={**SELECTOR, "scheduleName": "nightly_refresh"},
        at=datetime.now(UTC).timestamp(),
    )["scheduleDryRun"]
    assert answer["__typename"] == "DryRunInstigationTick", answer
    result = answer["evaluationResult"]
    assert result["error"] is None and result["skipReason"] is None and len(result["runRequests"]) == 1


@pytest.mark.parametrize(
    ("sensor", "said"), [("alerts", "All is well"), ("dead_runs", "No run has been silent for long.")]
)
def test_a_sensor_ticks_in_the_daemon_and_says_what_it_did(outside: Outside, sensor: str, said: str) -> None:
    query = """query ($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) { ... on Sensor {
        sensorState { status ticks(limit: 5) { status skipReason error { message } } } } } }"""

    def look() -> Any:
        state = outside.ask(query, selector={**SELECTOR, "sensorName": sensor})["sensorOrError"]["sensorState"]
        assert state["status"] == "RUNNING" and not [tick for tick in state["ticks"] if tick["error"]], state
        return [tick["skipReason"] for tick in state["ticks"] if tick["status"] == "SKIPPED"]

    assert said in outside.until(f"{sensor} has ticked", look)[0]


def test_the_interface_can_show_no_secret(outside: Outside) -> None:
    """S5: what it knows of resources holds none."""
    answer = outside.ask(
        """query ($selector: RepositorySelector!) { repositoryOrError(repositorySelector: $selector) {
            ... on Repository { allTopLevelResourceDetails { name configFields { name } configuredValues { key value } }
            } } }""",
        selector=SELECTOR,
    )
    assert "cashpay_warehouse" in json.dumps(answer)
    assert "not-real" not in json.dumps(answer)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (apt-get install chromium)")
def test_the_asset_graph_and_a_run_open_without_an_error(outside: Outside, browser: Browser, tmp_path: Path) -> None:
    run = outside.launch("refresh", {"kind": "refresh"})
    assert outside.ended(run) == "SUCCESS"
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    for path, shown in (
        ("/asset-groups", ["core", "marts", "published", "reconciliation"]),
        (f"/runs/{run}", ["refresh", "Success"]),
        ("/assets/core/bills?view=checks", ["bills_key_unique", "Succeeded"]),
        ("/assets/marts/daily_collections", ["Freshness policy", "received_amount"]),
    ):
        page.goto(f"{outside.address}{path}")
        for text in shown:
            page.get_by_text(text).first.wait_for(timeout=60_000)
    for table, shows in (
        ("daily_collections", "Money received, by day and gateway"),
        ("gateway_performance", "Share of bills paid, by week of creation"),
        ("unpaid_aging", "Money still owed, by age of the bill"),
    ):
        page.goto(f"{outside.address}/assets/marts/{table}")
        page.get_by_text("[Show Markdown]").first.click(timeout=60_000)
        picture = page.get_by_alt_text(shows).first
        picture.wait_for(timeout=60_000)
        assert picture.evaluate("image => image.complete && image.naturalWidth > 900")
    assert complaints == []


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (apt-get install chromium)")
def test_the_morning_after_a_missed_night(browser: Browser, tmp_path: Path) -> None:
    """Red for staleness; launched by hand in the launchpad; a bill set aside turns a check red, and is told."""
    with serving(tmp_path, made_at=datetime.now(UTC) - timedelta(days=2)) as outside:
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(60_000)
        for key in FRESH:
            outside.until(f"{key} is stale", lambda key=key: freshness(outside, key) == "DEGRADED")
        page.goto(f"{outside.address}/assets/core/bills")
        page.get_by_text("Failed").first.wait_for()

        outside.simulator.put_bill("CP-ODD", amount="12,5")
        page.goto(f"{outside.address}/locations/cashpay_pipeline/jobs/refresh/playground")
        page.get_by_text("kind: refresh").wait_for()
        page.get_by_role("button", name="Launch Run").click()
        page.wait_for_url("**/runs/*")
        assert outside.ended(page.url.rpartition("/")[2]) == "SUCCESS"
        for key in FRESH:
            outside.until(f"{key} is fresh", lambda key=key: freshness(outside, key) == "HEALTHY")

        (check,) = checks_of(outside, ["core", "data_issues"])
        found = check["executionForLatestMaterialization"]
        assert (found["status"], found["evaluation"]["description"]) == ("FAILED", "One row is wrong.")
        page.goto(f"{outside.address}/assets/core/data_issues?view=checks")
        for text in ("No record is set aside.", "One row is wrong.", "CP-ODD", "not_a_number"):
            page.get_by_text(text).first.wait_for()
        told = outside.until("the alert", lambda: outside.told.exists() and outside.told.read_text())
        assert told.startswith("Red check no_open_data_issues on core/data_issues: One row is wrong.")

        page.goto(f"{outside.address}/assets/core/bills")
        page.get_by_text("Plots").click()
        for plotted in ("bills_new", "bills_changed", "received_xof", "requests", "waited_seconds", "open_bills"):
            page.get_by_text(plotted, exact=True).first.wait_for()
