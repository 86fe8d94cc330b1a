"""Rows A12 and A14: environments never mix, accounts share a file without touching each other."""

import duckdb
import pytest
from pydantic import SecretStr
from rows import at
from truth import expected_bill, expected_payments, query

from cashpay_pipeline.errors import (
    CashpayError,
    CredentialsRejectedError,
    GuardError,
    RequestRefusedError,
    WrongAddressError,
)
from cashpay_pipeline.normalize import normalize_gateways
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.simulator.credentials import credentials_for
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.sync.rebuild import rebuild
from cashpay_pipeline.warehouse import publish, read_published
from cashpay_pipeline.warehouse.gateways import save_gateways
from cashpay_pipeline.warehouse.issues import resolve_issues, resolve_unseen_issues, save_issues

OAUTH2 = ("username", "password", "client_id", "client_secret")
PRODUCTION = "https://api.example.test/api"


def sync(settings, simulator, **options):
    return run_sync(settings, clock=SimulatedClock(simulator.base_url), **options)


def everything(settings):
    tables = query(settings.warehouse_path, "select table_name from duckdb_tables() where schema_name = 'core'")
    return {t["table_name"]: query(settings.warehouse_path, f"select * from core.{t['table_name']}") for t in tables}


@pytest.mark.parametrize("kind", ["refresh", "full_refresh", "recheck"])
def test_A12_data_of_another_environment_never_gets_into_a_file(kind, settings, make_settings, simulator):
    sync(settings, simulator)
    before = everything(settings)
    simulator.clear_log()
    with pytest.raises(GuardError, match=r"holds data of this-machine/api, .* name api\.example\.test/api") as caught:
        sync(make_settings(base_url=PRODUCTION), simulator, kind=kind)
    assert "CASHPAY_DATA_DIR" in caught.value.next_step
    assert everything(settings) == before and simulator.log() == []
    assert sync(settings, simulator).status == "complete"


def test_A12_another_path_or_account_of_another_environment_is_refused_too(settings, make_settings, simulator):
    sync(settings, simulator)
    for other in (
        make_settings(base_url=settings.base_url + "/v2"),
        make_settings(base_url=PRODUCTION, account="b"),
    ):
        with pytest.raises(GuardError, match="holds data of"):
            sync(other, simulator)
    assert [row["account"] for row in query(settings.warehouse_path, "select account from core.accounts")] == ["main"]


def test_A12_an_address_that_never_answered_is_in_nobodys_way(settings, make_settings, simulator):
    """A slip in the first address must not lock the folder: there is nothing to mix yet."""
    for account in ("main", "b"):
        slip = make_settings(base_url=settings.base_url.replace("/api", "/apx"), account=account)
        with pytest.raises(WrongAddressError):
            sync(slip, simulator)
    assert sync(settings, simulator).status == "complete"
    with pytest.raises(GuardError, match="holds data of this-machine/api,") as caught:
        sync(slip, simulator)
    assert caught.value.next_step.startswith("Correct CASHPAY_BASE_URL if it is a slip; ")
    environments = query(settings.warehouse_path, "select environment from core.accounts where account = 'main'")
    assert environments == [{"environment": "this-machine/api"}]


def test_A12_made_up_data_has_a_folder_of_its_own(settings, tmp_path):
    from cashpay_pipeline.settings import load_settings

    demo = load_settings(data_dir=settings.data_dir)
    assert not demo.has_credentials
    assert demo.warehouse_path.parent == settings.warehouse_path.parent / "simulated"


@pytest.mark.parametrize("kind", ["refresh", "full_refresh", "recheck"])
def test_A12_another_merchants_login_under_the_same_account_is_refused(kind, two_accounts, simulator):
    main, b = two_accounts
    sync(main, simulator, kind="full_refresh")
    before = {table: rows for table, rows in everything(main).items() if table != "syncs"}
    with pytest.raises(GuardError, match="another login, and this one shows none of its bills") as caught:
        sync(b.model_copy(update={"account": "main"}), simulator, kind=kind)
    assert "CASHPAY_ACCOUNT" in caught.value.next_step
    assert {table: rows for table, rows in everything(main).items() if table != "syncs"} == before
    assert sync(main, simulator).warnings == []


def test_A12_the_same_merchant_may_log_in_by_either_scheme(make_settings, simulator):
    changed = "The login is another one than before; it shows the same bills."
    told = []
    for scheme in ("oauth2", "cashpay", "cashpay", "oauth2"):
        told.append(changed in sync(make_settings(scheme=scheme), simulator).warnings)
    assert told == [False, True, False, True]


@pytest.mark.parametrize("scheme", ["oauth2", "cashpay"])
def test_A12_a_rotated_password_or_key_is_no_other_merchant(scheme, make_settings):
    settings = make_settings(scheme=scheme)
    rotated = {name: SecretStr("new") for name in ("password", "client_id", "client_secret", "api_key")}
    assert settings.model_copy(update=rotated).merchant == settings.merchant


def test_A12_a_file_of_before_notes_whose_it_is(settings, simulator):
    sync(settings, simulator)
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("update core.accounts set merchant_check = null")
    assert sync(settings, simulator).warnings == []
    (check,) = query(settings.warehouse_path, "select merchant_check from core.accounts")
    assert check["merchant_check"] and settings.merchant[0] not in check["merchant_check"]


def test_A12_a_login_that_never_worked_is_in_nobodys_way(settings, simulator):
    """Without bills there is nothing to mix."""
    mistyped = settings.model_copy(update={"username": SecretStr("mistyped")})
    with pytest.raises(CredentialsRejectedError):
        sync(mistyped, simulator)
    assert sync(settings, simulator).warnings == []


@pytest.fixture
def two_accounts(simulator, make_settings):
    """Two merchants, some of whose order references are the same; both are read at the same moment."""
    simulator.reset(accounts=["b"], frozen=True)
    b = {name: getattr(credentials_for("b"), name) for name in OAUTH2}
    yield make_settings(), make_settings(account="b", **b)
    simulator.reset(accounts=[])


def stored(settings, truth):
    """The typed columns of one account's bills as stored, and as they ought to be."""
    key = (settings.data_folder / "pii.key").read_text().strip().encode()
    wanted = sorted((expected_bill(b, key) for b in truth["bills"]), key=lambda b: b["order_reference"])
    columns = ", ".join(wanted[0])
    found = query(
        settings.warehouse_path,
        f"select {columns} from core.bills where account = ? order by order_reference",
        settings.account,
    )
    payments = query(
        settings.warehouse_path,
        "select order_reference, payment_number, thirdparty_reference, gateway_reference, gateway_name, amount "
        "from core.payments where account = ? order by all",
        settings.account,
    )
    assert [tuple(p.values()) for p in payments] == sorted(p for b in truth["bills"] for p in expected_payments(b))
    return found, wanted


def test_A14_two_accounts_with_the_same_references_share_a_file(two_accounts, simulator):
    main, b = two_accounts
    for account, settings in (("main", main), ("b", b)):
        assert sync(settings, simulator, kind="full_refresh").status == "complete", account
    truths = {account: simulator.truth(account) for account in ("main", "b")}
    shared = set.intersection(*({bill["order_reference"] for bill in t["bills"]} for t in truths.values()))
    assert shared
    simulator.advance(days=1)
    simulator.put_bill(min(shared), account="b", amount=987_654, state="Paid", received_amount=987_654)
    for _ in range(2):
        for settings in (main, b):
            assert sync(settings, simulator, kind="full_refresh").status == "complete"
    for account, settings in (("main", main), ("b", b)):
        found, wanted = stored(settings, simulator.truth(account))
        assert found == wanted
    both = query(
        main.warehouse_path,
        "select account, amount = 987654 as is_hers from core.bills where order_reference = ? order by account",
        min(shared),
    )
    assert both == [{"account": "b", "is_hers": True}, {"account": "main", "is_hers": False}]
    before = everything(main)
    rebuild(main)
    after = everything(main)
    for table in ("bills", "bill_versions", "payments"):
        assert sorted(map(str, after[table])) == sorted(map(str, before[table]))
    publish(main)
    _, counted = read_published(main, "select account, count(*) from core.bills group by all order by all")
    assert counted == [(a, len(simulator.truth(a)["bills"])) for a in ("b", "main")]


@pytest.mark.parametrize("kind", ["refresh", "full_refresh", "recheck"])
def test_A14_one_merchant_under_two_labels_is_refused(kind, settings, make_settings, simulator):
    """A label that was renamed would load every bill once more, and double each sum."""
    sync(settings, simulator)
    before = everything(settings)
    simulator.clear_log()
    with pytest.raises(GuardError, match="login of boutique is that of main, whose bills this file holds") as caught:
        sync(make_settings(account="boutique"), simulator, kind=kind)
    assert "CASHPAY_ACCOUNT back to main" in caught.value.next_step and "CASHPAY_DATA_DIR" in caught.value.next_step
    assert everything(settings) == before and simulator.log() == []
    assert sync(settings, simulator).warnings == []


def test_A14_a_label_that_holds_no_bills_yet_may_be_renamed(settings, make_settings, simulator):
    simulator.faults([{"path": "/orders", "status": 404, "times": 1}])
    with pytest.raises(WrongAddressError):
        sync(settings, simulator)
    renamed = make_settings(account="boutique", page_size=20)
    simulator.faults([{"path": "/orders", "page": 3, "status": 418, "times": 1}])
    with pytest.raises(RequestRefusedError):
        sync(renamed, simulator)
    assert sync(renamed, simulator).status == "complete"
    with pytest.raises(GuardError, match="login of main is that of boutique"):
        sync(settings, simulator)


def test_A14_a_fault_of_one_account_leaves_the_other_as_it_was(two_accounts, simulator):
    main, b = two_accounts
    sync(main, simulator)
    sync(b, simulator)
    simulator.faults([{"path": "/orders", "account": "b", "status": 500, "times": None}])
    with pytest.raises(CashpayError):
        sync(b, simulator, kind="full_refresh")
    assert sync(main, simulator, kind="full_refresh").status == "complete"
    found, wanted = stored(main, simulator.truth("main"))
    assert found == wanted
    statuses = query(
        main.warehouse_path,
        "select account, list(status order by rowid) as s from core.syncs group by all order by all",
    )
    assert statuses == [
        {"account": "b", "s": ["complete", "failed"]},
        {"account": "main", "s": ["complete", "complete"]},
    ]


def test_A14_one_account_missing_bills_marks_none_of_the_other(two_accounts, simulator):
    main, b = two_accounts
    sync(main, simulator)
    sync(b, simulator)
    reference = simulator.truth("b")["bills"][0]["order_reference"]
    simulator.delete_bill(reference, account="b")
    sync(b, simulator, kind="full_refresh")
    sync(main, simulator, kind="full_refresh")
    missing = query(
        main.warehouse_path, "select account, order_reference from core.bills where missing_since is not null"
    )
    assert missing == [{"account": "b", "order_reference": reference}]


def test_A14_what_one_account_no_longer_shows_stays_open_for_the_other(warehouse):
    """Gateways on offer, and rows set aside."""
    both, fewer = (normalize_gateways([{"reference": name} for name in names])[0] for names in ("ab", "a"))
    with warehouse.transaction():
        for account in ("main", "b"):
            save_gateways(warehouse, account, both, at(1))
            rows = [(account + name, "list", name, "odd", "amount", "{}", at(1)) for name in ("read well", "unseen")]
            save_issues(warehouse, account, "s", rows)
        save_gateways(warehouse, "b", fewer, at(2))
        resolve_issues(warehouse, "b", ["read well"], at(2))
        resolve_unseen_issues(warehouse, "b", at(2), at(2))
    ended = {"gateways": "missing_since", "gateway_versions": "valid_to", "data_issues": "resolved_at"}
    found = {table: warehouse.rows(f"select account from core.{table} where {end} is not null")
             for table, end in ended.items()}  # fmt: skip
    assert found == {table: [{"account": "b"}] * (2 if table == "data_issues" else 1) for table in ended}
