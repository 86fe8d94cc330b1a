"""What people type every day answers at once: nothing heavy is imported for it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from processes import finished

from cashpay_pipeline.settings import Settings
from cashpay_pipeline.sync import run_sync

HEAVY = {"dagster", "pandas", "numpy", "sqlglot", "altair", "requests"}
COMMAND = """
import sys
from cashpay_pipeline.cli import app
try:
    app(sys.argv[1:])
finally:
    print("imported:", *sys.modules, file=sys.stderr)
"""


def imported_by(settings: Settings, *words: str) -> set[str]:
    done = finished(COMMAND, settings, *words)
    assert "Traceback" not in done.stderr
    return set(done.stderr.split("imported:")[-1].split())


@pytest.mark.parametrize("words", [["--help"], ["sync", "--help"], ["status"]], ids=" ".join)
def test_nothing_heavy_is_imported(words: list[str], make_settings: Callable[..., Settings]) -> None:
    assert imported_by(make_settings(), *words) & HEAVY == set()


def test_the_status_of_a_filled_warehouse_imports_nothing_heavy(settings: Settings) -> None:
    run_sync(settings)
    imported = imported_by(settings, "status")
    assert "duckdb" in imported
    # DuckDB itself imports pandas, and that numpy, as soon as a query has a parameter.
    assert imported & HEAVY <= {"pandas", "numpy"}


@pytest.mark.long
def test_a_sync_loads_what_reads_orders_and_draws_only_where_there_is_something_to_read_or_draw(
    settings: Settings,
) -> None:
    assert "altair" in imported_by(settings, "sync")
    assert imported_by(settings, "sync") & {"cashpay_pipeline.reconcile", "xlsxwriter", "altair", "sqlglot"} == set()


def test_ctrl_c_while_libraries_are_read_ends_it_without_a_traceback(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    program = "import sys; sys.path.insert(0, sys.argv[1]); from cashpay_pipeline.__main__ import main; main()"
    done = finished(program, make_settings(), str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_command_does_not_look_for_garbage_at_its_end(make_settings: Callable[..., Settings]) -> None:
    program = (
        "import atexit, gc\n"
        "from cashpay_pipeline.__main__ import main\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 10_000))\n"
        "main()"
    )
    done = finished(program, make_settings(), "--help")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "True")
