"""Large bodies are parsed beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from scoring import artifact, served
from scoring.application import ModelApplication
from scoring.errors import Fault, RequestError
from scoring.messages import Request, Response
from scoring.offload import Offload
from scoring.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Callable


def test_results_and_errors_come_back_to_the_loops_thread_in_order_and_waiting_bytes_are_bounded() -> None:
    seen: list[object] = []
    go = threading.Event()

    async def run() -> None:
        enough = asyncio.Event()
        offload = Offload(asyncio.get_running_loop().call_soon_threadsafe, 100)

        def done(result: Callable[[], object]) -> None:
            try:
                seen.append((result(), threading.current_thread() is threading.main_thread()))
            except ZeroDivisionError:
                seen.append("error")
                enough.set()

        offload.run(lambda: go.wait(10) and threading.current_thread().name.startswith("parse"), 60, done)
        offload.run(lambda: 1 // 0, 40, done)
        with pytest.raises(RequestError) as caught:
            offload.run(lambda: None, 1, done)
        assert caught.value.fault is Fault.OVERLOADED
        go.set()
        await asyncio.wait_for(enough.wait(), 10)
        offload.run(lambda: None, 100, done)
        offload.close()

    asyncio.run(run())
    assert seen[:2] == [(True, True), "error"]


def test_a_small_request_is_answered_while_a_large_one_is_being_parsed(model: artifact.Artifact) -> None:
    settings = ServerSettings(max_inline_bytes=100)
    application = ModelApplication(settings)
    go = threading.Event()

    async def run() -> list[tuple[str, Response]]:
        loop = asyncio.get_running_loop()
        answers: asyncio.Queue[tuple[str, Response]] = asyncio.Queue()
        application.offload = offload = Offload(loop.call_soon_threadsafe, 10**6)
        served_model = served.load(model, settings, loop.call_soon, application.metrics.predicted)
        decode: Any = served_model.formats[b"text/csv"].decode

        def slow(body: bytes) -> object:
            assert len(body) < 100 or go.wait(10)
            return decode(body)

        served_model.formats[b"text/csv"] = served_model.formats[b"text/csv"]._replace(decode=slow)  # pyright: ignore[reportArgumentType] # as decode
        application.use(served_model)
        for name, body in (("large", b"1,AA,3\n" * 20), ("bad", b"1,AA,x\n" * 20), ("small", b"1,AA,3\n")):
            ask = Request(b"POST", b"/invocations", b"text/csv", b"", body, 0.0)
            application.handle(ask, lambda response, name=name: answers.put_nowait((name, response)))
        first = await asyncio.wait_for(answers.get(), 10)
        go.set()
        rest = [await asyncio.wait_for(answers.get(), 10) for _ in range(2)]
        offload.close()
        return [first, *rest]

    found = dict(answers := asyncio.run(run()))
    assert answers[0][0] == "small"
    assert {name: response.status for name, response in answers} == {"small": 200, "large": 200, "bad": 400}
    assert found["large"].body == found["small"].body * 20
