"""The floor: raw sockets, the fastest JSON reader, a plain insert. No keys, no checks, no retries, no pandas.

    python floor.py BASE_URL DATABASE BILLS [CONNECTIONS]

Not a design: the time below which nobody can be. It is told how many bills there are, which nobody else is.
"""

import queue
import socket
import sys
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
import pyarrow.json

base_url, database, bills, *connections = sys.argv[1:]
address = urlsplit(base_url)
PAGES, CONNECTIONS = -(-int(bills) // 100), int(connections[0]) if connections else 1
PAGES_A_BATCH = 200

TEXT, WHOLE = pa.string(), pa.int64()
GATEWAY = [("reference", TEXT), ("libelle", TEXT)]
PAYMENT = pa.struct([("thirdparty_reference", TEXT), ("amount", WHOLE), ("gateway", pa.struct(GATEWAY))])
BILL = pa.struct(
    [
        *((name, TEXT) for name in ("order_reference", "merchant_reference", "code", "state")),
        ("date_create", pa.timestamp("s", "UTC")),
        ("amount", TEXT),
        ("received_amount", WHOLE),
        *((name, TEXT) for name in ("currency", "description", "bill_url", "long_bill_url")),
        ("client", pa.struct([("phone", TEXT), ("lastname", TEXT), ("firstname", TEXT)])),
        ("gateway", pa.struct(GATEWAY)),
        ("payments", pa.list_(PAYMENT)),
    ]
)
PARSE = pyarrow.json.ParseOptions(
    explicit_schema=pa.schema([("items", pa.list_(BILL))]), unexpected_field_behavior="ignore"
)
READ = pyarrow.json.ReadOptions(block_size=16 << 20)


def fetch(first: int, put: Callable[[bytes], None]) -> None:
    connection = socket.create_connection((address.hostname, address.port))
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    for page in range(first, PAGES + 1, CONNECTIONS):
        connection.sendall(
            b"GET %s/orders?page=%d&limit=100 HTTP/1.1\r\nHost: x\r\n\r\n" % (address.path.encode(), page)
        )
        got = connection.recv_into(view)
        while (head := buffer.find(b"\r\n\r\n", 0, got)) < 0:
            got += connection.recv_into(view[got:])
        at = buffer.find(b"Content-Length: ", 0, head)
        length = head + 4 + int(buffer[at + 16 : buffer.find(b"\r\n", at)])
        while got < length:
            got += connection.recv_into(view[got:])
        put(bytes(view[head + 4 : length]))


def fetch_all() -> None:
    threads = [threading.Thread(target=fetch, args=(n + 1, pages.put)) for n in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pages.put(None)


pages: queue.Queue[bytes | None] = queue.Queue(2 * PAGES_A_BATCH)
threading.Thread(target=fetch_all, daemon=True).start()
connection = duckdb.connect(database)
waiting: list[bytes] = []
while True:
    page = pages.get()
    if page is not None:
        waiting.append(page)
    if waiting and (page is None or len(waiting) == PAGES_A_BATCH):
        table = pyarrow.json.read_json(pa.BufferReader(b"\n".join(waiting)), read_options=READ, parse_options=PARSE)
        rows = table.column("items").combine_chunks()
        bills_table = pa.Table.from_struct_array(
            rows.flatten() if isinstance(rows, pa.ListArray) else pa.concat_arrays(rows.chunks).flatten()
        )
        connection.register("bills_table", bills_table)
        connection.execute("create table if not exists bills as from bills_table limit 0")
        connection.execute("insert into bills from bills_table")
        waiting = []
    if page is None:
        break
connection.close()
