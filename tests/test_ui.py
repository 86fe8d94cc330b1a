"""The interface in a real browser: the asset graph and a run, with nothing to complain of in the console."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from outside import Outside
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (apt-get install chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


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
