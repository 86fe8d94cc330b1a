"""What `cashpay check` finds out: can CashPay be reached, is the login good, does the list look as expected.

Reads only, a handful of requests, and stores nothing. Every finding is one line in plain words.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cashpay_pipeline import alerts
from cashpay_pipeline.attempts import TOLERATED_SKEW
from cashpay_pipeline.client import CashpayClient
from cashpay_pipeline.clock import Clock
from cashpay_pipeline.errors import (
    AlertError,
    CashpayError,
    CredentialsRejectedError,
    RateLimitedError,
    RequestRefusedError,
    SettingsError,
    UnavailableError,
    UnexpectedReplyError,
    WrongAddressError,
)
from cashpay_pipeline.pagination import USUAL_SIZES
from cashpay_pipeline.reconcile.mapping import load_mapping
from cashpay_pipeline.reconcile.source import POSTGRES
from cashpay_pipeline.settings import CASHPAY_AUTH_FIELDS, OAUTH2_FIELDS, Settings
from cashpay_pipeline.shapes import find_records
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.sync.guards import in_words
from cashpay_pipeline.sync.session import reference_of

ENOUGH_BYTES = 1_000_000_000
SHORTEST_SEARCHED_FOR, LARGEST_SEARCHED = 12, 1_000_000
"""Characters of a secret, for a shorter one stands in many a text; and bytes of a file."""
PACKAGES = ("cashpay_pipeline", "dagster", "duckdb", "pandas")
ENDS_IT = (CredentialsRejectedError, RateLimitedError, UnavailableError, WrongAddressError)
"""What every further look would meet again: a refused login must not be repeated, and a dead line stays dead."""
TRIES = 2
"""One more, for a line that only hiccups: a person waits for this."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it is as it should be, and what was seen."""

    ok: bool
    text: str


def diagnose(
    settings: Settings, *, clock: Clock | None = None, on_wait: Callable[[float, str], None] | None = None
) -> Iterator[Finding]:
    """Look at one thing after the other, until there is nothing more to learn; `on_wait` is told of each wait."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    yield Finding(True, f"Versions: {versions}, Python {platform.python_version()}.")
    yield _disk(settings)
    yield from _orders(settings)
    yield from _tracked_secrets(settings)
    with CashpayClient(settings, clock=clock, on_wait=on_wait, max_tries=TRIES) as client:
        yield Finding(True, f"Address: {settings.environment}, account {settings.account}, scheme {settings.scheme}.")
        said = set()
        for look in (_ping, _gateways, _first_page, _pages, _clock):
            try:
                if finding := look(settings, client):
                    yield finding
            except CashpayError as error:
                error.next_step = _next_step(settings, error)
                if str(error) not in said:
                    yield Finding(False, str(error))
                said.add(str(error))
                if isinstance(error, ENDS_IT) or f"{settings.base_url}/auth" in error.where:
                    return


def trial_alert(settings: Settings) -> Finding:
    """Send a trial alert: without one, nobody learns that alerts do not arrive before it matters."""
    if not alerts.has_channel(settings):
        return Finding(False, f"Alerts: nobody is told; {alerts.NO_CHANNEL}")
    try:
        problems = alerts.send(
            settings, f"CashPay {settings.account}: a trial", "A trial by `cashpay check --alert`: nothing is wrong."
        )
    except AlertError as error:
        return Finding(False, str(error))
    if problems:
        return Finding(False, f"Alerts: a trial was not sent everywhere ({'; '.join(problems)}).")
    return Finding(True, "Alerts: a trial was sent; look whether it has come.")


def _next_step(settings: Settings, error: CashpayError) -> str:
    """What to do next, in the place of "run it later" and "run `cashpay check`", which is what was just done."""
    if isinstance(error, UnavailableError) and error.status is None:
        return "Check CASHPAY_BASE_URL and CASHPAY_PROXY, and whether this machine reaches the host at all."
    if isinstance(error, UnavailableError):
        return "Run `cashpay check` again later; if it stays, ask CashPay."
    if isinstance(error, CredentialsRejectedError):
        fields = OAUTH2_FIELDS if settings.scheme == "oauth2" else CASHPAY_AUTH_FIELDS
        names = ", ".join(f"CASHPAY_{field.upper()}" for field in fields)
        return (
            f"Compare {names} and CASHPAY_BASE_URL with what CashPay gave you, then run `cashpay check` once: "
            "repeated refusals can lock an account."
        )
    if isinstance(error, UnexpectedReplyError):
        return "Check CASHPAY_BASE_URL; if it is right, report the shape shown."
    return error.next_step


def _disk(settings: Settings) -> Finding:
    folder = next(p for p in (settings.data_folder.resolve(), *settings.data_folder.resolve().parents) if p.exists())
    if not folder.is_dir():
        return Finding(False, f"Disk: {folder} is a file: set CASHPAY_DATA_DIR to a folder.")
    if not os.access(folder, os.W_OK):
        return Finding(
            False,
            f"Disk: {folder} cannot be written by this user: give it the right, or set CASHPAY_DATA_DIR to another "
            "folder.",
        )
    free = shutil.disk_usage(folder).free
    seen = f"Disk: {free // 10**6:,} MB free for {settings.data_folder}"
    if free < ENOUGH_BYTES:
        return Finding(False, f"{seen}; {ENOUGH_BYTES // 10**6:,} MB are wanted: free some space.")
    return Finding(True, f"{seen}.")


def _orders(settings: Settings) -> Iterator[Finding]:
    """Whether the file of the shop's orders is there, and its mapping can be read; the orders are for a run to read."""
    if settings.orders and not settings.orders.startswith(POSTGRES):
        path = Path(settings.orders).absolute()
        try:
            path.open("rb").close()
            yield Finding(True, f"Orders: {path} is there.")
        except OSError as error:
            missing = SettingsError(f"CASHPAY_ORDERS: {error.strerror}.", where=str(path), next_step="Correct it.")
            yield Finding(False, str(missing))
    if settings.orders_mapping:
        path = settings.orders_mapping.absolute()
        try:
            load_mapping(path)
            yield Finding(True, f"Mapping of the orders: {path} can be read.")
        except SettingsError as error:
            error.message, error.where = f"CASHPAY_ORDERS_MAPPING: {error.message}", str(path)
            yield Finding(False, str(error))


def _tracked_secrets(settings: Settings) -> Iterator[Finding]:
    """Files of the project here that hold a credential and that git hands on to everybody (S8)."""
    with suppress(OSError):
        listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=False, timeout=30).stdout
        made_up = DEMO_CREDENTIALS.values()  # no secrets: they are in the project's own source
        secrets = [s.encode() for s in settings.secrets() if len(s) >= SHORTEST_SEARCHED_FOR and s not in made_up]
        for name in filter(None, listed.decode(errors="replace").split("\0")):
            file = Path(name)
            if file.is_file() and file.stat().st_size < LARGEST_SEARCHED:
                content = file.read_bytes()
                if any(secret in content for secret in secrets):
                    yield Finding(
                        False,
                        f"Secrets: git tracks {name}, which holds a credential: have CashPay renew it, "
                        "and take it out of git.",
                    )


def _ping(settings: Settings, client: CashpayClient) -> Finding:
    client.ping()
    return Finding(True, "Login: CashPay accepts the credentials.")


def _gateways(settings: Settings, client: CashpayClient) -> Finding:
    gateways, total = client.fetch_gateways()
    if total is not None and total > len(gateways):
        return Finding(False, f"Gateways: {len(gateways)}, though CashPay says there are {total}.")
    return Finding(True, f"Gateways: {len(gateways)}.")


def _first_page(settings: Settings, client: CashpayClient) -> Finding:
    size = settings.page_size
    reply = client.fetch_bills_page(settings.first_page, size)
    if reply.body is None:
        return Finding(True, "Bill list: empty.")
    shape, records, total = find_records(reply.body, client.clean)
    said = f"CashPay says there are {total:,}" if total is not None else "CashPay gives no total"
    seen = f"Bill list: {len(records)} bills on the first page (asked for {size}) as {shape}; {said}."
    # A server may cap the size; one that heeds it all the same gives fewer where fewer are asked for.
    if 1 < len(records) != size and len(records) < (total or 0):
        _, fewer, _ = find_records(client.fetch_bills_page(settings.first_page, len(records) - 1).body, client.clean)
        if len(fewer) >= len(records):
            return Finding(False, f"{seen} {_not_its_name('CASHPAY_SIZE_PARAM')}")
    return Finding(True, seen)


def _pages(settings: Settings, client: CashpayClient) -> Finding | None:
    """Whether there are pages, and where they begin: numbered from 0 and read from 1, the newest bills are missed.

    None where no page could be read.
    """
    (zero, _), (one, total), (two, _) = (_read(client, number, settings.page_size) for number in (0, 1, 2))
    if not zero and not one:
        return None
    is_a_part = len(one) in (settings.page_size, *USUAL_SIZES) if total is None else len(one) < total
    if is_a_part and zero == one == two:
        return Finding(False, f"Pages: 0, 1 and 2 are the same {len(one)} bills. {_not_its_name('CASHPAY_PAGE_PARAM')}")
    if not zero or zero == one:
        return Finding(
            settings.first_page == 1,
            "Pages: numbered from 1" + ("." if settings.first_page == 1 else ": set CASHPAY_FIRST_PAGE=1."),
        )
    return Finding(
        settings.first_page == 0,
        "Pages: page 0 differs from page 1, so they are numbered from 0"
        + ("." if settings.first_page == 0 else ": set CASHPAY_FIRST_PAGE=0."),
    )


def _read(client: CashpayClient, page: int, size: int) -> tuple[list[str], int | None]:
    """The keys on a page and the total; none where there is no such page, a 404 on the first is a wrong address."""
    try:
        body = client.fetch_bills_page(page, size).body
    except (RequestRefusedError, WrongAddressError):
        return [], None
    _, records, total = ("", [], None) if body is None else find_records(body, client.clean)
    return [key for record in records if (key := reference_of(record))], total


def _not_its_name(variable: str) -> str:
    return f"{variable} is not what CashPay calls it: look the name up in CashPay's documentation, or ask CashPay."


def _clock(settings: Settings, client: CashpayClient) -> Finding:
    skew = client.skew
    if skew is None:
        return Finding(True, "Clock: CashPay does not tell its time.")
    if abs(skew) > TOLERATED_SKEW:
        return Finding(False, f"Clock: this machine's is {in_words(skew)} CashPay's: set it right.")
    return Finding(True, f"Clock: this machine and CashPay differ by {abs(round(skew.total_seconds()))} s.")
