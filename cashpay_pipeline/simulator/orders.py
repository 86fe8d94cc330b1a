"""The bill resources of the API: list, details, status, create (cashpay-api, section 4)."""

import re
from typing import Any

from cashpay_pipeline.simulator.account import Account
from cashpay_pipeline.simulator.bills import Bill
from cashpay_pipeline.simulator.edits import pay_after, put_bill
from cashpay_pipeline.simulator.login import json_body
from cashpay_pipeline.simulator.mutations import Mutation
from cashpay_pipeline.simulator.paging import envelope, select_page
from cashpay_pipeline.simulator.replies import Refused, error_reply, json_reply
from cashpay_pipeline.simulator.universe import Universe
from cashpay_pipeline.simulator.wire import Reply, Request
from cashpay_pipeline.simulator.wire_forms import bill_record, payments_method

_PHONE = re.compile(r"\+[0-9]{6,15}")
_TEXTS = ("merchant_reference", "description", "callback_url", "redirect_url", "currency")
_ECHOED = ("amount", "merchant_reference", "currency", "description", "client", "callback_url", "terminal")


def list_bills(universe: Universe, account: Account, request: Request, mutations: list[Mutation]) -> Reply:
    """Answer `GET /orders`."""
    switches = universe.switches
    now = universe.now()
    try:
        page = select_page(account.world, request.query, switches)
    except Refused as refused:
        return error_reply(refused.status, refused.message, switches)
    if page.is_past_end and switches.end == "404":
        return error_reply(404, "Page not found", switches)
    if (page.is_past_end or page.found == 0) and switches.end == "204":
        return Reply(204)
    gateways = account.world.gateways
    rows = [bill_record(bill.content(now, gateways), switches, switches.list_fields) for bill in page.bills]
    for mutation in mutations:
        rows = mutation.apply(rows)
    reply = json_reply(envelope(rows, page, account.world, now, switches), switches.read_status)
    reply.facts["rows"] = len(rows)
    return reply


def show_bill(universe: Universe, account: Account, reference: str, mutations: list[Mutation]) -> Reply:
    """Answer `GET /orders/{ref}`."""
    switches = universe.switches
    bill = account.world.get(reference)
    if bill is None:
        return error_reply(404, "Order not found", switches)
    record = _record(universe, account, bill)
    rows = [record]
    for mutation in mutations:
        rows = mutation.apply(rows)
    record = rows[0] if rows else {}
    return json_reply({"items": rows} if switches.details_wrapped else record, switches.read_status)


def show_status(universe: Universe, account: Account, reference: str) -> Reply:
    """Answer `GET /orders/{ref}/status`: the fields that public integrations read from it."""
    bill = account.world.get(reference)
    if bill is None:
        return error_reply(404, "Order not found", universe.switches)
    record = _record(universe, account, bill)
    names = ("order_reference", "state", "amount", "currency")
    return json_reply({name: record.get(name) for name in names}, universe.switches.read_status)


def create_bill(universe: Universe, account: Account, request: Request) -> Reply:
    """Answer `POST /orders`: 201, `status: success` and the bill."""
    switches = universe.switches
    if "json" not in request.headers.get("content-type", ""):
        return error_reply(415, "Content-Type must be application/json", switches)
    asked = json_body(request)
    if not isinstance(asked, dict):
        return error_reply(400, "A JSON object is expected", switches)
    now = universe.now()
    problem = _problem(asked, {gateway["reference"] for gateway in account.world.gateways.listed(now)})
    if problem:
        return error_reply(422, problem, switches)
    fields = {name: asked[name] for name in _ECHOED if name in asked}
    bill = put_bill(account, now, fields, universe.root)
    universe.callbacks.watch(account, bill, now)
    if switches.created_bills == "paid":
        pay_after(bill, now, seconds=30)
    universe.changed()
    record = _record(universe, account, bill)
    ways = {"payments_method": payments_method(bill.content(now, account.world.gateways), switches)}
    return json_reply({"status": "success", "message": "Bill created", **record, **ways}, 201)


def _record(universe: Universe, account: Account, bill: Bill) -> dict[str, Any]:
    content = bill.content(universe.now(), account.world.gateways)
    return bill_record(content, universe.switches, universe.switches.details_fields)


def _problem(asked: dict[str, Any], gateways: set[str]) -> str | None:
    """Return what is wrong with the fields of a new bill (section 4.1), or None."""
    amount, client, gateway = asked.get("amount"), asked.get("client"), asked.get("gateway")
    if not isinstance(amount, int) or isinstance(amount, bool) or amount <= 0:
        return "amount must be a whole number above 0"
    phone = client.get("phone") if isinstance(client, dict) else None
    if not isinstance(phone, str) or not _PHONE.fullmatch(phone):
        return "client.phone must be a number such as +22800000001"
    for name in _TEXTS:
        if not isinstance(asked.get(name, ""), str | None) or len(asked.get(name) or "") > 255:
            return f"{name} must be a text of at most 255 characters"
    if asked.get("currency", "XOF") != "XOF":
        return "currency must be XOF"
    if not (asked.get("callback_url") or "http://").startswith(("http://", "https://")):
        return "callback_url must begin with http:// or https://"
    if isinstance(gateway, dict) and gateway.get("reference") not in gateways:
        return "gateway.reference is not one of the gateways"
    return None
