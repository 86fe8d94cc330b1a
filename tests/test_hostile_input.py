"""Table X of the failure cases, as far as reading, storing and showing go: what CashPay sends is data, never code."""

import json
import logging
import sys

import dagster as dg
import pytest
from dagster_home import QUIET
from processes import environment_of
from shop import Shop
from truth import query
from typer.testing import CliRunner

from cashpay_pipeline.cli import app
from cashpay_pipeline.definitions import build_defs
from cashpay_pipeline.errors import CashpayError
from cashpay_pipeline.sync.rebuild import rebuild
from cashpay_pipeline.terminal import show_rows
from cashpay_pipeline.warehouse import publish, read_published

INJECTIONS = [
    "'); DROP TABLE core.bills; --",
    '"; delete from core.bill_versions; --',
    "' or 1=1 --",
    "$1 ? :name {x} {{x}} %s %(x)s",
    "x'; attach '/tmp/owned.duckdb'; --",
    "\\'; drop schema core cascade; --",
    "null",
    "read_csv('/etc/passwd')",
    "\u2019); drop table core.bills; --",
    "a/../../b?c=d#e%2e%2e",
]
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\nINFO all is well\u202egnp.exe\x9b1m\x00end"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)> [a](javascript:alert(1)) **b** | c |\n# d"


@pytest.fixture
def shop(simulator, settings):
    return Shop(simulator, settings)


def tables(shop):
    return {(t, n) for t, n in shop.rows("select schema_name, table_name from duckdb_tables()")}


def test_X1_text_in_any_field_is_stored_as_it_is_and_never_run(shop):
    shop.bill("PLAIN")
    shop.sync()
    rebuild(shop.settings)
    before = tables(shop)
    for place, text in enumerate(INJECTIONS):
        shop.simulator.put_gateway(f"gateway-{place} {text}", libelle=text, methode=text, psp=text)
        shop.bill(
            f"R{place} {text}",
            merchant_reference=text,
            code=text,
            description=text,
            currency="XOF",
            bill_url=text,
            state=text,
            client={"phone": text, "city": text, text: text},
            payments=[{"amount": 1, "thirdparty_reference": text, "gateway": {"reference": text, "libelle": text}}],
        )
        shop.spoil(f"R{place} {text}", set={text: text, f"new {text}": {text: [text]}})
    for kind in ("full_refresh", "refresh", "recheck"):
        assert shop.sync(kind).status == "complete"
    rebuild(shop.settings)
    publish(shop.settings)
    assert tables(shop) == before
    found = shop.rows(
        "select order_reference, merchant_reference, code, description, bill_url, state, state_raw from core.bills "
        "where order_reference <> 'PLAIN' order by order_reference"
    )
    wanted = sorted((f"R{n} {text}", *[text] * 4, "Unknown", text) for n, text in enumerate(INJECTIONS))
    assert found == wanted
    assert sorted(
        shop.rows("select thirdparty_reference, gateway_reference, gateway_name from core.payments")
    ) == sorted((text, text, text) for text in INJECTIONS)
    assert {name for (name,) in shop.rows("select name from core.gateways")} >= set(INJECTIONS)
    assert shop.rows("select count(*) from core.syncs where status <> 'complete'") == [(0,)]


def test_X1_a_bill_that_is_missing_or_forgotten_is_looked_up_by_its_very_name(shop):
    for place, text in enumerate(INJECTIONS):
        shop.bill(f"R{place} {text}")
    shop.sync()
    for place, text in list(enumerate(INJECTIONS))[::2]:
        try:
            shop.simulator.delete_bill(f"R{place} {text}")
        except Exception:  # a name that the control address cannot hold
            continue
    result = shop.sync()
    assert result.status == "complete"
    gone = {b["order_reference"] for b in shop.simulator.truth()["bills"]}
    missing = {r for (r,) in shop.rows("select order_reference from core.bills where missing_since is not null")}
    assert missing == {f"R{n} {t}" for n, t in enumerate(INJECTIONS)} - gone


def test_X1_no_statement_is_put_together_from_data():
    """Every S608 that ruff allows is marked, and says that the names are ours."""
    import re
    from pathlib import Path

    import cashpay_pipeline

    for file in Path(cashpay_pipeline.__file__).parent.rglob("*.py"):
        for match in re.finditer(r'\.(execute|rows)\(\s*f"""?[^)]*?\{([^}]*)\}', file.read_text()):
            assert not re.search(r"record\[|reference\b(?!s)|payload", match.group(2)), (file.name, match.group(2))


def environment(shop, monkeypatch):
    for name, value in environment_of(shop.settings).items():
        if name.startswith("CASHPAY_"):
            monkeypatch.setenv(name, value)


def controls(text):
    return sorted({c for c in text if not c.isprintable() and c != "\n"})


def test_X3_api_text_is_shown_by_dagster_as_plain_text_only(shop, tmp_path):
    shop.simulator.put_gateway("gateway-x", libelle=MARKUP)
    shop.bill("HOSTILE", merchant_reference=MARKUP, state=MARKUP)
    shop.bill(f"BAD {MARKUP}", merchant_reference=MARKUP)
    shop.spoil(f"BAD {MARKUP}", set={"amount": MARKUP})
    (tmp_path / "home").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "home")) as instance:
        job = build_defs(settings=shop.settings).resolve_job_def("refresh")
        result = job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)
    values = [
        (name, value)
        for event in result.get_asset_materialization_events()
        for name, value in event.step_materialization_data.materialization.metadata.items()
    ]
    values += [item for check in result.get_asset_check_evaluations() for item in check.metadata.items()]
    with_text = [(name, value) for name, value in values if "onerror" in repr(value)]
    assert with_text, "the text is shown somewhere"
    rendered = (dg.MarkdownMetadataValue, dg.UrlMetadataValue, dg.NotebookMetadataValue)
    assert not [name for name, value in with_text if isinstance(value, rendered)]


def test_X4_no_terminal_obeys_and_no_log_is_forged_by_what_cashpay_sends(shop, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    shop.simulator.put_gateway("gateway-x", libelle=ESCAPES)
    shop.bill(
        f"HOSTILE {ESCAPES}",
        merchant_reference=ESCAPES,
        state="Paid",
        received_amount=5,
        description=ESCAPES,
        payments=[{"amount": 5, "gateway": {"reference": ESCAPES, "libelle": ESCAPES}}],
    )
    shop.sync()
    shop.simulator.advance(days=2)
    shop.sync("recheck")
    publish(shop.settings)
    environment(shop, monkeypatch)
    shown = [CliRunner().invoke(app, command).output for command in (["status"], ["sql", f"select '{ESCAPES[:8]}"])]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")  # no colours of our own
    for asked, width in (("from core.bills", 80), ("select merchant_reference from core.bills", 300)):
        monkeypatch.setenv("COLUMNS", str(width))
        show_rows(*read_published(shop.settings, asked))
        rows = capfd.readouterr().out
        assert "owned" in rows and "\\x1b" in rows and controls(rows) == [], rows
    for status, path in ((422, "/orders"), (401, "*"), (400, "/gateways"), (200, "/orders")):
        body = {"status": "error", "message": ESCAPES, "code": ESCAPES, ESCAPES: ESCAPES}
        shop.simulator.faults([{"path": path, "status": status, "times": None, "body": body}])
        with pytest.raises(CashpayError) as caught:
            shop.sync()
        shown += [str(caught.value.message), caught.value.where]
        assert "\n" not in caught.value.message + caught.value.where
        if status == 422:  # the others are tried again, in real time
            shown.append(CliRunner().invoke(app, ["check"]).output)
    for text in [*shown, *capfd.readouterr()]:
        assert controls(text) == [], text
    lines = [record.getMessage() for record in caplog.records if record.name == "cashpay"]
    assert lines and not [line for line in lines if "\n" in line or controls(line)]
    assert not [line for line in "\n".join(shown).splitlines() if line.startswith("INFO all is well")]


def test_X4_what_is_stored_as_text_of_ours_cannot_forge_either(shop):
    """Warnings and error texts of a sync are kept in the database, and shown later."""
    body = {"status": "error", "message": ESCAPES}
    shop.simulator.faults([{"path": "/orders", "status": 422, "times": None, "body": body}])
    with pytest.raises(CashpayError):
        shop.sync()
    ((warnings,),) = shop.rows("select warnings from core.syncs")
    assert warnings and not [w for w in warnings if controls(w) or "\n" in w]


def test_X5_no_file_is_named_by_what_cashpay_sends(shop, tmp_path):
    before = {f.relative_to(tmp_path) for f in tmp_path.rglob("*")}
    shop.simulator.put_gateway("../../owned", libelle="../../owned", logo_url="file:///etc/passwd")
    shop.bill("../../owned", merchant_reference="../../owned", description="/etc/owned", bill_url="../owned")
    shop.sync()
    publish(shop.settings)
    after = {f.relative_to(tmp_path).name for f in tmp_path.rglob("*")} - {f.name for f in before}
    assert after == {"data", "warehouse.duckdb", "warehouse.lock", "analytics.duckdb", "pii.key"}
    assert read_published(shop.settings, "select order_reference from core.bills")[1] == [("../../owned",)]
    (entry,) = query(shop.settings.warehouse_path, "select payload from core.bill_versions")
    assert json.loads(entry["payload"])["order_reference"] == "../../owned"
