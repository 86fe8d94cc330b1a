"""The notebook is valid Python, and runs where marimo is installed."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.warehouse import open_warehouse, publish

PROJECT = Path(__file__).parents[1]
NOTEBOOK = PROJECT / "notebooks" / "explore.py"
SQL = [
    node.args[0].value
    for node in ast.walk(ast.parse(NOTEBOOK.read_text(encoding="utf-8")))
    if isinstance(node, ast.Call)
    and isinstance(node.func, ast.Attribute)
    and node.func.attr == "execute"
    and isinstance(node.args[0], ast.Constant)
]


@pytest.fixture
def published(settings: Settings) -> Settings:
    run_sync(settings)
    with open_warehouse(settings) as opened:
        for mart in all_marts():
            build_mart(opened, mart)
    publish(settings)
    return settings


def test_the_notebook_is_valid_and_opens_the_copy_read_only() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    compile(text, str(NOTEBOOK), "exec")
    assert "read_only=True" in text
    assert len(SQL) == 5


def test_its_queries_run_on_the_published_copy(published: Settings) -> None:
    import duckdb

    with duckdb.connect(str(published.published_path), read_only=True) as connection:
        for sql in SQL:
            wanted = [published.account, 10_000][: len({word for word in ("$1", "$2") if word in sql})]
            if "order_reference = $2" in sql:
                (wanted[1],) = connection.execute("select min(order_reference) from core.bills").fetchone() or (None,)
            connection.execute(sql, wanted)
            assert "TimeZone" in sql or connection.fetchall(), sql


@pytest.mark.parametrize("is_published", [True, False], ids=["published", "nothing-yet"])
def test_it_runs(settings: Settings, is_published: bool, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if importlib.util.find_spec("marimo") is None:
        pytest.skip("marimo is not installed: .venv/bin/pip install marimo")
    if is_published:
        request.getfixturevalue("published")
    page, copy = tmp_path / "explore.html", tmp_path / "explore.py"
    copy.write_bytes(NOTEBOOK.read_bytes())  # marimo leaves notes of a session beside a notebook
    environment = {
        "CASHPAY_BASE_URL": settings.base_url or "",
        "CASHPAY_DATA_DIR": str(settings.data_dir),
        "HOME": str(tmp_path),
    } | {
        f"CASHPAY_{name.upper()}": getattr(settings, name).get_secret_value()
        for name in ("username", "password", "client_id", "client_secret")
    }
    result = subprocess.run(
        [sys.executable, "-m", "marimo", "export", "html", str(copy), "-o", str(page), "--no-include-code"],
        env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert ("What is unpaid" in page.read_text(encoding="utf-8")) == is_published
