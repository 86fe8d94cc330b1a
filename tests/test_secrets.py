"""Table S of the failure cases: canary secrets, phones and names, then every byte that was written or shown.

A shop whose credentials are canaries is read well, with refused logins, with answers that echo what was sent, and with
a defect in the middle, through Dagster and without it, all logs on. Nothing of a canary may be anywhere, in no form.
"""

import base64
import hashlib
import html
import json
import logging
import os
import re
import sqlite3
import stat
import subprocess
import zlib
from pathlib import Path
from urllib.parse import quote, quote_plus

import dagster as dg
import duckdb
import pytest

from cashpay_pipeline.defs import launch
from cashpay_pipeline.diagnosis import diagnose
from cashpay_pipeline.errors import CashpayError
from cashpay_pipeline.settings import CASHPAY_AUTH_FIELDS as CASHPAY_AUTH
from cashpay_pipeline.settings import OAUTH2_FIELDS as OAUTH2
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.warehouse import open_warehouse, publish
from cashpay_pipeline.warehouse.database import wal_path

PROJECT = Path(__file__).parents[1]
CREDENTIALS = {
    "username": "CANARY.user+one@shop.example.test",
    "password": "CANARY p&ss/w=rd <2>%",
    "client_id": "CANARY-client",
    "client_secret": 'CANARY"secret\\slash',
    "login": "CANARY.login",
    "api_key": "CANARYKEY/+0123456789==",
    "api_reference": "980123475",
}
WRONG = "CANARY-wrong-password"
PROXY_PASSWORD = "CANARY-proxy"
PII_KEY = "CANARY-pii-key"
SECRETS = [*CREDENTIALS.values(), WRONG, PROXY_PASSWORD, PII_KEY]
PHONE = "+22800004242"
CLIENT = {"phone": PHONE, "lastname": "CANARYLAST", "firstname": "Canaryfirst"}
CUSTOMER = ["CANARYLAST", "Canaryfirst", "22800004242", "00004242", "00 00 42 42"]


@pytest.fixture(scope="module")
def canary_process():
    with SimulatorProcess(
        seed=7, days=2, bills_per_day=20, start="2026-03-02T10:00:00+00:00", frozen=True, credentials=CREDENTIALS
    ) as process:
        yield process


@pytest.fixture
def shop(canary_process):
    canary_process.reset()
    canary_process.put_bill("HERS", client=CLIENT, description="call +228 00 00 42 42", state="Paid")
    return canary_process


@pytest.fixture
def settings_for(shop, tmp_path):
    def make(scheme, **overrides):
        names = OAUTH2 if scheme == "oauth2" else CASHPAY_AUTH
        values = {name: CREDENTIALS[name] for name in names}
        fixed = {"base_url": shop.base_url, "data_dir": tmp_path / "data", "requests_per_second": 5000}
        return load_settings(**(fixed | {"pii_key": PII_KEY} | values | overrides))

    return make


def in_json(text):
    """As Python writes it, as other programs do, and as PHP does."""
    for written in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield written
        yield written.replace("/", r"\/")


def forms(text):
    """Every way in which a text may be written down."""
    raw = text.encode()
    yield text
    yield quote(text, safe="")
    yield quote(text)
    yield quote_plus(text)
    yield from in_json(text)
    for inner in in_json(text):
        yield from in_json(inner)
    yield html.escape(text)
    yield html.escape(text).replace("&#x27;", "&#039;")
    yield raw.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        # Inside of something longer, base64 has three alignments; the letters at its ends belong to the neighbours.
        for shift in range(3):
            encoded = encode(b"\0" * shift + raw).decode().rstrip("=")
            yield encoded[(0, 2, 3)[shift] : len(encoded) - 1]
    for name in ("md5", "sha1", "sha256"):
        yield hashlib.new(name, raw).hexdigest()


def echo(settings, start=0):
    """What a careless server may answer: the customer, and all that was sent to it, in every form.

    What is shown of it is cut: so there is something of all at the beginning.
    """
    said = [form for secret in settings.secrets() for form in forms(secret)]
    said = said[start:] + said[:start]
    for secret in settings.secrets():
        said += [base64.b64encode(b"x" * n + secret.encode() + b":yz").decode() for n in range(3)]
    sent = {"client": CLIENT, "sent": said[0], "phones": PHONE.replace("+228", "+228\u00a0")}
    return {"status": "error", "message": sent, "errors": " ".join([PHONE, *said])}


def texts_of(folder):
    """All bytes written: of each file, and of what databases hold compressed."""
    for file in sorted(f for f in folder.rglob("*") if f.is_file() and "postgres" not in f.name):
        content = file.read_bytes()
        yield file.name, content
        if content.startswith(b"SQLite format 3"):
            with sqlite3.connect(file) as connection:
                for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
                    for row in connection.execute(f'select * from "{table}"'):
                        for value in row:
                            if isinstance(value, bytes):
                                yield f"{file.name}:{table}", _unpacked(value)
            connection.close()
        elif file.suffix in (".duckdb", ".backup"):
            with duckdb.connect(str(file), read_only=True) as connection:
                for schema, table in connection.execute(
                    "select schema_name, table_name from duckdb_tables()"
                ).fetchall():
                    rows = connection.execute(f'select t::varchar from "{schema}"."{table}" as t').fetchall()
                    yield f"{file.name}:{table}", "\n".join(row[0] for row in rows).encode()


def _unpacked(value):
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value


def leaks(texts):
    wanted = {form.casefold().encode() for text in (*SECRETS, *CUSTOMER) for form in forms(text) if len(form) > 7}
    found = set()
    for name, content in texts:
        folded = content.lower()
        found |= {(name, form) for form in wanted if form in folded}
        found |= {(name, token) for token in re.findall(rb"eyj[\w-]{16,}\.[\w-]{8,}|bearer [\w.-]{8,}", folded)}
    return found


def sync(settings, shop, **options):
    return run_sync(settings, clock=SimulatedClock(shop.base_url), **options)


TROUBLE = {
    "echoed by a refusal": {"path": "/orders", "status": 422},
    "echoed by a failure": {"path": "/orders", "status": 500},
    "echoed by a refused login": {"path": "*", "status": 401},
    "echoed by a forbidden path": {"path": "/orders", "status": 403},
    "echoed under 200": {"path": "/orders", "status": 200},
    "echoed by the gateways": {"path": "/gateways", "status": 400},
    "echoed by one bill": {"path": "/orders/{ref}", "status": 400},
}


@pytest.mark.parametrize("scheme", ["oauth2", "cashpay"])
def test_S2_S3_S6_S9_S10_no_file_output_log_or_error_holds_a_secret_or_a_customer(
    scheme, settings_for, shop, tmp_path, caplog, capfd
):
    logging.getLogger().setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    settings = settings_for(scheme)
    said, progress = [], []
    for place, rule in enumerate(TROUBLE.values()):
        # What is shown is short: each answer begins with other forms.
        shop.faults([{**rule, "times": None, "body": echo(settings, start=8 * place)}])
        try:
            said.append(repr(sync(settings, shop, progress=progress.append)))
        except CashpayError as error:
            said += [str(error), repr(error), repr(vars(error))]
    assert len([text for text in said if "Error" in text]) >= 5
    shop.faults([])
    wrong = {"password": WRONG} if scheme == "oauth2" else {"api_key": WRONG}
    with pytest.raises(CashpayError) as caught:
        sync(settings_for(scheme, **wrong), shop)
    said.append(str(caught.value))
    said += [repr(sync(settings, shop)), repr(progress)]
    publish(settings)
    output = capfd.readouterr()
    assert "cashpay" in caplog.text, "logs are on"
    shown = [("out", output.out), ("err", output.err), ("log", caplog.text), *(("said", text) for text in said)]
    assert leaks([*texts_of(tmp_path), *((name, text.encode()) for name, text in shown)]) == set()


@pytest.mark.parametrize("scheme", ["oauth2", "cashpay"])
def test_S9_the_field_names_of_a_list_of_no_known_shape_hold_no_secret(scheme, settings_for, shop):
    settings = settings_for(scheme)
    echoed = {name: {} for name in (*settings.secrets(), PHONE)}
    shop.faults([{"path": "/orders", "status": 200, "times": None, "body": echoed}])
    with pytest.raises(CashpayError, match=r"got an object with \*\*\*, \*\*\*") as caught:
        sync(settings, shop)
    said = [str(caught.value), *(finding.text for finding in diagnose(settings))]
    assert sum("got an object with ***, ***" in text for text in said) >= 2
    assert leaks([("said", text.encode()) for text in said]) == set()


@pytest.mark.long
def test_S1_S2_S4_S5_S10_dagsters_memory_and_output_hold_no_secret_and_no_customer(
    settings_for, shop, tmp_path, monkeypatch, caplog, capfd
):
    """Runs that end well, with echoing failures, and with a defect of ours, at log level DEBUG."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("cashpay_pipeline.sync.run.SystemClock", lambda: SimulatedClock(shop.base_url))
    outcomes = []

    def job(settings):
        outcomes.append(launch.run_job(settings, "refresh", limit=None, progress=lambda p: None, log_level="DEBUG"))

    shop.faults([{"path": "/orders", "status": 500, "times": None, "body": echo(settings_for("cashpay"))}])
    job(settings_for("cashpay"))
    shop.faults([{"path": "/auth", "status": 401, "times": None, "body": echo(settings_for("oauth2"))}])
    job(settings_for("oauth2"))
    shop.faults([])
    job(settings_for("oauth2"))

    def defect(settings, **options):
        raise KeyError(f"defect {settings!r} {settings.password}")

    monkeypatch.setattr("cashpay_pipeline.sync.run_sync", defect)
    job(settings_for("oauth2"))
    assert [bool(outcome.failures) for outcome in outcomes] == [True, True, False, True]
    assert "defect" in "".join(outcomes[3].failures)
    home = list(texts_of(tmp_path / "home"))
    assert any(b"HERS" in content or b"core/bills" in content or b"core" in content for _, content in home)
    output = capfd.readouterr()
    shown = [("out", output.out), ("err", output.err), ("log", caplog.text), ("outcomes", repr(outcomes))]
    assert "RUN_FAILURE" in output.err + output.out + caplog.text, "logs are on"
    assert leaks([*home, *texts_of(tmp_path / "data"), *((name, text.encode()) for name, text in shown)]) == set()


def test_the_search_finds_what_it_looks_for(tmp_path, monkeypatch):
    """A leak in each kind of place is found."""
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.execute("create table t as select ? || range as a from range(5000)", [CREDENTIALS["api_key"]])
    with sqlite3.connect(tmp_path / "b.db") as connection:
        connection.execute("create table t (a blob)")
        connection.execute("insert into t values (?)", [zlib.compress(CREDENTIALS["password"].encode())])
    connection.close()
    (tmp_path / "c.log").write_bytes(base64.b64encode(b"user:" + CREDENTIALS["password"].encode() + b":x"))
    (tmp_path / "d.log").write_text(quote(CREDENTIALS["client_secret"]) + " Bearer abcdefgh.ijkl")
    (tmp_path / "e.log").write_text(hashlib.sha256(CREDENTIALS["api_key"].encode()).hexdigest().upper())
    found = {name.partition(":")[0] for name, _ in leaks(texts_of(tmp_path))}
    assert found == {"a.duckdb", "b.db", "c.log", "d.log", "e.log"}


def test_S4_S5_what_dagster_knows_of_the_project_holds_no_secret_and_no_place_for_one(settings_for):
    from cashpay_pipeline.definitions import build_defs

    settings = settings_for("oauth2")
    defs = build_defs(settings=settings)
    assert not [value for value in (defs.resources or {}).values() if isinstance(value, dg.ConfigurableResource)]
    for name in ("refresh", "full_refresh", "recheck_open_bills"):
        job = defs.resolve_job_def(name)
        snapshot = dg.serialize_value(job.get_job_snapshot())
        assert leaks([(name, snapshot.encode())]) == set()
        fields = {field.lower() for field in re.findall(r'"name": ?"(\w+)"', snapshot)}
        assert not [f for f in fields if re.search("password|secret|api_key|token|login|username", f)]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    if subprocess.run(["git", "init", "--quiet", str(folder)], check=False, capture_output=True).returncode:
        pytest.skip("git is needed")
    monkeypatch.chdir(folder)
    return folder


def test_S8_check_warns_of_a_key_in_a_file_that_git_tracks(settings_for, shop, repository):
    settings = settings_for("cashpay")
    (repository / ".env").write_text(f"CASHPAY_API_KEY={CREDENTIALS['api_key']}\n")
    (repository / "notes.md").write_text("nothing to see")
    subprocess.run(["git", "add", "notes.md"], check=True)
    said = [finding.text for finding in diagnose(settings)]
    assert not [text for text in said if "git" in text], "what is not tracked is where a key belongs"
    subprocess.run(["git", "add", "--force", ".env"], check=True)
    findings = [finding for finding in diagnose(settings) if "git" in finding.text]
    assert [finding.ok for finding in findings] == [False]
    assert ".env" in findings[0].text and CREDENTIALS["api_key"] not in findings[0].text
    assert "renew it, and take it out of git" in findings[0].text


def test_S8_made_up_credentials_of_the_simulator_are_no_secrets(settings, repository):
    """A clone of this project tracks them in the simulator's source."""
    (repository / "credentials.py").write_text("\n".join(DEMO_CREDENTIALS.values()))
    subprocess.run(["git", "add", "credentials.py"], check=True)
    assert not [finding.text for finding in diagnose(settings) if "git" in finding.text]


def test_S13_every_file_is_for_its_owner_alone_and_the_published_copy_is_masked(settings_for, shop, tmp_path):
    before = os.umask(0o022)
    try:
        settings = settings_for("oauth2", pii_key=None)
        sync(settings, shop)
        with open_warehouse(settings) as warehouse:
            warehouse.execute("create table core.more as select 1 as a")
            assert stat.S_IMODE(wal_path(settings.warehouse_path).stat().st_mode) == 0o600
        publish(settings)
        mine = tmp_path / "mine"
        mine.touch()
        assert stat.S_IMODE(mine.stat().st_mode) == 0o644, "only our own files are private"
    finally:
        os.umask(before)
    modes = {f.name: oct(stat.S_IMODE(f.stat().st_mode)) for f in settings.data_folder.iterdir()}
    assert set(modes) == {"warehouse.duckdb", "analytics.duckdb", "warehouse.lock", "pii.key"}
    assert modes.pop("analytics.duckdb") == "0o400" and set(modes.values()) == {"0o600"}
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        ((phone, payload),) = connection.execute(
            "select client_phone_masked, payload from core.bills "
            "join core.bill_versions using (account, order_reference) where order_reference = 'HERS'"
        ).fetchall()
    assert phone == "******42" and json.loads(payload)["client"]["lastname"] == "***"


@pytest.mark.parametrize("maker", ["launch", "make"])
def test_S13_what_dagster_writes_lies_in_a_folder_for_its_owner_alone(maker, tmp_path, monkeypatch):
    """Its databases everybody may read; one that was there before is left as it is."""
    old, new = tmp_path / "old", tmp_path / "new" / "home"
    old.mkdir(mode=0o755)
    for home in (old, new):
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        if maker == "launch":
            assert launch.dagster_home() == home
        else:
            rule = (PROJECT / "Makefile").read_text().partition("\nui: ")[2].splitlines()[1].strip().removeprefix("@")
            subprocess.run(["sh", "-c", rule.replace("$(DAGSTER_HOME)", str(home))], cwd=PROJECT, check=True)
        assert (home / "dagster.yaml").exists()
    assert [stat.S_IMODE(home.stat().st_mode) for home in (old, new)] == [0o755, 0o700]


def test_S7_overlapping_secrets_leave_nothing_standing_in_what_is_stored(settings_for, shop, tmp_path):
    """One secret is the beginning of another, and the answer holds both."""
    longer = CREDENTIALS["client_id"] + "-and-more-CANARYTAIL"
    settings = settings_for("oauth2", pii_key=longer)
    shop.faults([{"path": "/orders", "status": 400, "times": None, "body": {"message": f"no {longer} here"}}])
    with pytest.raises(CashpayError) as caught:
        sync(settings, shop)
    assert "CANARYTAIL" not in str(caught.value) and "no *** here" in str(caught.value)
    assert not [name for name, content in texts_of(tmp_path) if b"CANARYTAIL" in content]


def test_no_secret_is_an_argument_of_a_command():
    """What stands on a command line can be seen by every user of the machine."""
    import typer.main

    from cashpay_pipeline.cli import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    names = {parameter.name for command in commands.values() for parameter in command.params}
    assert not [name for name in names if re.search("password|secret|api_key|token|login", name or "")]
