"""What must be true after every step, told from what the simulator knows. Plain dictionaries; no code of the package.

Each check returns what is wrong, in words, beginning with the invariant's number; nothing wrong is an empty list.
"""

import base64
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from plan import CANARY, ODD_STATE, Plan
from truth import expected_bill, expected_payments, reading

from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS

TABLES = ("accounts", "bills", "bill_versions", "payments", "data_issues", "syncs")
PAID = ("Paid", "Excess")
MOVING = ("Partial", "Excess", "Unknown")
OVERLAP = timedelta(hours=48)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Oracle:
    """Watches one data folder through all steps of a plan.

    Args:
        plan: the story.
        folder: the data folder.
        acknowledged: holds the reference of each bill read, once it was stored.
    """

    def __init__(self, plan: Plan, folder: Path, acknowledged: Path) -> None:
        self.plan, self.folder, self.acknowledged = plan, folder, acknowledged
        self.path = folder / "warehouse.duckdb"
        self.watermark = BEGINNING
        self.versions_seen = 0
        self.excused: set[str] = set()
        """Bills hidden by a deletion while the list was read: if one is created meanwhile, no count can tell (P4)."""
        self.odd_states = any(ODD_STATE in str(step.get("faults")) for step in plan.steps)
        self.poor = plan.contract.get("list_fields") == "poor"

    def check(self, step: dict[str, Any], before: dict[str, Any], after: dict[str, Any], ended: list[dict[str, Any]],
              history: dict[str, Any], log: list[dict[str, Any]]) -> list[str]:  # fmt: skip
        """All that must hold after any step, also one that was killed.

        Args:
            step: the step of the plan.
            before: the simulator's truth when it began; `after`: when it ended.
            after: see `before`.
            ended: how the step's runs ended.
            history: the simulator's history.
            log: the requests of this step.
        """
        wrong = [*self.clear(ended), *self.polite(step, log), *self.secret(ended)]
        if self.path.exists():
            self.read()
            wrong += [
                *self.nothing_invented(before, history),
                *self.nothing_lost(),
                *self.no_duplicates(),
                *self.nothing_skipped(step, before, after, ended),
                *self.paid_intervals(history),
            ]
        return wrong

    def read(self) -> None:
        """Take every row into plain dictionaries."""
        self.tables = {}
        with reading(self.path) as connection:
            for table in TABLES:
                result = connection.execute(f"select * from core.{table} order by rowid")
                names = [c[0] for c in result.description]
                self.tables[table] = [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def nothing_invented(self, before: dict[str, Any], history: dict[str, Any]) -> Iterator[str]:
        """I1: each new version equals what the bill was between the step's beginning and the observation."""
        since = _moment(before["now"])
        rows = self.tables["bill_versions"]
        for row in rows[self.versions_seen :]:
            changes = history.get(row["order_reference"], [])
            found = [
                change
                for change, following in zip(changes, [*changes[1:], None], strict=True)
                if _moment(change["at"]) <= row["observed_at"]
                and (following is None or _moment(following["at"]) >= since)
            ]
            if not any(self._same(row, change) for change in found):
                yield f"I1 {row['order_reference']} version {row['version']} was never served, only {found}: {row}"
        self.versions_seen = len(rows)

    def _same(self, row: dict[str, Any], change: dict[str, Any]) -> bool:
        state = row["state"] == change["state"] or (row["state"] == "Unknown" and self.odd_states)
        money = row["amount"] == change["amount"]
        return state and money and (self.poor or row["received_amount"] == change["received_amount"])

    def nothing_lost(self) -> Iterator[str]:
        """I2: what was stored is stored."""
        stored = {r["order_reference"] for table in ("bill_versions", "data_issues") for r in self.tables[table]}
        read = set(self.acknowledged.read_text().split()) if self.acknowledged.exists() else set()
        if lost := read - stored:
            yield f"I2 read and lost: {sorted(lost)[:5]}"

    def no_duplicates(self) -> Iterator[str]:
        """I3: one current row a key, equal to its newest version; no equal neighbours in the history."""
        versions: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in sorted(self.tables["bill_versions"], key=lambda v: v["version"]):
            versions[row["order_reference"]].append(row)
        bills = self.tables["bills"]
        for key, count in Counter(b["order_reference"] for b in bills).items():
            if count > 1:
                yield f"I3 {key} is there {count} times"
        if versions.keys() != {b["order_reference"] for b in bills}:
            yield "I3 bills and versions are not of the same keys"
        for bill in bills:
            mine = versions[bill["order_reference"]]
            if [v["version"] for v in mine] != list(range(1, bill["version"] + 1)):
                yield f"I3 {bill['order_reference']} has the versions {[v['version'] for v in mine]}"
            elif any(mine[-1][c] != bill[c] for c in ("state", "amount", "received_amount")):
                yield f"I3 {bill['order_reference']} is not its newest version"
            if any(a["digest"] == b["digest"] for a, b in pairwise(mine)):
                yield f"I3 {bill['order_reference']} has equal neighbours"
            if any(a["observed_at"] > b["observed_at"] for a, b in pairwise(mine)):
                yield f"I3 {bill['order_reference']} has versions out of order"
        payments = Counter(p["order_reference"] for p in self.tables["payments"])
        for bill in bills:
            if payments[bill["order_reference"]] != bill["payment_count"]:
                yield f"I3 {bill['order_reference']} has {payments[bill['order_reference']]} payments"

    def nothing_skipped(
        self, step: dict[str, Any], before: dict[str, Any], after: dict[str, Any], ended: list[dict[str, Any]]
    ) -> Iterator[str]:
        """I4, I5, I14: the watermark never goes back; what is below it, or in a complete run, is there."""
        found = self.tables["accounts"]
        watermark = (found[0]["watermark_at"] if found else None) or BEGINNING
        if watermark < self.watermark:
            yield f"I5 the watermark went back from {self.watermark} to {watermark}"
        if watermark > _moment(after["now"]) + timedelta(minutes=5):
            yield f"I4 the watermark {watermark} is ahead of time"
        moved, horizon = watermark > self.watermark, self.watermark - OVERLAP
        self.watermark = max(watermark, self.watermark)
        done = [e for e in ended if e.get("outcome") == "done" and e.get("complete")]
        for end in ended:
            if end.get("complete") is False and not end["warnings"]:
                yield "I14 a run is not complete and does not say why"
        if step.get("family") == "Y":
            return  # rows without a key cannot be found by it
        whole = bool(done) and step["do"] == "full_refresh"
        if not whole and not moved and not (done and step["do"] == "refresh"):
            return
        stored = {b["order_reference"] for b in self.tables["bills"]}
        still = {b["order_reference"] for b in after["bills"]}
        limit = datetime.max.replace(tzinfo=UTC) if done else watermark
        for bill in before["bills"]:
            created, key = _moment(bill["date_create"]), bill["order_reference"]
            if key in still and key not in stored and created <= limit and (whole or created >= horizon):
                if "'delete': '@" in str(step.get("script")):
                    self.excused.add(key)
                if key in self.excused:
                    continue
                yield f"I4/I14 {key} of {created} existed at the start and is not there; watermark {watermark}"

    def paid_intervals(self, history: dict[str, Any]) -> Iterator[str]:
        """I10: a bill became paid between the moments that are stored."""
        if self.odd_states:
            return
        for bill in self.tables["bills"]:
            if (bill["state"] in PAID) != (bill["paid_before"] is not None):
                yield f"I10 {bill['order_reference']} is {bill['state']}, paid before {bill['paid_before']}"
            if bill["paid_before"] is None:
                continue
            changes = history[bill["order_reference"]]
            states = [None, *(c["state"] for c in changes)]
            moments = [
                _moment(c["at"])
                for c, previous in zip(changes, states, strict=False)
                if c["state"] in PAID and previous not in PAID
            ]
            start, end = bill["paid_after"] or BEGINNING, bill["paid_before"]
            if not any(start <= moment <= end for moment in moments):
                yield f"I10 {bill['order_reference']} was paid at {moments}, stored is {start} to {end}"

    def secret(self, ended: list[dict[str, Any]]) -> Iterator[str]:
        """I11, I12: no credential and no customer in any file or output."""
        secrets = [v for k, v in DEMO_CREDENTIALS.items() if ("password" in k or "secret" in k or "key" in k)]
        canaries = [*secrets, *(base64.b64encode(s.encode()).decode() for s in secrets)]
        canaries += [CANARY["lastname"], CANARY["firstname"], CANARY["phone"][1:], CANARY["phone"][4:]]
        texts = [str(e).encode() for e in ended]
        texts += [f.read_bytes() for f in self.folder.rglob("*") if f.is_file()] if self.folder.exists() else []
        for canary in canaries:
            if any(canary.encode() in text for text in texts):
                yield f"I11/I12 {canary!r} is in a file or an output"

    def polite(self, step: dict[str, Any], log: list[dict[str, Any]]) -> Iterator[str]:
        """I13: nothing inside a pause that was asked for, no salt twice, no more logins than needed."""
        salts = Counter(e["salt_hash"] for e in log if e["salt_hash"])
        if salts and salts.most_common(1)[0][1] > 1:
            yield "I13 a salt was used twice"
        if step["do"] == "two":
            return
        pauses = {f["status"]: f["retry_after"] for f in step.get("faults", []) if f.get("retry_after")}
        if self.plan.settings["max_in_flight"] == 1 and not any(f.get("advance") for f in step.get("faults", [])):
            for entry, following in pairwise(log):
                pause = pauses.get(entry["status"]) if entry["fault"] == "reply" else None
                plain = sum(f.get("status") == entry["status"] for f in step.get("faults", [])) == 1
                waited = (_moment(following["at"]) - _moment(entry["at"])).total_seconds()
                if pause and plain and waited < pause:
                    yield f"I13 a request came {waited} s into a pause of {pause} s"
        logins = [e for e in log if e["path"] == "/auth"]
        refusals = sum(e["status"] in (400, 401, 403) or (e["path"] == "/auth" and e["status"] > 201) for e in log)
        broken = sum(
            e["fault"] in ("close", "truncated", "short_body", "html", "empty_body", "error_200") for e in logins
        )
        span = (_moment(log[-1]["at"]) - _moment(log[0]["at"])).total_seconds() if log else 0
        life = min(300 if self.plan.contract.get("auth_reply") == "no_expires_in" else 3600,
                   self.plan.contract.get("token_life", 3600))  # fmt: skip
        if len(logins) > 1 + refusals + broken + span / (0.7 * life):
            yield f"I13 {len(logins)} logins for {refusals} refusals in {span} s"

    def clear(self, ended: list[dict[str, Any]]) -> Iterator[str]:
        """I15, I17: each stop says what, what was kept and what to do; nothing else ever ends a run."""
        for end in ended:
            if end.get("outcome") not in ("done", "error", "killed"):
                yield f"I17 a run ended without a word: {end}"
            elif end["outcome"] == "error":
                text = end["text"]
                if not (re.search(r"\[[a-z_]+\]", text) and "Kept: " in text and "Next: " in text):
                    yield f"I15 not clear: {text}"
                if len(text.splitlines()) > 6:
                    yield f"I15 too long: {text}"
                if "There is nothing to " in text and not self.path.exists():
                    continue  # published or rebuilt before the first sync has made a file
                if end["error_code"] in ("warehouse", "guard"):
                    yield f"I17 needs a hand: {text}"

    def equal(self, truth: dict[str, Any], history: dict[str, Any]) -> Iterator[str]:
        """I6, I9: every row and column equals the truth, and so does every sum of money.

        Where the list is poor, a sum that has changed since it was last told, without another state, may be due yet.
        """
        key = (self.folder / "pii.key").read_text().strip().encode()
        wanted = {b["order_reference"]: expected_bill(b, key) for b in truth["bills"]}
        rows = {b["order_reference"]: b for b in self.tables["bills"]}
        listed = {k for k, b in rows.items() if b["missing_since"] is None}
        if listed != wanted.keys():
            yield f"I6 only here {sorted(listed - wanted.keys())[:5]}, only there {sorted(wanted.keys() - listed)[:5]}"
            return
        for reference, bill in wanted.items():
            columns = self._told(rows[reference], history[reference]) if self.poor else [*bill]
            differs = {c: (rows[reference][c], bill[c]) for c in columns if rows[reference][c] != bill[c]}
            if differs:
                yield f"I6 {reference} differs: {differs}"
        if self.poor:
            return
        found = self.tables["payments"]
        payments = Counter(
            (p["order_reference"], p["payment_number"], p["thirdparty_reference"], p["gateway_reference"],
             p["gateway_name"], p["amount"])
            for p in found if p["order_reference"] in listed
        )  # fmt: skip
        if payments != Counter(p for b in truth["bills"] for p in expected_payments(b)):
            yield "I6 the payments differ"
        sums: Counter[Any] = Counter()
        for bill in wanted.values():
            sums[bill["state"], bill["business_date"], bill["gateway_name"]] += bill["received_amount"]
        stored: Counter[Any] = Counter()
        for bill in self.tables["bills"]:
            if bill["missing_since"] is None:
                stored[bill["state"], bill["business_date"], bill["gateway_name"]] += bill["received_amount"]
        if stored != sums:
            yield "I9 the sums of money differ"

    @staticmethod
    def _told(row: dict[str, Any], changes: list[dict[str, Any]]) -> tuple[str, ...]:
        """Money on a Pending bill, which a story can leave there, no poor list tells: it says that nothing is paid."""
        is_old = row["money_told_at"] is not None and row["money_told_at"] < _moment(changes[-1]["at"])
        is_untold = (is_old and row["state"] in MOVING) or row["state"] == "Pending"
        return ("state", "amount") if is_untold else ("state", "amount", "received_amount")

    def settled(self) -> Iterator[str]:
        """Nothing is left open when all is well."""
        for issue in [i for i in self.tables["data_issues"] if i["resolved_at"] is None]:
            yield f"I6 still open: {issue['source']} {issue['order_reference']} {issue['field']} {issue['reason']}"
        if running := [s for s in self.tables["syncs"] if s["status"] == "running"]:
            yield f"I17 {len(running)} dead runs are shown as running"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
