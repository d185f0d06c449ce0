"""The connection without sockets: bytes in, bytes out, and a clock that the test moves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.endpoint import Endpoint
from scoring.http1 import CONTINUE, HONEST_BYTES_PER_SECOND, LINGER_SECONDS, Connection
from scoring.messages import Request, Response
from scoring.server import SWEEP_SECONDS
from scoring.settings import ServerSettings

if TYPE_CHECKING:
    from scoring.messages import Respond

GET = b"GET /now HTTP/1.1\r\nHost: h\r\n\r\n"
CLOSING = GET.replace(b"Host", b"Connection: close\r\nHost")
POST = b"POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
LIMITS: dict[str, Any] = {
    "max_body_bytes": 100,
    "max_header_bytes": 200,
    "max_queued_bytes": 400,
    "max_buffered_bytes": 150,
}


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = False
        self.aborted = False
        self.reading = True
        self.unsent = 0

    def write(self, data: Any) -> None:
        assert not self.ended, "written after the end"
        self.sent += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write_eof(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True


class Echo:
    """Answers ``/later`` when told to, and everything else at once."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.waiting: list[tuple[Request, Respond]] = []
        self.statuses: list[int] = []

    def handle(self, request: Request, respond: Respond) -> None:
        self.requests.append(request)
        if request.target.startswith(b"/later"):
            self.waiting.append((request, respond))
        else:
            respond(Response(200, request.target, b"text/plain"))

    def answered(self, target: bytes, status: int, seconds: float) -> None:
        assert isinstance(target, bytes)
        assert seconds >= 0
        self.statuses.append(status)

    def about(self, target: bytes) -> dict[str, str]:
        return {"route": target.decode("latin-1")}

    def answer(self, place: int) -> None:
        request, respond = self.waiting[place]
        respond(Response(200, request.body, b"text/plain"))


class Client:
    def __init__(self, endpoint: Endpoint | None = None, **changes: Any) -> None:
        self.now = 1000.0
        self.application = Echo()
        self.endpoint = endpoint or Endpoint(self.application, ServerSettings(**(LIMITS | changes)), lambda: self.now)
        self.transport = Transport()
        self.connection = Connection(self.endpoint)
        self.connection.connection_made(self.transport)

    def send(self, data: bytes) -> bytes:
        """Send bytes as the kernel would deliver them; give what came back."""
        before = len(self.transport.sent)
        self.connection.data_received(data)
        return self.transport.sent[before:]

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.endpoint.sweep()

    def statuses(self) -> list[int]:
        return [int(part[:3]) for part in self.transport.sent.split(b"HTTP/1.1 ")[1:]]


def test_a_kept_connection_answers_one_request_after_another() -> None:
    client = Client()
    for _ in range(3):
        answer = client.send(GET)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Connection:" not in answer
        assert answer.endswith(b"Content-Length: 4\r\n\r\n/now")
    assert not client.transport.ended


@given(st.lists(st.integers(1, 40), max_size=12))
@settings(max_examples=60)
def test_however_the_bytes_are_cut_the_same_requests_are_seen(cuts: list[int]) -> None:
    chunked = b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    stream = GET + chunked + b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
    client, place = Client(), 0
    for cut in (*cuts, len(stream)):
        client.send(stream[place : place + cut])
        place += cut
    seen = [(request.target, request.body) for request in client.application.requests]
    assert seen == [(b"/now", b""), (b"/c", b"abcde"), (b"/b", b"hi")]
    assert client.endpoint.buffered_bytes == 0


@given(st.permutations(range(4)))
def test_pipelined_answers_leave_in_the_order_of_the_requests(order: list[int]) -> None:
    client = Client()
    client.send(b"".join(POST.replace(b"abc", b"ab%d" % place) for place in range(4)) + GET)
    assert client.transport.sent == b""
    for place in order:
        client.application.answer(place)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in client.transport.sent.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [b"ab0", b"ab1", b"ab2", b"ab3", b"/now"]


def test_reading_pauses_while_too_many_answers_are_due() -> None:
    client = Client(max_pipelined=2)
    client.send(POST)
    assert client.transport.reading
    client.send(POST)
    assert not client.transport.reading
    client.application.answer(0)
    assert client.transport.reading


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + b"x" * 101, 413),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Encoding: gzip\r\n\r\n", 415),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: tea\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 300 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 300 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 431),
    ],
)
def test_a_request_that_cannot_be_framed_gets_its_status_and_the_connection_ends(
    request_bytes: bytes, status: int
) -> None:
    client = Client()
    answer = client.send(request_bytes)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close\r\n" in answer
    assert client.transport.ended
    assert client.application.requests == []
    assert client.send(GET) == b""
    assert client.endpoint.buffered_bytes == 0
    client.wait(3)
    assert client.transport.aborted


def test_a_refusal_under_v2_has_that_protocols_form() -> None:
    head = b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Encoding: gzip\r\n\r\n"
    assert b'"error":{"code":"unsupported_media_type"' in Client().send(head % b"/invocations")
    assert b'"error":"compressed bodies are not accepted"' in Client().send(head % b"/v2/models/m/infer")


def test_a_header_without_end_is_refused_although_the_parser_never_reports_it() -> None:
    client = Client()
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: ")
    sent = sum(1 for _ in range(100) if not client.send(b"x" * 50) and not client.transport.ended)
    assert client.statuses() == [431]
    assert sent <= 4


def test_an_error_waits_for_the_answers_before_it() -> None:
    client = Client()
    client.send(POST + b"\x00\x01")
    assert client.transport.sent == b""
    client.application.answer(0)
    assert client.statuses() == [200, 400]
    assert client.transport.ended


def test_a_close_is_honoured_and_what_follows_it_is_ignored() -> None:
    client = Client()
    answer = client.send(CLOSING + GET)
    assert client.statuses() == [200]
    assert b"Connection: close\r\n" in answer
    assert client.transport.ended


def test_http_1_0_closes_unless_it_asks_to_stay() -> None:
    client = Client()
    answer = client.send(b"GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"Connection: keep-alive\r\n" in answer
    assert not client.transport.ended
    client.send(b"GET /now HTTP/1.0\r\n\r\n")
    assert client.transport.ended


def test_head_tells_the_length_and_sends_no_body() -> None:
    answer = Client().send(GET.replace(b"GET", b"HEAD"))
    assert answer.endswith(b"Content-Length: 4\r\n\r\n")


def test_an_offer_to_change_the_protocol_is_answered_in_this_one() -> None:
    client = Client()
    client.send(b"GET /now HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert client.statuses() == [200]
    assert client.transport.ended


def test_a_client_that_asks_first_is_told_to_continue_in_its_turn() -> None:
    head = POST.replace(b"Host", b"Expect: 100-continue\r\nHost").removesuffix(b"abc")
    client = Client()
    assert client.send(head) == CONTINUE
    client.send(b"abc")
    assert client.send(head) == b""
    client.application.answer(0)
    assert client.transport.sent.endswith(CONTINUE)
    client.send(b"abc")
    client.application.answer(1)
    assert client.statuses() == [100, 200, 100, 200]


def test_a_client_that_announces_too_much_is_refused_instead_of_told_to_continue() -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n"
    client = Client()
    client.send(head)
    assert client.statuses() == [413]


def test_bodies_of_all_connections_together_are_bounded() -> None:
    first = Client()
    second = Client(first.endpoint)
    start = b"POST /now HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"
    assert first.send(start + b"x" * 90) == b""
    answer = second.send(start + b"x" * 90)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1\r\n" in answer
    first.send(b"x" * 10)
    assert first.statuses() == [200]
    assert first.endpoint.buffered_bytes == 0


def test_one_connection_too_many_gets_503() -> None:
    first = Client(max_connections=1)
    second = Client(first.endpoint)
    assert second.statuses() == [503]
    first.connection.connection_lost(None)
    second.connection.connection_lost(None)
    assert first.endpoint.all_closed.is_set()
    assert Client(first.endpoint).send(GET).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("start", "limit", "status"),
    [
        (b"GET /now HT", "header_timeout_s", 408),
        (GET + b"GET /now HT", "header_timeout_s", 408),
        (POST[:-1], "body_timeout_s", 408),
        (b"", "header_timeout_s", None),
        (GET, "keep_alive_s", None),
    ],
)
def test_a_slow_or_silent_client_is_given_its_time_and_no_more(start: bytes, limit: str, status: int | None) -> None:
    client = Client()
    if start:
        client.send(start)
    before, allowed = len(client.statuses()), getattr(ServerSettings(), limit)
    client.wait(allowed - 0.1)
    assert not client.transport.ended
    client.wait(0.2)
    assert client.transport.ended
    assert client.statuses()[before:] == ([status] if status else [])


def test_a_drop_by_drop_client_gains_no_time() -> None:
    client = Client()
    for byte in GET[:9]:
        client.send(bytes([byte]))
        client.wait(1.2)
    assert client.statuses() == [408]
    client = Client()
    client.send(POST[:-3].replace(b" 3", b" 90"))
    for _ in range(9):
        client.send(b"a")
        client.wait(1)
    assert client.statuses() == [408]


def test_what_is_slow_is_gone_within_ten_seconds_by_default() -> None:
    usual = ServerSettings()
    slowest = max(usual.header_timeout_s, usual.body_timeout_s, usual.write_timeout_s)
    assert slowest + LINGER_SECONDS + 2 * SWEEP_SECONDS <= 10


def test_a_large_body_may_come_slowly_but_not_stall() -> None:
    size, pace = ServerSettings().max_body_bytes, 70 * 1024
    plenty = {name: getattr(ServerSettings(), name) for name in LIMITS}
    honest, stalled = Client(**plenty), Client(**plenty)
    head = POST[:-3].replace(b" 3", b" %d" % size)
    for client in (honest, stalled):
        client.send(head)
    for start in range(0, size, pace):
        honest.send(bytes(min(pace, size - start)))
        honest.wait(1)
    (asked,) = honest.application.requests
    assert (len(asked.body), honest.statuses()) == (size, [])
    stalled.send(bytes(size - 1))
    stalled.wait(6.9)
    assert stalled.statuses() == []
    stalled.wait(0.2)
    assert stalled.statuses() == [408]


def test_a_client_that_does_not_read_stops_being_read_and_is_cut_off() -> None:
    client = Client()
    client.transport.unsent = 1000
    client.connection.pause_writing()
    assert not client.transport.reading
    for _ in range(6):
        client.transport.unsent -= 10
        client.wait(1.1)
    assert not client.transport.aborted
    client.wait(1.1)
    assert client.transport.aborted


@pytest.mark.parametrize("request_bytes", [GET, CLOSING, GET.replace(b"1.1", b"1.0")])
def test_a_client_that_reads_slowly_gets_all_of_its_answer_however_long_it_takes(request_bytes: bytes) -> None:
    client = Client()
    client.send(request_bytes)
    client.transport.unsent = 100 * HONEST_BYTES_PER_SECOND
    client.connection.pause_writing()
    for left in range(99, -1, -1):
        assert client.now < 1000 + 100 * 0.9
        client.transport.unsent = left * HONEST_BYTES_PER_SECOND
        client.wait(0.9)
        assert not client.transport.aborted
    rest = ServerSettings().keep_alive_s if request_bytes is GET else LINGER_SECONDS
    client.wait(rest - 0.9 - 0.1)
    assert not client.transport.aborted
    assert client.transport.ended is (request_bytes is not GET)
    client.wait(0.2)
    assert client.transport.ended
    assert client.transport.aborted is (request_bytes is not GET)


def test_a_client_that_stalls_in_the_middle_of_its_answer_is_cut_off() -> None:
    client = Client()
    client.send(GET)
    client.transport.unsent = 20 * HONEST_BYTES_PER_SECOND
    client.connection.pause_writing()
    for _ in range(10):
        client.transport.unsent -= HONEST_BYTES_PER_SECOND
        client.wait(0.9)
    client.wait(7.0)
    assert not client.transport.aborted
    client.wait(0.1)
    assert client.transport.aborted


def test_what_waits_below_the_mark_of_the_transport_has_its_time_too() -> None:
    client = Client()
    client.send(GET)
    client.transport.unsent = 1000
    client.wait(0.5)
    client.wait(7.1)
    assert client.transport.aborted


def test_a_client_that_asks_for_more_and_takes_little_gains_no_time() -> None:
    client = Client()
    client.transport.unsent = 70_000  # as much is taken as is answered meanwhile
    for _ in range(8):
        client.connection.pause_writing()
        client.wait(0.5)
        client.connection.resume_writing()
        assert client.send(GET)
        client.wait(0.5)
    assert client.transport.aborted


@pytest.mark.parametrize("sent", [GET[:9], POST[:-1]])
def test_the_time_of_a_request_stands_still_while_the_server_does_not_read_it(sent: bytes) -> None:
    client = Client()
    client.send(sent)
    client.wait(3)
    client.transport.unsent = 60 * HONEST_BYTES_PER_SECOND
    client.connection.pause_writing()
    for _ in range(60):
        client.transport.unsent -= HONEST_BYTES_PER_SECOND
        client.wait(1)
    client.connection.resume_writing()
    client.wait(3.9)
    assert client.statuses() == []
    client.wait(0.2)
    assert client.statuses() == [408]


def test_a_client_that_does_not_read_cannot_fill_the_memory_with_answers_to_what_it_sent_before() -> None:
    client = Client(max_pipelined=3)
    client.send(GET)
    client.connection.pause_writing()
    client.send(GET * 100)
    assert client.statuses() == [200] * 4 + [503]
    patient = Client(max_pipelined=3)
    for _ in range(3):
        patient.connection.pause_writing()
        patient.send(GET * 3)
        patient.connection.resume_writing()
    assert patient.statuses() == [200] * 9


def test_waiting_for_a_prediction_is_not_the_clients_fault() -> None:
    client = Client()
    client.send(POST)
    client.wait(10_000)
    client.application.answer(0)
    assert client.statuses() == [200]


def test_a_half_closed_client_still_gets_its_answer() -> None:
    client = Client()
    client.send(POST)
    assert client.connection.eof_received() is True
    client.application.answer(0)
    assert client.statuses() == [200]
    assert client.transport.ended
    assert Client().connection.eof_received() is False


@pytest.mark.parametrize("framing", [b"Content-Length: 9\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc"])
def test_an_upload_that_is_cut_short_is_handed_to_nobody_and_leaves_nothing_behind(framing: bytes) -> None:
    client = Client()
    client.send(b"POST /now HTTP/1.1\r\nHost: h\r\n" + framing)
    assert client.endpoint.buffered_bytes == 3
    assert not client.connection.eof_received()
    client.connection.connection_lost(None)
    assert (client.application.requests, client.transport.sent) == ([], b"")
    assert client.endpoint.buffered_bytes == 0


def test_an_answer_for_a_client_that_left_is_dropped() -> None:
    client = Client()
    client.send(POST + POST[:-1])
    client.connection.connection_lost(ConnectionResetError())
    client.application.answer(0)
    assert client.transport.sent == b""
    assert client.endpoint.buffered_bytes == 0


def test_draining_closes_each_connection_after_an_answer_and_idle_ones_at_the_end() -> None:
    busy = Client()
    idle = Client(busy.endpoint)
    busy.send(POST + POST)
    busy.endpoint.draining = True
    busy.application.answer(0)
    assert not busy.transport.ended
    busy.application.answer(1)
    assert b"Connection: close\r\n" not in busy.transport.sent.partition(b"abc")[0]
    assert b"Connection: close\r\n" in busy.transport.sent
    assert busy.transport.ended
    assert not idle.transport.ended
    idle.endpoint.close_idle()
    assert idle.transport.ended
