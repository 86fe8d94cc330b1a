"""Each switch shown once: what the wire looks like when an open question has another answer."""

import json
from datetime import datetime
from itertools import chain

import pytest

from cashpay_pipeline.simulator.control_client import ControlError

ENVELOPES = {
    "items_total": lambda rows, n: {"total": n, "items": rows},
    "bare": lambda rows, n: rows,
    "data_total": lambda rows, n: {"data": rows, "total": n},
    "data_meta": lambda rows, n: {"data": rows, "meta": {"total": n, "current_page": 2, "last_page": -(-n // 5)}},
    "embedded": lambda rows, n: {
        **{"page": 2, "limit": 5, "pages": -(-n // 5), "total": n},
        "_embedded": {"items": rows},
    },
    "orders_count": lambda rows, n: {"orders": rows, "count": n},
    "bills": lambda rows, n: {"bills": rows, "count": n},
    "results": lambda rows, n: {"results": rows, "count": n},
    "records_total": lambda rows, n: {"records": rows, "totalRecords": n},
    "content": lambda rows, n: {"content": rows, "totalElements": n, "totalPages": -(-n // 5), "number": 1},
    "hydra": lambda rows, n: {"hydra:member": rows, "hydra:totalItems": n},
    "unknown": lambda rows, n: {"status": "success", "payload": {"rows_by_page": {"2": rows}}},
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_envelope(merchant, simulator, name):
    rows = merchant.get("/orders", page=2, limit=5).json["items"]
    simulator.set(envelope=name)

    answer = merchant.get("/orders", page=2, limit=5).json

    assert answer == ENVELOPES[name](rows, len(simulator.truth()["bills"]))


def test_total(merchant, simulator):
    bills = simulator.truth()["bills"]
    a_day_ago = [bill for bill in bills if bill["date_create"] < "2026-11-23T09:00:00"]

    def total(value: str):
        simulator.set(total=value)
        return merchant.get("/orders", limit=1).json.get("total", "absent")

    count = len(bills)
    assert {
        value: total(value) for value in ("right", "missing", "string", "zero", "stale", "null", "low", "high")
    } == {
        **{"right": count, "missing": "absent", "string": str(count), "zero": 0, "stale": len(a_day_ago)},
        **{"null": None, "low": count * 9 // 10, "high": count + 3},
    }


def test_order(merchant, simulator):
    newest_first = merchant.references(limit=500)
    oldest = newest_first[-1]
    simulator.put_bill(oldest, description="just changed")

    def order(value: str) -> list[str]:
        simulator.set(order=value)
        return merchant.references(limit=500)

    assert order("oldest_first") == newest_first[::-1]
    assert order("updated")[0] == oldest
    assert order("random") == order("random") != newest_first
    assert sorted(order("random")) == sorted(newest_first)


def test_paging(merchant, simulator):
    whole = merchant.references(limit=500)

    simulator.set(paging="zero_based")
    assert [merchant.references(page=n, limit=5) for n in (0, 1)] == [whole[:5], whole[5:10]]
    simulator.set(paging="offset")
    assert merchant.references(offset=7, limit=5) == whole[7:12]
    simulator.set(paging="ignored")
    assert merchant.references(page=3, limit=5) == whole
    simulator.set(paging="page_ignored")
    assert merchant.references(page=3, limit=5) == whole[:5]


def test_parameter_names_and_default_size(merchant, simulator):
    whole = merchant.references(limit=500)
    simulator.set(page_param="p", size_param="per_page", default_size=4)

    assert merchant.references(p=2, per_page=3) == whole[3:6]
    assert merchant.references(page=2, limit=3) == whole[:4]
    simulator.set(extra_params="refused")
    assert merchant.get("/orders", page=2).json == {"status": "error", "message": "Unknown parameter page"}


def test_page_cap(merchant, simulator):
    whole = merchant.references(limit=500)
    simulator.set(page_cap=4)

    assert merchant.references(page=2, limit=10) == whole[4:8]
    simulator.set(cap_skips_by="asked")
    assert merchant.references(page=2, limit=10) == whole[10:14]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_size_refused(merchant, simulator, status):
    simulator.set(size_refused_above=20, size_refused_status=status)

    answers = [merchant.get("/orders", limit=size) for size in (20, 21)]

    assert [one.status for one in answers] == [200, status]
    assert answers[1].json == {"status": "error", "message": "limit is too large"}


def test_end(merchant, simulator):
    whole = merchant.references(limit=500)
    last_page = whole[(len(whole) - 1) // 7 * 7 :]

    def past_the_end(value: str):
        simulator.set(end=value)
        answer = merchant.get("/orders", page=99, limit=7)
        return answer.status, answer.body

    assert json.loads(past_the_end("empty")[1])["items"] == []
    assert past_the_end("204") == (204, b"")
    assert past_the_end("404") == (404, b'{"status":"error","message":"Page not found"}')
    assert [row["order_reference"] for row in json.loads(past_the_end("last_page")[1])["items"]] == last_page


def test_an_empty_or_a_half_full_page_loses_nothing(merchant, simulator):
    whole = merchant.references(limit=500)

    def pages() -> list[list[str]]:
        return [merchant.references(page=number, limit=10) for number in range(1, 12)]

    simulator.set(empty_page_at=3)
    assert (pages()[2], list(chain(*pages()))) == ([], whole)
    simulator.set(empty_page_at=0, short_page_at=3)
    assert (len(pages()[2]), list(chain(*pages()))) == (5, whole)


@pytest.mark.parametrize(
    ("form", "amount"), [("string", "1500"), ("int", 1500), ("float", 1500.0), ("decimal_string", "1500.00")]
)
def test_amount_forms(merchant, simulator, form, amount):
    simulator.set(amount_form=form, received_form=form)
    ref = simulator.put_bill(amount=1500, state="Paid")["order_reference"]

    row = merchant.get(f"/orders/{ref}").json

    served = [row["amount"], row["received_amount"], row["payments"][0]["amount"]]
    assert [(value, type(value)) for value in served] == [(amount, type(amount))] * 3


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("iso_offset", "2026-07-05T11:30:00+02:00"),
        ("space", "2026-07-05 11:30:00"),
        ("iso_z_ms", "2026-07-05T09:30:00.000Z"),
        (
            "php_object",
            {"date": "2026-07-05 11:30:00.000000", "timezone_type": 3, "timezone": "Europe/Paris"},
        ),
        ("epoch_s", int(datetime.fromisoformat("2026-07-05T09:30:00+00:00").timestamp())),
        ("epoch_ms", int(datetime.fromisoformat("2026-07-05T09:30:00+00:00").timestamp()) * 1000),
        ("iso_naive", "2026-07-05T11:30:00"),
        ("day_first", "05/07/2026 11:30:00"),
    ],
)
def test_date_forms_and_zone(merchant, simulator, form, expected):
    simulator.set(date_form=form, date_zone="Europe/Paris")
    ref = simulator.put_bill(date_create="2026-07-05T09:30:00+00:00")["order_reference"]

    assert merchant.get(f"/orders/{ref}").json["date_create"] == expected


def test_poor_lists_and_details(merchant, simulator):
    simulator.set(list_fields="poor", details_fields="full")
    row = merchant.get("/orders", limit=1).json["items"][0]
    details = merchant.get(f"/orders/{row['order_reference']}").json

    assert list(row) == [
        *("order_reference", "date_create", "merchant_reference", "code", "state"),
        *("amount", "currency", "bill_url", "client"),
    ]
    assert set(details) - set(row) == {
        *("received_amount", "description", "long_bill_url", "qrcode_bill_url", "payments"),
    }
    simulator.set(details_fields="poor")
    assert merchant.get(f"/orders/{row['order_reference']}").json == row


def test_wrapped_details_and_gateways(merchant, simulator):
    ref = merchant.references(limit=1)[0]
    details, gateways = merchant.get(f"/orders/{ref}").json, merchant.get("/gateways").json
    simulator.set(details_wrapped=True, gateways_wrapped=True)

    assert merchant.get(f"/orders/{ref}").json == {"items": [details]}
    assert merchant.get("/gateways").json == {"items": gateways}


def test_state_spellings(merchant, simulator):
    for number in range(12):
        simulator.put_bill(f"SANDBOX-C{number}", state="Canceled")

    def states(**switches: str) -> set[str]:
        simulator.set(**switches)
        return {merchant.get(f"/orders/SANDBOX-C{number}").json["state"] for number in range(12)}

    assert states() == {"Canceled"}
    assert states(canceled_spelling="Cancelled") == {"Cancelled"}
    assert states(canceled_spelling="mixed") == {"Cancelled", "CANCELED", "cancelled", "Canceled"}
    assert states(canceled_spelling="Canceled", state_case="upper") == {"CANCELED"}
    assert states(state_case="lower") == {"canceled"}
    assert states(state_case="padded") == {"Canceled "}


def test_an_unknown_state_is_served_and_is_the_truth(merchant, simulator):
    simulator.reset(days=30, switches={"unknown_state": "Refunded"})
    merchant.log_in()

    served = {row["order_reference"]: row["state"] for row in merchant.get("/orders", limit=9999).json["items"]}

    assert served == {bill["order_reference"]: bill["state"] for bill in simulator.truth()["bills"]}
    assert "Refunded" in served.values() and "Paid" in served.values()


def test_missing_optional_fields(merchant, simulator):
    def field_counts(value: str) -> set[int]:
        simulator.set(missing_optional=value)
        return {len(row) for row in merchant.get("/orders", limit=500).json["items"]}

    assert field_counts("all") == {8}
    assert field_counts("some") >= {8, 14}
    assert field_counts("none").isdisjoint({8})


def test_code_as_a_number_payments_method_and_shuffled_keys(merchant, simulator):
    simulator.set(code_form="int", payments_method="nested_everywhere", shuffled_keys=True)

    rows = merchant.get("/orders", limit=9).json["items"]

    assert {type(row["code"]) for row in rows} == {int}
    assert {type(row["payments_method"][0][0]["action"]) for row in rows} == {str}
    assert len({tuple(row) for row in rows}) > 1


def test_read_status_and_date_header(merchant, simulator):
    simulator.set(read_status=201, date_header=False)

    answer = merchant.get("/orders")

    assert (answer.status, answer.headers["Date"]) == (201, None)


def test_created_bills_can_pay_themselves(merchant, simulator):
    simulator.set(created_bills="paid")
    ref = merchant.post("/orders", {"amount": 900, "client": {"phone": "+22800000001"}}).json["order_reference"]

    assert merchant.get(f"/orders/{ref}").json["state"] == "Pending"
    simulator.advance(seconds=30)
    assert merchant.get(f"/orders/{ref}").json["received_amount"] == 900


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"envelope": "parcel"}, "switch envelope has no value 'parcel'"),
        ({"colour": "red"}, "unknown switch 'colour'"),
        ({"page_cap": "many"}, "switch page_cap is a whole number, not 'many'"),
        ({"salt_check": "perhaps"}, "switch salt_check is true or false, not 'perhaps'"),
        ({"date_zone": "Lome"}, "switch date_zone: 'Lome' is not a time zone"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_switch_is_refused_in_plain_words(merchant, simulator, switches, message):
    answer = merchant.call("POST", "/../_simulator/switches")
    assert answer.status == 404  # the control API is not part of the API

    with pytest.raises(ControlError, match=message):
        simulator.set(**switches)
