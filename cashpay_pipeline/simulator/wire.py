"""HTTP/1.1 over asyncio, small enough to break it on purpose.

A web framework repairs what a faulty server would get wrong: it counts the body, closes tidily, never
stops half way. The faults that a pipeline must survive happen below that, so this module writes the
bytes itself. It speaks as much HTTP as API clients and browsers need.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

_LARGEST_HEAD = 64 * 1024
_LARGEST_BODY = 4 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """One request as it came in; header names are in lower case, the path still percent-encoded."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """One reply, and the manner in which it is sent.

    Attributes:
        manner: How it goes over the wire: `normal`, `close`, `hang`, `truncated`, `short_body` or `drip`.
        delay: Real seconds to wait before the reply.
        pace: Real seconds between two bytes of a `drip`.
        facts: What the request log should know about it.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    manner: str = "normal"
    delay: float = 0.0
    pace: float = 0.02
    facts: dict[str, int] = field(default_factory=dict)


class BadRequest(Exception):
    """What came in is not HTTP, or too large."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


Handler = Callable[[Request], Awaitable[Reply]]


async def serve_connection(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection until either side closes it."""
    try:
        keeps_open = True
        while keeps_open:
            try:
                request = await _read_request(reader, writer)
                if request is None:
                    break
                reply = await handler(request)
                keeps_open = request.headers.get("connection", "").lower() != "close"
            except BadRequest as refused:
                reply, keeps_open = Reply(refused.status), False
            keeps_open = await _send(reply, reader, writer, keeps_open)
    except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
        pass
    except asyncio.CancelledError:
        writer.transport.abort()  # the simulator stops; asyncio would report a cancelled connection as an error
        return
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await writer.wait_closed()


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise BadRequest(431) from None
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(400)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    target = urlsplit(words[1])
    query = dict(parse_qsl(target.query, keep_blank_values=True))
    return Request(words[0], target.path, query, headers, await _read_body(reader, headers))


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts: list[bytes] = []
        while size := _size((await reader.readline()).split(b";")[0].decode("latin-1"), 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
            if sum(map(len, parts)) > _LARGEST_BODY:
                raise BadRequest(413)
        await reader.readline()
        return b"".join(parts)
    return await reader.readexactly(_size(headers.get("content-length", "0"), 10))


def _size(text: str, base: int) -> int:
    try:
        size = int(text.strip(), base)
    except ValueError:
        raise BadRequest(400) from None
    if not 0 <= size <= _LARGEST_BODY:
        raise BadRequest(413)
    return size


async def _send(reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keeps_open: bool) -> bool:
    """Send a reply in its manner; return whether the connection can go on."""
    if reply.delay:
        await asyncio.sleep(reply.delay)
    if reply.manner == "hang":
        await reader.read()  # until the client gives up
        return False
    if reply.manner == "close":
        _reset(writer)
        return False
    keeps_open = keeps_open and reply.manner in ("normal", "drip")
    half = reply.body[: len(reply.body) // 2]
    writer.write(_head(reply, keeps_open))
    if reply.manner == "drip":
        for position in range(len(reply.body)):
            writer.write(reply.body[position : position + 1])
            await writer.drain()
            await asyncio.sleep(reply.pace)
    else:
        writer.write(half if reply.manner in ("truncated", "short_body") else reply.body)
    await writer.drain()
    return keeps_open


def _head(reply: Reply, keeps_open: bool) -> bytes:
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unknown"
    headers = dict(reply.headers)
    if reply.status != 204 and reply.manner != "truncated":
        headers["Content-Length"] = str(len(reply.body))
    headers["Connection"] = "keep-alive" if keeps_open else "close"
    lines = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection so that the client sees a reset, not a tidy end."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def start_listening(handler: Handler, host: str, port: int) -> asyncio.Server:
    """Open a port and answer with `handler`; port 0 takes any free one."""
    return await asyncio.start_server(partial(serve_connection, handler), host, port, limit=_LARGEST_HEAD)
