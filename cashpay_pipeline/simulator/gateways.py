"""The payment gateways of the simulated shop, and how they change over time.

Field names are French, as evidenced (cashpay-api, section 4.3). Labels, ids and UUIDs are made up.
"""

import uuid
from bisect import bisect_right
from datetime import UTC, datetime
from typing import Any

_ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)

_START: tuple[tuple[int, str, str, str, str], ...] = (
    (3, "5b0f6a52-1d7e-4c8a-9a11-000000000003", "Flooz (exemple)", "FLOOZ", "PUSH_USSD"),
    (7, "5b0f6a52-1d7e-4c8a-9a11-000000000007", "Mixx by Yas (exemple)", "MIXX_PUSH", "PUSH_USSD"),
    (12, "5b0f6a52-1d7e-4c8a-9a11-000000000012", "T-Money USSD (exemple)", "MIXX_PUSH", "USSD"),
    (15, "5b0f6a52-1d7e-4c8a-9a11-000000000015", "Carte bancaire (exemple)", "ORABANK-NGO", "DIRECT_URL"),
    (18, "5b0f6a52-1d7e-4c8a-9a11-000000000018", "Banque en ligne (exemple)", "ECOBANK", "MOBILE_APP"),
    (21, "5b0f6a52-1d7e-4c8a-9a11-000000000021", "Bon d'achat (exemple)", "VOUCHER", "DIRECT_URL"),
)

FLOOZ = _START[0][1]
MIXX = _START[1][1]
USSD = _START[2][1]
CARD = _START[3][1]
BANK = _START[4][1]
VOUCHER = _START[5][1]


class GatewayBook:
    """The gateways with their whole history: what was listed at any moment."""

    def __init__(self) -> None:
        self._history: dict[str, list[tuple[datetime, dict[str, Any] | None]]] = {
            reference: [(_ALWAYS, _record(number, reference, label, psp, method))]
            for number, reference, label, psp, method in _START
        }

    def listed(self, now: datetime) -> list[dict[str, Any]]:
        """Return the gateways available at a moment, the oldest first."""
        return [record for reference in self._history if (record := self.at(reference, now))]

    def at(self, reference: str, when: datetime) -> dict[str, Any] | None:
        """Return a gateway as it was at a moment, or None if it was not available."""
        changes = self._history.get(reference, [])
        position = bisect_right(changes, when, key=lambda change: change[0])
        record = changes[position - 1][1] if position else None
        return dict(record) if record else None

    def label(self, reference: str, when: datetime) -> str:
        """Return the name that a gateway had at a moment: a payment keeps the name of its day."""
        record = self.at(reference, when)
        if record is None:
            known = [change for _, change in self._history.get(reference, []) if change]
            record = known[0] if known else {}
        return str(record.get("libelle", ""))

    def put(self, now: datetime, reference: str | None, changed: dict[str, Any]) -> dict[str, Any]:
        """Add a gateway, or change one from now on.

        Args:
            now: The moment of the change.
            reference: The gateway's UUID; None makes up one for a new gateway.
            changed: Fields to set. `removed: true` takes the gateway off the list.

        Returns:
            The gateway's record after the change.
        """
        number = 30 + len(self._history)
        reference = reference or str(uuid.uuid5(uuid.NAMESPACE_URL, f"gateway {number}"))
        fields = {name: value for name, value in changed.items() if name != "removed"}
        before = self.at(reference, now) or _record(number, reference, f"Gateway {number}", "SANDBOX", "USSD")
        after = {**before, **fields}
        changes = self._history.setdefault(reference, [])
        changes.append((now, None if changed.get("removed") else after))
        changes.sort(key=lambda change: change[0])
        return after

    def as_json(self) -> dict[str, Any]:
        """Return the whole history for the state file."""
        return {
            reference: [[at.isoformat(), record] for at, record in changes]
            for reference, changes in self._history.items()
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over the history that `as_json` returned."""
        self._history = {
            reference: [(datetime.fromisoformat(at), record) for at, record in changes]
            for reference, changes in saved.items()
        }


def _record(number: int, reference: str, label: str, psp: str, method: str) -> dict[str, Any]:
    return {
        "id": number,
        "reference": reference,
        "libelle": label,
        "psp": {"libelle": psp, "logo_url": f"https://cdn.example.test/{psp.lower()}.png"},
        "methode": method,
        "currency": "XOF",
        "logo_url": None,
    }
