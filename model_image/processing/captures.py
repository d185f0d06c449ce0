"""Captured requests as rows and answers, one record at a time, and what is true of them as far as it is known.

Sources: Amazon SageMaker Developer Guide, "View captured data" (captures) and "Ingest Ground Truth labels and merge
them with predictions" (labels); both lie in folders by UTC hour, `yyyy/mm/dd/hh`.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import orjson

from scoring.capture import BINARY, VERSION_ATTRIBUTE
from scoring.codec import Decoder
from scoring.errors import RequestError
from scoring.messages import CSV, JSON
from scoring.tensors import OUTPUT, TensorCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from scoring.codec import Rows
    from scoring.contract import Schema

MOST_ROWS: Final = 10_000
"""Rows of one record; a server takes no more in a request."""
MOST_LABELS: Final = 1_000_000
"""Labels that are held; further ones are counted and not used."""

VERSION_FOLDER: Final = "version-"
"""Begins the folder that says which version answered what lies below.

SageMaker writes no such thing into a capture of an endpoint, but puts it where the version's own endpoint configuration
says (`components/model_places.py`).
"""

_HOUR: Final = re.compile(r"(\d{4})/(\d{2})/(\d{2})/(\d{2})/[^/]+\.jsonl$")


class Window(NamedTuple):
    """The hours that are looked at."""

    start: datetime
    """The first."""
    end: datetime
    """The one after the last."""

    @classmethod
    def before(cls, end: datetime, hours: int) -> Window:
        """Some hours, with the one that has begun; a time without a zone is the container's, which is UTC."""
        last = end.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return cls(last - timedelta(hours=hours), last)

    def files(self, folder: Path) -> list[Path]:
        """Files of these hours, however deep below the folder, the oldest first."""
        found = [(hour, path) for path in folder.rglob("*.jsonl") if (hour := _hour(path)) and self._holds(hour)]
        return [path for _, path in sorted(found)]

    def _holds(self, hour: datetime) -> bool:
        return self.start <= hour < self.end


def _hour(path: Path) -> datetime | None:
    found = _HOUR.search(path.as_posix())
    try:
        return datetime(*map(int, found.groups()), tzinfo=UTC) if found else None
    except ValueError:
        return None


class Record(NamedTuple):
    """One captured request."""

    rows: NDArray[np.float32]
    """Shape (n, features), as the model saw them."""
    answers: NDArray[np.float32]
    """Shape (n,), or (n, classes)."""
    identifier: str
    """What the caller called the request; empty if it did not."""


class Captures:
    """Reads the records of one version, and counts the others."""

    def __init__(self, schema: Schema, version: str) -> None:
        """Prepare; an empty version takes the records of every one."""
        decoder, tensors = Decoder(schema, MOST_ROWS), TensorCodec(schema, MOST_ROWS, "", "")
        self._read: dict[tuple[bytes, bool], Callable[[bytes], Rows]] = {
            (CSV, False): decoder.csv,
            (JSON, False): decoder.json,
            (JSON, True): lambda body: tensors.decode(body)[0],
        }
        self._width = schema.width
        self._version = version
        self.outcomes: Counter[str] = Counter()
        """Records by what became of them: `read`, `of another version`, `binary` (which are not read), `malformed`."""
        self.answered: Counter[str] = Counter()
        """Records by the version that answered, where they say it."""

    def records(self, files: list[Path]) -> Iterator[Record]:
        """Give the records, one in memory at a time."""
        for path in files:
            told = _told(path)
            with path.open("rb") as lines:
                for line in lines:
                    record = self._record(line, told)
                    self.outcomes[record if isinstance(record, str) else "read"] += 1
                    if not isinstance(record, str):
                        yield record

    def _record(self, line: bytes, told: str) -> Record | str:
        try:
            document = orjson.loads(line)
            event, parts = document["eventMetadata"], document["captureData"]
            version = told or _said(event)
            self.answered.update([version] if version else [])
            if self._version and version != self._version:
                return "of another version"
            given, answered = parts["endpointInput"], parts["endpointOutput"]
            if BINARY in (given["encoding"], answered["encoding"]):
                return "binary"
            answers, tensors = _answers(answered)
            rows = self._read[_media(given), tensors](given["data"].encode())
        except (RequestError, ValueError, KeyError, TypeError, AttributeError):
            return "malformed"
        if len(answers) != rows.length:
            return "malformed"
        values = np.frombuffer(rows.data, np.float32).reshape(rows.length, self._width)
        return Record(values, answers, str(event.get("inferenceId", "")))


def _told(path: Path) -> str:
    """Give the version that a file's folders name; empty where the records say it themselves."""
    found = (part.removeprefix(VERSION_FOLDER) for part in path.parts if part.startswith(VERSION_FOLDER))
    return next(found, "")


def _said(event: dict[str, Any]) -> str:
    """Give the version that a server wrote first; what follows is the caller's."""
    first = str(next(iter(event.get("customAttributes", ())), ""))
    return first.removeprefix(VERSION_ATTRIBUTE) if first.startswith(VERSION_ATTRIBUTE) else ""


def _media(part: dict[str, str]) -> bytes:
    return part["observedContentType"].partition(";")[0].strip().lower().encode()


def _answers(part: dict[str, str]) -> tuple[NDArray[np.float32], bool]:
    """Give the answers, and whether request and answer are those of the Open Inference Protocol."""
    text = part["data"]
    if _media(part) != JSON:
        rows = [[float(cell) for cell in line.split(",")] for line in text.splitlines()]
        values = np.array(rows, dtype=np.float32)
        return values[:, 0] if values.shape[1] == 1 else values, False
    document = orjson.loads(text)
    if "outputs" not in document:
        return np.array(document["predictions"], dtype=np.float32), False
    (output,) = (each for each in document["outputs"] if each["name"] == OUTPUT)
    return np.array(output["data"], dtype=np.float32).reshape(output["shape"]), True


class Truth(NamedTuple):
    """What is known to have been right."""

    labels: dict[str, list[float]]
    """By what the caller called the request: one a row."""
    unused: int
    """Records that could not be read, or were too many."""


def read_truth(files: list[Path]) -> Truth:
    """Read labels; of several for one request the newest counts."""
    labels: dict[str, list[float]] = {}
    unused = 0
    for path in files:
        with path.open("rb") as lines:
            for line in lines:
                try:
                    identifier, values = _labels(orjson.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError):
                    unused += 1
                    continue
                if len(labels) < MOST_LABELS or identifier in labels:
                    labels[identifier] = values
                else:
                    unused += 1
    return Truth(labels, unused)


def _labels(document: dict[str, Any]) -> tuple[str, list[float]]:
    event = document["eventMetadata"]
    return str(event.get("inferenceId") or event["eventId"]), list(
        map(float, document["groundTruthData"]["data"].split())
    )
