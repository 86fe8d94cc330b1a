"""The running simulator: one process, one event loop, one port."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import traceback
from email.utils import format_datetime

from cashpay_pipeline.simulator.api import BASE_PATH, answer
from cashpay_pipeline.simulator.control import CONTROL_PATH, control
from cashpay_pipeline.simulator.credentials import MAIN_ACCOUNT
from cashpay_pipeline.simulator.help_page import help_page
from cashpay_pipeline.simulator.options import SimulatorOptions, parse_options
from cashpay_pipeline.simulator.pay_page import pay_page
from cashpay_pipeline.simulator.replies import error_reply, html_reply
from cashpay_pipeline.simulator.universe import Universe
from cashpay_pipeline.simulator.wire import Reply, Request, start_listening

_CALLBACK_PULSE = 0.25
"""Real seconds between two looks for bills that changed by themselves."""


def main(argv: list[str]) -> int:
    """Run the simulator as a command; return the exit status."""
    try:
        serve(parse_options(argv))
    except (OSError, ValueError) as error:
        print(f"The simulator could not start: {error}", file=sys.stderr)
        return 2
    return 0


def serve(options: SimulatorOptions) -> None:
    """Serve until interrupted, terminated or, if so asked, until standard input ends.

    The first line of output is `ready` and the address of the API, once requests are answered.

    Raises:
        OSError: The port is taken.
        ValueError: The state file is not one.
    """
    asyncio.run(_serve(options))


async def _serve(options: SimulatorOptions) -> None:
    universe = Universe(options)

    async def handler(request: Request) -> Reply:
        try:
            return _dispatch(universe, request)
        except Exception:  # a defect of the simulator must not look like a broken line
            traceback.print_exc()
            return error_reply(500, "Defect in the simulator; see its standard error", universe.switches)

    server = await start_listening(handler, options.host, options.port)
    port = server.sockets[0].getsockname()[1]
    universe.root = f"http://{options.host}:{port}"
    stop = asyncio.Event()
    _stop_on_signals(stop)
    if options.stops_with_stdin:
        _stop_with_stdin(stop)
    print(f"ready {universe.root}{BASE_PATH}", flush=True)
    if not options.stops_with_stdin:
        print(f"Credentials and help: {universe.root}/   Ctrl-C ends the simulator.", flush=True)
    pulse = asyncio.create_task(_announce_changes(universe))
    await stop.wait()
    pulse.cancel()
    server.close()
    universe.save()
    universe.callbacks.stop()


def _dispatch(universe: Universe, request: Request) -> Reply:
    if request.path == BASE_PATH or request.path.startswith(f"{BASE_PATH}/"):
        reply = answer(universe, request)
    elif request.path.startswith(f"{CONTROL_PATH}/"):
        return control(universe, request)
    elif request.path.startswith(("/f/", "/facture/")):
        reply = pay_page(universe, request)
    elif request.path == "/":
        bills = len(universe.account(MAIN_ACCOUNT).world.live)
        reply = html_reply(help_page(universe.root, universe.now().isoformat(timespec="seconds"), bills))
    else:
        reply = error_reply(404, "URL not found", universe.switches)
    if universe.switches.date_header:
        reply.headers.setdefault("Date", format_datetime(universe.clock.now(), usegmt=True))
    return reply


async def _announce_changes(universe: Universe) -> None:
    while True:
        universe.announce()
        await asyncio.sleep(_CALLBACK_PULSE)


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C still ends asyncio.run
            loop.add_signal_handler(number, stop.set)


def _stop_with_stdin(stop: asyncio.Event) -> None:
    """Stop when standard input ends: the parent has died or closed it."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while os.read(0, 1024):
            pass
        with contextlib.suppress(RuntimeError):  # already stopped for another reason
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, name="parent", daemon=True).start()
