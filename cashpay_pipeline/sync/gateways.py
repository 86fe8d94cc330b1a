"""The payment gateways on offer."""

from cashpay_pipeline.normalize import normalize_gateways
from cashpay_pipeline.sync.session import Session
from cashpay_pipeline.warehouse.gateways import save_gateways


def read_gateways(session: Session) -> None:
    """Read the gateways on offer, and keep their history. An answer without any changes nothing."""
    session.stage = "gateways"
    session.tell()
    gateways, issues = normalize_gateways(session.client.fetch_gateways())
    known = session.value(
        "select count(*) from core.gateways where account = ? and missing_since is null", session.account
    )
    if issues:
        session.record.lacks(f"{len(issues)} gateways cannot be read ({issues[0].field}: {issues[0].reason}).")
    elif gateways.empty and known:
        session.record.lacks(f"CashPay shows no gateway, {known} were known: they were kept as they are.")
    else:
        with session.warehouse.transaction():
            save_gateways(session.warehouse, session.account, gateways, session.now())
