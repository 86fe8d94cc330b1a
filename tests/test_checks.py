"""Every check in sql/checks: quiet on a good night, and red for the damage or the change that it is there for."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rows import at, history, sync_row
from shop import Shop

from cashpay_pipeline.checks import Check, Verdict, all_checks, run_check
from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.warehouse import Warehouse, open_warehouse
from cashpay_pipeline.warehouse.syncs import note_checked

CHECKS = {check.name: check for check in all_checks()}
IDENTITY = {
    "bills_key_present",
    "bills_key_unique",
    "gateways_key_unique",
    "money_is_whole",
    "payments_belong_to_a_bill",
    "versions_unbroken",
}
COMPLETENESS = {"as_many_bills_as_reported", "last_sync_complete", "no_open_data_issues"}
DAYS = ("daily_collections", "monthly_summary")
BILLS = ("bill_states", "customers", "gateway_performance", "orders")
"""Marts with sums of received money: by the day it came in, and by the bill as it is now."""


@pytest.fixture
def shop(simulator: SimulatorProcess, settings: Settings) -> Iterator[Shop]:
    """A shop with eight paid bills that was read and checked once."""
    shop = Shop(simulator, settings)
    for number in range(8):
        shop.bill(f"SANDBOX-{number}", amount=1000, state="Paid", received_amount=1000)
    shop.sync()
    with open_warehouse(settings) as warehouse:
        note_checked(warehouse)
    yield shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "data"


@pytest.fixture
def stored(kept: Path, settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """The files of that shop, which need no simulator any more: read for the first test, copied for the others."""
    if kept.exists():
        shutil.copytree(kept, settings.data_folder)
    else:
        request.getfixturevalue("shop")
        shutil.copytree(settings.data_folder, kept)
    return settings


def red(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    with open_warehouse(settings) as warehouse:
        verdicts = {name: run_check(warehouse, check) for name, check in CHECKS.items()}
        note_checked(warehouse)
    return {name: verdict.sample for name, verdict in verdicts.items() if verdict.bad_rows}


def damage(settings: Settings, sql: str) -> None:
    with open_warehouse(settings) as warehouse:
        warehouse.connection.execute(sql)


def add_twin(warehouse: Warehouse, good: Path) -> None:
    """Another account with the same references, and nothing wrong."""
    warehouse.connection.execute(f"attach '{good}' as good (read_only)")
    tables = "select table_name from duckdb_columns() where database_name = 'good' and column_name = 'account'"
    for (table,) in warehouse.connection.execute(f"{tables} and schema_name = 'core'").fetchall():
        twins = f"select * replace ('second' as account) from good.core.{table}"
        warehouse.connection.execute(f"insert into core.{table} by name {twins}")


def test_all_is_quiet_on_a_good_night_and_on_the_next(shop: Shop) -> None:
    assert red(shop.settings) == {}
    shop.sync("refresh")
    assert red(shop.settings) == {}


def test_identity_blocks_completeness_is_red_and_the_rest_warns() -> None:
    kinds: dict[tuple[str, bool], set[str]] = {}
    for name, check in CHECKS.items():
        kinds.setdefault((check.severity, check.blocking), set()).add(name)
    assert kinds.pop(("error", True)) == IDENTITY
    assert kinds.pop(("error", False)) == COMPLETENESS
    assert list(kinds) == [("warn", False)] and len(CHECKS) >= 20


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
def test_a_check_is_described_in_a_sentence(check: Check) -> None:
    assert check.description.endswith(".") and check.description[0].isupper() and len(check.description) > 50


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("bills_key_present", "update core.bills set order_reference = ' ' where order_reference = 'SANDBOX-1'"),
        ("bills_key_unique", "insert into core.bills from core.bills where order_reference = 'SANDBOX-1'"),
        ("gateways_key_unique", "insert into core.gateways from core.gateways limit 1"),
        ("money_is_whole", "alter table core.payments alter amount type double"),
        ("payments_belong_to_a_bill", "update core.payments set order_reference = 'nobody'"),
        ("versions_unbroken", "update core.bill_versions set version = 2 where order_reference = 'SANDBOX-1'"),
        ("versions_unbroken", "delete from core.bill_versions where order_reference = 'SANDBOX-1'"),
        ("versions_unbroken", "update core.bills set amount = 2 where order_reference = 'SANDBOX-1'"),
        ("versions_unbroken", "update core.bills set received_amount = 2 where order_reference = 'SANDBOX-1'"),
        ("versions_unbroken", "update core.bills set received_amount = null where order_reference = 'SANDBOX-1'"),
        ("as_many_bills_as_reported", "delete from core.bills where order_reference = 'SANDBOX-1'"),
        ("last_sync_complete", "update core.syncs set complete = false"),
        ("whole_list_read_lately", "update core.accounts set full_walk_finished_at = timestamptz '2026-01-01'"),
        ("gateways_known", "delete from core.gateways"),
        ("states_known", "update core.bills set state = 'Unknown', state_raw = 'Odd'"),
        ("received_known", "update core.bills set received_amount = null"),
        ("received_fits_state", "update core.bills set received_amount = 999"),
        ("received_fits_state", "update core.bills set state = 'Pending'"),
        ("received_fits_state", "update core.bills set state = 'Partial', received_amount = 0"),
        ("no_negative_amounts", "update core.bills set received_amount = -1000"),
        ("no_negative_amounts", "update core.payments set amount = -300"),
        ("created_dates_plausible", "update core.bills set created_at = timestamptz '1970-01-01 00:00:00+00'"),
    ],
)  # fmt: skip
def test_damage_turns_its_check_red_whatever_another_account_has(
    stored: Settings, kept: Path, name: str, sql: str
) -> None:
    if name in ("gateways_known", "payments_belong_to_a_bill"):
        damage(stored, "update core.bills set gateway_reference = 'seen-nowhere'")
        damage(
            stored,
            "insert into core.payments (account, order_reference, payment_number) values ('main', 'SANDBOX-1', 99)",
        )
    damage(stored, sql)
    with open_warehouse(stored) as warehouse:
        alone = sorted(map(str, run_check(warehouse, CHECKS[name]).sample))
        assert alone
        add_twin(warehouse, kept / stored.warehouse_path.name)
        assert sorted(map(str, run_check(warehouse, CHECKS[name]).sample)) == alone


def test_a_recheck_does_not_make_up_for_a_night_that_is_not_complete(shop: Shop) -> None:
    damage(shop.settings, "update core.syncs set complete = false, status = 'incomplete'")
    shop.sync("recheck")
    assert [row["kind"] for row in red(shop.settings)["last_sync_complete"]] == ["full_refresh"]
    shop.sync("refresh")
    assert "last_sync_complete" not in red(shop.settings)
    shop.sync("recheck")
    damage(shop.settings, "update core.syncs set complete = false, status = 'failed' where kind = 'recheck'")
    assert [row["kind"] for row in red(shop.settings)["last_sync_complete"]] == ["recheck"]
    shop.sync("refresh")
    assert "last_sync_complete" not in red(shop.settings)


def test_a_sum_that_is_no_longer_told_is_no_break_in_the_history(shop: Shop) -> None:
    shop.bill("SANDBOX-20", amount=1000, state="Partial", received_amount=400)
    shop.sync()
    shop.bill("SANDBOX-20", state="Excess")
    shop.spoil("SANDBOX-20", delete=["received_amount", "payments"])
    shop.sync()
    assert shop.rows("select received_amount from core.bills where order_reference = 'SANDBOX-20'") == [(None,)]
    assert set(red(shop.settings)) == {"received_known"}


@pytest.mark.parametrize(
    ("name", "readings", "told", "of_days", "of_bills"),
    [
        (
            "received_fits_state",
            [("Pending", 700, at(1), None)],
            "Money on a Pending bill is told as long as it is there: it is in the sums of bills (bill_states, "
            "customers, gateway_performance, orders), not in those of days (daily_collections, monthly_summary).",
            0,
            700,
        ),
        (
            "received_known",
            [("Partial", 400, at(1), None), ("Excess", None, at(3), at(2))],
            "Until it is, its money is in no sum but those of days (daily_collections, monthly_summary), which keep "
            "what CashPay told before.",
            400,
            0,
        ),
    ],
)
def test_a_check_says_which_sums_have_the_money_that_it_finds(
    tmp_path: Path, name: str, readings: list[Any], told: str, of_days: int, of_bills: int
) -> None:
    with open_warehouse(load_settings(data_dir=tmp_path)) as warehouse:
        history(warehouse, "A", *readings, client_key="k", merchant_reference="A")
        for mart in all_marts():
            build_mart(warehouse, mart)
        sums = {
            mart: warehouse.rows(f"select cast(sum(received_amount) as bigint) as sum from marts.{mart}")[0]["sum"] or 0
            for mart in (*DAYS, *BILLS)
        }
        assert [row["order_reference"] for row in run_check(warehouse, CHECKS[name]).sample] == ["A"]
    assert " ".join(CHECKS[name].description.split()).endswith(told)
    assert sums == dict.fromkeys(DAYS, of_days) | dict.fromkeys(BILLS, of_bills)


def test_what_was_set_aside_at_the_full_refresh_counts_for_its_total_and_nothing_later(shop: Shop) -> None:
    shop.bill("SANDBOX-20", amount="12.50")
    shop.sync()
    assert "as_many_bills_as_reported" not in red(shop.settings)
    shop.bill("SANDBOX-20", amount=12)
    shop.sync("refresh")
    assert red(shop.settings) == {}
    shop.sync()
    damage(
        shop.settings,
        "delete from core.bills where order_reference = 'SANDBOX-1'; insert into core.data_issues "
        "select * replace ('SANDBOX-21' as order_reference, null as resolved_at, "
        "(select max(finished_at) + interval 1 hour from core.syncs) as first_seen_at) from core.data_issues",
    )
    assert {"as_many_bills_as_reported", "no_open_data_issues"} <= set(red(shop.settings))


def test_bills_that_were_missing_on_sunday_are_red_until_a_night_finds_the_numbers_agree(shop: Shop) -> None:
    """And not for all the week, with nothing left to do."""
    shop.simulator.set(total="high")
    assert not shop.sync().complete
    assert "as_many_bills_as_reported" in red(shop.settings)
    assert not shop.sync("refresh").complete
    assert "as_many_bills_as_reported" in red(shop.settings)
    shop.simulator.set(total="right")
    assert shop.sync("refresh").complete
    assert red(shop.settings) == {}


def test_a_bill_set_aside_twice_is_one_bill(shop: Shop) -> None:
    shop.bill("SANDBOX-20", amount="12.50")
    shop.sync()
    damage(
        shop.settings,
        "insert into core.data_issues select * replace ('again' as issue_id, 'currency' as field) "
        "from core.data_issues; delete from core.bills where order_reference = 'SANDBOX-1'",
    )
    assert "as_many_bills_as_reported" in red(shop.settings)


def test_a_payment_through_a_gateway_of_no_list_warns(shop: Shop) -> None:
    damage(shop.settings, "update core.payments set gateway_reference = 'seen-nowhere', gateway_name = 'Nowhere'")
    found = red(shop.settings)["gateways_known"]
    assert [(row["gateway_reference"], row["bill_count"]) for row in found] == [("seen-nowhere", 8)]


def test_a_gateway_that_is_no_longer_offered_is_told_once_and_not_every_night(shop: Shop) -> None:
    """Old payments went through it; each night after that the check would be yellow, also for a new one."""
    shop.bill("SANDBOX-30", state="Paid", amount=500, received_amount=500, payments=[paid_through("gone")])
    shop.sync("refresh")
    assert [row["gateway_reference"] for row in red(shop.settings)["gateways_known"]] == ["gone"]
    shop.sync("refresh")
    assert red(shop.settings) == {}
    shop.bill("SANDBOX-31", state="Paid", amount=500, received_amount=500, payments=[paid_through("unheard-of")])
    shop.sync("refresh")
    assert [row["gateway_reference"] for row in red(shop.settings)["gateways_known"]] == ["unheard-of"]


def paid_through(gateway: str) -> dict[str, Any]:
    return {"thirdparty_reference": "TP-1", "amount": 500, "gateway": {"reference": gateway, "libelle": gateway}}


def test_a_record_set_aside_is_red(shop: Shop) -> None:
    shop.bill("SANDBOX-20", amount="12.50")
    shop.sync()
    assert [row["field"] for row in red(shop.settings)["no_open_data_issues"]] == ["amount"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"state": "Paid", "received_amount": 500}, {"state": "Pending", "received_amount": 0}, "state_went_back"),
        ({"state": "Expired"}, {"state": "Paid", "received_amount": 500}, "paid_after_closing"),
        ({"state": "Pending"}, {"state": "Pending", "amount": 700}, "amount_unchanged"),
        ({"state": "Paid", "received_amount": 500}, {"state": "Paid", "received_amount": 300}, "received_fits_state"),
    ],
)
def test_an_odd_change_warns_in_the_night_that_saw_it_and_no_longer(
    shop: Shop, before: dict[str, Any], after: dict[str, Any], expected: str
) -> None:
    shop.bill("SANDBOX-30", amount=500, **before)
    shop.sync()
    assert red(shop.settings) == {}
    shop.bill("SANDBOX-30", **after)
    shop.sync()
    assert [row["order_reference"] for row in red(shop.settings)[expected]] == ["SANDBOX-30"]
    shop.sync("recheck")
    assert expected in red(shop.settings)
    shop.sync()
    assert expected not in red(shop.settings)


@pytest.mark.parametrize(
    ("readings", "payload", "is_red"),
    [
        ([("Partial", 400), ("Pending", 0)], None, True),
        ([("Partial", 400), ("Partial", 100)], None, True),
        ([("Partial", 400), ("Excess", None), ("Excess", 300)], None, True),
        ([("Paid", 1000), ("Paid", 980)], None, True),
        ([("Paid", 1000), ("Paid", 980)], '{"payments":[{"amount":1000}]}', True),
        ([("Paid", 1000), ("Paid", 980)], '{"received_amount":null,"payments":[]}', False),
        ([("Paid", 1000), ("Unknown", None), ("Paid", 980)], "{}", False),
        ([("Paid", 1000), ("Pending", 0)], "{}", True),
        ([("Paid", 1000), ("Paid", 980)], r'{"description":"\ud800"}', True),
        ([("Partial", 400), ("Canceled", None)], None, False),
        ([("Partial", 400), ("Expired", 400)], None, False),
    ],
)
def test_money_that_shrinks_warns_once_unless_nobody_had_named_the_sum(
    tmp_path: Path, readings: list[tuple[str, int | None]], payload: str | None, is_red: bool
) -> None:
    check = CHECKS["state_went_back"]
    with open_warehouse(load_settings(data_dir=tmp_path)) as warehouse:
        *_, last = days = range(1, len(readings) + 1)
        seen = (
            (*reading, at(day), at(day - 1) if day > 1 else None) for day, reading in zip(days, readings, strict=True)
        )
        history(warehouse, "A", *seen)
        if payload is not None:
            warehouse.execute("update core.bill_versions set payload = ? where version = 1", [payload])
        sync_row(warehouse, "s1", "refresh", at(last), "complete")
        assert [row["order_reference"] for row in run_check(warehouse, check).sample] == ["A"] * is_red
        note_checked(warehouse)
        sync_row(warehouse, "s2", "refresh", at(last + 1), "complete")
        assert run_check(warehouse, check).bad_rows == 0


def test_money_on_a_pending_bill_warns_as_long_as_it_is_there(shop: Shop) -> None:
    """It is in no sum of days, and nothing else tells of it."""
    shop.bill("SANDBOX-30", amount=500, state="Pending", received_amount=200)
    for _ in range(2):
        shop.sync()
        assert [row["order_reference"] for row in red(shop.settings)["received_fits_state"]] == ["SANDBOX-30"]


def test_a_bill_that_cashpay_no_longer_knows_warns(shop: Shop) -> None:
    shop.simulator.delete_bill("SANDBOX-3")
    shop.sync()
    assert [row["order_reference"] for row in red(shop.settings)["no_bill_missing"]] == ["SANDBOX-3"]


def test_a_bill_that_is_shown_again_as_it_was_is_no_longer_missing(shop: Shop) -> None:
    shop.simulator.set(total="missing")
    shop.simulator.faults(
        [
            {"path": "/orders", "kind": "mutate", "times": None, "mutate": {"references": ["SANDBOX-3"], "drop": True}},
            {"path": "/orders/SANDBOX-3", "status": 404, "times": None},
        ]
    )
    shop.sync()
    missing = "select order_reference from core.bills where missing_since is not null"
    assert shop.rows(missing) == [("SANDBOX-3",)]
    shop.simulator.faults([])
    shop.sync()
    assert shop.rows(missing) == []


def test_a_gateway_that_is_new_gone_or_renamed_warns(shop: Shop) -> None:
    references = [gateway["reference"] for gateway in shop.simulator.truth()["gateways"]]
    shop.simulator.put_gateway("new-gateway", libelle="Nouveau (exemple)")
    shop.simulator.put_gateway(references[0], libelle="Autre nom (exemple)")
    shop.simulator.put_gateway(references[1], removed=True)
    shop.sync()
    assert {row["gateway_reference"]: row["what_changed"] for row in red(shop.settings)["gateways_unchanged"]} == {
        "new-gateway": "new",
        references[0]: "changed",
        references[1]: "gone",
    }
    shop.sync()
    assert red(shop.settings) == {}


def test_another_currency_warns_when_it_first_comes(shop: Shop) -> None:
    shop.bill("SANDBOX-40", currency="EUR", amount=500)
    shop.sync()
    assert [row["currency"] for row in red(shop.settings)["currency_as_before"]] == ["EUR"]
    shop.sync()
    assert red(shop.settings) == {}


def test_a_field_that_is_new_missing_or_retyped_is_told_once(shop: Shop) -> None:
    for number in range(50, 58):
        shop.bill(f"SANDBOX-{number}")
    shop.spoil(set={"fee": "12", "code": 5}, delete=["qrcode_bill_url"])
    shop.sync()
    assert {
        row["field"]: (row["what_changed"], row["type"], row["types_before"])
        for row in red(shop.settings)["api_fields_unchanged"]
    } == {
        "fee": ("new", "text", None),
        "code": ("of another type", "number", "text"),
        "qrcode_bill_url": ("missing", "text", "text"),
    }
    shop.sync()
    assert red(shop.settings) == {}
    shop.spoil()
    shop.bill("SANDBOX-60")
    shop.sync()
    assert shop.rows("select count(*) from core.api_fields where missing_since is not null") == [(0,)]


def test_a_bill_that_tells_no_phone_hides_the_key_of_no_other_customer(shop: Shop) -> None:
    """It has the same fields as the others, but for the `client_key` that we add where there is a phone."""
    for number in range(50, 58):
        shop.bill(f"SANDBOX-{number}")
    shop.spoil("SANDBOX-57", "SANDBOX-50", set={"client": {"phone": "", "lastname": "", "firstname": ""}})
    shop.sync()
    told = "select field, bill_count from core.api_fields where field like 'client%' order by all"
    assert shop.rows(told) == [
        ("client", 16),
        ("client.client_key", 14),
        ("client.firstname", 16),
        ("client.lastname", 16),
        ("client.phone", 16),
    ]


def test_Y14_half_a_letter_in_one_bill_hides_the_fields_of_no_other(shop: Shop) -> None:
    """DuckDB reads no such JSON."""
    for number in range(50, 58):
        shop.bill(f"SANDBOX-{number}")
    shop.spoil(set={"fee": "\ud800"})
    shop.sync()
    assert shop.rows("select type, bill_count from core.api_fields where field = 'fee'") == [("text", 8)]


@pytest.fixture
def made_up(settings: Settings) -> Callable[[str], dict[str, list[dict[str, Any]]]]:
    """The checks on bills made by SQL: 40 days up to the newest sync, whose day is 2026-03-02."""

    def make(
        where: str,
        state: str = "case when n % 10 < 7 then 'Paid' else 'Expired' end",
        paid_before: str = "case when state = 'Paid' then created_at end",
        first_seen_at: str = "created_at",
    ) -> dict[str, Any]:
        damage(
            settings,
            f"""
            delete from core.bills; delete from core.bill_versions; delete from core.syncs;
            insert into core.syncs by name select 's' as sync_id, 'main' as account, 'refresh' as kind,
                timestamptz '2026-03-02 02:15:00+00' as started_at, started_at as heartbeat_at,
                started_at as finished_at, 'complete' as status, 0 as pages, 0 as requests, 0 as retries,
                0 as waited_seconds, 0 as rows_read, 0 as bills_new, 0 as bills_changed, 0 as bills_unchanged,
                0 as rows_set_aside, true as complete, [] as warnings, 'o' as owner, '1' as version;
            insert into core.bills by name select 'main' as account, format('{{}}-{{}}', day, n) as order_reference,
                {state} as state, 100 as amount, 100 as received_amount, 'XOF' as currency,
                day::timestamptz as created_at, day::date as business_date, 0 as payment_count, 1 as version,
                {first_seen_at} as first_seen_at, created_at as changed_at, created_at as verified_at,
                {paid_before} as paid_before
            from generate_series(date '2026-01-20', date '2026-03-01', interval 1 day) as d(day), range(40) as r(n)
            where {where}
            """,
        )
        return red(settings)

    return make


def test_a_day_without_bills_between_days_with_many_warns(made_up: Callable[..., Any]) -> None:
    assert "no_day_without_bills" not in made_up("true")
    holes = made_up("day not in (date '2026-02-12', date '2026-03-01')")["no_day_without_bills"]
    assert [str(row["business_date"]) for row in holes] == ["2026-02-12", "2026-03-01"]
    assert [(row["bills_a_week_before"], row["bills_two_weeks_before"]) for row in holes] == [(40, 40)] * 2


@pytest.mark.parametrize(
    ("where", "days", "first", "last_with_bills"),
    [
        ("day not between date '2026-02-05' and date '2026-02-20'", 16, "2026-02-05", "2026-02-04"),
        ("day < date '2026-02-20'", 10, "2026-02-20", "2026-02-19"),
        ("day < date '2026-02-10' and isodow(day) != 7", 17, "2026-02-10", "2026-02-09"),
        ("day not in (date '2026-01-30', date '2026-01-31', date '2026-02-03')", 1, "2026-02-03", "2026-02-02"),
        ("n < case when isodow(day) = 1 then 4 else 5 end and day < date '2026-02-23'", 6, "2026-02-24", "2026-02-22"),
    ],
    ids=["long", "to the end", "closed on Sundays, then for good", "new shop", "few on Mondays"],
)
def test_a_hole_is_measured_by_what_was_before_it(
    made_up: Callable[..., Any], settings: Settings, where: str, days: int, first: str, last_with_bills: str
) -> None:
    """Of 30 days: the newest sync is of 2 March."""
    holes = made_up(where)["no_day_without_bills"]
    assert (str(holes[0]["business_date"]), str(holes[0]["last_date_with_bills"])) == (first, last_with_bills)
    with open_warehouse(settings) as warehouse:
        assert run_check(warehouse, CHECKS["no_day_without_bills"]).bad_rows == days


@pytest.mark.parametrize(
    "where",
    [
        "isodow(day) != 7",
        "isodow(day) != 7 or day = date '2026-02-08'",
        "n < 2 and day != date '2026-02-12'",
        "n < 1 and dayofyear(day) % 2 = 0",
        "day < date '2025-01-01'",
        "day not in (date '2026-01-29', date '2026-01-30')",
    ],
    ids=["Sundays", "one Sunday open", "few bills", "one in two days", "no bills", "longer ago"],
)
def test_a_day_that_usually_has_no_or_few_bills_is_no_hole(made_up: Callable[..., Any], where: str) -> None:
    assert "no_day_without_bills" not in made_up(where)


def test_days_after_the_newest_complete_sync_are_no_hole(made_up: Callable[..., Any], settings: Settings) -> None:
    made_up("day < date '2026-02-20'")
    damage(settings, "update core.syncs set started_at = timestamptz '2026-02-20 02:15:00+00'")
    damage(
        settings,
        "insert into core.syncs select * replace (timestamptz '2026-03-02' as started_at, false as complete, "
        "'failed' as status) from core.syncs",
    )
    assert "no_day_without_bills" not in red(settings)


def test_a_conversion_far_from_its_own_past_warns(made_up: Callable[..., Any]) -> None:
    assert "conversion_as_usual" not in made_up("true")
    state = "case when n % 10 < 7 and day != date '2026-02-27' then 'Paid' else 'Expired' end"
    (row,) = made_up("true", state)["conversion_as_usual"]
    assert (str(row["business_date"]), row["share_paid"], row["share_paid_before"]) == ("2026-02-27", 0.0, 0.7)


def test_of_many_bad_rows_only_the_first_are_fetched(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check may find every bill of a large file wrong."""
    sql = "with numbers as (from range(300000) as t (n))\nselect n from numbers -- all"
    many = replace(CHECKS["bills_key_present"], sql=sql)
    fetched = []
    rows = Warehouse.rows

    def counted(self: Warehouse, sql: str) -> list[dict[str, Any]]:
        found = rows(self, sql)
        fetched.append(len(found))
        return found

    monkeypatch.setattr(Warehouse, "rows", counted)
    with open_warehouse(settings) as warehouse:
        assert run_check(warehouse, many) == Verdict(300_000, [{"n": n} for n in range(10)])
    assert max(fetched) == 10


SLOW = "case when n < 16 or (n < 32 and day < date '2026-02-24') then 'Paid' else 'Pending' end"
"""Of 40 bills a day 16 are paid at once, and as many on the sixth day."""


def test_customers_who_take_their_time_are_no_change_of_conversion(made_up: Callable[..., Any]) -> None:
    paid_before = "case when state = 'Paid' then created_at + case when n < 16 then interval 1 day else {} end end"
    assert "conversion_as_usual" not in made_up("true", SLOW, paid_before.format("interval 6 days"))
    (row,) = made_up("true", SLOW, paid_before.format("interval 3 days"))["conversion_as_usual"]
    assert (row["share_paid"], row["share_paid_before"]) == (0.4, 0.757)


def test_what_the_first_sync_finds_paid_long_ago_is_no_measure_of_conversion(made_up: Callable[..., Any]) -> None:
    read = "greatest(created_at, timestamptz '2026-02-25 02:15:00+00')"
    paid_before = f"case when state = 'Paid' then {read} end"
    usual = "case when n < 28 then 'Paid' else 'Expired' end"
    assert "conversion_as_usual" not in made_up("true", usual, paid_before, read)
    none = "case when n < 28 and day != date '2026-02-27' then 'Paid' else 'Expired' end"
    (row,) = made_up("true", none, paid_before, read)["conversion_as_usual"]
    assert (row["share_paid"], row["share_paid_before"]) == (0.0, 0.7)


def test_the_sql_of_a_check_names_its_file_in_the_interface() -> None:
    from cashpay_pipeline.defs.checks import asset_checks
    from cashpay_pipeline.defs.names import Names

    specs = [spec for checks in asset_checks(Names()) for spec in checks.check_specs]
    assert {Path(spec.metadata["source"].value).stem for spec in specs} == set(CHECKS)
