"""The page behind a new bill's `bill_url`: play the customer and pay, or not."""

import html
from urllib.parse import parse_qs

from cashpay_pipeline.simulator.account import Account
from cashpay_pipeline.simulator.bills import Bill
from cashpay_pipeline.simulator.edits import put_bill
from cashpay_pipeline.simulator.replies import html_reply
from cashpay_pipeline.simulator.universe import Universe
from cashpay_pipeline.simulator.wire import Reply, Request

_CHOICES = {
    "Paid": "Pay in full",
    "Partial": "Pay half of what is open",
    "Excess": "Pay too much",
    "Error": "Let the payment fail",
    "Canceled": "Cancel",
}


def pay_page(universe: Universe, request: Request) -> Reply:
    """Show a bill to its customer, and do what the customer chose."""
    now = universe.now()
    short = request.path.rpartition("/")[2].rpartition("-")[2]
    found = _find(universe, short)
    if found is None:
        return html_reply("<!DOCTYPE html><p>There is no such bill.</p>", 404)
    account, bill = found
    if request.method == "POST":
        choice = parse_qs(request.body.decode("utf-8", "replace")).get("state", [""])[0]
        if choice in _CHOICES:
            universe.callbacks.watch(account, bill, now)
            put_bill(account, now, {"order_reference": bill.reference, "state": choice})
            universe.changed()
    return html_reply(_page(account, bill, universe))


def _find(universe: Universe, short: str) -> tuple[Account, Bill] | None:
    for account in universe.accounts.values():
        bill = account.world.get(f"SANDBOX-{short}")
        if bill is not None:
            return account, bill
    return None


def _page(account: Account, bill: Bill, universe: Universe) -> str:
    content = bill.content(universe.now(), account.world.gateways)
    state = str(content["state"])
    choices = _CHOICES.items() if state in ("Pending", "Partial") else ()
    buttons = "".join(f'<button name="state" value="{name}">{text}</button> ' for name, text in choices)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Bill {html.escape(bill.reference)}</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 36rem; margin: 2rem auto; padding: 0 1rem }}
button {{ font: inherit; padding: .4rem .8rem; margin: .2rem 0 }}</style></head><body>
<h1>{html.escape(str(content["amount"]))} {html.escape(str(content["currency"]))}</h1>
<p>Bill <code>{html.escape(bill.reference)}</code> of the simulator. No money moves.<br>
{html.escape(str(content["description"] or ""))}</p>
<p>State: <b>{html.escape(state)}</b>, received: {html.escape(str(content["received_amount"]))}</p>
<form method="post">{buttons}</form></body></html>
"""
