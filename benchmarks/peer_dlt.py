"""dlt: rest_api source or a resource of its own, merged into DuckDB on the primary key.

    python peer_dlt.py BASE_URL DATABASE default|tuned|arrow

`default`: as in dlt's tutorial. `tuned`: Parquet files between the steps, two workers, upsert. `arrow`: a resource that
yields Arrow tables, dlt's fastest lane; payments stay JSON text there. State lies beside the database.
"""

import os
import sys
from pathlib import Path
from typing import Any

base_url, database, mode = sys.argv[1:]
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
if mode != "default":
    os.environ["NORMALIZE__WORKERS"] = "2"
    os.environ["NORMALIZE__START_METHOD"] = "fork"
    os.environ["DATA_WRITER__FILE_MAX_ITEMS"] = "50000"
    os.environ["DATA_WRITER__BUFFER_MAX_ITEMS"] = "50000"

import dlt  # noqa: E402
from dlt.sources.rest_api import rest_api_source  # noqa: E402

MERGE: Any = {"disposition": "merge", "strategy": "delete-insert" if mode == "default" else "upsert"}


def from_rest_api() -> Any:
    return rest_api_source(
        {
            "client": {
                "base_url": base_url,
                "auth": {"type": "bearer", "token": "made-up-token"},
                "paginator": {"type": "page_number", "base_page": 1, "total_path": None, "page_param": "page"},
            },
            "resources": [
                {
                    "name": "bills",
                    "primary_key": "order_reference",
                    "write_disposition": MERGE,
                    "endpoint": {"path": "orders", "data_selector": "items", "params": {"limit": 100}},
                }
            ],
        }
    )


@dlt.resource(name="bills", primary_key="order_reference", write_disposition=MERGE)
def as_arrow() -> Any:
    import orjson
    import pyarrow as pa
    import requests

    session = requests.Session()
    page, rows = 1, []
    while True:
        reply = session.get(f"{base_url}/orders", params={"page": page, "limit": 100}, timeout=30)
        items = orjson.loads(reply.content)["items"]
        for bill in items:
            client, gateway = bill.pop("client"), bill.pop("gateway")
            bill.update({f"client__{name}": value for name, value in client.items()})
            bill.update({f"gateway__{name}": value for name, value in gateway.items()})
            bill["payments"] = orjson.dumps(bill["payments"]).decode()
        rows += items
        if rows and (not items or len(rows) >= 50_000):
            yield pa.Table.from_pylist(rows)
            rows = []
        if not items:
            return
        page += 1


folder = Path(database).absolute().parent
pipeline = dlt.pipeline(
    "bench",
    destination=dlt.destinations.duckdb(str(Path(database).absolute())),
    dataset_name="cashpay",
    pipelines_dir=str(folder / "dlt"),
)
lane: Any = {} if mode == "default" else {"loader_file_format": "parquet"}
pipeline.run(as_arrow() if mode == "arrow" else from_rest_api(), **lane).raise_on_failed_jobs()
