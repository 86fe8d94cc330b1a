"""Rows S10 and S11 of the failure cases: who the customer is, is hidden before anything is stored."""

import copy
import hashlib
import hmac
import json
import stat
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from shop import Shop

from cashpay_pipeline.changes import payload, record_of
from cashpay_pipeline.errors import CashpayError, GuardError, WarehouseError
from cashpay_pipeline.forget import forget
from cashpay_pipeline.normalize import normalize_bills
from cashpay_pipeline.privacy import Masker, load_key
from cashpay_pipeline.sync.rebuild import rebuild

KEY = b"made-up key for tests"
PHONE = "+22800004242"
derandomized = settings(derandomize=True, database=None, deadline=None, max_examples=80)


@pytest.fixture
def shop(simulator, settings):
    return Shop(simulator, settings)


def masker(mode="mask", key=KEY):
    return Masker(mode, key)


def key_of(digits):
    """As an outsider who has the key would work it out."""
    return hmac.new(KEY, digits.encode(), hashlib.sha256).hexdigest()[:32]


RECORD = {
    "order_reference": "SANDBOX-1",
    "amount": "1500",
    "description": "For Afi, call +228 00 00 42 42",
    "client": {"phone": PHONE, "lastname": "EXEMPLE", "firstname": "Afi", "city": "Lomé", "age": 30, "vip": True},
    "payments": [{"amount": 1500, "phone": PHONE, "payer": {"name": "AFI E.", "msisdn": 22800004242}}],
    "email": "afi@example.test",
}


@pytest.mark.parametrize(
    "text",
    [
        *("Tel90123456", "tel_90123456", "90123456svp", "CMD_22890123456_2", "90 123 456"),
        *("+228 90-12-34-56", "0022890123456", "(228)90123456", "22 123 456"),
        *("+228 (90) 12 34 56", "90 - 12 - 34 - 56", "90  12  34  56", "90_12_34_56", "+228–90–12–34–56"),
        *("90‑12‑34‑56", "+228 90—12—34—56", "22890‐123456"),
        *("90/12/34/56", "tel: 228 90/12/34/56 ou 1/2", "1/90123456/2"),
    ],
)
def test_S10_a_phone_in_free_text_is_hidden_however_it_is_written(text):
    masked = masker().mask({"description": text})["description"]
    assert "******56" in masked
    assert "123" not in masked


@pytest.mark.parametrize("phone", ["22990004242", "0022990004242", "229 0190004242", "233241234242", "+33612344242"])
def test_S10_a_phone_of_a_neighbour_is_hidden_in_free_text(phone):
    assert masker().mask({"note": f"Tel {phone}."}) == {"note": "Tel ******42."}


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Commande 12 - Canaryfirst CANARYLAST", "Commande 12 - *** ***"),
        ("pour CANARY-LAST, Éva", "pour ***-***, ***"),
        ("canarylast (eva.canarylast@example.test)", "*** (***)"),
        ("écrire à un.autre@example.test svp", "écrire à *** svp"),
        ("Canarylasting, evasion", "Canarylasting, evasion"),
    ],
)
def test_S10_the_customers_own_name_and_any_email_are_hidden_in_free_text(text, hidden):
    client = {"lastname": "CANARY Last canarylast", "firstname": "Canaryfirst", "name": "Eva", "city": "Commande"}
    for record in ({"note": text, "client": client}, {"items": [{"client": client}], "note": text}):
        assert masker().mask(record)["note"] == masker("drop").mask(record)["note"] == hidden
        assert masker("keep").mask(record) == record


def test_S12_free_texts_of_a_forgotten_customer_are_gone_as_a_whole():
    """What was masked before has no name left to look for."""
    stored = {
        "description": "For Afi",
        "client": {"firstname": "***"},
        "items": [{"note": "Afi", "label": None}],
        "x": 1,
    }
    assert masker().forget(stored) == {
        "description": "***",
        "client": {},
        "items": [{"note": "***", "label": None}],
        "x": 1,
    }
    assert masker().forget("For Afi") == "***"


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        *((name, "******56") for name in ("client_phone", "payer-phone", "phoneNumber", "TELEPHONE_CLIENT", "msisdn")),
        *((name, "***") for name in ("first_name", "LastName", "nom", "Prénom", "clientName", "customer_name")),
        *((name, "***") for name in ("client_email", "customer_lastname", "payerCity", "Client-Nom", "payer.ville")),
        *((name, "******56") for name in ("client_tel", "payerMobile", "tel_client", "MobileClient", "mobile_number")),
        *((name, "***") for name in ("email_client", "Adresse-Client", "villeClient", "prenoms", "nom_prenoms_client")),
        *((name, "***") for name in ("sender", "recipientName", "receiver_name", "contact", "contact_email")),
        *((name, "******56") for name in ("whatsapp", "sender_phone", "contact_whatsapp")),
        *((name, "******56") for name in ("customerPhoneNumber", "tel1", "num_tel", "payer_mobile_no", "N° GSM 2")),
        *((name, "***") for name in ("email1", "buyer_email", "client_email_2")),
        *((name, "***") for name in ("email_address", "adresse_mail", "given_name", "familyName", "address_line_1")),
        *((name, "***") for name in ("buyerName", "cardHolderName", "account_holder", "user_name", "Nom Acheteur")),
        *((name, "***") for name in ("payers", "beneficiary", "Bénéficiaires", "subscriber", "owner_city", "payeur")),
    ],
)
def test_S10_a_field_is_known_however_its_name_is_written(name, hidden):
    assert masker().mask({name: "+22890123456", "gateway": {"name": "Flooz"}}) == {
        name: hidden,
        "gateway": {"name": "Flooz"},
    }
    assert masker("drop").mask({name: "+22890123456"}) == {}


@pytest.mark.parametrize("name", ["bill_url", "callbackUrl"])
def test_S10_an_address_tells_no_customer_in_its_parameters(name):
    address = "https://shop.test/back/90123456?id=90123456&tel={}&client_nom={}"
    address += "&client%5Blastname%5D={}&payer[name]={}&contact={}&ok=1#phone=1"
    masked = masker().mask({name: address.format("%2B22890123456", *["KOSSI"] * 4)})
    assert masked == masker().mask(masked) == {name: address.format("******56", *["***"] * 4)}
    assert masker("keep").mask({name: address}) == {name: address}


@pytest.mark.parametrize("name", ["error_message", "statusDescription", "payment.note", "failure_reason", "Motif"])
def test_S10_a_free_text_is_known_by_the_end_of_its_name(name):
    record = {name: "Solde de Canarylast, 90 12 34 56, insuffisant", "client": {"lastname": "CANARYLAST"}}
    assert masker().mask(record)[name] == "Solde de ***, ******56, insuffisant"
    assert masker().forget(record)[name] == "***"


@pytest.mark.parametrize("who", ["buyer", "payers", "Beneficiaries", "card_holder", "user", "owner", "destinataire"])
def test_S10_whoever_a_person_is_called_nothing_inside_is_told(who):
    person = {"name": "KOSSI", "phone": "+22890123456", "id": "TG-123"}
    hidden = {"name": "***", "phone": "******56", "id": "***", "client_key": key_of("22890123456")}
    for whole, masked in ((person, hidden), ([person], [hidden])):
        record = {who: whole, "gateway": {"name": "Flooz", "reference": "G-1", "user_reference": "U-1"}}
        assert masker().mask(record) == masker().mask(masker().mask(record)) == record | {who: masked}
    assert masker().forgetting("90123456").is_forgotten({who: [hidden]})


@pytest.mark.parametrize(
    "name",
    [
        *("client_reference", "customerKind", "email_count", "reference_client", "user_reference", "holder_id"),
        *("userAgent", "ownership", "placeholder", "shareholder", "buyer_kind", "abonnement", "contactless"),
    ],
)
def test_S10_a_field_that_is_not_personal_stays(name):
    assert masker().mask({name: "CMD-1"}) == masker("drop").mask({name: "CMD-1"}) == {name: "CMD-1"}


def test_S10_a_masked_record():
    assert masker().mask(RECORD) == {
        "order_reference": "SANDBOX-1",
        "amount": "1500",
        "description": "For ***, call ******42",
        "client": {
            "phone": "******42",
            "lastname": "***",
            "firstname": "***",
            "city": "***",
            "age": "***",
            "vip": True,
            "client_key": key_of("22800004242"),
        },
        "payments": [
            {
                "amount": 1500,
                "phone": "******42",
                "payer": {"name": "***", "msisdn": "******42", "client_key": key_of("22800004242")},
            }
        ],
        "email": "***",
    }


def test_S10_dropped_leaves_no_trace_of_the_customer():
    assert masker("drop").mask(RECORD) == {
        "order_reference": "SANDBOX-1",
        "amount": "1500",
        "description": "For ***, call ***",
        "client": {},
        "payments": [{"amount": 1500, "payer": {}}],
    }


def test_S10_kept_is_as_it_came_with_the_key_to_count_by():
    kept = masker("keep").mask(RECORD)
    assert kept["client"].pop("client_key") == key_of("22800004242")
    assert kept["payments"][0]["payer"].pop("client_key") == key_of("22800004242")
    assert kept == RECORD


@pytest.mark.parametrize("mode", ["mask", "drop", "keep"])
def test_S10_the_original_is_not_touched(mode):
    record = copy.deepcopy(RECORD)
    masker(mode).mask(record)
    assert record == RECORD


@pytest.mark.parametrize(
    ("client", "masked"),
    [
        (None, None),
        (PHONE, "***"),
        (22800004242, "***"),
        ([PHONE], ["***"]),
        ([{"phone": PHONE}], [{"phone": "******42", "client_key": key_of("22800004242")}]),
        ({"contact": {"phone": PHONE}}, {"contact": {"phone": "******42", "client_key": key_of("22800004242")}}),
        ({"phone": {"number": PHONE}}, {"phone": {"number": "***"}}),
        ({"phone": [PHONE]}, {"phone": ["******42"]}),
        ({"phone": ""}, {"phone": "***"}),
        ({"phone": None}, {"phone": None}),
        ({"phone": "N/A"}, {"phone": "***"}),
        ({"phone": "123"}, {"phone": "***", "client_key": key_of("123")}),
        ({"Phone": PHONE}, {"Phone": "******42", "client_key": key_of("22800004242")}),
        ({"tel": "N/A", "phone": PHONE}, {"tel": "***", "phone": "******42", "client_key": key_of("22800004242")}),
        ({"phone": {}, "tel": PHONE}, {"phone": {}, "tel": "******42", "client_key": key_of("22800004242")}),
        ({"phone": True, "tel": PHONE}, {"phone": True, "tel": "******42", "client_key": key_of("22800004242")}),
        ({}, {}),
    ],
    ids=lambda v: json.dumps(v)[:60],
)
def test_Y8_S10_whatever_the_client_is_it_is_hidden(client, masked):
    assert masker().mask({"client": client}) == {"client": masked}


@pytest.mark.parametrize(
    ("record", "masked"),
    [
        ({"client": {PHONE: "Afi"}}, {"client": {"******42": "***"}}),
        ({"client": {"a": {"00004242": True}}}, {"client": {"a": {"******42": True}}}),
        ({"note": {"00004242": 7}}, {"note": {"******42": 7}}),
        ({"sums": {PHONE: 500, "+22890004242": 700}}, {"sums": {"******42": 500, "******42 (2)": 700}}),
        ({"x": [{"228 90 00 42 42": {"nom": "Afi"}}]}, {"x": [{"******42": {"nom": "***"}}]}),
        ({"sums": {"20260302": 5, "CMD-2026-0042": 7}}, {"sums": {"20260302": 5, "CMD-2026-0042": 7}}),
    ],
    ids=repr,
)
def test_S10_a_phone_that_is_a_name_is_hidden_and_no_value_is_lost(record, masked):
    assert masker().mask(record) == masked == masker().mask(masked)
    assert masker("keep").mask(record) == record
    forgotten = masker("keep").forgetting(PHONE).forget(masker("keep").mask(record))
    assert "4242" not in json.dumps([masker("drop").mask(record), forgotten]) and "*42" not in json.dumps(forgotten)


def test_S10_the_fields_of_bills_name_no_phone(shop):
    shop.bill("B-1")
    shop.spoil("B-1", set={"contacts": {PHONE: {"amount": 5}}})
    shop.sync()
    fields = str(shop.rows("select field from core.api_fields"))
    assert "contacts." in fields and "4242" not in fields and "4242" not in str(shop.payload("B-1"))


@pytest.mark.parametrize("field", ["Client", "customer", "PAYER"])
def test_S10_other_names_of_the_customer(field):
    assert masker().mask({field: {"nickname": "Afi"}}) == {field: {"nickname": "***"}}


@pytest.mark.parametrize("field", ["phone", "MSISDN", "email", "Lastname", "address1", "customer_name", "city"])
def test_S10_personal_fields_are_hidden_wherever_they_are(field):
    hidden = masker().mask({"a": [{"b": {field: PHONE}}]})["a"][0]["b"]
    assert hidden == {field: "******42" if field in ("phone", "MSISDN") else "***"}
    assert masker("drop").mask({"a": [{"b": {field: PHONE}}]}) == {"a": [{"b": {}}]}


def test_S10_of_the_many_things_in_a_list_each_is_looked_at():
    """Two lists of the same items in another order, and one where only the last item names somebody."""
    items = [1, {"phone": PHONE}, {"b": 2}, [{"nom": "Afi"}], {"description": PHONE}]
    hidden = [1, {"phone": "******42"}, {"b": 2}, [{"nom": "***"}], {"description": "******42"}]
    assert masker().mask({"a": items, "b": items[::-1]}) == {"a": hidden, "b": hidden[::-1]}
    assert masker().mask([{"b": 1}, {"b": 1}, {"phone": PHONE}]) == [{"b": 1}, {"b": 1}, {"phone": "******42"}]


def test_S10_an_address_in_parts_is_hidden_in_all_its_parts():
    assert masker().mask({"address": {"street": "Rue X", "lines": ["Lomé"]}}) == {
        "address": {"street": "***", "lines": ["***"]}
    }
    assert masker("drop").mask({"address": {"street": "Rue X"}}) == {"address": {}}


PHONES_IN_TEXT = [
    *("+22800004242", "+228 00 00 42 42", "+228.00.00.42.42", "+228-00-00-42-42", "00 00 42 42", "00004242"),
    *("22800004242", "228 00004242", "0022800004242", "00228 00 00 42 42"),
    *("00\u00a000\u00a042\u00a042", "+228\u202f00\u202f00\u202f42\u202f42", "+33 0 00 00 42 42", "00-00-42-42"),
]


@pytest.mark.parametrize("phone", PHONES_IN_TEXT, ids=ascii)
@pytest.mark.parametrize("text", ["call {} please", "{}", "({})", "tel:{}.", "{}, 1500 F"])
def test_S10_phones_in_free_text_are_hidden(phone, text):
    description = {"description": text.format(phone)}
    assert masker().mask(description) == {"description": text.format("******42")}
    assert masker("drop").mask(description) == {"description": text.format("***")}
    assert masker("keep").mask(description) == description


@pytest.mark.parametrize(
    "text",
    [
        *("Order 12345, 1500 F", "CMD-0002", "1234567 and 123456789", "", "Ünï 😀", "SANDBOX-EX0002", "10:30"),
        *("15 000 F", "du 3 au 12 mars", "123456789012", "12/03/2026", "1/12/34/56/7890"),
    ],
)
def test_S10_other_text_stays(text):
    assert masker().mask({"description": text}) == {"description": text}


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        (22890004242, "******42"),
        (Decimal("22890004242.0"), "******42.0"),
        ({"text": "call +228 00 00 42 42", "no": 90004242}, {"text": "call ******42", "no": "******42"}),
        ([{"fr": {"title": "tel 00004242"}}, 90004242, 7], [{"fr": {"title": "tel ******42"}}, "******42", 7]),
        ({"amount": 1500, "ok": True, "client": "Afi"}, {"amount": 1500, "ok": True, "client": "***"}),
    ],
    ids=repr,
)
def test_S10_free_text_that_is_a_number_or_in_parts_is_hidden_as_well(value, masked):
    assert masker().mask({"description": value}) == {"description": masked}
    assert "42" not in json.dumps(masker("drop").mask({"description": value}), default=str)
    assert masker("keep").mask({"description": value}) == {"description": value}


@pytest.mark.parametrize(
    "name", ["client_note", "MESSAGE_CLIENT", "customerComment", "notes", "commentaire", "comments"]
)
def test_S10_a_free_text_is_known_however_its_name_is_written(name):
    assert masker().mask({name: "call 00 00 42 42"}) == {name: "call ******42"}


@pytest.mark.parametrize("value", [None, True, 7, Decimal("1.5"), [], {}], ids=repr)
def test_S10_what_is_no_text_stays(value):
    assert masker().mask({"description": value, "amount": value}) == {"description": value, "amount": value}


@pytest.mark.parametrize("record", [None, "text", 7, [], ["a"]], ids=repr)
def test_S10_a_record_that_is_no_object_passes(record):
    assert masker().mask(record) == record


@pytest.mark.parametrize(
    ("record", "masked"),
    [
        (f"B-1;{PHONE};1500", "B-1;******42;1500"),
        (22800004242, "******42"),
        (["B-1", PHONE, 1500], ["B-1", "******42", 1500]),
        ([["call 00004242"], {"amount": 1500, "x": PHONE}], [["call ******42"], {"amount": 1500, "x": "******42"}]),
    ],
    ids=repr,
)
def test_S10_of_a_record_that_is_no_object_nobody_knows_what_is_what(record, masked):
    assert masker().mask(record) == masked
    assert "42" not in json.dumps(masker("drop").mask(record))
    assert masker("keep").mask(record) == record


names = st.sampled_from(["client", "phone", "lastname", "payments", "payer", "email", "note", "amount", "x"])
CANARY = "CANARY"


def nested(leaves):
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=12
    )


@derandomized
@given(nested(st.sampled_from([CANARY, PHONE, 22800004242, None, True])))
def test_S10_nothing_inside_a_client_survives(inside):
    for mode in ("mask", "drop"):
        text = json.dumps(masker(mode).mask({"client": inside}))
        assert CANARY not in text and "228" not in text.replace(key_of("22800004242"), "")


@derandomized
@given(nested(st.none() | st.booleans() | st.integers() | st.text()))
def test_S10_masking_keeps_the_shape_and_is_stable(value):
    masked = masker().mask(value)
    assert masker().mask(value) == masked
    assert masker().mask(json.loads(json.dumps(value))) == masked
    if isinstance(value, dict):
        assert set(masked) - {"client_key"} == set(value) - {"client_key"}


@pytest.mark.parametrize(
    "phone",
    [PHONE, "22800004242", "0022800004242", "00004242", "00 00 42 42", "+228 00-00-42-42", "(+228) 00.00.42.42"],
)
def test_S11_a_customer_has_one_key_however_the_phone_is_written(phone):
    assert masker().client_key(phone) == key_of("22800004242")


@pytest.mark.parametrize(
    "phone",
    [
        *(PHONE, 22800004242, "22800004242.00", "+２２８００００４２４２"),
        *(Decimal("22800004242.0"), Decimal("228000042420E-1"), Decimal("2.2800004242E10")),
    ],
    ids=ascii,
)
def test_S11_a_customer_has_one_key_whatever_number_or_digits_the_phone_is(phone):
    client = masker().mask({"client": {"phone": phone}})["client"]
    assert client["client_key"] == key_of("22800004242")
    assert client["phone"] == "******42"
    kept = masker("keep").mask({"client": {"phone": phone}})
    stored = record_of(payload(kept))
    assert masker("keep").mask(stored) == stored, "the same again once it is stored"


@derandomized
@given(st.integers(0, 10**8 - 1), st.integers(0, 10**8 - 1))
def test_S11_two_phones_have_two_keys(one, other):
    keys = {masker().client_key(f"+228{number:08}") for number in (one, other)}
    assert len(keys) == len({one, other})


def test_S11_the_hash_is_keyed():
    """With the phone alone nobody can find the hash: not plain, not salted with what is in the file."""
    digits = "22800004242"
    keys = {masker(key=k).client_key(PHONE) for k in (b"one", b"two", KEY)}
    assert len(keys) == 3
    plain = {
        getattr(hashlib, name)(text.encode()).hexdigest()[:32]
        for name in ("md5", "sha1", "sha256")
        for text in (digits, PHONE)
    }
    assert not keys & plain
    assert all(len(k) == 32 and not k.isdecimal() for k in keys)


def test_S11_neither_repr_nor_fingerprint_tells_the_key():
    for text in (repr(masker()), str(masker()), masker().fingerprint):
        assert KEY.decode() not in text and KEY.hex() not in text
    assert masker().fingerprint == masker("keep").fingerprint != masker(key=b"other").fingerprint
    assert len(masker().fingerprint) == 16


@pytest.mark.parametrize("mode", ["mask", "drop"])
@pytest.mark.parametrize("before", ["mask", "keep", "drop"])
def test_S10_what_is_stored_can_be_masked_again(before, mode):
    """As after a change of CASHPAY_PII: a stricter mode applies, and what is hidden stays as it is."""
    stored = json.loads(json.dumps(masker(before).mask(RECORD), sort_keys=True))
    assert masker(mode).mask(stored) == (stored if before == "drop" else again(mode, before))
    assert masker("keep").mask(stored) == stored


def again(mode, before):
    masked = masker(mode).mask(RECORD)
    return masked | {"description": "For ***, call ******42"} if before == "mask" else masked


@pytest.mark.parametrize("key", ["Afi EXEMPLE", PHONE, 7, None, ["Afi"]])
def test_S10_a_key_of_somebody_elses_making_is_hidden(key):
    masked = masker().mask({"client": {"phone": "******42", "client_key": key}})
    assert masked["client"]["phone"] == "******42" and masked["client"]["client_key"] in ("***", None, ["***"])


@pytest.mark.parametrize("written", ["33612345678", "+33612345678", "0033612345678", "+33 6-12-34-56-78"])
def test_S12_a_phone_of_another_country_is_gone_from_references(written):
    assert masker().forgetting("+33 6 12 34 56 78").forget({"reference": f"CMD-{written}-2"}) == {
        "reference": "CMD-***-2"
    }


@pytest.mark.parametrize(
    ("phone", "reference", "left"),
    [
        *((PHONE, f"CMD {written}/7", "CMD ***/7") for written in ("00004242", "+228 00 00 42 42", "0022800004242")),
        *((PHONE, f"12 {written} 3", "12 *** 3") for written in ("00.00-42 42", "228 00004242", "22800004242")),
        ("+33612345678", "5-0033-6 12 34 56 78-9", "5-***-9"),
        *((PHONE, text, text) for text in ("100004242", "00004243", "00 00 42 4")),
    ],
)
def test_S12_a_forgotten_phone_is_known_by_its_key_in_references_of_a_record_without_it(phone, reference, left):
    forgetting = masker().forgetting(phone)
    assert forgetting.forget({"code": [reference]}) == {"code": [left]}


def test_S12_a_long_text_of_digits_is_looked_through_quickly():
    text = "1 2-" * 20_000
    assert masker().forgetting(PHONE).forget({"code": text}) == {"code": text}


def test_S12_keys_money_and_other_numbers_stay_in_a_forgotten_record():
    kept = {"order_reference": PHONE, "orderNum": 4242, "amount": 22800004242, "received_amount": "00004242"}
    kept |= {"merchant_reference": "100004242", "code": "00004242-1", "payments": [{"amount": 4242}], "ok": True}
    assert masker().forgetting(PHONE).forget(kept) == kept | {"code": "***-1"}


def test_S11_the_typed_columns_of_a_masked_bill():
    record = {"order_reference": "A", "state": "Pending", "amount": 1, "currency": "XOF", "client": {"phone": PHONE}}
    for mode, expected in {
        "mask": [key_of("22800004242"), "******42"],
        "keep": [key_of("22800004242"), PHONE],
        "drop": [None, None],
    }.items():
        bills = normalize_bills([masker(mode).mask(record)]).bills()
        assert bills[["client_key", "client_phone_masked"]].values.tolist() == [expected]


def test_S11_the_key_is_made_once_for_its_owner_alone(tmp_path):
    folder = tmp_path / "new" / "data"
    key = load_key(None, folder)
    assert key == load_key(None, folder) == load_key(SecretStr(""), folder)
    assert len(bytes.fromhex(key.decode())) == 32
    assert stat.S_IMODE((folder / "pii.key").stat().st_mode) == 0o600
    assert [f.name for f in folder.iterdir()] == ["pii.key"]
    assert load_key(None, tmp_path / "other") != key


def test_S11_a_key_from_the_settings_wins_and_touches_no_disk(tmp_path):
    assert load_key(SecretStr("from settings"), tmp_path / "data") == b"from settings"
    assert not (tmp_path / "data").exists()


def test_S11_what_a_killed_start_left_is_cleared(tmp_path):
    (tmp_path / "pii.new").write_text("half")
    assert len(load_key(None, tmp_path)) == 64
    assert [f.name for f in tmp_path.iterdir()] == ["pii.key"]


@pytest.mark.parametrize("content", ["", " \n"], ids=repr)
def test_S11_an_empty_key_is_refused(content, tmp_path):
    (tmp_path / "pii.key").write_text(content)
    with pytest.raises(WarehouseError, match="empty") as caught:
        load_key(None, tmp_path)
    assert str(tmp_path / "pii.key") in str(caught.value.where)


def test_S11_a_key_that_cannot_be_read_is_a_clear_error(tmp_path):
    (tmp_path / "pii.key").mkdir()
    with pytest.raises(WarehouseError, match="cannot be used"):
        load_key(None, tmp_path)


CANARIES = ["CANARYLAST", "Canaryfirst", "canary@", "22800004242", "00004242", "00 00 42 42", "Rue Canari"]


def canary_bill(shop, reference="SANDBOX-1", **fields):
    client = {"phone": PHONE, "lastname": "CANARYLAST", "firstname": "Canaryfirst", "email": "canary@example.test"}
    description = "call +228 00 00 42 42 or 00004242 or 0022800004242"
    shop.bill(reference, client=client | {"address1": "Rue Canari 1"}, description=description, **fields)


def everything_written(folder):
    return b"".join(f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file())


@pytest.mark.parametrize("pii", ["mask", "drop"])
def test_S10_no_file_no_output_no_error_holds_the_customer(pii, shop, tmp_path, capfd, caplog):
    """Good rows, rows set aside, history, and the text of a stop: none names the customer."""
    caplog.set_level("DEBUG")
    canary_bill(shop, state="Paid")
    for n in range(5):
        canary_bill(shop, f"BAD-{n}")
    shop.bill("LAST")
    shop.spoil("BAD-0", set={"amount": "12 000"})
    shop.sync(pii=pii)
    canary_bill(shop, amount=1800)
    shop.sync("refresh", pii=pii)
    shop.spoil(*(f"BAD-{n}" for n in range(5)), path="/orders", set={"amount": "x"})
    with pytest.raises(CashpayError) as caught:
        shop.sync(pii=pii)
    seen = capfd.readouterr()
    texts = [repr(caught.value), str(caught.value), str(caught.value.__dict__), seen.out, seen.err, caplog.text]
    stored = everything_written(tmp_path)
    assert b"BAD-0" in stored
    assert [c for c in CANARIES if c.encode() in stored or any(c in t for t in texts)] == []


def test_S11_the_key_is_in_no_file_but_its_own(shop, tmp_path):
    canary_bill(shop)
    shop.sync()
    key_file = shop.settings.data_folder / "pii.key"
    key = key_file.read_text().strip()
    key_file.rename(tmp_path.parent / f"{tmp_path.name}.key")
    stored = everything_written(tmp_path)
    assert key.encode() not in stored and bytes.fromhex(key) not in stored
    with pytest.raises(GuardError, match="key"):
        shop.sync()


def test_S10_dropped_columns_are_empty_in_the_warehouse(shop):
    canary_bill(shop)
    shop.sync(pii="drop")
    assert shop.bills("client_key", "client_phone_masked", "description") == [(None, None, "call *** or *** or ***")]
    assert shop.payload()["client"] == {}


@pytest.mark.parametrize(("before", "now"), [("keep", "drop"), ("mask", "drop"), ("keep", "mask")])
def test_S10_a_stricter_setting_holds_for_all_that_is_stored_from_then_on(before, now, shop):
    """Also for what a poorer reading does not mention, and stays."""
    canary_bill(shop)
    shop.bill("SANDBOX-2", client={"phone": PHONE, "lastname": "CANARYLAST"})
    shop.spoil("SANDBOX-1", "SANDBOX-2", set={"email": "canary@example.test"})
    shop.sync(pii=before)
    ((key,), (_,)) = shop.bills("client_key")
    canary_bill(shop, state="Paid")
    shop.bill("SANDBOX-2", state="Paid")
    shop.spoil("SANDBOX-2", delete=["client"])
    shop.sync(pii=now)
    for reference in ("SANDBOX-1", "SANDBOX-2"):
        text = json.dumps(shop.payload(reference))
        assert [c for c in CANARIES if c in text] == [] and (key in text) == (now == "mask")
    expected = (key, "******42") if now == "mask" else (None, None)
    assert shop.bills("client_key", "client_phone_masked") == [expected] * 2
    again = shop.sync(pii=now)
    assert (again.bills_changed, again.bills_new) == (0, 0)


@pytest.mark.parametrize("now", ["mask", "drop"])
def test_S10_a_rebuild_applies_a_stricter_setting_to_all_that_is_stored(now, shop):
    canary_bill(shop)
    canary_bill(shop, "BAD")
    shop.spoil("BAD", set={"amount": "12 000"})
    shop.sync(pii="keep")
    canary_bill(shop, state="Paid")
    shop.sync(pii="keep")
    money = "order_reference", "amount", "received_amount", "state", "version", "paid_after", "paid_before"
    before, versions = shop.bills(*money), "select order_reference, version, state from core.bill_versions order by all"
    history = shop.rows(versions)

    rebuild(shop.settings.model_copy(update={"pii": now}))

    stored = b"".join(f.read_bytes() for f in shop.settings.data_folder.iterdir() if f.suffix == ".duckdb")
    assert [canary for canary in CANARIES if canary.encode() in stored] == []
    assert (shop.bills(*money), shop.rows(versions)) == (before, history)
    again = shop.sync(pii=now)
    assert (again.bills_changed, again.bills_new, len(shop.issues())) == (0, 0, 1)


def test_S12_a_customer_whose_first_phone_is_none_can_be_forgotten(shop):
    shop.bill("A")
    shop.spoil("A", set={"client": {"tel": "-", "mobile": PHONE, "lastname": "CANARYLAST"}})
    shop.sync(pii="keep")
    forget(shop.settings.model_copy(update={"pii": "keep"}), PHONE)
    assert [c for c in CANARIES if c in json.dumps(shop.payload("A"))] == []


def test_S11_one_customer_with_two_bills_has_one_key_in_the_warehouse(shop):
    canary_bill(shop, "A")
    shop.bill("B", client={"phone": "00 00 42 42"})
    shop.bill("C", client={"phone": "+22800004243"})
    shop.sync()
    keys = [key for (key,) in shop.bills("client_key")]
    assert keys[0] == keys[1] != keys[2]
    assert shop.bills("client_phone_masked") == [("******42",), ("******42",), ("******43",)]
