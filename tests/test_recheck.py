"""Payments that come late are found: each age class is read again as often as it promises, and no more."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from truth import query

from cashpay_pipeline.errors import UnavailableError, UnexpectedReplyError
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.sync import run_sync


@pytest.fixture
def quiet_shop(simulator):
    """One bill a day for 120 days, all settled long ago, so that only what a test plants is due."""
    simulator.reset(days=120, bills_per_day=1, start="2026-03-02T10:00:00+00:00", frozen=True)
    for bill in simulator.truth()["bills"]:
        if bill["state"] in ("Pending", "Partial"):
            simulator.put_bill(bill["order_reference"], state="Canceled")
    return simulator


@pytest.fixture
def settings(make_settings):
    """Two rows a page: the newest end is the last four days."""
    return make_settings(page_size=2)


@pytest.fixture
def sync(settings, quiet_shop):
    def run(**options):
        quiet_shop.clear_log()
        return run_sync(settings, clock=SimulatedClock(settings.base_url), **options)

    return run


def details_asked(simulator):
    return Counter(e["path"].rsplit("/", 1)[1] for e in simulator.log() if e["template"] == "/orders/{ref}")


def plant(simulator, reference, *, days_old, state="Pending"):
    created = simulator.now() - timedelta(days=days_old)
    simulator.put_bill(
        reference, date_create=created.isoformat(), state=state, amount=5000, received_amount=0, payments=[]
    )


def test_a_bill_of_two_months_ago_paid_today_is_found(settings, sync, quiet_shop):
    plant(quiet_shop, "OLD", days_old=60)
    first = sync()
    quiet_shop.advance(days=8)
    quiet_shop.put_bill("OLD", state="Paid", received_amount=5000)
    paid_at = quiet_shop.now()
    quiet_shop.advance(hours=3)
    result = sync()
    (bill,) = query(settings.warehouse_path, "select * from core.bills where order_reference = 'OLD'")
    assert (bill["state"], bill["received_amount"], bill["version"]) == ("Paid", 5000, 2)
    assert first.finished_at >= bill["paid_after"]
    assert bill["paid_after"] < paid_at < bill["paid_before"] <= result.finished_at
    (version,) = query(
        settings.warehouse_path, "select * from core.bill_versions where version = 2 and order_reference = 'OLD'"
    )
    assert (version["source"], version["changed_after"]) == ("details", bill["paid_after"])


A_NIGHT_LATER = pytest.mark.parametrize(
    "a_night_later", [{"days": 1, "seconds": 60}, {"days": 1, "seconds": -60}], ids=["late", "early"]
)


@A_NIGHT_LATER
@pytest.mark.parametrize(
    ("days_old", "nights_until_asked"),
    [(5, 1), (20, 7), pytest.param(100, 30, marks=pytest.mark.long)],
    ids=["under 7 days: each night", "under 90 days: weekly", "older: monthly"],
)
def test_open_bills_are_asked_for_by_age(days_old, nights_until_asked, a_night_later, sync, quiet_shop):
    plant(quiet_shop, "OPEN", days_old=days_old)
    sync()
    asked = []
    for night in range(1, nights_until_asked + 1):
        quiet_shop.advance(**a_night_later)
        sync(kind="recheck")
        asked += [night] * details_asked(quiet_shop)["OPEN"]
    assert asked == [nights_until_asked]


@pytest.mark.long
@A_NIGHT_LATER
def test_settled_bills_are_read_once_more_after_1_7_and_30_days(a_night_later, sync, quiet_shop):
    plant(quiet_shop, "SETTLED", days_old=30)
    sync()
    quiet_shop.put_bill("SETTLED", state="Canceled")
    sync(kind="full_refresh")
    asked = []
    for night in range(1, 33):
        quiet_shop.advance(**a_night_later)
        sync(kind="recheck")
        asked += [night] * details_asked(quiet_shop)["SETTLED"]
    assert asked == [1, 7, 30]


def test_a_first_load_of_old_settled_bills_makes_none_of_them_due(sync, quiet_shop):
    """When they settled is not known, but that it was long ago is: asking for each would cost a request a bill."""
    plant(quiet_shop, "SETTLED", days_old=40, state="Canceled")
    sync()
    asked = Counter()
    for days in (1, 6, 23):
        quiet_shop.advance(days=days, seconds=60)
        sync(kind="recheck")
        asked += details_asked(quiet_shop)
    assert asked["SETTLED"] == 0


def test_bills_of_the_last_hour_are_read_at_every_recheck(sync, quiet_shop):
    plant(quiet_shop, "YOUNG", days_old=0.02)
    sync()
    quiet_shop.advance(minutes=15)
    sync(kind="recheck")
    assert details_asked(quiet_shop) == Counter({"YOUNG": 1})


def test_many_due_bills_close_together_are_read_by_list_page(make_settings, quiet_shop):
    settings = make_settings(page_size=20)

    def sync():
        quiet_shop.clear_log()
        return run_sync(settings, clock=SimulatedClock(settings.base_url))

    for n in range(200):
        plant(quiet_shop, f"DUE-{n:03}", days_old=40 + n / 1000)
    sync()
    quiet_shop.advance(days=8)
    for n in (0, 99, 199):
        quiet_shop.put_bill(f"DUE-{n:03}", state="Paid", received_amount=5000)
    sync()
    asked = details_asked(quiet_shop)
    assert sum(n for ref, n in asked.items() if ref.startswith("DUE")) <= 5
    assert len(quiet_shop.log()) < 60
    paid = query(
        settings.warehouse_path,
        "select order_reference from core.bills where order_reference like 'DUE%' and state = 'Paid' order by 1",
    )
    assert [p["order_reference"] for p in paid] == ["DUE-000", "DUE-099", "DUE-199"]
    (stale,) = query(
        settings.warehouse_path,
        "select count(*) as n from core.bills where order_reference like 'DUE%' "
        "and verified_at < (select max(started_at) from core.syncs)",
    )
    assert stale == {"n": 0}


@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
def test_P18_pages_of_old_due_bills_take_no_request_from_a_young_one(order, make_settings, quiet_shop):
    """What `cashpay status` promises for open bills under 7 days: 24 hours."""
    quiet_shop.set(order=order)
    clock = SimulatedClock(make_settings().base_url)
    for n in range(100):
        plant(quiet_shop, f"OLD-{n:03}", days_old=40 + n / 1000)
    run_sync(make_settings(page_size=4), clock=clock)
    quiet_shop.advance(days=6)
    plant(quiet_shop, "YOUNG", days_old=5)
    for n in range(10):  # between it and the newest end
        plant(quiet_shop, f"SETTLED-{n}", days_old=4, state="Canceled")
    run_sync(make_settings(page_size=4), clock=clock)
    quiet_shop.advance(days=1, hours=2)
    quiet_shop.put_bill("YOUNG", state="Paid", received_amount=5000)
    quiet_shop.clear_log()
    settings = make_settings(page_size=4, request_budget=20)
    result = run_sync(settings, clock=clock)
    (bill,) = query(settings.warehouse_path, "select state from core.bills where order_reference = 'YOUNG'")
    assert (bill["state"], result.requests) == ("Paid", 20)
    old = [reference for reference in details_asked(quiet_shop) if reference.startswith("OLD")]
    assert (old, any("left for the next run" in w for w in result.warnings)) == ([], True)


def test_what_the_budget_does_not_allow_is_left_for_the_next_run(make_settings, quiet_shop):
    settings = make_settings(request_budget=20, page_size=100)
    clock = SimulatedClock(settings.base_url)
    for n in range(30):
        plant(quiet_shop, f"DUE-{n:03}", days_old=20 + 3 * n / 2)
    run_sync(settings, clock=clock)
    quiet_shop.advance(days=8)
    asked = Counter()
    for _ in range(6):
        quiet_shop.clear_log()
        result = run_sync(settings, clock=clock, kind="recheck")
        assert result.requests <= 20
        asked += Counter({r: n for r, n in details_asked(quiet_shop).items() if r.startswith("DUE")})
        if not result.warnings:
            break
    assert asked == Counter({f"DUE-{n:03}": 1 for n in range(30)})


def test_H9_an_old_open_bill_that_a_walk_did_not_find_is_asked_for_the_night_after(settings, sync, quiet_shop):
    quiet_shop.set(total="missing")
    plant(quiet_shop, "OLD", days_old=100)
    sync(kind="full_refresh")
    quiet_shop.advance(days=1)
    quiet_shop.delete_bill("OLD")
    sync(kind="full_refresh")
    plant(quiet_shop, "OLD", days_old=101)
    quiet_shop.advance(hours=23)
    sync()
    assert details_asked(quiet_shop)["OLD"] == 1
    assert query(settings.warehouse_path, "select missing_since from core.bills where order_reference = 'OLD'") == [
        {"missing_since": None}
    ]


def test_H9_a_bill_that_is_gone_is_marked_and_kept(settings, sync, quiet_shop):
    plant(quiet_shop, "GONE", days_old=3)
    sync()
    quiet_shop.advance(days=1)
    quiet_shop.delete_bill("GONE")
    result = sync(kind="recheck")
    (bill,) = query(
        settings.warehouse_path, "select state, missing_since from core.bills where order_reference = 'GONE'"
    )
    assert bill["state"] == "Pending"
    assert result.started_at <= bill["missing_since"] <= result.finished_at
    assert result.warnings == ["CashPay no longer knows 1 bills: see core.bills.missing_since."]


@pytest.mark.parametrize(("days_old", "days"), [(5.5, 1), (5.5, 8), (20, 8)])
def test_H9_a_bill_that_was_not_known_just_once_is_asked_for_the_night_after(
    days_old, days, settings, sync, quiet_shop
):
    """In a list without a total nothing else tells, before the next walk through the whole of it."""
    quiet_shop.set(total="missing")
    plant(quiet_shop, "SLIP", days_old=days_old)
    sync()
    quiet_shop.advance(days=days)
    quiet_shop.faults([{"path": "/orders/SLIP", "status": 404, "times": 1}])
    sync(kind="recheck")
    missing = "select state, missing_since is not null as is_missing from core.bills where order_reference = 'SLIP'"
    assert query(settings.warehouse_path, missing) == [{"state": "Pending", "is_missing": True}]
    quiet_shop.put_bill("SLIP", state="Paid", received_amount=5000)
    quiet_shop.advance(hours=23)
    sync(kind="recheck")
    assert details_asked(quiet_shop)["SLIP"] == 0
    sync()
    assert details_asked(quiet_shop)["SLIP"] == 1
    assert query(settings.warehouse_path, missing) == [{"state": "Paid", "is_missing": False}]


@pytest.mark.long
def test_H9_a_bill_that_is_gone_is_asked_for_a_week_longer_and_told_once(settings, sync, quiet_shop):
    quiet_shop.set(total="missing")
    plant(quiet_shop, "GONE", days_old=20)
    sync()
    quiet_shop.delete_bill("GONE")
    quiet_shop.advance(days=7)
    asked, told = [], []
    gone_since = "select missing_since from core.bills where order_reference = 'GONE'"
    since = []
    for night in range(1, 11):
        quiet_shop.advance(days=1, seconds=60)
        result = sync()
        asked += [night] * details_asked(quiet_shop)["GONE"]
        told += [night] * ("CashPay no longer knows 1 bills: see core.bills.missing_since." in result.warnings)
        since += query(settings.warehouse_path, gone_since)
    assert (asked, told) == ([*range(1, 8)], [1])
    assert since == since[:1] * 10


def test_H9_a_bill_that_the_list_has_just_shown_is_not_marked(settings, sync, quiet_shop):
    """Its details can lag behind the list."""
    quiet_shop.set(list_fields="poor")
    sync()
    quiet_shop.advance(days=1)
    plant(quiet_shop, "NEW", days_old=0.1)
    quiet_shop.put_bill("NEW", state="Partial", received_amount=2000)
    quiet_shop.faults([{"path": "/orders/NEW", "status": 404, "times": 1}])
    told = "CashPay lists 1 bills whose details it does not know: they were not marked."
    stored = "select received_amount, missing_since from core.bills where order_reference = 'NEW'"
    for warnings, received in ([told], None), ([], 2000):
        result = sync()
        assert (result.status, result.warnings) == ("complete", warnings)
        assert query(settings.warehouse_path, stored) == [{"received_amount": received, "missing_since": None}]


def test_many_bills_gone_at_once_are_not_believed(settings, sync, quiet_shop):
    for n in range(30):
        plant(quiet_shop, f"OPEN-{n:02}", days_old=3)
    sync()
    quiet_shop.advance(days=1)
    quiet_shop.faults([{"path": "/orders/{ref}", "status": 404, "times": None}])
    result = sync(kind="recheck")
    assert (result.status, result.complete) == ("incomplete", False)
    assert query(settings.warehouse_path, "select count(*) as n from core.bills where missing_since is not null") == [
        {"n": 0}
    ]


def test_H9_not_even_one_bill_is_gone_where_details_answer_404_to_everything(settings, sync, quiet_shop):
    plant(quiet_shop, "YOUNG", days_old=0.02)
    sync()
    quiet_shop.advance(minutes=15)
    quiet_shop.faults([{"path": "/orders/{ref}", "status": 404, "times": None}])
    result = sync(kind="recheck")
    assert result.status == "incomplete"
    assert result.warnings == [
        "CashPay does not know 1 of 1 bills, nor shows it the details of another one: nothing was marked."
    ]
    assert query(settings.warehouse_path, "select count(*) as n from core.bills where missing_since is not null") == [
        {"n": 0}
    ]


def test_many_bills_gone_at_once_are_marked_once_the_list_shows_none_of_them(settings, sync, quiet_shop):
    for n in range(30):
        plant(quiet_shop, f"OPEN-{n:02}", days_old=3)
    sync()
    quiet_shop.advance(days=1)
    for n in range(30):
        quiet_shop.delete_bill(f"OPEN-{n:02}")
    result = sync(kind="recheck")
    assert result.warnings == [
        "CashPay does not know 30 of 35 bills: nothing was marked; the next full refresh looks for them in the list."
    ]
    assert sync(kind="full_refresh").complete
    assert query(settings.warehouse_path, "select count(*) as n from core.bills where missing_since is not null") == [
        {"n": 30}
    ]
    assert sync(kind="recheck").warnings == []


def test_H13_a_bill_whose_details_are_refused_is_set_aside_and_the_rest_goes_on(settings, sync, quiet_shop):
    plant(quiet_shop, "REFUSED", days_old=3)
    plant(quiet_shop, "FINE", days_old=3)
    sync()
    quiet_shop.advance(days=1)
    quiet_shop.put_bill("FINE", state="Paid", received_amount=5000)
    quiet_shop.faults(
        [{"path": "/orders/REFUSED", "status": 422, "body": {"status": "error", "message": "no"}, "times": None}]
    )
    sync(kind="recheck")
    issues = query(settings.warehouse_path, "select order_reference, source, reason, resolved_at from core.data_issues")
    assert issues == [
        {"order_reference": "REFUSED", "source": "details", "reason": "details_refused", "resolved_at": None}
    ]
    states = query(
        settings.warehouse_path,
        "select order_reference, state from core.bills where order_reference in ('REFUSED', 'FINE') order by 1",
    )
    assert [s["state"] for s in states] == ["Paid", "Pending"]
    quiet_shop.faults([])
    sync(kind="full_refresh")
    assert query(settings.warehouse_path, "select count(*) as n from core.data_issues where resolved_at is null") == [
        {"n": 0}
    ]


@pytest.mark.parametrize(
    ("fault", "bills", "others"),
    [
        ({"kind": "html"}, 4, 0),
        ({"status": 403}, 4, 0),
        ({"status": 200, "body": {"payload": 1}}, 4, 0),
        ({"status": 500}, 4, 0),
        ({"status": 500}, 5, 100),  # from five on, more than one in twenty is too many
    ],
    ids=["html", "forbidden", "another shape", "failure", "many failures"],
)
def test_H13_bills_with_odd_details_keep_no_other_from_being_re_checked(
    fault, bills, others, settings, sync, quiet_shop
):
    """They are tried again each night, the last of all."""
    odd = [f"A-ODD-{n}" for n in range(bills)]
    for reference in (*odd, "FINE"):
        plant(quiet_shop, reference, days_old=3)
    for n in range(others):
        plant(quiet_shop, f"OTHER-{n}", days_old=4)
    sync(kind="full_refresh")
    quiet_shop.faults([{"path": f"/orders/{reference}", "times": None, **fault} for reference in odd])
    warning = "The details of some bills cannot be read; they stay due: see core.data_issues."
    for state in ("Partial", "Paid"):
        quiet_shop.put_bill("FINE", state=state, received_amount=2000)
        quiet_shop.advance(days=1)
        result = sync(kind="recheck")
        assert (result.status, result.warnings) == ("complete", [warning])
        found = query(settings.warehouse_path, "select state from core.bills where order_reference = 'FINE'")
        assert found == [{"state": state}]
    asked = [e["path"].rsplit("/", 1)[1] for e in quiet_shop.log() if e["template"] == "/orders/{ref}"]
    assert set(asked[asked.index("FINE") + 1 :]) >= set(odd)
    assert {i["order_reference"] for i in issues_of(settings) if i["is_open"]} == set(odd)


def test_details_that_are_odd_for_every_bill_stop_the_re_checks(settings, sync, quiet_shop):
    for n in range(30):
        plant(quiet_shop, f"OPEN-{n:02}", days_old=3)
    sync()
    quiet_shop.advance(days=1)
    quiet_shop.faults([{"path": "/orders/{ref}", "times": None, "status": 200, "body": {"payload": 1}}])
    with pytest.raises(UnexpectedReplyError, match="Expected a bill"):
        sync(kind="recheck")


def test_details_that_fail_for_every_bill_stop_the_re_checks_after_few_requests(settings, sync, quiet_shop):
    for n in range(30):
        plant(quiet_shop, f"OPEN-{n:02}", days_old=3)
    sync()
    quiet_shop.advance(days=1)
    quiet_shop.faults([{"path": "/orders/{ref}", "times": None, "status": 500}])
    for _ in range(2):
        quiet_shop.clear_log()
        with pytest.raises(UnavailableError, match="status 500"):
            sync(kind="recheck")
        assert sum(details_asked(quiet_shop).values()) < 100, "of 240; those in flight come to an end on a busy machine"
    quiet_shop.faults([])
    assert (sync(kind="recheck").warnings, sum(details_asked(quiet_shop).values())) == ([], 35)
    assert not [issue for issue in issues_of(settings) if issue["is_open"]]


def test_H9_a_bill_that_answers_410_is_gone_like_one_that_answers_404(settings, sync, quiet_shop):
    plant(quiet_shop, "GONE", days_old=3)
    sync()
    quiet_shop.advance(days=1)
    quiet_shop.faults([{"path": "/orders/GONE", "status": 410, "times": None}])
    assert sync(kind="recheck").warnings == ["CashPay no longer knows 1 bills: see core.bills.missing_since."]


def test_D4_the_other_name_of_the_key_is_understood_in_details_too(settings, sync, quiet_shop):
    plant(quiet_shop, "OPEN", days_old=3)
    sync()
    quiet_shop.put_bill("OPEN", state="Paid", received_amount=5000)
    quiet_shop.advance(days=1)
    renamed = {"references": ["OPEN"], "delete": ["order_reference"], "set": {"orderNum": "OPEN"}}
    quiet_shop.faults([{"path": "/orders/OPEN", "kind": "mutate", "times": None, "mutate": renamed}])
    assert sync(kind="recheck").warnings == []
    found = query(settings.warehouse_path, "select state from core.bills where order_reference = 'OPEN'")
    assert found == [{"state": "Paid"}]


def test_a_bill_paid_while_its_reply_was_under_way_was_paid_after_it_was_asked_for(settings, sync, quiet_shop):
    plant(quiet_shop, "SLOW", days_old=0)
    paid = {"put": {"order_reference": "SLOW", "state": "Paid", "received_amount": 5000}}
    quiet_shop.script([{"at_request": 1, "do": [{"advance": 30}, paid, {"advance": 30}]}])
    sync(kind="full_refresh")
    quiet_shop.advance(hours=1)
    sync()
    (bill,) = query(settings.warehouse_path, "select * from core.bills where order_reference = 'SLOW'")
    paid_at = next(h["at"] for h in quiet_shop.history()["SLOW"] if h["state"] == "Paid")
    assert bill["paid_after"] < datetime.fromisoformat(paid_at) < bill["paid_before"]


def issues_of(settings):
    sql = "select order_reference, reason, resolved_at is null as is_open from core.data_issues order by 1"
    return query(settings.warehouse_path, sql)


def test_a_bill_set_aside_is_asked_for_every_night_until_it_can_be_counted(settings, sync, quiet_shop):
    plant(quiet_shop, "DAMAGED", days_old=20, state="Canceled")
    bad = {"mutate": {"references": ["DAMAGED"], "set": {"amount": "12 000"}}, "kind": "mutate", "times": None}
    quiet_shop.faults([bad])
    sync(kind="full_refresh")
    open_issue = {"order_reference": "DAMAGED", "reason": "not_a_number", "is_open": True}
    assert issues_of(settings) == [open_issue]
    for _ in range(2):
        quiet_shop.advance(days=1)
        sync()
        assert details_asked(quiet_shop)["DAMAGED"] == 1
        for kind in ("recheck", "refresh"):
            sync(kind=kind)
            assert details_asked(quiet_shop)["DAMAGED"] == 0
    quiet_shop.faults([])
    quiet_shop.advance(days=1)
    sync()
    assert {(i["order_reference"], i["is_open"]) for i in issues_of(settings)} == {("DAMAGED", False)}
    stored = query(settings.warehouse_path, "select amount from core.bills where order_reference = 'DAMAGED'")
    assert stored == [{"amount": 5000}]
    quiet_shop.advance(days=1)
    sync()
    assert details_asked(quiet_shop)["DAMAGED"] == 0


def test_a_bill_whose_row_is_damaged_each_night_is_read_by_its_details_each_night(make_settings, quiet_shop):
    """A young shop's list is read whole each night, so that it shows the row each time."""
    settings = make_settings(page_size=200)
    plant(quiet_shop, "DAMAGED", days_old=1, state="Paid")
    bad = {"mutate": {"references": ["DAMAGED"], "set": {"amount": "5 000"}}, "kind": "mutate", "times": None}
    quiet_shop.faults([{"path": "/orders", **bad}])
    run_sync(settings, clock=SimulatedClock(settings.base_url))
    stored = []
    for received in (5000, 6000, 7000):
        quiet_shop.put_bill("DAMAGED", received_amount=received)
        quiet_shop.advance(days=1)
        quiet_shop.clear_log()
        run_sync(settings, clock=SimulatedClock(settings.base_url))
        assert details_asked(quiet_shop)["DAMAGED"] == 1
        stored += query(
            settings.warehouse_path, "select received_amount from core.bills where order_reference = 'DAMAGED'"
        )
    assert [bill["received_amount"] for bill in stored] == [5000, 6000, 7000]


def test_a_bill_whose_row_is_damaged_each_night_and_whose_details_are_not_known_stays_set_aside(
    make_settings, quiet_shop
):
    settings = make_settings(page_size=200)
    plant(quiet_shop, "DAMAGED", days_old=1, state="Paid")
    bad = {"mutate": {"references": ["DAMAGED"], "set": {"amount": "5 000"}}, "kind": "mutate", "times": None}
    quiet_shop.faults([{"path": "/orders", **bad}, {"path": "/orders/DAMAGED", "status": 404, "times": None}])
    run_sync(settings, clock=SimulatedClock(settings.base_url))
    quiet_shop.advance(days=1)
    result = run_sync(settings, clock=SimulatedClock(settings.base_url))
    assert result.warnings == ["CashPay lists 1 bills whose details it does not know: they were not marked."]
    assert issues_of(settings) == [{"order_reference": "DAMAGED", "reason": "not_a_number", "is_open": True}]


def test_a_bill_set_aside_that_cashpay_no_longer_knows_is_asked_for_once(settings, sync, quiet_shop):
    plant(quiet_shop, "DAMAGED", days_old=20, state="Canceled")
    bad = {"mutate": {"references": ["DAMAGED"], "set": {"amount": "12 000"}}, "kind": "mutate", "times": None}
    quiet_shop.faults([bad])
    sync(kind="full_refresh")
    quiet_shop.faults([])
    quiet_shop.delete_bill("DAMAGED")
    asked = []
    for _ in range(2):
        quiet_shop.advance(days=1)
        sync()
        asked.append(details_asked(quiet_shop)["DAMAGED"])
    assert asked == [1, 0]
    assert issues_of(settings) == [{"order_reference": "DAMAGED", "reason": "not_a_number", "is_open": False}]


def test_a_bill_that_was_never_stored_is_set_aside_no_more_once_the_whole_list_lacks_it(settings, sync, quiet_shop):
    """Neither as listed nor as its details told it: no re-check asks for it again, which could close the latter."""
    for reference in ("GONE", "LISTED"):
        plant(quiet_shop, reference, days_old=20, state="Canceled")
    bad = {"references": ["GONE", "LISTED"], "set": {"amount": "12 000"}}
    quiet_shop.faults([{"mutate": bad, "kind": "mutate", "times": None}])
    sync(kind="full_refresh")
    quiet_shop.advance(days=1)
    sync()
    assert [i["is_open"] for i in issues_of(settings)] == [True] * 4
    quiet_shop.delete_bill("GONE")
    sync(kind="full_refresh")
    assert [(i["order_reference"], i["is_open"]) for i in issues_of(settings)] == [
        *[("GONE", False)] * 2,
        *[("LISTED", True)] * 2,
    ]


def test_a_poor_list_is_completed_by_details(settings, sync, quiet_shop):
    quiet_shop.set(list_fields="poor")
    plant(quiet_shop, "PART", days_old=3)
    quiet_shop.put_bill("PART", state="Partial", received_amount=2000)
    sync()
    truth = {b["order_reference"]: b for b in quiet_shop.truth()["bills"]}
    rows = query(
        settings.warehouse_path, "select order_reference, received_amount, gateway_name, version from core.bills"
    )
    for row in rows:
        bill = truth[row["order_reference"]]
        assert row["received_amount"] == bill["received_amount"]
        if bill["payments"]:
            assert row["gateway_name"] == bill["payments"][-1]["gateway"]["libelle"]
    before = query(settings.warehouse_path, "select count(*) as n from core.bill_versions")
    sync()
    sync(kind="full_refresh")
    assert query(settings.warehouse_path, "select count(*) as n from core.bill_versions") == before
    assert details_asked(quiet_shop) == Counter()


@pytest.mark.long
def test_P18_a_list_too_long_for_one_night_is_read_a_part_each_night(make_settings, quiet_shop):
    """A change that no re-check looks for is found by the rolling walk, which each run takes up where it stopped."""
    settings = make_settings(page_size=2, request_budget=25)
    clock = SimulatedClock(settings.base_url)
    run_sync(settings, clock=clock)
    oldest = quiet_shop.truth()["bills"][0]["order_reference"]
    quiet_shop.advance(days=31)
    while run_sync(settings, clock=clock).warnings:
        pass
    quiet_shop.advance(days=8)
    quiet_shop.put_bill(oldest, description="changed in silence")
    parts = 0
    for _ in range(12):
        quiet_shop.advance(days=1)
        result = run_sync(settings, clock=clock)
        assert result.requests <= 25 + 8
        parts += "A part of the whole list was read; the next run goes on from there." in result.warnings
        described = query(
            settings.warehouse_path, "select description from core.bills where order_reference = ?", oldest
        )
        if described == [{"description": "changed in silence"}]:
            break
    else:
        raise AssertionError("the rolling walk never came to the oldest bill")
    assert parts >= 2


@pytest.mark.long
@pytest.mark.parametrize(
    ("contract", "size", "budget"),
    [({"total": "missing"}, 2, 25), ({"order": "random"}, 5, 15)],
    ids=["no total", "no order"],
)
def test_P18_the_night_that_reads_the_last_part_does_not_read_the_others_again(
    contract, size, budget, make_settings, quiet_shop
):
    quiet_shop.set(**contract)
    settings = make_settings(page_size=size, request_budget=budget)
    clock = SimulatedClock(settings.base_url)
    begun = "select full_walk_started_at from core.accounts"
    run_sync(settings, clock=clock)
    first = query(settings.warehouse_path, begun)
    quiet_shop.advance(days=31)
    costs = []
    while query(settings.warehouse_path, begun) == first:
        quiet_shop.advance(hours=1)
        costs.append(run_sync(settings, clock=clock).requests)
        assert len(costs) < 20, "the walk never came to its end"
    assert len(costs) > 2
    assert max(costs) <= budget + 8
