"""One HTTP/1.1 connection: framing, limits, deadlines, and answers in the order of the requests.

The parser is llhttp, by httptools; it refuses ambiguous framing (both length and chunks, two lengths, bare line
feeds). Source: RFC 9112 (message syntax, pipelining, closing) and RFC 9110 (100-continue, status codes).
"""

from __future__ import annotations

import asyncio
import enum
import functools
import logging
import socket
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from scoring import log
from scoring.errors import Fault, RequestError
from scoring.headers import TENSOR_HEADER, Headers
from scoring.messages import Request, Response, error_response

if TYPE_CHECKING:
    from scoring.endpoint import Endpoint

LINGER_SECONDS = 2.0
"""How long what a client still sends is read and dropped after our last answer: closing earlier could reset the
connection and destroy the answer on its way (RFC 9112, section 9.6)."""

SEND_BUFFER_BYTES = 128 * 1024
"""Answers that the kernel may hold for a client that does not read; by itself it takes megabytes each."""

HONEST_BYTES_PER_SECOND = 64 * 1024
"""A client that sends its body, or reads its answers, at least so fast has time without end; a slower one uses up the
time that the settings give, and what it gains by a burst is never more than that time again."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

logger = logging.getLogger(__name__)


class _Phase(enum.Enum):
    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()


class _Exchange:
    """A request's place in the order of answers."""

    __slots__ = ("headers", "keep_alive", "legacy", "method", "response", "started", "target", "wants_continue")

    def __init__(self, target: bytes, started: float) -> None:
        self.method = b""
        self.target = target
        self.headers = Headers()
        self.started = started
        self.keep_alive = True
        self.legacy = False
        self.wants_continue = False
        self.response: Response | None = None


class Connection(asyncio.Protocol):
    """Reads requests from one client and writes their answers in order."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Prepare for a transport."""
        self._endpoint = endpoint
        self._settings = endpoint.settings
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._exchanges: deque[_Exchange] = deque()
        self._phase = _Phase.IDLE
        self._finished = False  # no further request is read
        self._stuck = False  # more answers wait to leave than the transport likes to hold
        self._paused = False  # nothing is read for now
        self._paused_at = 0.0
        self._read_deadline = 0.0
        self._write_deadline: float | None = None  # while answers wait to leave
        self._written = 0  # bytes handed to the transport
        self._taken = 0  # of these, when the deadline was looked at
        self._unread_answers = 0  # given since the client stopped reading
        self._begin(b"", 0.0)

    def _begin(self, target: bytes, started: float) -> None:
        self._current = _Exchange(target, started)
        self._headers = self._current.headers
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    # transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or refuse it if there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        channel = cast("socket.socket | None", transport.get_extra_info("socket"))
        if channel is not None:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._read_deadline = self._endpoint.clock() + self._settings.header_timeout_s
        if not self._endpoint.admit(self):
            self._refuse(Fault.OVERLOADED, "too many connections; try again later")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; answers that come later are dropped."""
        if exc is not None:
            logger.debug("connection lost: %s", exc)
        self._transport = None
        self._finished = True
        self._endpoint.release(self)
        self._release_body()
        self._exchanges.clear()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        if self._finished:
            return
        head_began_before = self._phase is _Phase.HEAD
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._finished = True  # the request was answered as if it had not asked to change the protocol
        except httptools.HttpParserCallbackError as error:
            log.defect(logger, "defect while reading a request", error)
            self._refuse(Fault.INTERNAL, "the server failed to read the request")
        except httptools.HttpParserError as error:
            self._refuse(Fault.BAD_REQUEST, f"not valid HTTP/1.1: {error}")
        if head_began_before and self._phase is _Phase.HEAD:
            # the parser reports a header only when it is complete, so an endless one is counted here
            self._count_header(len(data))

    def eof_received(self) -> bool:
        """Keep the connection for writing while answers are due to a client that stopped sending."""
        self._finished = True
        if self._exchanges:
            self._exchanges[-1].keep_alive = False
        return bool(self._exchanges)

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read."""
        self._stuck = True
        self._look_at_writing(self._endpoint.clock())
        self._update_reading()

    def resume_writing(self) -> None:
        """Go on when the client has read."""
        self._stuck = False
        self._unread_answers = 0
        self._update_reading()

    def _update_reading(self) -> None:
        pause = self._stuck or len(self._exchanges) >= self._settings.max_pipelined
        if pause == self._paused or self._transport is None:
            return
        self._paused, now = pause, self._endpoint.clock()
        if pause:
            self._paused_at = now
            self._transport.pause_reading()
        else:
            if self._phase is not _Phase.IDLE:
                self._read_deadline += now - self._paused_at  # the client could not send meanwhile
            self._transport.resume_reading()

    # parser

    def on_message_begin(self) -> None:
        """Start the time for the head of a request."""
        if self._finished:
            return
        now = self._endpoint.clock()
        self._phase = _Phase.HEAD
        self._read_deadline = now + self._settings.header_timeout_s
        self._begin(b"", now)

    def on_url(self, url: bytes) -> None:
        """Collect the request target."""
        self._current.target += url
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the headers that matter."""
        self._count_header(len(name) + len(value))
        if self._phase is _Phase.HEAD and not self._headers.add(name, value):  # not in a chunked body's trailer
            self._refuse(Fault.BAD_REQUEST, f"header {name.decode('latin-1')} appears twice")

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._settings.max_header_bytes:
            limit = self._settings.max_header_bytes
            self._refuse(Fault.HEADERS_TOO_LARGE, f"request line and headers exceed {limit} bytes")

    def on_headers_complete(self) -> None:
        """Refuse what the head alone shows to be wrong, before the body is read."""
        if self._finished:
            return
        exchange, headers = self._current, self._headers
        exchange.method = self._parser.get_method()
        exchange.legacy = self._parser.get_http_version() == "1.0"
        self._phase = _Phase.BODY
        self._read_deadline = self._endpoint.clock() + self._settings.body_timeout_s
        problem = headers.problem(exchange.method, legacy=exchange.legacy, max_body_bytes=self._settings.max_body_bytes)
        if problem:
            self._refuse(*problem)
        elif b"expect" in headers and not exchange.legacy:
            exchange.wants_continue = True
            if not self._exchanges:
                self._write_continue(exchange)

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body, within the limits of the request and of the server."""
        if self._finished:
            return
        self._body.append(body)
        self._body_bytes += len(body)
        self._endpoint.buffered_bytes += len(body)
        self._read_deadline = self._later(self._read_deadline, len(body), self._settings.body_timeout_s)
        if self._body_bytes > self._settings.max_body_bytes:
            self._refuse(Fault.BODY_TOO_LARGE, f"the body exceeds {self._settings.max_body_bytes} bytes")
        elif self._endpoint.buffered_bytes > self._settings.max_buffered_bytes:
            self._refuse(Fault.OVERLOADED, "too many bodies are being received; try again later")

    def on_message_complete(self) -> None:
        """Hand a complete request to the application."""
        if self._finished:
            return
        if self._stuck:
            # reading has been paused, but what had arrived is still parsed: it must not fill the memory with answers
            self._unread_answers += 1
            if self._unread_answers > self._settings.max_pipelined:
                self._refuse(Fault.OVERLOADED, "more requests without reading the answers")
                return
        exchange, headers = self._current, self._headers
        exchange.keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        exchange.wants_continue = False
        self._finished = not exchange.keep_alive
        self._phase = _Phase.IDLE
        self._read_deadline = self._endpoint.clock() + self._settings.keep_alive_s
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._release_body()
        self._exchanges.append(exchange)
        content_type, accept = headers.get(b"content-type", b""), headers.get(b"accept", b"")
        tensor_header = headers.get(TENSOR_HEADER, b"")
        request = Request(
            exchange.method, exchange.target, content_type, accept, body, exchange.started, tensor_header, headers
        )
        self._endpoint.application.handle(request, functools.partial(self._respond, exchange))
        if len(self._exchanges) >= self._settings.max_pipelined:
            self._update_reading()

    def _release_body(self) -> None:
        self._endpoint.buffered_bytes -= self._body_bytes
        self._body, self._body_bytes = [], 0

    # answers

    def _respond(self, exchange: _Exchange, response: Response) -> None:
        exchange.response = response
        if self._exchanges and self._exchanges[0] is exchange:
            self._flush()

    def _refuse(self, fault: Fault, message: str) -> None:
        """Answer what is being read with an error, and read nothing more."""
        if self._finished:
            return
        exchange = self._current if self._phase is not _Phase.IDLE else _Exchange(b"", self._endpoint.clock())
        self._finished = True
        self._phase = _Phase.IDLE
        self._release_body()
        exchange.keep_alive = False
        self._exchanges.append(exchange)
        headers = b"Retry-After: %d\r\n" % self._settings.retry_after_s if fault is Fault.OVERLOADED else b""
        self._respond(exchange, error_response(RequestError(fault, message), headers, exchange.target))

    def _flush(self) -> None:
        """Write the answers that are due, in order."""
        if self._transport is None:
            return
        endpoint, ready = self._endpoint, list[bytes]()
        now, closing = endpoint.clock(), False
        while self._exchanges and (response := self._exchanges[0].response):
            exchange = self._exchanges.popleft()
            closing = not self._exchanges and (not exchange.keep_alive or endpoint.draining)
            connection = (
                b"Connection: close\r\n" if closing else b"Connection: keep-alive\r\n" if exchange.legacy else b""
            )
            without_body = exchange.method == b"HEAD"
            ready.append(endpoint.writer.render(response, without_body=without_body, connection=connection))
            endpoint.application.answered(exchange.target, response.status, now - exchange.started)
            if response.code:
                endpoint.refusals.note(exchange.target, exchange.headers, response)
        self._write(ready[0] if len(ready) == 1 else b"".join(ready))
        if closing:
            self._close()
        elif not self._exchanges and self._current.wants_continue:
            self._write_continue(self._current)
        if self._paused:
            self._update_reading()

    def _write_continue(self, exchange: _Exchange) -> None:
        exchange.wants_continue = False
        self._write(CONTINUE)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            if self._write_deadline is not None and not self._transport.get_write_buffer_size():
                self._write_deadline = None
            self._written += len(data)
            self._transport.write(data)

    def _close(self) -> None:
        """End our direction, and leave the client some time to end its own."""
        self._finished = True
        self._phase = _Phase.IDLE
        self._read_deadline = self._endpoint.clock() + LINGER_SECONDS
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    # deadlines

    def _later(self, deadline: float, moved: int, allowed: float) -> float:
        """Put a deadline off for bytes that have moved, to no more than the whole time from now."""
        return min(deadline + moved / HONEST_BYTES_PER_SECOND, self._endpoint.clock() + allowed)

    def _left(self) -> int:
        """Tell how many bytes of answers have left this process since the connection began."""
        return self._written - (self._transport.get_write_buffer_size() if self._transport is not None else 0)

    def _look_at_writing(self, now: float) -> None:
        """Give the answers that wait to leave their time, and more of it for what has left."""
        before, self._taken = self._taken, self._left()
        if self._write_deadline is None:
            self._write_deadline = now + self._settings.write_timeout_s
        else:
            moved = self._taken - before
            self._write_deadline = self._later(self._write_deadline, moved, self._settings.write_timeout_s)

    def enforce_deadlines(self, now: float) -> None:
        """End the connection, or the request that is being read, if its time is over."""
        if self._transport is None:
            return
        unsent = self._transport.get_write_buffer_size() > 0
        if unsent:
            self._look_at_writing(now)
        if unsent and self._write_deadline is not None and now > self._write_deadline:
            self._transport.abort()
        elif self._phase is not _Phase.IDLE:
            if now > self._read_deadline and not self._paused:
                self._refuse(Fault.TIMEOUT, "the request did not arrive in time")
        elif unsent or self._exchanges:
            # being idle, or lingering, begins when the last answer has left
            self._read_deadline = now + (LINGER_SECONDS if self._finished else self._settings.keep_alive_s)
        elif now > self._read_deadline:
            if self._finished:
                self._transport.abort()
            else:
                self._close()

    def close_if_idle(self) -> None:
        """Close the connection if it waits for a request."""
        if self._phase is _Phase.IDLE and not self._exchanges and not self._finished:
            self._close()
