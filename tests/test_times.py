"""Table T of the failure cases: every form of a time is one moment in UTC, and a day is a day in Lome."""

import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop import Shop
from truth import assert_warehouse_equals_truth

from cashpay_pipeline.checks import all_checks, run_check
from cashpay_pipeline.errors import CredentialsRejectedError, GuardError
from cashpay_pipeline.health import read_health
from cashpay_pipeline.normalize import created_at, normalize_bills
from cashpay_pipeline.report.queries import read_facts
from cashpay_pipeline.summary import report_status
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.sync.guards import FUTURE_TIMES
from cashpay_pipeline.sync.rebuild import rebuild
from cashpay_pipeline.values import BadRecordError, business_date, parse_time
from cashpay_pipeline.warehouse import open_warehouse, publish
from cashpay_pipeline.warehouse.syncs import note_checked

LOME, PARIS, KOLKATA = ZoneInfo("Africa/Lome"), ZoneInfo("Europe/Paris"), ZoneInfo("Asia/Kolkata")
MOMENT = datetime(2024, 3, 5, 9, 30, tzinfo=UTC)
derandomized = settings(derandomize=True, database=None, deadline=None, max_examples=80)


@pytest.fixture
def shop(simulator, settings):
    return Shop(simulator, settings)


def refused(value):
    with pytest.raises(BadRecordError) as caught:
        parse_time(value, LOME)
    assert caught.value.field == "date_create"
    assert created_at({"date_create": value}, LOME) is None
    return caught.value.reason


def php(text, kind=3, zone="UTC"):
    return {"date": text, "timezone_type": kind, "timezone": zone}


FORMS = [
    *("2024-03-05T09:30:00+00:00", "2024-03-05T09:30:00Z", "2024-03-05T09:30:00.000Z", "2024-03-05T09:30Z"),
    *("2024-03-05 09:30:00", "2024-03-05T09:30:00", "2024-03-05 09:30:00.000000", "20240305T093000Z"),
    *("1709631000", 1709631000, 1709631000000, "1709631000000", Decimal("1709631000.0"), "1709631000.000"),
    *(php("2024-03-05 09:30:00.000000"), php("2024-03-05 09:30:00", 3, "Africa/Lome"), {"date": "2024-03-05 09:30:00"}),
    *(php("2024-03-05 10:30:00.000000", 1, "+01:00"), php("2024-03-05 10:30:00", 3, "Europe/Paris")),
    *(php("2024-03-05 09:30:00", 2, "GMT"), php("2024-03-05 09:30:00", 2, "Z"), php("2024-03-05 04:00:00", 1, "-0530")),
]


@pytest.mark.parametrize("value", FORMS, ids=str)
def test_T3_every_form_is_the_same_moment(value):
    assert parse_time(value, LOME) == MOMENT
    assert parse_time(value, LOME).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("13/03/2024", datetime(2024, 3, 13, tzinfo=UTC)),
        ("13/03/2024 09:30", datetime(2024, 3, 13, 9, 30, tzinfo=UTC)),
        ("31/12/2024 23:59:59", datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("05/05/2024 09:30:00", datetime(2024, 5, 5, 9, 30, tzinfo=UTC)),
        ("5/05/2024", datetime(2024, 5, 5, tzinfo=UTC)),
    ],
)
def test_T3_day_first_where_it_can_mean_only_one_day(text, moment):
    assert parse_time(text, LOME) == moment


@pytest.mark.parametrize(
    "value",
    [
        *("05/03/2024", "03/05/2024 09:30:00", "12/11/2024", "03/13/2024"),
        *("20240305", "20240305093000", "202403050930", 20240305, 20240305093000, Decimal("20240305")),
        php("2024-03-05T09:30:00+02:00"),
    ],
    ids=str,
)
def test_T3_what_can_be_read_in_two_ways_is_never_guessed(value):
    assert refused(value) == "ambiguous_time"


UNREADABLE = [
    *(
        "yesterday",
        "2024-02-30",
        "2023-02-29T00:00:00Z",
        "2024-13-01",
        "0000-00-00 00:00:00",
        "32/01/2024",
        "31/02/2024",
    ),
    *(
        "2024-03-05T25:00:00Z",
        "05-03-2024",
        "Tue, 05 Mar 2024 09:30:00 GMT",
        "２０２４-03-05",
        "2024-03-05T09:30:00 Paris",
    ),
    *(
        "12024-01-01",
        "1709631000s",
        "1e9",
        " ",
        "2024-03-05\0",
        "2024-03-05909:30",
        "2024-03-05T",
        "1" * 17,
        "20240305123000123",
        10**14,
        -(10**14),
        10**400,
    ),
    *(Decimal("NaN"), Decimal("Infinity"), Decimal("1E+399"), True, False, [], ["2024-03-05"], {}, {"date": None}),
    *(
        php("2024-03-05 09:30:00", 2, "CEST"),
        php("2024-03-05 09:30:00", 3, "Europe"),
        php("2024-03-05", 3, "../../etc"),
    ),
    *(
        php("2024-03-05 09:30:00", 3, "Nowhere/City"),
        php("x"),
        php("2024-03-05", 3, "\0"),
        php("2024-03-05", 1, "+99:99"),
    ),
]


@pytest.mark.parametrize("value", UNREADABLE, ids=lambda v: str(v)[:50].replace("\0", "NUL"))
def test_T3_what_is_no_time_is_refused(value):
    assert refused(value) == "unreadable_time"


@pytest.mark.parametrize("value", [None, ""], ids=repr)
def test_T3_no_time_is_no_time(value):
    assert parse_time(value, LOME) is None
    assert business_date(None) is None


@pytest.mark.parametrize("record", [None, "text", [], {}, {"date_create": None}, {"date_create": "x"}], ids=repr)
def test_T3_a_record_that_tells_no_time(record):
    assert created_at(record, LOME) is None


@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        (LOME, MOMENT),
        (PARIS, datetime(2024, 3, 5, 8, 30, tzinfo=UTC)),
        (KOLKATA, datetime(2024, 3, 5, 4, 0, tzinfo=UTC)),
        (ZoneInfo("America/Los_Angeles"), datetime(2024, 3, 5, 17, 30, tzinfo=UTC)),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "form", ["2024-03-05 09:30:00", "2024-03-05T09:30:00", {"date": "2024-03-05 09:30:00"}], ids=str
)
def test_T1_a_time_without_offset_is_read_in_the_zone_of_the_settings(form, zone, moment):
    assert parse_time(form, zone) == moment


@pytest.mark.parametrize("form", [f for f in FORMS if isinstance(f, str) and f[-1] in "Z"] + [1709631000], ids=str)
def test_T1_a_time_with_an_offset_does_not_care_for_the_zone(form):
    assert parse_time(form, PARIS) == parse_time(form, KOLKATA) == MOMENT


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-07-01 00:30:00", datetime(2024, 6, 30, 22, 30, tzinfo=UTC)),
        ("2024-10-27 02:30:00", datetime(2024, 10, 27, 0, 30, tzinfo=UTC)),
        ("2024-03-31 02:30:00", datetime(2024, 3, 31, 1, 30, tzinfo=UTC)),
    ],
    ids=["summer time", "an hour that comes twice: the first", "an hour that does not exist"],
)
def test_T1_clock_changes_in_paris(text, moment):
    assert parse_time(text, PARIS) == moment


def test_T2_offsets_are_converted_before_anything_is_compared():
    texts = [
        "2024-03-05T09:00:00+05:30",
        "2024-03-05T00:30:00-08:00",
        "2024-03-05T06:30:00Z",
        "2024-03-05T08:15:00+00:00",
    ]
    moments = [parse_time(t, LOME) for t in texts]
    assert [m.strftime("%H:%M") for m in moments] == ["03:30", "08:30", "06:30", "08:15"]
    assert [texts[moments.index(m)] for m in sorted(moments)] == [texts[n] for n in (0, 2, 3, 1)]
    assert {m.tzinfo for m in moments} == {UTC}


@derandomized
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2099, 12, 31)),  # noqa: DTZ001
    st.sampled_from(["Africa/Lome", "Europe/Paris", "Asia/Kolkata", "America/Los_Angeles", "Pacific/Kiritimati"]),
)
def test_T2_T9_any_moment_in_any_form_and_zone_keeps_its_microsecond(naive, name):
    moment = naive.replace(tzinfo=UTC)
    local = moment.astimezone(ZoneInfo(name))
    assert parse_time(local.isoformat(), LOME) == moment
    assert parse_time(local.isoformat(sep=" ", timespec="microseconds"), PARIS) == moment
    seconds, micro = divmod(moment - datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1))
    assert parse_time(Decimal(f"{seconds}.{micro.microseconds:06}"), LOME) == moment
    if not local.fold and local.astimezone(UTC).astimezone(ZoneInfo(name)) == local:
        text = local.replace(tzinfo=None).isoformat(sep=" ")
        assert parse_time(php(text, 3, name), LOME) == parse_time(text, ZoneInfo(name)) == moment


@derandomized
@given(st.text(alphabet="0123456789-/:T Z+.", max_size=24) | st.integers() | st.decimals() | st.text(max_size=12))
def test_T3_whatever_comes_is_a_moment_or_a_reason(value):
    try:
        moment = parse_time(value, LOME)
    except BadRecordError as bad:
        assert (bad.field, bad.reason) in {("date_create", "ambiguous_time"), ("date_create", "unreadable_time")}
        return
    assert moment is None if value == "" else moment.tzinfo is UTC
    assert value == "" or business_date(moment).tzinfo is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-03-05T00:00:00Z", date(2024, 3, 5)),
        ("2024-03-04T23:59:59.999999Z", date(2024, 3, 4)),
        ("2024-03-05T00:30:00+01:00", date(2024, 3, 4)),
        ("2024-03-04T23:30:00-08:00", date(2024, 3, 5)),
        ("2024-12-31T23:30:00-01:00", date(2025, 1, 1)),
    ],
)
def test_T4_the_day_is_the_day_in_lome(text, day):
    moment = parse_time(text, LOME)
    assert business_date(moment) == datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a day has no zone


ZONES = ["Africa/Lome", "Europe/Paris", "Asia/Kolkata", "America/Los_Angeles"]
DAY_EDGES = [
    "2024-01-01T00:30:00",
    "2024-03-05 23:59:59",
    "2024-03-05T20:00:00Z",
    1709683199,
    php("2024-07-01 00:00:00"),
]


def typed_rows():
    """Everything that a zone could change, for one source zone each."""
    records = [
        {"order_reference": str(n), "state": "Paid", "amount": 1, "currency": "XOF", "date_create": value}
        for n, value in enumerate(DAY_EDGES)
    ]
    frames = [normalize_bills(records, source_timezone=zone).bills() for zone in ZONES]
    return [f[["order_reference", "created_at", "business_date"]].to_csv() for f in frames]


@pytest.fixture
def machine_zone(monkeypatch):
    def change(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()


def test_T5_the_zone_of_the_machine_changes_nothing(machine_zone):
    seen = []
    for zone in ZONES:
        machine_zone(zone)
        seen.append(typed_rows())
    assert time.tzname[0] in ("PST", "PDT")  # the machine's zone really changed
    assert seen == [seen[0]] * len(ZONES)
    assert "0,2024-01-01 00:30:00+00:00,2024-01-01" in seen[0][0].splitlines()[1]


def test_T5_neither_does_it_in_a_process_of_its_own():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_times; print(test_times.typed_rows())"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, os.path.dirname(__file__)],  # noqa: PTH120
            env={**os.environ, "TZ": zone},
            stdout=subprocess.PIPE,
            text=True,
        )
        for zone in ("Asia/Kolkata", "America/Los_Angeles")
    ]
    answers = [process.communicate(timeout=30)[0].strip() for process in processes]
    assert answers == [str(typed_rows())] * 2


@pytest.mark.parametrize(
    ("value", "created", "day"),
    [
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC), date(1, 1, 1)),
        ("0001-01-01T00:00:00", datetime(1, 1, 1, tzinfo=UTC), date(1, 1, 1)),
        ("0001-01-01T00:00:00+01:00", datetime(1, 1, 1, tzinfo=UTC), date(1, 1, 1)),
        (0, datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1)),
        ("1970-01-01 00:00:00", datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1)),
        ("2024-02-29T23:59:59Z", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC), date(2024, 2, 29)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), date(9999, 12, 31)),
        ("9999-12-31T23:59:59-01:00", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), date(9999, 12, 31)),
    ],
    ids=str,
)
def test_T6_odd_years_are_kept(value, created, day):
    moment = parse_time(value, LOME)
    assert moment == created
    assert business_date(moment).date() == day


def test_T6_no_zone_overflows_at_the_ends_of_the_calendar():
    for zone in (LOME, PARIS, KOLKATA, ZoneInfo("America/Los_Angeles")):
        for text in ("0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"):
            assert parse_time(text, zone).year in (1, 9999)
            assert business_date(parse_time(text, zone)).year in (1, 9999)


def test_T9_microseconds_survive_the_frame_and_the_database():
    record = {"order_reference": "A", "state": "Paid", "amount": 1, "currency": "XOF"}
    bills = normalize_bills([record | {"date_create": "2024-03-05T09:30:00.123456Z"}]).bills()
    assert str(bills["created_at"].dtype) == "datetime64[us, UTC]"
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("bills", bills)
        assert connection.execute("select created_at::varchar from bills").fetchall() == [
            ("2024-03-05 09:30:00.123456+00",)
        ]


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [(".123456789Z", 123456), (".1234569Z", 123456), (".1Z", 100000), (".9999999Z", 999999)],
)
def test_T9_finer_than_a_microsecond_is_cut_never_rounded_up(text, microsecond):
    assert parse_time(f"2024-03-05T09:30:00{text}", LOME) == MOMENT.replace(microsecond=microsecond)


def test_T9_epoch_milliseconds_keep_their_fraction():
    assert parse_time(1709631000123, LOME) == MOMENT.replace(microsecond=123000)
    assert parse_time(Decimal("1709631000.1234569"), LOME) == MOMENT.replace(microsecond=123456)


@pytest.mark.parametrize(
    ("form", "zone"),
    [("space", "Europe/Paris"), ("iso_naive", "America/Los_Angeles"), ("php_object", "Asia/Kolkata")],
)
def test_T1_a_server_in_another_zone_gives_the_same_warehouse(form, zone, shop):
    shop.simulator.set(date_form=form, date_zone=zone)
    shop.bill("A", date_create="2026-02-28T23:30:00+00:00", state="Paid")
    shop.bill("B", date_create="2026-03-01T07:59:00+00:00")
    assert shop.sync(source_timezone=zone).complete
    assert_warehouse_equals_truth(shop.settings.data_dir, shop.simulator.truth())


def test_T3_a_form_that_changes_between_two_syncs_is_no_change(shop):
    shop.bill("A", date_create="2026-02-28T23:30:00+00:00")
    shop.sync()
    for form in ("space", "php_object", "epoch_ms"):
        shop.simulator.set(date_form=form)
        assert shop.sync().bills_changed == 0
    assert_warehouse_equals_truth(shop.settings.data_dir, shop.simulator.truth())
    assert shop.bills("version") == [(1,)]


def test_T3_ambiguous_dates_are_set_aside(shop):
    shop.simulator.set(date_form="day_first")
    shop.bill("A", date_create="2026-02-28T23:30:00+00:00", state="Paid")
    shop.bill("B", date_create="2026-03-01T10:00:00+00:00", state="Paid")
    shop.sync()
    assert shop.bills("order_reference", "created_at") == [("A", datetime(2026, 2, 28, 23, 30, tzinfo=UTC))]
    assert shop.issues() == [("B", "date_create", "ambiguous_time")]


def test_T4_the_stored_day_does_not_follow_the_zone_of_the_session(shop):
    shop.bill("A", date_create="2026-03-01T23:30:00+00:00")
    shop.sync()
    with duckdb.connect(str(shop.settings.warehouse_path), read_only=True) as connection:
        for zone in ZONES:
            connection.execute(f"set TimeZone = '{zone}'")
            days = connection.execute("select business_date, epoch_us(created_at) from core.bills").fetchall()
            assert days == [(date(2026, 3, 1), 1_772_407_800_000_000)]


def watermark(shop):
    ((moment,),) = shop.rows("select watermark_at from core.accounts")
    return moment


def test_T6_odd_years_are_stored_and_stay_out_of_the_watermark(shop):
    shop.bill("A", date_create="2026-03-01T10:00:00+00:00")
    shop.bill("B")
    shop.bill("C")
    shop.spoil("B", set={"date_create": "0001-01-01T00:00:00Z"})
    shop.sync()
    assert watermark(shop) == datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
    shop.spoil("B", set={"date_create": "9999-12-31T23:59:59Z"})
    assert shop.sync().complete
    assert shop.sync("refresh").complete
    assert shop.rows("select created_at::varchar from core.bills order by order_reference") == [
        ("2026-03-01 10:00:00+00",),
        ("9999-12-31 23:59:59+00",),
        ("2026-03-02 10:00:00+00",),
    ]
    assert (watermark(shop), shop.issues()) == (datetime(2026, 3, 2, 10, 0, tzinfo=UTC), [])


def test_T7_a_bill_from_the_future_does_not_move_the_watermark(shop):
    shop.bill("A", date_create="2026-03-02T09:00:00+00:00")
    shop.bill("B", date_create="2027-01-01T00:00:00+00:00")
    shop.sync()
    assert shop.bills("order_reference", "business_date") == [("A", date(2026, 3, 2)), ("B", date(2027, 1, 1))]
    assert watermark(shop) == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    shop.bill("C", date_create="2026-03-02T10:20:00+00:00")
    result = shop.sync("refresh")
    assert (result.complete, result.bills_new) == (True, 1)
    assert watermark(shop) == datetime(2026, 3, 2, 10, 20, tzinfo=UTC)
    assert_warehouse_equals_truth(shop.settings.data_dir, shop.simulator.truth())


def test_T7_a_few_minutes_ahead_are_a_clock_not_a_mistake(shop):
    shop.bill("A", date_create="2026-03-02T10:19:00+00:00")
    shop.sync()
    assert watermark(shop) == datetime(2026, 3, 2, 10, 19, tzinfo=UTC)


class WrongClock:
    """A machine whose clock is off; waiting moves it on."""

    def __init__(self, moment):
        self.moment, self.waited = moment, 0.0

    def now(self):
        return self.moment + timedelta(seconds=self.waited)

    def monotonic(self):
        return self.waited

    def sleep(self, seconds):
        self.waited += seconds


@pytest.mark.parametrize(
    ("off", "words"),
    [
        (timedelta(minutes=1), None),
        (timedelta(minutes=-119), "119 minutes behind"),
        (timedelta(days=-1), "24 hours behind"),
        (timedelta(days=28, hours=7), "28 days ahead of"),
    ],
    ids=str,
)
def test_T8_times_are_those_of_cashpay_whatever_the_clock_here(off, words, shop):
    shop.bill("A")
    now = shop.simulator.now()
    result = run_sync(shop.settings, kind="full_refresh", clock=WrongClock(now + off))
    assert result.complete
    assert [words in w for w in result.warnings] == ([True] if words else [])
    ((first_seen,),) = shop.bills("first_seen_at")
    assert abs(first_seen - now) < timedelta(minutes=2)


def newest_is_complete(shop):
    """What the status, the alerts and schedules, the check and the report say."""
    (check,) = (check for check in all_checks() if check.name == "last_sync_complete")
    with open_warehouse(shop.settings) as warehouse:
        is_green = not run_check(warehouse, check).bad_rows
    publish(shop.settings)
    return {
        is_green,
        report_status(shop.settings, lambda _: None),
        read_health(shop.settings).list_error_code is None,
        read_facts(shop.settings).latest[0]["status"] == "complete",
    }


@pytest.mark.parametrize("off", [timedelta(days=-2), timedelta(days=400)], ids=str)
def test_T8_the_newest_sync_is_the_one_that_ran_last_whatever_the_clock_said(off, shop):
    """A sync whose login is refused has no other time than that of the clock here."""
    shop.sync()
    shop.simulator.faults(
        [{"path": "/auth", "kind": "reply", "status": 401, "body": {"message": "Bad credentials"}, "times": None}]
    )
    for _ in range(3):
        with pytest.raises(CredentialsRejectedError):
            run_sync(shop.settings, clock=WrongClock(shop.simulator.now() + off))
    assert newest_is_complete(shop) == {False}
    assert read_health(shop.settings).is_locked_out
    shop.simulator.faults([])
    shop.sync()
    assert newest_is_complete(shop) == {True}
    assert not read_health(shop.settings).is_locked_out


def dated(shop, ahead, **rule):
    """In the next sync, CashPay's answers or some of them have a `Date` that is wrong by so much."""
    date = format_datetime(shop.simulator.now() + timedelta(minutes=15) + ahead, usegmt=True)
    shop.simulator.faults([{"kind": "pass", "times": None, "headers": {"Date": date}, **rule}])


def test_T8_what_was_read_under_a_date_of_the_future_passes_for_read_until_now_only(shop):
    for number in range(8):
        shop.bill(f"OLD-{number}", state="Canceled", date_create=shop.simulator.now() - timedelta(hours=60 + number))
    shop.bill("OPEN", state="Pending", date_create=shop.simulator.now() - timedelta(days=5))
    shop.spoil("BAD", set={"amount": "12 000"})
    shop.bill("BAD")
    dated(shop, timedelta(days=400))
    shop.sync("full_refresh")
    shop.simulator.faults([])
    shop.simulator.advance(hours=23.75)
    shop.simulator.delete_bill("OLD-3")
    shop.bill("OPEN", state="Paid")
    shop.bill("HIDDEN", date_create=shop.simulator.now() - timedelta(hours=70))
    hidden = {"references": ["HIDDEN"], "drop": True}
    shop.simulator.faults([{"path": "/orders", "kind": "mutate", "times": None, "mutate": hidden}])
    result = shop.sync("full_refresh")
    assert result.status == "incomplete" and "its list shows" in result.warnings[0], "a walk has met what it has met"
    assert shop.rows("select state from core.bills where order_reference = 'OPEN'") == [("Paid",)]
    shop.simulator.faults([])
    shop.sync("full_refresh")
    assert shop.rows("select order_reference from core.bills where missing_since is not null") == [("OLD-3",)]
    latest = "select max(verified_at), max(money_told_at) from core.bills"
    assert all(moment <= shop.simulator.now() for moment in shop.rows(latest)[0])
    dated(shop, -timedelta(days=400))
    shop.sync("recheck")
    assert shop.rows(latest)[0] > (shop.simulator.now() - timedelta(days=2),), "now it is today's date that is wrong"


def test_T8_what_was_first_seen_under_a_date_of_the_future_is_told_once(shop):
    """Else it is new to the checks, or not yet stored, each night until that day has come."""
    shop.bill("OLD", state="Canceled", date_create=shop.simulator.now() - timedelta(days=9))
    shop.bill("SHORT", state="Paid", amount=1000, received_amount=1000)
    shop.sync("full_refresh")
    bad_checks(shop)
    dated(shop, timedelta(days=400))
    shop.simulator.put_gateway("new-gateway", libelle="New")
    shop.bill("NEW", field="new")
    shop.bill("SHORT", received_amount=400, payments=[{"amount": 400}])
    shop.sync("full_refresh")
    assert {"api_fields_unchanged", "gateways_unchanged", "state_went_back"} <= bad_checks(shop)
    dated(shop, timedelta(days=400))
    shop.simulator.put_gateway("new-gateway", libelle="Newer")
    shop.bill("NEW", state="Paid")
    shop.simulator.delete_bill("OLD")
    shop.sync("full_refresh")
    bad_checks(shop)
    shop.simulator.faults([])
    for kind in ("refresh", "full_refresh"):
        shop.simulator.advance(hours=23.75)
        assert shop.sync(kind).complete
        assert bad_checks(shop) == set()
    now = shop.simulator.now()
    times = shop.rows(
        "select table_name, column_name from duckdb_columns() where schema_name = 'core' and column_name != 'due_at' "
        "and table_name not in ('migrations', 'syncs') and data_type = 'TIMESTAMP WITH TIME ZONE'"
    )
    newest = {(table, time): shop.rows(f"select max({time}) from core.{table}")[0][0] for table, time in times}
    assert {table for table, _ in newest} >= FUTURE_TIMES.keys()
    assert [place for place, moment in newest.items() if moment and moment > now] == []
    rebuild(shop.settings)
    assert shop.rows("select max(first_seen_at), max(changed_at) from core.bills")[0] < (now, now)


def bad_checks(shop):
    """Which checks of core find anything, as after a nightly run."""
    with open_warehouse(shop.settings) as warehouse:
        found = {check.name for check in all_checks() if run_check(warehouse, check).bad_rows}
        note_checked(warehouse)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_T8_two_servers_whose_clocks_differ_hide_no_bill_from_a_walk(seed, shop, make_settings):
    for number in range(60):
        shop.bill(f"B-{number:02}", state="Canceled")
    dated(shop, -timedelta(minutes=3), probability=0.5, seed=seed)
    shop.settings = make_settings(page_size=5)
    result = shop.sync("full_refresh")
    assert (result.status, result.requests < 25) == ("complete", True), result.warnings


def test_T8_signatures_are_not_made_by_a_clock_that_is_far_off(shop, make_settings):
    shop.bill("A")
    clock = WrongClock(shop.simulator.now() + timedelta(minutes=11))
    with pytest.raises(GuardError, match="11 minutes ahead of CashPay"):
        run_sync(make_settings(scheme="cashpay"), clock=clock)
    assert [e for e in shop.simulator.log() if e["template"] == "/orders"] == []
