"""Orders out of a real PostgreSQL server on this machine, through DuckDB's extension: `make postgres`."""

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from truth import query
from typer.testing import CliRunner

from cashpay_pipeline.cli import app
from cashpay_pipeline.errors import OrdersError
from cashpay_pipeline.reconcile import Mapping, reconcile
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.warehouse import open_warehouse

PASSWORD = "only for this test"
WHEEL = "duckdb_extension_postgres_scanner"
TABLES = """
create type state as enum ('traitée', 'annulée');
create schema shop;
create table shop.orders (
    id integer, reference varchar(20), total numeric(12, 2), currency char(3), paid boolean, state state,
    created_at timestamptz, ordered_at timestamp
);
insert into shop.orders values
    (1, '00042', 12500.00, 'XOF', true, 'traitée', '2026-03-02 11:00+01', '2026-03-02 10:00'),
    (2, 'CMD-2', 12.50, 'EUR', true, 'traitée', '2026-03-02 12:00+00', '2026-03-02 12:00'),
    (3, 'CMD-3', 700.00, 'XOF', false, 'annulée', '2026-03-03 12:00+00', null);
create view shop.paid as select reference, total::bigint as amount, ordered_at as date from shop.orders where id = 1;
create table basket (order_id uuid, amount numeric, status text);
insert into basket values ('00000000-0000-4000-8000-000000000001', 900719925474099, 'paid');
create table huge (order_id text, amount numeric, status text);
insert into huge values ('A', 9007199254740993, 'paid');
create role reader login password 'only for this test';
grant usage on schema shop to reader;
grant select on all tables in schema shop, public to reader;
"""


@pytest.fixture(scope="module", autouse=True)
def extension(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The extension where DuckDB looks for it: as installed here, or out of the wheel that has it."""
    connection = duckdb.connect()
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        if not _loads(connection):
            found = importlib.util.find_spec(WHEEL)
            name = f"extensions/v{duckdb.__version__}/postgres_scanner.duckdb_extension"
            file = Path(str(found.origin)).parent / name if found else Path(name)
            if not file.exists():
                pytest.skip(f"no extension `postgres` for DuckDB {duckdb.__version__} on this machine: make postgres")
            ((platform,),) = connection.execute("pragma platform").fetchall()
            folder = home / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform
            folder.mkdir(parents=True)
            (folder / file.name).symlink_to(file)
            patch.setenv("HOME", str(home))
            assert _loads(duckdb.connect())
        yield


def _loads(connection: duckdb.DuckDBPyConnection) -> bool:
    try:
        connection.execute("load postgres")
    except duckdb.Error:
        return False
    return True


@pytest.fixture(scope="module")
def port(extension: None) -> Iterator[int]:
    """A server of its own, on loopback, that asks for a password."""
    program = shutil.which("pg_ctl") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))), None)
    if program is None:
        pytest.skip("no PostgreSQL server on this machine: apt-get install postgresql")
    # The server refuses to run as root.
    owner = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        free.close()
        (Path(folder) / "password").write_text(PASSWORD)
        for path in (folder, f"{folder}/password"):
            shutil.chown(path, owner)

        def control(*words: str) -> None:
            command = [program, "--pgdata", f"{folder}/data", "--log", f"{folder}/log", *words]
            user = owner if os.getuid() == 0 else None
            subprocess.run(command, check=True, capture_output=True, user=user, cwd=folder, timeout=120)

        control("initdb", "-o", f"--username admin --pwfile {folder}/password --auth scram-sha-256 --encoding UTF8")
        only_here = f"-c listen_addresses=127.0.0.1 -c port={number} -c unix_socket_directories="
        control("start", "--wait", "-o", only_here)
        try:
            address = f"host=127.0.0.1 port={number} user=admin dbname=postgres"
            subprocess.run(
                ["psql", address, "--set", "ON_ERROR_STOP=1", "--quiet"], input=TABLES, text=True, check=True,
                env=os.environ | {"PGPASSWORD": PASSWORD}, timeout=60,
            )  # fmt: skip
            yield number
        finally:
            control("stop", "--mode", "immediate")


@pytest.fixture
def address(port: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return f"postgres:host=127.0.0.1 port={port} user=reader dbname=postgres"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With three bills: francs, euros, and one that no order knows."""
    made = load_settings(data_dir=tmp_path / "data")
    at = datetime(2026, 3, 2, 10, tzinfo=UTC)
    with open_warehouse(made) as warehouse:
        for reference, amount, currency in (("00042", 12500, "XOF"), ("CMD-2", 1250, "EUR"), ("NO-ORDER", 5, "XOF")):
            values = {
                "account": "main", "order_reference": f"CP-{reference}", "merchant_reference": reference,
                "state": "Paid", "amount": amount, "received_amount": amount, "currency": currency, "created_at": at,
                "payment_count": 1, "first_seen_at": at, "changed_at": at, "verified_at": at, "version": 1,
            }  # fmt: skip
            marks = ", ".join("?" * len(values))
            warehouse.connection.execute(
                f"insert into core.bills ({', '.join(values)}) values ({marks})", list(values.values())
            )
    return made


def found(settings: Settings) -> list[tuple[Any, ...]]:
    sql = "select class, reference, currency, ordered_amount, ordered_at, source from marts.reconciliation order by all"
    return [tuple(row.values()) for row in query(settings.published_path, sql)]


def test_a_table_is_reconciled_to_the_franc(settings: Settings, address: str) -> None:
    reconcile(settings, address, Mapping(table="shop.orders", reference="reference", date="created_at", paid="paid"))
    assert found(settings) == [
        ("bill_without_order", "NO-ORDER", "XOF", 0, None, "postgres"),
        ("matched", "00042", "XOF", 12500, datetime(2026, 3, 2, 10, tzinfo=UTC), "postgres"),
        ("matched", "CMD-2", "EUR", 1250, datetime(2026, 3, 2, 12, tzinfo=UTC), "postgres"),
        ("order_without_bill", "CMD-3", "XOF", 700, datetime(2026, 3, 3, 12, tzinfo=UTC), "postgres"),
    ]


def test_a_view_and_a_query_with_words_of_the_shop(settings: Settings, address: str, port: int) -> None:
    reconcile(settings, address, Mapping(table="shop.paid", all_paid=True))
    assert found(settings) == [
        ("bill_without_order", "CMD-2", "EUR", 0, None, "postgres"),
        ("bill_without_order", "NO-ORDER", "XOF", 0, None, "postgres"),
        ("matched", "00042", "XOF", 12500, datetime(2026, 3, 2, 10, tzinfo=UTC), "postgres"),
    ]
    url = f"postgresql://reader@127.0.0.1:{port}/postgres"
    sql = "select reference, total, currency, state from shop.orders where id < 3"
    options = ["--query", sql, "--reference", "reference", "--amount", "total", "--paid", "state"]
    environment = {"CASHPAY_DATA_DIR": str(settings.data_dir)}
    command = ["reconcile", url, *options, "--paid-word", "traitée"]
    result = CliRunner().invoke(app, command, env=environment)
    assert result.exit_code == 0, result.output
    assert "2 orders of postgres against the bills of account main:" in result.stdout


def test_amounts_without_a_declared_precision_are_exact_or_refused(settings: Settings, address: str) -> None:
    """DuckDB hands such columns out as floating point."""
    reconcile(settings, address, Mapping(table="basket"))
    assert ("order_without_bill", "00000000-0000-4000-8000-000000000001", "XOF", 900719925474099) in {
        row[:4] for row in found(settings)
    }
    with pytest.raises(OrdersError, match="too large to be exact"):
        reconcile(settings, address, Mapping(table="huge"))


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (Mapping(), r"(?s)which table.*public\.basket, public\.huge, shop\.orders, shop\.paid"),
        (Mapping(table="absent"), "no table absent"),
        (Mapping(query="drop table basket"), "must be one SELECT"),
        (Mapping(query="select * from absent"), "absent"),
        (Mapping(query="select * from postgres_execute('the shop''s', 'drop table basket')"), "cannot be read"),
        (Mapping(table="shop.orders", reference="absent"), "There is no column “absent”"),
    ],
)
def test_what_cannot_be_read_is_said_and_nothing_is_changed(
    settings: Settings, address: str, mapping: Mapping, message: str
) -> None:
    with pytest.raises(OrdersError, match=message) as caught:
        reconcile(settings, address, mapping)
    assert PASSWORD not in str(caught.value) and not settings.published_path.exists()


def test_a_wrong_password_and_a_server_that_is_away(
    settings: Settings, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for refused in (address.replace("port=", "connect_timeout=2 port=1"), f"{address}_absent", address):
        if refused == address:
            monkeypatch.setenv("PGPASSWORD", "wrong")
        with pytest.raises(OrdersError, match="PostgreSQL cannot be reached") as caught:
            reconcile(settings, refused, Mapping(table="basket"))
        assert "127.0.0.1" not in str(caught.value) and "wrong" not in str(caught.value)
