"""The help that a running simulator gives: as a page at `/` and as JSON at `/_simulator/help`."""

import html
from typing import Any

from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.faults import KINDS
from cashpay_pipeline.simulator.switches import describe_switches

_API = {
    "POST /api/auth": "log in: username, password, client_id, client_secret as JSON; gives a bearer token",
    "POST /api/ping": "try the credentials",
    "GET /api/gateways": "the payment gateways",
    "GET /api/orders?page=1&limit=20": "the bills, newest first",
    "GET /api/orders/{order_reference}": "one bill",
    "GET /api/orders/{order_reference}/status": "its state",
    "POST /api/orders": 'make a bill, e.g. {"amount": 1500, "client": {"phone": "+22800000001"}}',
}

_CONTROL = {
    "GET truth": "every bill and gateway as it is now, in canonical form",
    "GET history": "when state or money of each bill changed",
    "GET clock": "the simulated time",
    "POST clock": '{"days": 1} moves time; {"set": "2026-11-24T09:00:00Z"}; {"frozen": true}',
    "GET switches": "how the API answers what its documentation leaves open",
    "POST switches": '{"envelope": "bare"}',
    "GET faults": "the rules in force and how often they struck",
    "POST faults": '[{"path": "/orders", "page": 3, "kind": "reply", "status": 503, "times": 2}]; [] ends all',
    "POST script": '[{"at_request": 3, "when": "after", "do": [{"put": {"amount": 500}}, {"delete": "@-1"}]}]',
    "POST bills": '{"order_reference": "...", "state": "Paid"} changes a bill; without a reference it makes one',
    "DELETE bills/{ref}": "removes a bill",
    "POST gateways": '{"reference": "...", "libelle": "New name"}; {"libelle": "Another"}; {"removed": true, ...}',
    "GET log": "the API requests so far, without secrets",
    "DELETE log": "forgets them",
    "POST callbacks": '{"order_reference": "...", "url": "http://...", "kind": "valid|other_key|unsigned|altered"}',
    "GET callbacks": "what became of callbacks",
    "DELETE tokens": "makes every token invalid",
    "POST reset": '{"seed": 2, "days": 30, "bills_per_day": 100, "start": "...", "frozen": true, "switches": {}}',
    "GET help": "this, as JSON",
}

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #ddd }
code, pre { font: 14px/1.5 ui-monospace, monospace; background: #f5f5f5 } pre { padding: .8rem; overflow-x: auto }
"""


def control_help() -> dict[str, Any]:
    """Return what the simulator can do, for programs and for the curious."""
    return {"api": _API, "control": _CONTROL, "fault_kinds": KINDS, "switches": describe_switches()}


def help_page(root: str, now: str, bills: int) -> str:
    """Return the page at `/`.

    Args:
        root: Address of the simulator.
        now: The simulated time, as text.
        bills: Number of bills in the main account.
    """
    settings = {f"CASHPAY_{name.upper()}": value for name, value in DEMO_CREDENTIALS.items()}
    env = "\n".join(f"{name}={value}" for name, value in {"CASHPAY_BASE_URL": f"{root}/api", **settings}.items())
    control = {_control_name(name): text for name, text in _CONTROL.items()}
    switches = {
        f"{one['name']} = {one['default'] or repr(one['default'])}": (
            f"{one['question']} {'Values: ' + ', '.join(map(str, one['values'])) + '.' if one['values'] else ''}"
        )
        for one in describe_switches()
    }
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>CashPay simulator</title><style>{_STYLE}</style></head><body>
<h1>CashPay simulator</h1>
<p>A CashPay of your own on this computer. Every bill, customer and credential in it is made up, and no
money moves. It is now <b>{html.escape(now)}</b> here, and there are <b>{bills}</b> bills.</p>
<h2>Settings</h2>
<p>These made-up credentials work here and nowhere else. Use the address with the next four, or the address with the
last three; with both, set <code>CASHPAY_AUTH</code>. Those of another account (<code>--account NAME</code>) are the
same values, each with <code>-NAME</code> behind it.</p>
<pre>{html.escape(env)}</pre>
<h2>Try your checkout</h2>
<p>Make a bill with <code>POST /api/orders</code>, then open its <code>bill_url</code> in a browser: the page
lets you pay, pay in part, fail or cancel. If the bill has a <code>callback_url</code>, it is told.</p>
<h2>The API</h2>
{_table(_API)}
<h2>Behind the scenes</h2>
<p>With more than one account, add <code>?account=NAME</code>.</p>
{_table(control)}
<h2>Switches</h2>
<p>CashPay's documentation leaves much open. Each open question is a switch, here with its present default.</p>
{_table(switches)}
<h2>Faults</h2>
<p>Kinds of fault for <code>POST /_simulator/faults</code>: {html.escape(", ".join(KINDS))}.</p>
</body></html>
"""


def _control_name(name: str) -> str:
    method, _, path = name.partition(" ")
    return f"{method} /_simulator/{path}"


def _table(rows: dict[str, str]) -> str:
    lines = (
        f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(text)}</td></tr>" for name, text in rows.items()
    )
    return f"<table>{''.join(lines)}</table>"
