"""Data capture: a sample of requests with their answers, as JSON lines in the layout of SageMaker Model Monitor.

The event loop only puts a pair of bodies into a bounded queue; a thread writes. What does not fit is dropped and
counted: a slow disk costs records, never requests. A file has its name only when nothing more is written to it, so that
whatever takes files away needs to ask nobody.
Source: Amazon SageMaker Developer Guide, "View captured data" (record layout, folders by UTC hour).
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import logging
import queue
import random
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson

from scoring import log
from scoring.capture_space import COUNT_SECONDS, Space
from scoring.headers import CUSTOM_ATTRIBUTES, INFERENCE_ID
from scoring.messages import CSV, JSON
from scoring.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from io import BufferedWriter

    from scoring.messages import Request, Response

EVENT_VERSION = "0"
"""Version of the record layout."""

BINARY = "BASE64"
"""Encoding of what is no text."""

VERSION_ATTRIBUTE = "model_version="
"""Begins the custom attribute that tells which version answered."""

MODEL_ATTRIBUTE = "model_name="
"""Begins the one that tells which of several models did."""

LONGEST_ATTRIBUTE = 1024
"""Characters of a caller's header that are kept, as many as SageMaker takes."""

MAX_QUEUED = 1024
"""Records that wait for the disk."""

STOP_SECONDS = 2.0

UNFINISHED = ".part"
"""Ends the name of the file that is being written."""

logger = logging.getLogger(__name__)


class _FullError(Exception):
    """There is no room for a record."""


class _Record(NamedTuple):
    request: Request
    response: Response
    version: str
    taken: float
    names: Sequence[str]
    model: str


class Capture:
    """Writes a sample of requests and answers; one instance per process."""

    def __init__(
        self,
        folder: Path,
        *,
        percent: float,
        drop: Collection[str] = (),
        max_queued_bytes: int,
        max_file_bytes: int,
        max_file_s: float,
        max_disk_bytes: int,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Start the writing thread.

        Args:
            folder: Files are written below it as ``yyyy/mm/dd/hh/<time>-<id>.jsonl``.
            percent: Share of the answered predictions to keep, 0 to 100.
            drop: Features whose values must not be written.
            max_queued_bytes: Most bytes of bodies that wait for the disk.
            max_file_bytes: A file that has reached this size is followed by another.
            max_file_s: A file is finished after this time, even if nothing more is written.
            max_disk_bytes: Most bytes of files below the folder; beyond them records are dropped.
            clock: Seconds since the epoch.
            chance: Uniform over [0, 1).
        """
        self.written = 0
        """Records on disk."""
        self._refused = 0
        self._failed = 0
        self._folder = folder
        self._share = percent / 100
        self._drop = frozenset(drop)
        self._max_queued_bytes = max_queued_bytes
        self._max_file_bytes = max_file_bytes
        self._max_file_s = max_file_s
        self._space = Space(folder, max_disk_bytes)
        self._clock = clock
        self._chance = chance
        self._queue: queue.Queue[_Record | None] = queue.Queue(MAX_QUEUED)
        self._queued_bytes = 0
        self._done_bytes = 0
        self._file: BufferedWriter | None = None
        self._path = folder
        self._hour = ""
        self._due = 0.0  # on the monotonic clock: when the file is to be finished
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Records that were lost: the queue or the disk was full, or the disk refused them."""
        return self._refused + self._failed  # one is counted by the event loop's thread, the other by the writing one

    @property
    def waiting_bytes(self) -> int:
        """Bytes below the folder, which nobody has taken away yet."""
        return self._space.used

    def offer(self, request: Request, response: Response, version: str, names: Sequence[str], model: str = "") -> None:
        """Maybe keep an answered request; never waits.

        Args:
            request: As it came.
            response: Its answer.
            version: Which version answered.
            names: Features of that version, in order.
            model: Which of several models answered; empty in a server of one.
        """
        if self._chance() >= self._share:
            return
        size = len(request.body) + len(response.body)
        # each counter is written by one thread only, so their difference needs no lock
        if self._queued_bytes - self._done_bytes + size > self._max_queued_bytes:
            self._refused += 1
            return
        try:
            self._queue.put_nowait(_Record(request, response, version, self._clock(), names, model))
        except queue.Full:
            self._refused += 1
        else:
            self._queued_bytes += size

    def close(self, seconds: float = STOP_SECONDS) -> None:
        """Write what waits, for a short time, and end the thread."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=seconds)
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            try:
                record = self._queue.get(timeout=self._left())
            except queue.Empty:
                self._attempt(self._rest)
                continue
            if record is None:
                break
            if self._attempt(lambda kept=record: self._write(kept)):
                self.written += 1
            else:
                self._failed += 1
            self._done_bytes += len(record.request.body) + len(record.response.body)
        self._attempt(self._finish)

    def _left(self) -> float:
        """Seconds until the file is to be finished, or until the files are to be counted when there is none."""
        return COUNT_SECONDS if self._file is None else max(self._due - time.monotonic(), 0.0)

    def _rest(self) -> None:
        self._finish()
        self._space.count()

    def _attempt(self, act: Callable[[], None]) -> bool:
        """Do something with files; whether it worked."""
        try:
            act()
        except _FullError:
            pass  # the counter tells, for as long as it lasts
        except OSError as error:
            logger.warning("a record was not captured: %s", error)
            self._file = None
        except Exception as error:  # noqa: BLE001 # as with files: a record is lost, and nothing else
            log.defect(logger, "a record was not captured", error)
        else:
            return True
        return False

    def _write(self, record: _Record) -> None:
        taken = datetime.fromtimestamp(record.taken, UTC)
        line, hour, file = self._line(record, taken), f"{taken:%Y/%m/%d/%H}", self._file
        if file is not None and (hour != self._hour or file.tell() >= self._max_file_bytes or not self._left()):
            self._finish()
        if not self._space.take(len(line)):
            raise _FullError
        file = self._file or self._open(taken, hour)
        file.write(line)
        file.flush()

    def _open(self, taken: datetime, hour: str) -> BufferedWriter:
        directory = self._folder / hour
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / f"{taken:%M-%S-%f}-{uuid.uuid4()}.jsonl"
        self._file, self._hour = self._path.with_name(self._path.name + UNFINISHED).open("xb"), hour
        fcntl.flock(self._file, fcntl.LOCK_EX)  # until it is closed, or the process is gone: somebody writes to it
        self._due = time.monotonic() + self._max_file_s
        return self._file

    def _finish(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with file:  # the name first: without the lock, the file would look left behind
                Path(file.name).rename(self._path)

    def _line(self, record: _Record, taken: datetime) -> bytes:
        request, response = record.request, record.response
        media = request.content_type.partition(b";")[0].strip().lower()
        body = redact(request.body, media, self._drop, record.names) if self._drop else request.body
        parts = {
            "endpointInput": _part("INPUT", request.content_type, media, body),
            "endpointOutput": _part("OUTPUT", response.content_type, response.content_type, response.body),
        }
        attributes, identifier = (_text(request, name) for name in (CUSTOM_ATTRIBUTES, INFERENCE_ID))
        model = [f"{MODEL_ATTRIBUTE}{record.model}"] if record.model else []
        event: dict[str, object] = {
            "eventId": str(uuid.uuid4()),
            "customAttributes": [f"{VERSION_ATTRIBUTE}{record.version}", *model, *filter(None, [attributes])],
            "inferenceTime": f"{taken:%Y-%m-%dT%H:%M:%SZ}",
        }
        if identifier:
            event["inferenceId"] = identifier
        document = {"captureData": parts, "eventMetadata": event, "eventVersion": EVENT_VERSION}
        return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def _text(request: Request, name: bytes) -> str:
    """Give what a caller said in a header, or nothing."""
    return request.headers.get(name, b"").decode("latin-1")[:LONGEST_ATTRIBUTE]


def _part(mode: str, content_type: bytes, media: bytes, body: bytes) -> dict[str, str]:
    """Give one half of ``captureData``: text as it is, anything else in base64."""
    encoding = {CSV: "CSV", JSON: "JSON"}.get(media, BINARY)
    try:
        data = body.decode() if encoding != BINARY else base64.b64encode(body).decode()
    except UnicodeDecodeError:
        encoding, data = BINARY, base64.b64encode(body).decode()
    return {
        "observedContentType": content_type.decode("latin-1"),
        "mode": mode,
        "data": data,
        "encoding": encoding,
    }
