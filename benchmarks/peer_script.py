"""What a merchant would write: requests, pandas.json_normalize, insert or replace into a table with a primary key.

    python peer_script.py BASE_URL DATABASE

A session is kept and rows are stored by the 10,000, so that it is neither slower nor larger than it has to be.
"""

import json
import sys

import duckdb
import pandas as pd
import requests

base_url, database = sys.argv[1:]
TABLE = """
create table if not exists bills (
    order_reference varchar primary key, merchant_reference varchar, code varchar, state varchar,
    date_create timestamp, amount bigint, received_amount bigint, currency varchar, description varchar,
    bill_url varchar, long_bill_url varchar, client_phone varchar, client_lastname varchar, client_firstname varchar,
    gateway_reference varchar, gateway_libelle varchar, payments varchar
)
"""


def store(rows: list[dict]) -> None:
    bills = pd.json_normalize(rows, sep="_")
    bills["amount"] = bills["amount"].astype("int64")
    bills["date_create"] = pd.to_datetime(bills["date_create"], utc=True).dt.tz_localize(None)
    bills["payments"] = bills["payments"].map(json.dumps)
    bills = bills.drop_duplicates("order_reference", keep="last")
    connection.register("bills_frame", bills)
    connection.execute("insert or replace into bills by name select * from bills_frame")


connection = duckdb.connect(database)
connection.execute(TABLE)
session = requests.Session()
token = session.post(f"{base_url}/auth", json={"username": "bench"}, timeout=30).json()["access_token"]
session.headers["Authorization"] = f"Bearer {token}"
waiting: list[dict] = []
page = 1
while True:
    reply = session.get(f"{base_url}/orders", params={"page": page, "limit": 100}, timeout=30)
    reply.raise_for_status()
    items = reply.json()["items"]
    waiting += items
    if waiting and (not items or len(waiting) >= 10_000):
        store(waiting)
        waiting = []
    if not items:
        break
    page += 1
connection.close()
