"""Micro-batching: one XGBoost call per event-loop turn for all rows that wait.

A call costs 150 µs and more however few rows it has, so the turn's requests share one. There is no timer: the batch
is what arrived since the last turn, and an idle server answers a single row at once.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import orjson

from scoring.errors import AlgorithmError, Fault, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from scoring.codec import Rows

    Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
    Reply = Callable[[list[bytes] | Exception], None]

CELL_BYTES = 4

LONG_SHARE = 4
"""One row in so many is for long requests, while there are any."""

ROOM_SHARE = 32
"""A full queue takes rows again when so small a part of it is free: more room would be filled in one turn of the event
loop, by bodies whose parsing holds up everyone else."""


class Load(NamedTuple):
    """How full a queue is."""

    rows: int
    """Rows that wait for a call of the model."""
    queued_bytes: int
    """What they take."""
    most_rows: int
    """Rows that may wait."""
    most_bytes: int
    """What they may take."""


class _Job:
    """One request's rows, answered when all of them are."""

    __slots__ = ("numbers", "reply", "rows", "taken")

    def __init__(self, rows: Rows, reply: Reply) -> None:
        self.rows = rows
        self.reply = reply
        self.taken = 0
        self.numbers: list[bytes] = []


class Batcher:
    """A bounded queue in front of a predictor.

    First come, first served; only a request that is longer than a call gives way to shorter ones, and goes on in the
    part of every call that is kept for it.
    """

    def __init__(
        self,
        predict: Predict,
        width: int,
        schedule: Callable[[Callable[[], None]], object],
        *,
        max_batch_rows: int,
        max_queued_bytes: int,
        on_batch: Callable[[int], None],
    ) -> None:
        """Set up an empty queue.

        Args:
            predict: Takes (n, width) rows, gives n probabilities.
            width: Number of features.
            schedule: Runs a function soon, after what is being read now; ``loop.call_soon``.
            max_batch_rows: Most rows in one call; a longer request is answered over several turns.
            max_queued_bytes: Most bytes of rows that wait.
            on_batch: Told the rows of every call.
        """
        self._predict = predict
        self._width = width
        self._schedule = schedule
        self._max_batch_rows = max_batch_rows
        self._max_queued_bytes = max_queued_bytes
        self._on_batch = on_batch
        self._queue: deque[_Job] = deque()
        self._long: deque[_Job] = deque()
        self._queued_bytes = 0
        self._scheduled = False
        self.congested = False
        """The queue was full, and nearly is: not worth parsing another body."""

    def load(self) -> Load:
        """What waits now, of the most that may; a request counts whole until its last row is in a call."""
        now, most, row_bytes = self._queued_bytes, self._max_queued_bytes, CELL_BYTES * self._width
        return Load(now // row_bytes, now, most // row_bytes, most)

    def around(self, wrap: Callable[[Predict], Predict]) -> None:
        """Put something around every call of the model."""
        self._predict = wrap(self._predict)

    def submit(self, rows: Rows, reply: Reply) -> None:
        """Queue rows; ``reply`` gets their probabilities as decimal texts, in order, or the error, exactly once.

        The texts are the shortest that give back the same float32.

        Raises:
            RequestError: the queue is full; ``reply`` will not be called.
        """
        if self._queued_bytes + len(rows.data) > self._max_queued_bytes:
            self.congested = True
            raise self.refusal()
        self._queued_bytes += len(rows.data)
        self.congested = self._nearly_full() and self._queued_bytes + len(rows.data) > self._max_queued_bytes
        (self._queue if rows.length <= self._max_batch_rows else self._long).append(_Job(rows, reply))
        if not self._scheduled:
            self._scheduled = True
            self._schedule(self._turn)

    @staticmethod
    def refusal() -> RequestError:
        """Give the answer to a request for which there is no room."""
        return RequestError(Fault.OVERLOADED, "the queue of rows is full; try again later")

    def _nearly_full(self) -> bool:
        return ROOM_SHARE * (self._max_queued_bytes - self._queued_bytes) < self._max_queued_bytes

    def _turn(self) -> None:
        batch, parts = self._take()
        try:
            rows = np.frombuffer(b"".join(parts), dtype=np.float32).reshape(-1, self._width)
            numbers = as_texts(self._predict(rows))
        except Exception as error:  # noqa: BLE001 # a defect fails its batch, not the server
            self._fail(batch, error if isinstance(error, AlgorithmError) else _defect(error))
        else:
            self._on_batch(len(numbers))
            self._distribute(batch, numbers)
        self.congested = self.congested and self._nearly_full()
        self._scheduled = bool(self._queue or self._long)
        if self._scheduled:
            self._schedule(self._turn)

    def _take(self) -> tuple[list[tuple[_Job, int]], list[bytes]]:
        """Take at most one batch of rows: short requests first, a quarter of the batch for long ones, then the rest."""
        batch: list[tuple[_Job, int]] = []
        parts: list[bytes] = []
        room = self._max_batch_rows
        if self._long:
            kept = max(room // LONG_SHARE, 1)
            room = kept + self._take_from(self._queue, room - kept, batch, parts)
            room = self._take_from(self._long, room, batch, parts)
        self._take_from(self._queue, room, batch, parts)
        return batch, parts

    def _take_from(self, queue: deque[_Job], room: int, batch: list[tuple[_Job, int]], parts: list[bytes]) -> int:
        """Move rows from the front of a queue into a batch; give the room that is left."""
        row_bytes = CELL_BYTES * self._width
        while queue and room:
            job = queue[0]
            count = min(room, job.rows.length - job.taken)
            whole = count == job.rows.length
            start = job.taken * row_bytes
            parts.append(job.rows.data if whole else job.rows.data[start : start + count * row_bytes])
            batch.append((job, count))
            job.taken += count
            room -= count
            if job.taken == job.rows.length:
                queue.popleft()
                self._queued_bytes -= len(job.rows.data)
        return room

    def _distribute(self, batch: list[tuple[_Job, int]], numbers: list[bytes]) -> None:
        start = 0
        for job, count in batch:
            job.numbers += numbers[start : start + count]
            start += count
            if len(job.numbers) == job.rows.length:
                job.reply(job.numbers)

    def _fail(self, batch: list[tuple[_Job, int]], error: Exception) -> None:
        for job in dict.fromkeys(job for job, _ in batch):
            for queue in (self._queue, self._long):
                if queue and queue[0] is job:
                    queue.popleft()
                    self._queued_bytes -= len(job.rows.data)
            job.reply(error)


def _defect(error: Exception) -> AlgorithmError:
    defect = AlgorithmError(repr(error))
    defect.__cause__ = error  # without a traceback of its own, it is the cause that says where
    return defect


def as_texts(probabilities: NDArray[np.float32]) -> list[bytes]:
    """Write float32 values as the shortest decimal texts that read back to the same float32.

    Args:
        probabilities: Of shape (n,), or (n, k).

    Returns:
        One text per row; k values are separated by commas.
    """
    text = orjson.dumps(probabilities, option=orjson.OPT_SERIALIZE_NUMPY)
    return text[1:-1].split(b",") if probabilities.ndim == 1 else text[2:-2].split(b"],[")
