"""Backup, restore and verify: whole or not at all, nothing lost on the way back."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import duckdb
import pytest
from processes import finished
from typer.testing import CliRunner

from cashpay_pipeline.cli import app
from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.warehouse import open_warehouse, publish
from cashpay_pipeline.warehouse.backup import backup, restore, verify

NOBODY = 65534
DIE = """
import os, shutil, signal, sys
from pathlib import Path
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse import backup
left = int(sys.argv[1])
def mortal(step):
    def stepped(*arguments):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments)
    return stepped
Path.replace, shutil.copyfileobj = mortal(Path.replace), mortal(shutil.copyfileobj)
backup.restore(load_settings())
"""
"""Dies before the so-manieth step of a restore."""
DELETE_ONE = """
import os
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse import open_warehouse
with open_warehouse(load_settings()) as warehouse:
    warehouse.execute("delete from core.bills where rowid = (select max(rowid) from core.bills)")
    os._exit(0)
"""
"""Leaves a `.wal`."""


def bills(settings: Settings) -> int:
    with open_warehouse(settings) as warehouse:
        return int(warehouse.rows("select count(*) as bills from core.bills")[0]["bills"])


def damage(path: Path) -> None:
    """Overwrite one block in the middle, as a bad disk does."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xaa" * 262_144)


def test_a_restored_backup_goes_on_where_it_was(settings: Settings, simulator: SimulatorProcess) -> None:
    """R12: how far the reading had come travels with the file."""
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    kept = bills(settings)
    made = backup(settings, clock=clock)
    assert {path.name for path in made.iterdir()} == {"warehouse.duckdb", "pii.key"}
    assert {path.stat().st_mode & 0o077 for path in (made, *made.iterdir())} == {0}

    simulator.advance(days=1)
    run_sync(settings, clock=clock)
    later = bills(settings)
    (settings.data_folder / "pii.key").write_bytes(b"another key of somebody who started anew!")
    used, former = restore(settings, clock=clock)
    assert (used, bills(settings)) == (made, kept)
    assert former and {path.name for path in former.iterdir()} == {"warehouse.duckdb", "pii.key"}

    assert run_sync(settings, clock=clock).complete
    assert bills(settings) == later > kept


@pytest.mark.long
def test_R12_a_restore_killed_anywhere_is_not_begun_or_can_be_done_again(
    settings: Settings, simulator: SimulatorProcess
) -> None:
    """Never a new empty file, nor the old `.wal` beside the restored one; and nothing of before is lost."""
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    kept = bills(settings)
    backups = backup(settings, clock=clock).parent
    number, refused = 0, 0
    kept_wals: set[Path] = set()  # in all; those of the last two restores are there at the end
    while True:
        number += 1
        simulator.advance(minutes=1)
        finished(DELETE_ONE, settings)
        ended = finished(DIE, settings, str(number))
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        with suppress(WarehouseError):
            assert bills(settings) == kept - number
            continue
        refused += 1
        with pytest.raises(WarehouseError, match="restore was stopped half-way") as caught:
            run_sync(settings, clock=clock)
        assert "cashpay restore" in caught.value.next_step
        restore(settings)  # by the clock of those that die
        assert bills(settings) == kept
        kept_wals.update(backups.glob("before-restore-*/warehouse.duckdb.wal"))
    assert bills(settings) == kept
    assert number - 1 > refused >= 4
    kept_wals.update(backups.glob("before-restore-*/warehouse.duckdb.wal"))
    assert len(kept_wals) == refused + 1


def test_the_newest_backups_are_kept(settings: Settings, simulator: SimulatorProcess) -> None:
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    theirs = settings.data_folder / "backups" / "20200102T030405Z"
    theirs.mkdir(parents=True)
    made = [theirs]
    for _ in range(4):
        simulator.advance(days=1)
        made.append(backup(settings, clock=clock))
    assert sorted(theirs.parent.iterdir()) == [theirs, *made[-2:]], "a folder without a database is somebody else's"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_backup_that_root_made_once_keeps_no_later_one_from_being_made_or_put_back(
    make_settings: Callable[..., Settings], simulator: SimulatorProcess
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings, clock = make_settings(data_dir=Path(folder) / "data"), SimulatedClock(simulator.base_url)
        run_sync(settings, clock=clock)
        by_root = [backup(settings, clock=clock)]
        simulator.advance(days=1)
        by_root.append(backup(settings, clock=clock))
        by_root[1].chmod(0o755)
        for path in (Path(folder), *Path(folder).rglob("*")):
            if not {path, path.parent} & {*by_root}:
                os.chown(path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            for _ in range(3):
                simulator.advance(days=1)
                made = backup(settings, clock=clock, keep=1)
            assert restore(settings, clock=clock)[0] == made
        finally:
            os.seteuid(0)
        kept = {path for path in made.parent.iterdir() if not path.name.startswith("before-restore")}
        assert kept == {*by_root, made}


def test_a_new_backup_is_not_taken_for_the_oldest_after_a_clock_that_was_ahead_is_set_right(
    settings: Settings, simulator: SimulatorProcess
) -> None:
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    simulator.advance(days=30)
    ahead = []
    for _ in range(2):
        simulator.advance(days=1)
        ahead.append(backup(settings, clock=clock))
    simulator.set_time(simulator.now() - timedelta(days=32))
    made = [backup(settings, clock=clock)]
    assert sorted(made[0].parent.iterdir()) == [*made, ahead[1]]
    simulator.advance(days=1)
    made.append(backup(settings, clock=clock))
    assert sorted(made[0].parent.iterdir()) == made
    assert restore(settings, clock=clock)[0] == made[1]


def test_R12_which_backup_is_the_newest_is_not_guessed_where_one_is_named_for_a_time_to_come(
    settings: Settings, simulator: SimulatorProcess
) -> None:
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    simulator.advance(days=1000)
    ahead = backup(settings, clock=clock)
    simulator.set_time(simulator.now() - timedelta(days=999))
    run_sync(settings, clock=clock)
    made, kept = backup(settings, clock=clock), bills(settings)
    with pytest.raises(WarehouseError, match=f"{ahead.name} is named for a time to come") as caught:
        restore(settings, clock=clock)
    assert "name the backup" in caught.value.next_step
    assert bills(settings) == kept and sorted(made.parent.iterdir()) == [made, ahead]
    assert restore(settings, ahead, clock=clock)[0] == ahead


def test_what_the_newest_restore_replaced_is_kept_by_a_clock_that_was_ahead(
    settings: Settings, simulator: SimulatorProcess
) -> None:
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    made = backup(settings, clock=clock)
    simulator.advance(days=30)
    replaced = [restore(settings, made, clock=clock)[1]]
    simulator.set_time(simulator.now() - timedelta(days=30))
    for _ in range(2):
        simulator.advance(days=1)
        replaced.append(restore(settings, made, clock=clock)[1])
    assert sorted(made.parent.iterdir()) == [made, *replaced[1:]]


def test_a_backup_that_is_stopped_half_way_is_none(
    settings: Settings, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    made = backup(settings, clock=clock)
    simulator.advance(days=1)
    copy = shutil.copyfileobj

    def interrupted(source: BinaryIO, target: BinaryIO, size: int) -> None:
        copy(source, target, size)
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfileobj", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backup(settings, clock=clock)
    assert list(made.parent.iterdir()) == [made]


def test_what_the_last_two_restores_replaced_is_kept(settings: Settings, simulator: SimulatorProcess) -> None:
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    made = backup(settings, clock=clock)
    replaced = []
    for _ in range(3):
        simulator.advance(days=1)
        replaced.append(restore(settings, clock=clock)[1])
    assert sorted(made.parent.iterdir()) == [made, *replaced[-2:]]
    simulator.advance(days=1)
    third = restore(settings, replaced[-2], clock=clock)[1]
    assert sorted(made.parent.iterdir()) == [made, *replaced[-2:], third]


def test_what_a_restore_replaced_is_put_back_with_the_rows_that_are_only_in_its_wal(
    settings: Settings, simulator: SimulatorProcess
) -> None:
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    kept = bills(settings)
    backup(settings, clock=clock)
    finished(DELETE_ONE, settings)
    former = restore(settings, clock=clock)[1]
    assert former and (former / "warehouse.duckdb.wal").exists()
    assert bills(settings) == kept
    for _ in range(2):
        restore(settings, former, clock=clock)
        assert {path.name for path in settings.data_folder.glob("*.wal")} == set()
        assert bills(settings) == kept - 1


def test_a_backup_whose_wal_is_damaged_is_never_restored(settings: Settings, simulator: SimulatorProcess) -> None:
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    made, kept = backup(settings, clock=clock), bills(settings)
    finished(DELETE_ONE, settings)
    former = restore(settings, clock=clock)[1]
    assert former
    wal = bytearray((former / "warehouse.duckdb.wal").read_bytes())
    wal[len(wal) // 2] ^= 0xFF
    (former / "warehouse.duckdb.wal").write_bytes(wal)
    with pytest.raises(WarehouseError, match="cannot be"):
        restore(settings, former, clock=clock)
    assert bills(settings) == kept and made.exists()


def test_the_data_folder_named_as_the_place_of_the_backups_means_those_in_it(
    settings: Settings, simulator: SimulatorProcess
) -> None:
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    key = (settings.data_folder / "pii.key").read_bytes()
    with pytest.raises(WarehouseError, match="no backup here"):
        restore(settings, settings.data_folder, clock=clock)
    made = backup(settings, clock=clock)
    assert restore(settings, settings.data_folder, clock=clock)[0] == made
    assert (settings.data_folder / "pii.key").read_bytes() == key


def test_two_restores_in_one_second_keep_what_each_replaced(settings: Settings, simulator: SimulatorProcess) -> None:
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    backup(settings, clock=clock)
    with open_warehouse(settings) as warehouse:
        warehouse.execute("delete from core.bills")
    first, second = restore(settings, clock=clock)[1], restore(settings, clock=clock)[1]
    assert first and second and first != second
    assert sorted(first.parent.glob("before-restore-*")) == [first, second]
    with duckdb.connect(str(first / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from core.bills").fetchone() == (0,)


def test_a_damaged_file_is_told_and_never_restored(settings: Settings, simulator: SimulatorProcess) -> None:
    """R13."""
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    before = bills(settings)
    good = publish(settings).path
    assert not [table for table in verify(good) if table.problem]
    assert sum(table.rows for table in verify(good) if table.name == "core.bills") == before
    made = backup(settings, clock=clock)
    damage(made / "warehouse.duckdb")
    with pytest.raises(WarehouseError, match="cannot be"):
        restore(settings, made, clock=clock)
    assert bills(settings) == before


def test_a_backup_that_cannot_be_opened_asks_for_another_one(settings: Settings, simulator: SimulatorProcess) -> None:
    """It said to publish, and then to restore: what was just tried."""
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    made = backup(settings, clock=clock)
    os.truncate(made / "warehouse.duckdb", 4096)
    with pytest.raises(WarehouseError, match="cannot be opened") as caught:
        restore(settings, clock=clock)
    assert caught.value.next_step.startswith("Use another backup")
    assert caught.value.where == str(made / "warehouse.duckdb")


def test_a_backup_names_the_file_that_it_may_not_read(settings: Settings, simulator: SimulatorProcess) -> None:
    """The key of customers, for instance, made when root ran a command once."""
    run_sync(settings, clock=SimulatedClock(simulator.base_url))
    key = settings.data_folder / "pii.key"
    key.unlink()
    key.mkdir()  # which root may not read either
    with pytest.raises(WarehouseError, match="The backup cannot be made") as caught:
        backup(settings, clock=SimulatedClock(simulator.base_url))
    assert caught.value.where == str(key)


def test_the_commands_say_what_they_did(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    for name, value in settings.model_dump(exclude_none=True).items():
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        monkeypatch.setenv(f"CASHPAY_{name.upper()}", text)
    runner = CliRunner()
    assert runner.invoke(app, ["restore"]).exit_code == 1
    assert runner.invoke(app, ["verify"]).exit_code == 1
    result = runner.invoke(app, ["verify", str(tmp_path / "nope.duckdb")])
    assert result.exit_code == 1 and "Next: Check its name" in result.output
    run_sync(settings)
    publish(settings)
    result = runner.invoke(app, ["backup", "--to", str(tmp_path / "elsewhere"), "--keep", "1"])
    assert result.exit_code == 0 and "Backup, read whole:" in result.output
    (made,) = (tmp_path / "elsewhere").iterdir()
    for named in (made, made.parent):
        result = runner.invoke(app, ["restore", str(named)])
        assert result.exit_code == 0 and f"Restored {made}." in result.output and "Published." in result.output
    result = runner.invoke(app, ["verify"])
    assert result.exit_code == 0 and "ok       core.bills: " in result.output
    damage(settings.published_path)
    result = runner.invoke(app, ["verify"])
    assert result.exit_code == 1 and ("DAMAGED" in result.output or "cannot be opened" in result.output)
