"""Exports: what is in each file, that no cell can run, and that a file is there whole or not at all."""

import csv
import os
import re
import resource
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from typer.testing import CliRunner

from cashpay_pipeline.atomic import PREFIX, put_in_place, workshop
from cashpay_pipeline.catalog import catalog
from cashpay_pipeline.cli import app
from cashpay_pipeline.errors import ExportError, QueryError, WarehouseError
from cashpay_pipeline.export import export_table
from cashpay_pipeline.export import run as export_run
from cashpay_pipeline.export.excel import write_excel
from cashpay_pipeline.export.text import harmless, write_csv
from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.warehouse import open_warehouse, publish

ATTACKS = ["=HYPERLINK(1)", "+22890000000", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\x00=1", " =1", "＝1"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A published copy with bills of two months and one without a date."""
    settings = load_settings(data_dir=tmp_path / "data")
    with open_warehouse(settings) as warehouse:
        for number, (moment, text) in enumerate(
            [
                (datetime(2026, 2, 28, 23, 59, tzinfo=UTC), "Commande d'Afi; 2 pièces"),
                (datetime(2026, 3, 1, tzinfo=UTC), "=1+1"),
                (datetime(2026, 3, 2, 10, 30, tzinfo=UTC), 'a "quoted"\nsecond line'),
                (None, None),
            ]
        ):
            warehouse.connection.execute(
                "insert into core.bills (account, order_reference, state, amount, currency, created_at, business_date, "
                "description, payment_count, first_seen_at, changed_at, verified_at, version) "
                "values ('main', ?, 'Pending', ?, 'XOF', ?, ?, ?, 0, now(), now(), now(), 1)",
                [f"CP-{number}", 1000 * number - 500, moment, moment.date() if moment else None, text],
            )
    publish(settings)
    return settings


def rows(path: Path) -> list[tuple[Any, ...]]:
    return duckdb.sql("from read_parquet($path)", params={"path": str(path)}).fetchall()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_parquet_has_a_file_a_month_and_every_row_as_it_is(settings: Settings, tmp_path: Path) -> None:
    written = export_table(settings, "core.bills", "parquet", tmp_path / "out")
    months = [f"core.bills-{month}.parquet" for month in ("2026-02", "2026-03", "no-date")]
    assert [path.name for path in written.paths] == months == names(tmp_path / "out")
    assert written.rows == 4
    with duckdb.connect(str(settings.published_path), read_only=True) as published:
        stored = published.execute("from core.bills order by order_reference").fetchall()
        types = published.execute("select column_name, column_type from (describe core.bills)").fetchall()
    found = [row for path in written.paths for row in rows(path)]
    assert sorted(found, key=lambda row: row[1]) == stored
    assert len(rows(written.paths[1])) == 2
    described = duckdb.sql("describe from read_parquet($path)", params={"path": str(written.paths[0])}).fetchall()
    assert [row[:2] for row in described] == types


def test_a_month_that_is_gone_goes_from_the_folder_and_nothing_else_does(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("core.bills-2025-01.parquet", "core.bills_mine-2025-01.parquet", "core.bills-notes.parquet"):
        (folder / name).write_text("old")
    export_table(settings, "core.bills", "parquet", folder)
    assert "core.bills-2025-01.parquet" not in names(folder)
    assert {"core.bills_mine-2025-01.parquet", "core.bills-notes.parquet"} <= set(names(folder))


def test_csv_is_for_french_excel(settings: Settings, tmp_path: Path) -> None:
    (path,) = export_table(settings, "bills", "csv", tmp_path).paths
    assert path.name == "core.bills.csv"
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfaccount;order_reference;") and raw.count(b"\r\n") == 5
    with path.open(encoding="utf-8-sig", newline="") as handle:
        found = list(csv.DictReader(handle, delimiter=";"))
    wanted = ("order_reference", "amount", "created_at", "business_date", "description", "code")
    assert [tuple(row[name] for name in wanted) for row in found] == [
        ("CP-0", "-500", "2026-02-28 23:59:00", "2026-02-28", "Commande d'Afi; 2 pièces", ""),
        ("CP-1", "500", "2026-03-01 00:00:00", "2026-03-01", "'=1+1", ""),
        ("CP-2", "1500", "2026-03-02 10:30:00", "2026-03-02", 'a "quoted"\nsecond line', ""),
        ("CP-3", "2500", "", "", "", ""),
    ]


def test_csv_of_every_type(tmp_path: Path) -> None:
    path = tmp_path / "types.csv"
    columns = {"n": "BIGINT", "d": "DOUBLE", "b": "BOOLEAN", "l": "VARCHAR[]", "t": "VARCHAR", "=x": "DATE"}
    write_csv(path, columns, [[(-1, -1.5, True, ["=a", "b"], "-1", date(2026, 3, 1)), (None,) * 6]])
    assert path.read_text(encoding="utf-8-sig").splitlines() == [
        "n;d;b;l;t;'=x", "-1;-1,5;true;'=a | b;'-1;2026-03-01", ";;;;;",
    ]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=map(repr, ATTACKS))
def test_texts_that_a_spreadsheet_would_run_are_made_harmless(attack: str) -> None:
    assert harmless(attack) == "'" + attack


@budget(derandomize=True, max_examples=300)
@given(st.text())
def test_harmless_changes_only_what_could_run_and_never_loses_it(text: str) -> None:
    safe = harmless(text)
    assert safe in (text, f"'{text}")
    assert not safe.lstrip().startswith(("=", "+", "-", "@", "\t", "\r", "\x00"))


def cells(path: Path) -> tuple[str, str, str]:
    """The XML of the only sheet, of the formats and of the texts."""
    with zipfile.ZipFile(path) as book:
        return tuple(book.read(f"xl/{name}.xml").decode() for name in ("worksheets/sheet1", "styles", "workbook"))  # type: ignore[return-value]


def test_excel_has_types_widths_and_no_formula(settings: Settings, tmp_path: Path) -> None:
    (path,) = export_table(settings, "core.bills", "excel", tmp_path).paths
    assert path.name == "core.bills.xlsx"
    sheet, styles, workbook = cells(path)
    assert "<f>" not in sheet
    assert '<sheet name="bills"' in workbook
    assert re.search(r'<c r="B3" t="inlineStr"><is><t>CP-1</t></is></c>', sheet)
    assert re.search(r'<c r="G2" s="\d+"><v>-500</v></c>', sheet)
    assert re.search(r'<c r="J4" s="\d+"><v>46083\.4375</v></c>', sheet)
    style = re.search(r'<c r="L3" s="(\d+)" t="inlineStr"><is><t>=1\+1</t></is></c>', sheet)
    assert style
    formats = re.findall(r"<xf [^>]*>", styles.partition("<cellXfs")[2].partition("</cellXfs>")[0])
    assert 'quotePrefix="1"' in formats[int(style.group(1))]
    assert "<cols>" in sheet and 'state="frozen"' in sheet and "<autoFilter" in sheet


def test_excel_of_what_does_not_fit_a_cell(tmp_path: Path) -> None:
    path = tmp_path / "odd.xlsx"
    row = (
        "x" * 40_000,
        10**17,
        date(1850, 1, 1),
        datetime(1850, 1, 1, 3, tzinfo=UTC).replace(tzinfo=None),
        ["a", "b"],
        1.5,
        False,
        None,
    )
    columns = dict.fromkeys("abcdefgh", "VARCHAR")
    assert write_excel(path, "a_name_that_is_longer_than_excel_takes", columns, [[row]]) == 1
    sheet, _, workbook = cells(path)
    assert "… (cut)" in sheet and "100000000000000000</t>" in sheet and "1850-01-01 03:00:00" in sheet
    assert "<v>1.5</v>" in sheet and "a | b" in sheet
    assert 'sheet name="a_name_that_is_longer_than_exce"' in workbook


def test_excel_has_decimals_as_numbers_as_long_as_they_stay_exact(tmp_path: Path) -> None:
    path = tmp_path / "decimals.xlsx"
    row = tuple(map(Decimal, ("0.8333", "-12.500", "1.0000", "0.0001", "123456789012.345", "1234567890123.456")))
    write_excel(path, "decimals", dict.fromkeys("abcdef", "DECIMAL(18,4)"), [[row]])
    sheet, *_ = cells(path)
    assert re.findall(r"<v>([^<]+)</v>", sheet) == ["0.8333", "-12.500", "1.0000", "0.0001", "123456789012.345"]
    assert "<t>1234567890123.456</t>" in sheet


def test_a_table_too_long_for_excel_stops(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_run, "MAX_ROWS", 3)
    with pytest.raises(ExportError, match="4 rows; a sheet of Excel takes 3"):
        export_table(settings, "bills", "excel", tmp_path / "out")
    assert not names(tmp_path / "out")


def test_every_table_in_every_format_also_when_empty(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data")
    with open_warehouse(settings) as warehouse:
        for mart in all_marts():
            build_mart(warehouse, mart)
    publish(settings)
    for schema, table in catalog().tables:
        for form in ("parquet", "csv", "excel"):
            assert export_table(settings, f"{schema}.{table}", form, tmp_path / "out").paths


def test_names_come_from_a_fixed_list(settings: Settings, tmp_path: Path) -> None:
    for name in ("core.bills; drop table core.bills", "../bills", "no_such", 'core."bills"', ""):
        with pytest.raises(QueryError, match="There is no table"):
            export_table(settings, name, "csv", tmp_path / "out")
    with pytest.raises(QueryError, match="There is no format"):
        export_table(settings, "bills", "pdf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_before_the_first_sync(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="cashpay sync"):
        export_table(load_settings(data_dir=tmp_path / "data"), "bills", "csv", tmp_path)


EXPORT = """
import os, signal, sys
from pathlib import Path
from cashpay_pipeline import atomic
from cashpay_pipeline.errors import CashpayError
from cashpay_pipeline.export import export_table
from cashpay_pipeline.settings import load_settings
if sys.argv[4] == "kill":
    os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
try:
    export_table(load_settings(data_dir=sys.argv[1]), "core.bills", sys.argv[3], Path(sys.argv[2]))
except CashpayError as error:
    sys.exit(str(error))
"""


def small_files() -> None:
    """What a full disk does, for every user: no file may grow past 2,000 bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))


def export_in_a_process(
    settings: Settings, folder: Path, form: str, how: str, **options: Any
) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-B", "-c", EXPORT, str(settings.data_dir), str(folder), form, how]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, **options)


FIRST = {"parquet": "core.bills-2026-02.parquet", "csv": "core.bills.csv", "excel": "core.bills.xlsx"}


@pytest.mark.parametrize("form", FIRST)
def test_killed_at_the_last_moment_the_old_file_stays_and_the_next_run_clears_up(
    settings: Settings, tmp_path: Path, form: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / FIRST[form]).write_text("of yesterday")
    result = export_in_a_process(settings, folder, form, "kill")
    assert result.returncode == -signal.SIGKILL
    assert (folder / FIRST[form]).read_text() == "of yesterday"
    assert len([name for name in names(folder) if name.startswith(PREFIX)]) == 1
    export_table(settings, "core.bills", form, folder)
    assert (folder / FIRST[form]).stat().st_size > 100
    assert not [name for name in names(folder) if name.startswith(PREFIX)]


@pytest.mark.parametrize("form", FIRST)
def test_on_a_full_disk_the_old_file_stays_and_it_is_said(settings: Settings, tmp_path: Path, form: str) -> None:
    with open_warehouse(settings) as warehouse:
        warehouse.connection.execute(
            "insert into core.bills by name "
            "select bills.* replace (md5(n::varchar || order_reference) as order_reference) "
            "from core.bills, range(2000) as numbers(n)"
        )
    publish(settings)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / FIRST[form]).write_text("of yesterday")
    result = export_in_a_process(settings, folder, form, "full", preexec_fn=small_files)
    assert result.returncode == 1
    assert "[export]" in result.stderr and "exported there before is unchanged" in result.stderr
    assert "Traceback" not in result.stderr
    assert names(folder) == [FIRST[form]] and (folder / FIRST[form]).read_text() == "of yesterday"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(ExportError, match="Permission denied"):
        export_table(settings, "bills", "csv", tmp_path / "out")


def test_a_file_instead_of_a_folder(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ExportError, match="File exists"):
        export_table(settings, "bills", "csv", tmp_path / "out")


def test_a_workshop_of_a_run_at_work_is_left_alone(tmp_path: Path) -> None:
    with workshop(tmp_path) as mine:
        (mine / "part").write_text("half")
        with workshop(tmp_path) as other:
            assert other != mine and (mine / "part").exists()
            (other / "whole").write_text("new")
            put_in_place(other / "whole", tmp_path / "whole")
        assert (mine / "part").exists()
    assert names(tmp_path) == ["whole"]
    assert (tmp_path / "whole").stat().st_mode & 0o777 == 0o600


def test_the_command_names_the_files(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASHPAY_DATA_DIR", str(settings.data_dir))
    result = CliRunner().invoke(app, ["export", "bills", "--format", "csv", "--to", "here"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["4 rows written:", "  here/core.bills.csv"]
    assert CliRunner().invoke(app, ["export", "core.bills"]).exit_code == 0
    capitals = CliRunner().invoke(app, ["export", "CORE.Bills", "--format", "CSV", "--to", "there"])
    assert capitals.stdout.splitlines() == ["4 rows written:", "  there/core.bills.csv"]
    assert len(names(settings.data_folder / "exports")) == 3
    assert CliRunner().invoke(app, ["export", "nothing"]).exit_code == 2


def test_progress_is_told(settings: Settings, tmp_path: Path) -> None:
    for form, expected in (("csv", [(4, 4)]), ("parquet", [(1, 4), (3, 4), (4, 4)])):
        told: list[tuple[int, int]] = []
        export_table(settings, "bills", form, tmp_path, lambda done, rows, told=told: told.append((done, rows)))  # type: ignore[misc]
        assert told == expected


@pytest.fixture(autouse=True)
def no_leftovers(tmp_path: Path) -> Iterator[None]:
    yield
    assert not [path for path in tmp_path.rglob(f"{PREFIX}*") if path.is_dir()]
