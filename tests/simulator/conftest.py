"""One simulator process for all of these tests; each test begins with a fresh small world."""

import http.server
import json
import queue
import threading
from typing import Any

import pytest
from simulated_merchant import START, Merchant

from cashpay_pipeline.simulator.process import SimulatorProcess


@pytest.fixture(scope="session")
def shared_process():
    with SimulatorProcess(seed=7, days=3, bills_per_day=20, start=START, frozen=True) as process:
        yield process


@pytest.fixture
def simulator(shared_process):
    shared_process.reset()
    return shared_process


@pytest.fixture
def merchant(simulator):
    return Merchant(simulator.base_url).log_in()


@pytest.fixture
def receiver():
    """A merchant's server that puts what it is sent into a queue."""
    received: queue.Queue[dict[str, Any]] = queue.Queue()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        received.url = f"http://127.0.0.1:{server.server_port}/paid"  # type: ignore[attr-defined]
        yield received
        server.shutdown()
        thread.join()
