"""The payment gateways on offer."""

from cashpay_pipeline.normalize import normalize_gateways
from cashpay_pipeline.sync.session import Session
from cashpay_pipeline.warehouse.gateways import save_gateways


def read_gateways(session: Session) -> None:
    """Read the gateways on offer, and keep their history. An answer without any, or with a part, changes nothing."""
    session.stage = "gateways"
    session.tell()
    shown, total = session.client.fetch_gateways()
    gateways, issues = normalize_gateways(shown)
    known = session.value(
        "select count(*) from core.gateways where account = ? and missing_since is null", session.account
    )
    if issues:
        session.record.lacks(f"{len(issues)} gateways cannot be read ({issues[0].field}: {issues[0].reason}).")
    elif gateways.empty and known:
        session.record.lacks(f"CashPay shows no gateway, {known} were known: they were kept as they are.")
    elif total is not None and total > len(shown):
        session.record.lacks(
            f"CashPay shows {len(shown)} gateways and says there are {total}; {known} were known: they were kept as "
            "they are."
        )
    else:
        with session.warehouse.transaction():
            save_gateways(session.warehouse, session.account, gateways, session.now())
