"""The gateways on offer and their history."""

from datetime import datetime

import pandas as pd

from cashpay_pipeline.normalize import GATEWAY_DTYPES
from cashpay_pipeline.warehouse.database import Warehouse


def save_gateways(warehouse: Warehouse, account: str, gateways: pd.DataFrame, moment: datetime) -> None:
    """Store the gateways on offer, with their history; one that is gone is marked, never deleted.

    Runs inside a transaction of the caller's.
    """
    names = ", ".join(GATEWAY_DTYPES)
    offered = warehouse.rows(
        f"select {names} from core.gateways where account = ? and missing_since is null order by 1",  # noqa: S608
        [account],
    )
    if offered == gateways.sort_values("gateway_reference").to_dict("records"):
        return
    incoming = gateways.assign(account=account)
    content = [c for c in GATEWAY_DTYPES if c != "gateway_reference"]
    differs = " or ".join(f"v.{c} is distinct from g.{c}" for c in content)
    warehouse.execute(
        f"""
        update core.gateway_versions as v set valid_to = ?
        where v.account = ? and v.valid_to is null and not exists (
            select 1 from gateway as g where g.gateway_reference = v.gateway_reference and not ({differs})
        )
        """,  # noqa: S608 - column names of ours
        [moment, account],
        gateway=incoming,
    )
    warehouse.execute(
        f"""
        insert into core.gateway_versions by name
        select g.account, {names}, ?::timestamptz as valid_from
        from gateway as g
        where not exists (
            select 1 from core.gateway_versions as v
            where v.account = g.account and v.gateway_reference = g.gateway_reference and v.valid_to is null
        )
        """,  # noqa: S608
        [moment],
        gateway=incoming,
    )
    warehouse.execute(
        f"""
        merge into core.gateways as stored using (
            select v.account, {", ".join(f"v.{c}" for c in GATEWAY_DTYPES)}, v.valid_from
            from core.gateway_versions as v where v.account = ? and v.valid_to is null
        ) as g on stored.account = g.account and stored.gateway_reference = g.gateway_reference
        when matched then update set {", ".join(f"{c} = g.{c}" for c in content)}, missing_since = null,
            changed_at = greatest(stored.changed_at, g.valid_from)
        when not matched then insert (account, {names}, first_seen_at, changed_at)
            values (g.account, {", ".join(f"g.{c}" for c in GATEWAY_DTYPES)}, g.valid_from, g.valid_from)
        """,  # noqa: S608
        [account],
    )
    warehouse.execute(
        """
        update core.gateways as stored set missing_since = ?
        where account = ? and missing_since is null
            and gateway_reference not in (select gateway_reference from gateway)
        """,
        [moment, account],
        gateway=incoming,
    )
