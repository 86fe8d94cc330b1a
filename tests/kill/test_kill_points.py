"""R1: SIGKILL of a real process at each point of a run; the next run needs no help, and the numbers are the truth."""

import os
import shutil
import signal
import subprocess
import sys
import time
from random import Random
from threading import Event

import duckdb
import pytest
from jobs import digest
from processes import environment_of
from truth import query

from cashpay_pipeline.sqlfiles import sql_folder

POINTS = {
    "K1 before login": ("before login", 1),
    "K2 after login, before the first page": ("before page", 1),
    "K2 before the third page": ("before page", 3),
    "K4 page parsed, nothing stored": ("page parsed", 1),
    "K5 staged, not committed": ("staged", 2),
    "K6 current rows merged, not committed": ("current merged", 1),
    "K6 seen rows written, not committed": ("seen written", 1),
    "K7 versions written, not committed": ("versions written", 1),
    "K7 payments written, not committed": ("payments written", 1),
    "K8 progress written, not committed": ("progress written", 1),
    "K9 before the last commit": ("in commit", -1),
    "K9 between two commits": ("committed", 4),
    "K10 all committed, nobody told": ("returned", 1),
}
KINDS = ["first walk", "refresh", "recheck", "full_refresh"]
NEVER = {
    ("K6 seen rows written, not committed", "first walk"),  # nothing is known yet
    ("K2 after login, before the first page", "recheck"),
    ("K2 before the third page", "recheck"),
    ("K5 staged, not committed", "recheck"),
    ("K8 progress written, not committed", "recheck"),  # asks no list, moves no watermark
}


pytestmark = pytest.mark.long  # the suite has processes that die in `tests/chaos`


@pytest.mark.parametrize(
    ("point", "kind"), [(point, kind) for point in POINTS for kind in KINDS if (point, kind) not in NEVER]
)
def test_killed_at(point, kind, night):
    moment, number = POINTS[point]
    if kind != "first walk":
        night.read_whole_list()
        night.change_much()
    do = "full_refresh" if kind == "first walk" else kind
    if number < 0:
        number = _how_many(night, do, moment)
    dead = night.run(do, death={"moment": moment, "number": number})
    assert dead["code"] == -signal.SIGKILL, dead
    night.check_heals()


def _how_many(night, do, moment):
    """How often a moment comes in a whole run, seen in a copy of the data folder."""
    folder = night.settings.data_dir.parent / "rehearsal"
    if night.settings.data_dir.exists():
        shutil.copytree(night.settings.data_dir, folder)
    job = night.job(do)
    job["settings"]["data_dir"] = str(folder)
    return night.children.run(job)["met"][moment]


def wait_for(simulator, fault, alive=lambda: True):
    """Until the simulator has done this to a request; with a pause between two looks: without one they take a core."""
    pause = Event()
    while not any(entry["fault"] == fault for entry in simulator.log()):
        assert alive()
        pause.wait(0.02)


def test_K3_killed_while_a_body_is_half_read(night):
    night.simulator.faults([{"path": "/orders", "kind": "drip", "seconds": 0.2, "after": 1}])
    pid = night.children.start(night.job("full_refresh"))
    wait_for(night.simulator, "drip")
    os.kill(pid, signal.SIGKILL)
    assert night.children.wait(pid)["code"] == -signal.SIGKILL
    night.simulator.faults([])
    night.check_heals()


def test_killed_again_and_again_at_each_commit_the_first_walk_ends_all_the_same(night):
    """Each run is killed at its next commit; what was stored before is not asked for again."""
    night.run("recheck")  # makes the file: its migrations are killed in a test of their own
    for number in range(1, 40):
        run = night.run("refresh", death={"moment": "committed", "number": number})
        if run["outcome"] == "done":
            break
    assert run["outcome"] == "done"
    dead = query(night.settings.warehouse_path, "select count(*) as n from core.syncs where status = 'dead'")
    assert dead[0]["n"] >= 5
    night.check_heals()


@pytest.mark.parametrize("repeats", [4, pytest.param(200, marks=pytest.mark.repeats)])
def test_K9_killed_inside_a_commit(repeats, night):
    random = Random(9)
    night.read_whole_list()
    for _ in range(repeats):
        night.change_much()
        death = {"moment": "in commit", "number": random.randint(2, 6), "delay": random.uniform(0, 0.006)}
        night.run("full_refresh", death=death)
        if random.random() < 0.1:
            night.check_heals(days_later=True)
    night.check_heals(days_later=True)


@pytest.mark.parametrize("repeats", [4, pytest.param(200, marks=pytest.mark.repeats)])
def test_K11_killed_during_a_checkpoint(repeats, night):
    random = Random(11)
    night.read_whole_list()
    night.run("publish")
    for _ in range(repeats):
        night.change_much()
        published = digest(night.settings.published_path)
        kind, moment = random.choice([("publish", "in checkpoint"), ("refresh", "in close"), ("recheck", "in close")])
        dead = night.run(kind, death={"moment": moment, "delay": random.uniform(0, 0.03)})
        assert digest(night.settings.published_path) == published or dead["outcome"] == "done"
        if random.random() < 0.1:
            night.check_heals(days_later=True)
    night.check_heals(days_later=True)
    assert night.run("publish")["outcome"] == "done"


@pytest.mark.parametrize("moment", ["copying", "copy synced", "copy renamed"], ids=["K12", "K13", "K13 renamed"])
def test_killed_while_publishing_the_copy_stays_whole(moment, night):
    night.read_whole_list()
    night.run("publish")
    before = digest(night.settings.published_path)
    night.change_much()
    night.run("refresh")
    with duckdb.connect(str(night.settings.published_path), read_only=True) as analyst:
        count = "select count(*), sum(received_amount), max(changed_at) from core.bills"
        seen = analyst.execute(count).fetchall()
        assert night.run("publish", death={"moment": moment})["code"] == -signal.SIGKILL
        assert analyst.execute(count).fetchall() == seen
    working = night.settings.warehouse_path
    after = digest(night.settings.published_path)
    assert after == (digest(working) if moment == "copy renamed" else before)
    assert night.run("publish")["outcome"] == "done"
    assert digest(night.settings.published_path) == digest(working)
    assert oct(night.settings.published_path.stat().st_mode)[-3:] == "400"
    night.check_heals()


def _folder_with(tmp_path, *names):
    folder = tmp_path / f"sql-{len(names)}"
    (folder / "core").mkdir(parents=True)
    for name in names:
        (folder / "core" / name).write_text((sql_folder() / "core" / name).read_text(encoding="utf-8"))
    return folder


NEXT_STEP = """-- A step to come.
alter table core.bills add column risk varchar;
update core.bills set risk = 'none';
create table core.risks (account varchar not null, risk varchar);
insert into core.risks select account, risk from core.bills;
alter table core.bills alter column risk set default 'unknown';
comment on column core.bills.risk is 'made up';
"""


def test_K14_killed_after_each_statement_of_a_new_file(night):
    whole = night.run("migrate")["met"]["migrating"]
    for number in {1, 2, 3, 4, 5, whole // 2, whole - 3, whole - 2, whole - 1, whole}:
        for file in night.settings.data_dir.iterdir():
            file.unlink()
        dead = night.run("migrate", death={"moment": "migrating", "number": number})
        assert dead["code"] == -signal.SIGKILL
        assert night.run("migrate")["outcome"] == "done"
    night.check_heals()


def test_K14_killed_after_each_statement_of_a_later_step(night, tmp_path):
    now = sorted(f.name for f in (sql_folder() / "core").glob("[0-9]*.sql"))
    later = _folder_with(tmp_path, *now)
    (later / "core" / "0999_next.sql").write_text(NEXT_STEP)
    night.read_whole_list()
    rows = query(night.settings.warehouse_path, "select count(*) as n from core.bills")[0]["n"]
    number = 0
    while True:
        number += 1
        ended = night.run("migrate", sql_folder=str(later), death={"moment": "migrating", "number": number})
        if ended["outcome"] == "done":
            break
        assert ended["code"] == -signal.SIGKILL
        assert query(night.settings.warehouse_path, "select count(*) as n from core.bills")[0]["n"] == rows
    assert number > 8
    risks = query(night.settings.warehouse_path, "select count(*) as n from core.risks where risk = 'none'")
    assert risks == [{"n": rows}]
    assert night.run("refresh", sql_folder=str(later))["outcome"] == "done"


@pytest.mark.parametrize("repeats", [4, pytest.param(200, marks=pytest.mark.repeats)])
def test_K14_killed_at_any_moment_of_a_migration(repeats, night, tmp_path):
    random = Random(14)
    for _ in range(repeats):
        dead = night.run("migrate", death={"moment": "migrating", "delay": random.uniform(0, 0.15)})
        if dead["outcome"] == "done":
            for file in night.settings.data_dir.iterdir():
                file.unlink()
    night.check_heals()


@pytest.mark.parametrize(("number", "in_flight"), [(signal.SIGTERM, 3), (signal.SIGINT, 1)])
def test_R8_a_signal_while_cashpay_does_not_answer_ends_the_command_soon_and_keeps_what_was_read(
    in_flight, number, night, tmp_path
):
    night.simulator.faults([{"path": "/orders", "kind": "hang", "after": 2, "times": None}])
    settings = night.settings.model_copy(update={"max_in_flight": in_flight, "page_size": 15})
    home = {"DAGSTER_HOME": str(tmp_path / "dagster")}
    with subprocess.Popen(
        [sys.executable, "-m", "cashpay_pipeline", "sync", "--full"],
        env=environment_of(settings, **home), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    ) as command:  # fmt: skip
        wait_for(night.simulator, "hang", alive=lambda: command.poll() is None)
        asked = time.monotonic()
        command.send_signal(number)
        _, said = command.communicate()
    assert (command.returncode, time.monotonic() - asked < 30) == (128 + number, True), said
    assert "Interrupted. What was read is kept" in said
    assert query(night.settings.warehouse_path, "select count(*) as n from core.bills")[0]["n"] == 30
    (sync,) = query(night.settings.warehouse_path, "select status, error_code from core.syncs")
    assert sync == {"status": "failed", "error_code": "interrupted"}
    night.simulator.faults([])
    night.check_heals()
