"""Row D8: our own upgrades. Numbered steps, a backup first, an interrupted one resumes, a newer file is refused."""

import re
import shutil
import stat

import duckdb
import pytest
from rows import bill, payments
from truth import assert_warehouse_equals_truth, query

from cashpay_pipeline.errors import GuardError, WarehouseError
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.sqlfiles import sql_folder
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.warehouse import database, open_warehouse

GOOD = "-- Later.\nalter table core.bills add column later varchar;\nupdate core.bills set later = 'filled';\n"
BAD = "-- Broken.\nalter table core.bills add column half varchar;\nselect no_such_column from core.bills;\n"


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """A folder of steps of our own, where later ones can be put."""
    folder = tmp_path / "sql"
    shutil.copytree(sql_folder(), folder)
    monkeypatch.setattr(database, "sql_folder", lambda: folder)
    return folder / "core"


@pytest.fixture
def stored(settings, simulator, steps):
    run_sync(settings, clock=SimulatedClock(settings.base_url))
    return settings


def backups(settings):
    return sorted(f.name for f in settings.data_folder.glob("*.backup"))


def test_D8_every_step_has_a_number_of_its_own_and_none_is_left_out():
    names = sorted(f.name for f in (sql_folder() / "core").glob("*.sql"))
    assert all(re.fullmatch(r"[0-9]{4}_[a-z_]+\.sql", name) for name in names)
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


def test_R3_no_step_adds_a_column_whose_default_is_a_function():
    """DuckDB 1.5.5 cannot open a file that was killed after that."""
    for file in (sql_folder() / "core").glob("*.sql"):
        assert not re.search(r"add column[^;]*default[^;]*\(", file.read_text(), re.IGNORECASE), file.name


def test_D8_an_upgrade_keeps_the_rows_and_a_backup_of_before(stored, steps, simulator):
    (steps / "9001_later.sql").write_text(GOOD)
    assert backups(stored) == []
    before = query(stored.warehouse_path, "select * from core.bills order by all")
    with open_warehouse(stored):
        pass
    after = query(stored.warehouse_path, "select * from core.bills order by all")
    assert [{k: v for k, v in row.items() if k != "later"} for row in after] == before
    assert {row["later"] for row in after} == {"filled"}
    assert backups(stored) == ["warehouse.before-9001.backup"]
    backup = stored.data_folder / backups(stored)[0]
    assert query(backup, "select * from core.bills order by all") == before
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert_warehouse_equals_truth(stored.data_dir, simulator.truth())


def test_D8_a_step_that_fails_leaves_nothing_of_itself_and_resumes_when_mended(stored, steps):
    (steps / "9001_later.sql").write_text(GOOD)
    (steps / "9002_broken.sql").write_text(BAD)
    for _ in range(2):
        with pytest.raises(WarehouseError, match="no_such_column"), open_warehouse(stored):
            pass
        columns = {c["column_name"] for c in query(stored.warehouse_path, "select column_name from duckdb_columns()")}
        assert "later" in columns and "half" not in columns
    assert backups(stored) == ["warehouse.before-9001.backup", "warehouse.before-9002.backup"]
    (steps / "9002_broken.sql").write_text(BAD.partition("select")[0])
    (steps / "9003_more.sql").write_text("-- More.\ncreate table core.more (a bigint);\n")
    with open_warehouse(stored) as warehouse:
        done = [row["step"] for row in warehouse.rows("select step from core.migrations order by step")]
        assert done[-3:] == [9001, 9002, 9003] and len(done) == len(set(done))


def test_D8_the_two_newest_backups_are_kept(stored, steps):
    for number in range(9001, 9005):
        (steps / f"{number}_later.sql").write_text(f"-- Later.\ncreate table core.t{number} (a bigint);\n")
        with open_warehouse(stored):
            pass
    assert backups(stored) == ["warehouse.before-9003.backup", "warehouse.before-9004.backup"]


def test_D8_the_backup_of_an_old_file_stays_beside_those_of_later_steps(stored, steps):
    """Somebody who went back to an older file has one of its earlier steps made once more."""
    old = stored.warehouse_path.read_bytes()
    for number in range(9001, 9004):
        (steps / f"{number}_later.sql").write_text(f"-- Later.\ncreate table core.t{number} (a bigint);\n")
        with open_warehouse(stored):
            pass
    stored.warehouse_path.write_bytes(old)
    before = query(stored.warehouse_path, "select * from core.bills order by all")
    with open_warehouse(stored):
        pass
    assert backups(stored) == ["warehouse.before-9001.backup", "warehouse.before-9003.backup"]
    assert query(stored.data_folder / backups(stored)[0], "select * from core.bills order by all") == before


def test_D8_after_an_upgrade_nothing_is_left_in_the_wal(stored, steps):
    (steps / "9001_later.sql").write_text(GOOD)
    with open_warehouse(stored):
        wal = database.wal_path(stored.warehouse_path)
        assert not wal.exists() or wal.stat().st_size == 0


def test_D8_a_file_of_a_newer_version_is_refused_before_anything_is_changed(stored, steps, simulator):
    later = steps / "9001_later.sql"
    later.write_text(GOOD)
    with open_warehouse(stored):
        pass
    later.unlink()
    before = stored.warehouse_path.read_bytes()
    simulator.clear_log()
    with pytest.raises(GuardError, match="newer version of this program \\(step 9001\\)"):
        run_sync(stored, clock=SimulatedClock(stored.base_url))
    assert simulator.log() == []
    assert stored.warehouse_path.read_bytes() == before


def test_D8_a_file_of_the_first_version_becomes_one_of_today(settings, simulator):
    settings.data_folder.mkdir(parents=True)
    first = (sql_folder() / "core" / "0001_core.sql").read_text()
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute(
            "create schema core; create table core.migrations (step bigint not null, applied_at timestamptz)"
        )
        connection.execute(first)
        connection.execute("insert into core.migrations values (1, now())")
    assert run_sync(settings, clock=SimulatedClock(settings.base_url)).status == "complete"
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())
    fresh = settings.model_copy(update={"data_dir": settings.data_dir.with_name("fresh")})
    with open_warehouse(fresh):
        pass
    columns = "select table_name, column_name, data_type, comment from duckdb_columns() where not internal order by all"
    assert query(settings.warehouse_path, columns) == query(fresh.warehouse_path, columns)


def test_blank_references_of_earlier_versions_are_none(settings):
    """They made one order of all bills that have no reference of the shop's, and hid that details are lacking."""
    with open_warehouse(settings) as warehouse:
        told = {"merchant_reference": "CMD-1", "gateway_reference": " g ", "gateway_name": "Flooz", "due_at": None}
        bill(warehouse, "A", "Paid", 1000, **told)
        bill(warehouse, "B", "Paid", 1000, **dict.fromkeys(told, "") | {"due_at": None, "code": " "})
        payments(warehouse, "A", (" g ", 1000))
        payments(warehouse, "B", ("", 1000))
        warehouse.execute("delete from core.migrations where step = 8")
    with open_warehouse(settings) as warehouse:
        columns = "merchant_reference, code, gateway_reference, gateway_name, due_at = timestamptz 'epoch' as is_due"
        rows = warehouse.rows(f"select {columns} from core.bills order by order_reference")
        assert [tuple(row.values()) for row in rows] == [
            ("CMD-1", None, " g ", "Flooz", None),
            (None, None, None, None, True),
        ]
        paid = warehouse.rows("select gateway_reference from core.payments order by order_reference")
        assert [row["gateway_reference"] for row in paid] == [" g ", None]
