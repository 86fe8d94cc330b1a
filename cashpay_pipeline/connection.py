"""What lies below a request: a limit on the whole exchange, and why one broke, in words that hold no URL or header.

Neither `requests` nor urllib3 limits an exchange: their timeouts are for each single read, so a server that sends one
byte a second keeps a reader for ever, in the headers as in the body (N3). Here each connection tells its thread's
deadline which socket it reads from, and a timer shuts that socket down.
"""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from threading import Timer
from typing import Self

from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    IncompleteRead,
    NameResolutionError,
    ProxyError,
    ReadTimeoutError,
)

REASONS: dict[type[BaseException], str] = {
    ProxyError: "the proxy does not let it through",
    NameResolutionError: "its name is not known here",
    ReadTimeoutError: "it does not answer in time",
    IncompleteRead: "its answer is cut off",
    DecodeError: "its answer is compressed wrongly",
    ConnectionRefusedError: "it refuses the connection",
    ConnectionResetError: "the connection was reset",
    ConnectTimeoutError: "it takes no connection",  # for urllib3 a refused connection is one of these
}


class Deadline:
    """Cuts the connection that is read from within this block, in this thread, once the time is up.

    Real time, not the client's clock: it is the network that is waited for.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._socket: socket.socket | None = None
        self._timer = Timer(seconds, self.cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._previous = _current.set(self)
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _current.reset(self._previous)

    def watch(self, sock: socket.socket) -> None:
        """Read from this socket from now on."""
        self._socket = sock
        if self.passed:
            self.cut()

    def cut(self) -> None:
        """End the exchange now."""
        self.passed = True
        if self._socket is not None:
            with suppress(OSError):
                # Not SSLSocket.shutdown, which would pull the TLS state away from under the reading thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_current: ContextVar[Deadline] = ContextVar("deadline")


class _LastAnswer(http.client.HTTPResponse):
    """Passes over what only announces an answer, such as 103; of these http.client knows 100 alone (H18)."""

    def _read_status(self) -> tuple[str, int, str]:
        protocol, status, text = super()._read_status()  # type: ignore[misc]  # private, and so unknown to typeshed
        announces = 100 <= status < 200 and status != http.HTTPStatus.SWITCHING_PROTOCOLS
        return protocol, http.HTTPStatus.CONTINUE if announces else status, text


class _Connection(HTTPConnection):
    response_class = _LastAnswer

    def _tunnel(self) -> None:
        """Ask the proxy for a way through: its answer may drip, too.

        Raises:
            ConnectionAbortedError: the time was up; http.client takes an answer that was cut off for a whole one.
        """
        deadline = _current.get()
        deadline.watch(self.sock)
        super()._tunnel()
        if deadline.passed:
            raise ConnectionAbortedError

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        _current.get().watch(self.sock)
        return super().getresponse()


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


WATCHED_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _SecurePool}


class TLSFailedError(Exception):
    """There is no trustworthy connection: trying again, or without looking, would help nobody (N7)."""


def reason(error: BaseException) -> str:
    """Why an exchange broke. The error's own text is not used: it may hold a URL.

    Raises:
        TLSFailedError: the certificate is not good, or it is no TLS at all.
    """
    causes = list(_causes(error))
    for cause in causes:
        # An end in the middle of a handshake is a bad line, not a bad certificate.
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            raise TLSFailedError(getattr(cause, "verify_message", "") or cause.reason or "TLS error") from None
    return next((text for kind, text in REASONS.items() if any(isinstance(c, kind) for c in causes)), "it broke off")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all within it: `requests` and urllib3 hand on causes as arguments and as `reason`."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = (*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__)
        waiting += [found for found in inner if isinstance(found, BaseException)]
