"""What happens to one seed: a contract, a world, and a list of steps, all plain values that can be printed as JSON."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from killing import MOMENTS

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
FAMILIES = "NHAPY"
TIMED = ("in commit", "in checkpoint", "in close")
CANARY = {"phone": "+22890717273", "lastname": "CANARYLAST", "firstname": "Canaryfirst"}
ODD_STATE = "Bizarre"


@dataclass
class Plan:
    """One seed's story.

    Attributes:
        seed: where it all comes from.
        contract: simulator switches under which the list can be read completely.
        world: how the simulator begins.
        settings: how the pipeline reads.
        real: whether each run is a process and each kill a SIGKILL; else a kill is an exception.
        steps: what happens, in order.
    """

    seed: int
    contract: dict[str, Any]
    world: dict[str, Any]
    settings: dict[str, Any]
    real: bool
    steps: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def make_plan(seed: int) -> Plan:
    random = Random(seed)
    contract = _contract(random)
    slow_shop = random.random() < 0.2
    world = {
        "seed": random.randint(1, 10**6),
        "days": random.randint(40, 90) if slow_shop else random.randint(2, 4),
        "bills_per_day": random.randint(1, 2) if slow_shop else random.randint(12, 40),
    }
    settings = {
        "scheme": random.choice(["oauth2", "oauth2", "cashpay"]),
        "page_size": random.choice([10, 20, 20, 50, 100]),
        "max_in_flight": 3 if random.random() < 0.2 else 1,
        "first_page": 0 if contract.get("paging") == "zero_based" else 1,
        "batch_rows": random.choice([10, 50, 10_000]),
    }
    rate = random.choice([0, 0.02, 0.1, 0.3])
    kills = random.choices(["none", "some", "all"], [20, 50, 30])[0]
    steps: list[dict[str, Any]] = []
    for _ in range(random.randint(2, 5)):
        passed = timedelta(seconds=sum(step["advance"] for step in steps))
        steps.append(_step(random, contract, rate, kills, days=10 if slow_shop else 1.5, begins=START + passed))
    return Plan(seed, contract, world, settings, seed % 5 == 0, steps)


def counts(contract: dict[str, Any]) -> bool:
    """Whether the list tells how many bills there are."""
    return contract.get("total", "right") in ("right", "string") and contract.get("envelope") != "bare"


def _contract(random: Random) -> dict[str, Any]:
    def some(name: str, *values: Any) -> dict[str, Any]:
        return {name: random.choice(values)} if random.random() < 0.3 else {}

    contract: dict[str, Any] = {
        **some("total", "string", "missing", "null", "zero", "stale", "low"),
        **some("envelope", *"bare data_total data_meta embedded orders_count bills results content hydra".split()),
        **some("end", "204", "404", "last_page"),
        **some("order", "oldest_first", "oldest_first", "random", "updated"),
        **some("paging", "zero_based"),
        **some("page_cap", 5, 10, 50),
        **some("size_refused_above", 20, 50),
        **some("date_form", *"space iso_z_ms php_object epoch_s epoch_ms iso_naive".split()),
        **some("amount_form", "int", "float", "decimal_string"),
        **some("received_form", "string", "float", "decimal_string"),
        **some("details_wrapped", True),
        **some("gateways_wrapped", True),
        **some("shuffled_keys", True),
        **some("auth_reply", "201", "json_string", "no_expires_in", "strings"),
        **some("token_expiry", "400_expired", "403"),
        **some("token_life", 60, 600),
        **some("canceled_spelling", "Cancelled", "mixed"),
        **some("state_case", "upper", "lower", "padded"),
    }
    if random.random() < 0.1:
        contract["list_fields"] = "poor"
    if "page_cap" in contract:
        contract |= some("cap_skips_by", "asked")
    if not counts(contract):
        for name, unsafe in (("end", ["last_page"]), ("order", ["random", "updated"])):
            if contract.get(name) in unsafe:
                del contract[name]
    return contract


def _step(
    random: Random, contract: dict[str, Any], rate: float, kills: str, days: float, begins: datetime
) -> dict[str, Any]:
    kinds = ["refresh"] * 5 + ["full_refresh"] * 3 + ["recheck", "publish", "publish", "rebuild", "two"]
    do = random.choice(kinds)
    step: dict[str, Any] = {"do": do, "advance": round(random.random() ** 2 * days * 86_400)}
    family = random.choice(FAMILIES) if rate and random.random() < 0.7 else None
    if family:
        step |= {"family": family, **_faults(random, family, rate)}
    if random.random() < 0.7:
        step["script"] = _script(random, begins + timedelta(seconds=step["advance"]), may_delete=counts(contract))
    if kills == "all" or (kills == "some" and random.random() < 0.5):
        step["death"] = _death(random)
    return step


def _script(random: Random, now: datetime, *, may_delete: bool) -> list[dict[str, Any]]:
    return [
        {
            "at_request": random.randint(1, 9),
            "when": random.choice(["before", "after"]),
            "do": [_change(random, now, may_delete=may_delete)],
        }
        for _ in range(random.randint(1, 8))
    ]


def _change(random: Random, now: datetime, *, may_delete: bool) -> dict[str, Any]:
    place = f"@{random.choice([1, -1]) * random.randint(1, 12)}"
    new = f"CHAOS-{random.randint(0, 10**9):09}"
    luck = random.random()
    if luck < 0.45:
        return {
            "put": {
                "order_reference": place,
                "state": random.choice(["Paid", "Partial", "Excess", "Canceled", "Error"]),
            }
        }
    if luck < 0.55:  # it appears late, with an old date (P14)
        created = now + timedelta(hours=random.choice([-1, -20, -40]))
        return {"put": {"order_reference": new, "date_create": created.isoformat(), "state": "Pending"}}
    if luck < 0.85:
        return {"put": {"order_reference": new, "client": CANARY, "amount": random.randint(1, 10**6)}}
    if luck < 0.93:
        return {"advance": random.randint(1, 4000)}
    return {"delete": place} if may_delete else {"put": {"order_reference": place, "state": "Pending"}}


def _faults(random: Random, family: str, rate: float) -> dict[str, Any]:
    chance = {"probability": rate, "seed": random.randint(1, 10**6), "times": None}
    wait = random.choice([7, 40, 300])
    if family == "P":
        twice = [{"path": "/orders", "kind": "mutate", "mutate": {"twice": True, "every": 3}, **chance}]
        odd: list[dict[str, Any]] = [
            {},
            {"short_page_at": random.randint(1, 4)},
            {"empty_page_at": random.randint(2, 5)},
        ]
        return {"faults": twice, "switches": random.choice(odd)}
    rules: dict[str, list[dict[str, Any]]] = {
        "N": [{"kind": "close"}, {"kind": "truncated", "path": "/orders"}, {"kind": "short_body"}],
        "H": [
            {"status": 500},
            {"status": 502},
            {"status": 503, "retry_after": wait},
            {"status": 429, "retry_after": wait},
            {"status": 429},
            {"kind": "html"},
            {"kind": "error_200"},
            {"kind": "empty_body"},
            {"status": 422, "path": "/orders/{ref}"},
        ],
        "A": [
            {"status": 401, "method": "GET"},
            {"status": 400, "method": "GET", "body": {"code": 400, "message": "Expired token"}},
            {"status": 500, "path": "/auth"},
            {"status": 429, "path": "/auth", "retry_after": wait},
            {"kind": "slow", "seconds": 0, "advance": 400},
        ],
        "Y": [
            {"kind": "mutate", "mutate": {"set": {"amount": "12 000"}, "every": random.randint(1, 40)}},
            {"kind": "mutate", "mutate": {"set_raw": {"amount": "1e400"}, "every": 30}},
            {"kind": "mutate", "mutate": {"delete": ["order_reference"], "every": random.randint(5, 40)}},
            {"kind": "mutate", "mutate": {"set": {"state": ODD_STATE}, "every": random.randint(1, 40)}},
            {"kind": "mutate", "mutate": {"set": {"client": None}, "every": 3}},
            {"kind": "duplicate_key"},
            {"kind": "nan"},
            {"kind": "bom"},
            {"kind": "deep_nesting"},
        ],
    }
    chosen = random.sample(rules[family], random.randint(1, 3))
    return {"faults": [{**rule, **chance} for rule in chosen]}


def _death(random: Random) -> dict[str, Any]:
    if random.random() < 0.5:
        return {"moment": "any", "number": random.randint(1, 90)}
    moment = random.choice(MOMENTS)
    death: dict[str, Any] = {"moment": moment, "number": random.randint(1, 4)}
    if moment in TIMED:
        death["delay"] = random.uniform(0, 0.01)
    return death
