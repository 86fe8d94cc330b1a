"""The control API under `/_simulator/`: look behind the scenes and pull the strings."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from cashpay_pipeline.simulator.callbacks import claims_of
from cashpay_pipeline.simulator.edits import put_bill
from cashpay_pipeline.simulator.faults import KINDS, Rule, parse_rules
from cashpay_pipeline.simulator.help_page import control_help
from cashpay_pipeline.simulator.login import json_body
from cashpay_pipeline.simulator.options import SimulatorOptions, parse_moment
from cashpay_pipeline.simulator.replies import json_reply
from cashpay_pipeline.simulator.script import Script, find_bill
from cashpay_pipeline.simulator.switches import describe_switches
from cashpay_pipeline.simulator.universe import Universe
from cashpay_pipeline.simulator.wire import Reply, Request
from cashpay_pipeline.simulator.wire_forms import shown_state

CONTROL_PATH = "/_simulator"
_STEPS = ("days", "hours", "minutes", "seconds", "weeks", "milliseconds", "microseconds")


def control(universe: Universe, request: Request) -> Reply:
    """Answer one request to the control API; 400 with a plain `message` if it cannot be done."""
    name, _, argument = request.path.removeprefix(f"{CONTROL_PATH}/").partition("/")
    action = _ACTIONS.get((request.method, name))
    if action is None:
        return json_reply({"message": f"no {request.method} {request.path}; see {CONTROL_PATH}/help"}, 404)
    body = json_body(request)
    if request.body and body is None:
        return json_reply({"message": "the body is not JSON"}, 400)
    try:
        return json_reply(
            action(universe, body if body is not None else {}, {**request.query, "argument": unquote(argument)})
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return json_reply({"message": str(error)}, 400)


def _truth(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    account = universe.account(query.get("account"))
    now = universe.now()
    bills = account.world.truth()
    for bill in bills:
        bill["state"] = shown_state(bill, universe.switches)
    return {"now": now.isoformat(), "bills": bills, "gateways": account.world.gateways.listed(now)}


def _history(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    account = universe.account(query.get("account"))
    return {"now": universe.now().isoformat(), "bills": account.world.history()}


def _show_clock(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    return {"now": universe.now().isoformat(), "frozen": universe.clock.is_frozen, "dial": universe.dial.path}


def _set_clock(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    unknown = sorted(set(body) - {*_STEPS, "set", "frozen"})
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}; known are: set, frozen, {', '.join(_STEPS)}")
    if "set" in body:
        universe.clock.set(parse_moment(body["set"]))
    if "frozen" in body:
        universe.clock.freeze() if body["frozen"] else universe.clock.thaw()
    universe.clock.advance(timedelta(**{name: body[name] for name in _STEPS if name in body}))
    universe.changed()
    return _show_clock(universe, body, query)


def _show_switches(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    return {"switches": universe.switches.as_json(), "about": describe_switches()}


def _set_switches(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    universe.switches = universe.switches.changed(body)
    return {"switches": universe.switches.as_json()}


def _show_faults(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    return {"kinds": KINDS, "rules": [_rule_as_json(rule) for rule in universe.rules]}


def _set_faults(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    """Replace the rules; the reply tells how often the old ones struck."""
    before = [_rule_as_json(rule) for rule in universe.rules]
    universe.rules = parse_rules(body if isinstance(body, list) else body.get("rules", []))
    return {"rules": len(universe.rules), "before": before}


def _rule_as_json(rule: Rule) -> dict[str, Any]:
    return {one.name: getattr(rule, one.name) for one in fields(rule)}


def _set_script(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    steps = body if isinstance(body, list) else body.get("steps", [])
    universe.script = Script(steps)
    return {"steps": len(steps)}


def _put_bill(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    account = universe.account(query.get("account"))
    now = universe.now()
    known = account.world.get(str(body.get("order_reference")))
    if known is not None:
        universe.callbacks.watch(account, known, now)
    bill = put_bill(account, now, body)
    if known is None:
        universe.callbacks.watch(account, bill, now)
    universe.changed()
    return bill.content(now, account.world.gateways)


def _delete_bill(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    account = universe.account(query.get("account"))
    universe.now()
    bill = find_bill(account, query["argument"])
    account.world.delete(bill)
    universe.changed()
    return {"deleted": bill.reference}


def _put_gateway(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    account = universe.account(query.get("account"))
    record = account.world.gateways.put(universe.now(), body.get("reference"), body)
    universe.changed()
    return record


def _show_log(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    return {"requests": universe.log.entries()}


def _clear_log(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    universe.log.clear()
    return {"requests": 0}


def _send_callback(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    account = universe.account(query.get("account"))
    now = universe.now()
    claims = body.get("claims") or claims_of(account, find_bill(account, body["order_reference"]), now)
    universe.callbacks.send(body["url"], account, claims, body.get("kind", "valid"))
    return {"queued": claims}


def _show_callbacks(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    return {"sent": universe.callbacks.results()}


def _forget_tokens(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    universe.account(query.get("account")).access.forget_tokens()
    return {"tokens": 0}


def _reset(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    """Begin a new world; what is not said stays as it was when the simulator started."""
    launched = universe.launched
    allowed = {"seed", "days", "bills_per_day", "start", "frozen", "accounts", "switches"}
    unknown = sorted(set(body) - allowed)
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}; known are: {', '.join(sorted(allowed))}")
    asked = dict(body)
    asked["switches"] = {**launched.switches, **asked.get("switches", {})}
    asked["accounts"] = tuple(asked.get("accounts", launched.accounts))
    if isinstance(asked.get("start"), str):
        asked["start"] = parse_moment(asked["start"])
    options: SimulatorOptions = replace(launched, **asked)
    universe.begin(options)
    return _show_clock(universe, body, query)


def _help(universe: Universe, body: Any, query: dict[str, str]) -> Any:
    return control_help()


_Action = Callable[[Universe, Any, dict[str, str]], Any]

_ACTIONS: dict[tuple[str, str], _Action] = {
    ("GET", "truth"): _truth,
    ("GET", "history"): _history,
    ("GET", "clock"): _show_clock,
    ("POST", "clock"): _set_clock,
    ("GET", "switches"): _show_switches,
    ("POST", "switches"): _set_switches,
    ("GET", "faults"): _show_faults,
    ("POST", "faults"): _set_faults,
    ("POST", "script"): _set_script,
    ("POST", "bills"): _put_bill,
    ("DELETE", "bills"): _delete_bill,
    ("POST", "gateways"): _put_gateway,
    ("GET", "log"): _show_log,
    ("DELETE", "log"): _clear_log,
    ("POST", "callbacks"): _send_callback,
    ("GET", "callbacks"): _show_callbacks,
    ("DELETE", "tokens"): _forget_tokens,
    ("POST", "reset"): _reset,
    ("GET", "help"): _help,
}
