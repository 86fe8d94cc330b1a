"""The world script: changes that land at a chosen moment of a walk through the bill list.

"While the client walks, after it got page 3 and before it asks for page 4, this bill is paid": that is
one step here. Steps are counted in list requests since the script was posted.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cashpay_pipeline.simulator.account import Account
from cashpay_pipeline.simulator.bills import Bill
from cashpay_pipeline.simulator.edits import put_bill


@dataclass(frozen=True)
class Step:
    """What happens at one list request.

    Attributes:
        at_request: Number of the list request, from 1.
        when: `before` or `after` it is served.
        do: Actions in order, each a dict with one key: `{"put": {bill fields}}`, `{"delete": reference}`
            or `{"advance": seconds}`. A reference can also be a place in the list: `@1` is the newest
            bill, `@-1` the oldest.
    """

    at_request: int
    do: list[dict[str, Any]] = field(default_factory=list)
    when: str = "after"

    def __post_init__(self) -> None:
        if self.when not in ("before", "after"):
            raise ValueError(f"a script step happens before or after a request, not {self.when!r}")
        for action in self.do:
            if len(action) != 1 or next(iter(action)) not in ("put", "delete", "advance"):
                raise ValueError(f"a script action is put, delete or advance, not {sorted(action)}")


class Script:
    """The steps that are still to come, and how many list requests there were."""

    def __init__(self, steps: list[dict[str, Any]] | None = None) -> None:
        try:
            self._steps = [Step(**step) for step in steps or []]
        except TypeError as error:
            raise ValueError(f"script step: {error}") from None
        self._requests = 0

    def next_request(self) -> None:
        """Count one more list request."""
        self._requests += 1

    def actions(self, when: str) -> list[dict[str, Any]]:
        """Return the actions due before or after the present list request."""
        due = [step for step in self._steps if step.at_request == self._requests and step.when == when]
        return [action for step in due for action in step.do]


def act(account: Account, now: datetime, action: dict[str, Any]) -> None:
    """Do one `put` or `delete` action.

    Raises:
        ValueError: The bill does not exist.
    """
    if "put" in action:
        fields = dict(action["put"])
        if str(fields.get("order_reference", "")).startswith("@"):
            fields["order_reference"] = find_bill(account, fields["order_reference"]).reference
        put_bill(account, now, fields)
    if "delete" in action:
        account.world.delete(find_bill(account, action["delete"]))


def find_bill(account: Account, reference: str) -> Bill:
    """Return a listed bill by its reference or, as `@n`, by its place from the newest.

    Raises:
        ValueError: There is no such bill.
    """
    if reference.startswith("@"):
        place = int(reference[1:])
        newest_first = account.world.ordered("newest_first")
        if place and -len(newest_first) <= place <= len(newest_first):
            return newest_first[place - 1 if place > 0 else place]
    found = account.world.get(reference)
    if found is None:
        raise ValueError(f"no bill {reference!r}")
    return found
