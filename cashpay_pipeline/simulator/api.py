"""The API itself: from a request, over faults and access, to the resource that answers it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import unquote

from cashpay_pipeline.simulator import orders
from cashpay_pipeline.simulator.account import Account
from cashpay_pipeline.simulator.faults import WHOLE_REPLIES, Place, choose, replacing_reply, spoil
from cashpay_pipeline.simulator.login import BadToken, check_access, identify, log_in
from cashpay_pipeline.simulator.mutations import Mutation
from cashpay_pipeline.simulator.paging import page_number, select_page
from cashpay_pipeline.simulator.replies import Refused, error_reply, json_reply, token_refusal
from cashpay_pipeline.simulator.universe import Universe
from cashpay_pipeline.simulator.wire import Reply, Request

BASE_PATH = "/api"

_Resource = Callable[[Account], Reply]


def answer(universe: Universe, request: Request) -> Reply:
    """Answer one request to the API, and note it in the log."""
    path = request.path.removeprefix(BASE_PATH) or "/"
    template, reference = _template(path)
    account = identify(universe.accounts.values(), request)
    page = page_number(request.query, universe.switches) if template == "/orders" else None
    served = _served(universe, account, request, template, reference)
    place = Place(request.method, unquote(path), template, page, account.name if account else None, served)
    rule, mutations = choose(universe.rules, place)
    if rule and rule.advance:
        universe.clock.advance(timedelta(seconds=rule.advance))
        universe.changed()
    now = universe.now()
    if rule and rule.kind in WHOLE_REPLIES:
        _use_salt(universe, account, request)
        reply = replacing_reply(rule, now)
    else:
        reply = _genuine(universe, account, request, template, reference, mutations)
        reply = spoil(rule, reply) if rule else reply
    universe.log.add(
        now,
        request,
        reply,
        path=place.path,
        template=template,
        account=place.account,
        page=page,
        size=request.query.get(universe.switches.size_param),
        parameters=sorted(request.query),
        fault=rule.kind if rule else None,
    )
    return reply


def _genuine(
    universe: Universe,
    account: Account | None,
    request: Request,
    template: str,
    reference: str,
    mutations: list[Mutation],
) -> Reply:
    resource = (request.method, template)
    methods = _METHODS.get(template)
    if methods is None:
        return error_reply(404, "URL not found", universe.switches)
    if request.method not in methods:
        return error_reply(405, "Method not allowed", universe.switches)
    if template == "/auth":
        return log_in(universe, request)
    try:
        account = check_access(universe, account, request)
    except BadToken as refused:
        return token_refusal(refused.message, universe.switches)
    except Refused as refused:
        return error_reply(refused.status, refused.message, universe.switches)
    if resource == ("GET", "/orders"):
        return _walked(universe, account, request, mutations)
    resources: dict[tuple[str, str], _Resource] = {
        ("POST", "/orders"): lambda caller: orders.create_bill(universe, caller, request),
        ("GET", "/orders/{ref}"): lambda caller: orders.show_bill(universe, caller, reference, mutations),
        ("GET", "/orders/{ref}/status"): lambda caller: orders.show_status(universe, caller, reference),
        ("GET", "/gateways"): lambda caller: _gateways(universe, caller, universe.now(), mutations),
        ("POST", "/ping"): lambda caller: json_reply({"status": "success", "message": "pong"}),
    }
    return resources[resource](account)


_METHODS = {
    "/auth": ("POST",),
    "/ping": ("POST",),
    "/gateways": ("GET",),
    "/orders": ("GET", "POST"),
    "/orders/{ref}": ("GET",),
    "/orders/{ref}/status": ("GET",),
}


def _walked(universe: Universe, account: Account, request: Request, mutations: list[Mutation]) -> Reply:
    """Answer a list request, with the world script's changes before and after it."""
    universe.script.next_request()
    universe.run_script(account, "before")
    reply = orders.list_bills(universe, account, request, mutations)
    universe.run_script(account, "after")
    return reply


def _gateways(universe: Universe, account: Account, now: datetime, mutations: list[Mutation]) -> Reply:
    rows = account.world.gateways.listed(now)
    for mutation in mutations:
        rows = mutation.apply(rows)
    return json_reply({"items": rows} if universe.switches.gateways_wrapped else rows, universe.switches.read_status)


def _template(path: str) -> tuple[str, str]:
    """Return a path with its order reference replaced by `{ref}`, and the reference."""
    parts = path.strip("/").split("/")
    if parts[0] == "orders" and len(parts) == 2:
        return "/orders/{ref}", unquote(parts[1])
    if parts[0] == "orders" and len(parts) == 3 and parts[2] == "status":
        return "/orders/{ref}/status", unquote(parts[1])
    return "/" + "/".join(parts), ""


def _served(
    universe: Universe, account: Account | None, request: Request, template: str, reference: str
) -> frozenset[str]:
    """Return the order references that a reply would hold, if a fault rule needs to know."""
    if account is None or not any(rule.contains for rule in universe.rules):
        return frozenset()
    if (request.method, template) != ("GET", "/orders"):
        return frozenset([reference])
    universe.now()
    try:
        page = select_page(account.world, request.query, universe.switches)
    except Refused:
        return frozenset()
    return frozenset(bill.reference for bill in page.bills)


def _use_salt(universe: Universe, account: Account | None, request: Request) -> None:
    """Count a salt as used although a fault answers: the server has seen it."""
    if account is not None and "salt" in request.headers:
        try:
            account.access.check_headers(request.headers, universe.switches)
        except Refused:
            return
