"""One thread beside the event loop for bodies whose parsing would hold up everyone else's answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from scoring.errors import Fault, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

T = TypeVar("T")


class Offload:
    """Runs functions one after another in a thread, and hands their results back to the event loop."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], max_waiting_bytes: int) -> None:
        """Prepare the thread.

        Args:
            call_soon: ``loop.call_soon_threadsafe`` of the loop that gets the results.
            max_waiting_bytes: Most bytes of bodies that wait for the thread or are in it.
        """
        self._call_soon = call_soon
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting_bytes = 0
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="parse")

    def run(self, work: Callable[[], T], size: int, done: Callable[[Callable[[], T]], None]) -> None:
        """Do some work in the thread.

        Args:
            work: Runs in the thread.
            size: Bytes that it keeps in memory.
            done: Gets, in the event loop, a function that gives what ``work`` gave or raises what it raised.

        Raises:
            RequestError: too much waits already; ``done`` will not be called.
        """
        if self._waiting_bytes + size > self._max_waiting_bytes:
            raise RequestError(Fault.OVERLOADED, "too many large bodies are waiting; try again later")
        self._waiting_bytes += size

        def back() -> None:
            self._waiting_bytes -= size
            done(future.result)

        def finished(_future: Future[T]) -> None:
            self._call_soon(back)

        future = self._executor.submit(work)
        future.add_done_callback(finished)

    def close(self) -> None:
        """End the thread; what waits is not begun."""
        self._executor.shutdown(wait=False, cancel_futures=True)
