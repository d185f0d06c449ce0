"""Figure 14: damaged model directories are offered to a server under load, which goes on answering as before."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import shutil
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scoring import artifact
from scoring.predictor import Predictor
from tests.reliability.figures import Count, Run, measure
from tests.support.jobs import prepare
from tests.support.servers import Server, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from numpy import random

    Damage = Callable[[bytes, random.Generator], bytes | None]

PROBES = 100
"""Rows of a question."""

PAUSE = 0.01
"""Seconds between two questions, so that the client leaves a core to the server and its children."""

BLOCK = 64
FILES = (*artifact.PAYLOAD, artifact.MANIFEST)
REFUSED, ACCEPTED = http.client.UNPROCESSABLE_ENTITY, http.client.OK
TRIAL_SECONDS = "8"


def _span(data: bytes, draw: random.Generator) -> tuple[int, int]:
    start = int(draw.integers(max(1, len(data) - BLOCK)))
    return start, min(len(data), start + BLOCK)


def _flip(data: bytes, draw: random.Generator) -> bytes:
    place, bit = int(draw.integers(len(data))), int(draw.integers(8))
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def _swap(data: bytes, draw: random.Generator) -> bytes:
    (a, b), (c, d) = sorted((_span(data, draw), _span(data, draw)))
    return data if b > c else data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _replaced(data: bytes, draw: random.Generator, block: bytes) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + block[: end - start] + data[end:]


def _without(data: bytes, draw: random.Generator) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + data[end:]


def _twice(data: bytes, draw: random.Generator) -> bytes:
    start, end = _span(data, draw)
    return data[:end] + data[start:end] + data[end:]


DAMAGES: Final[dict[str, Damage]] = {
    "one bit": _flip,
    "one byte": lambda data, draw: _replaced(data, draw, b"")[:-1] + draw.bytes(1),
    "many bits": lambda data, draw: _flip(_flip(_flip(data, draw), draw), draw),
    "zeros": lambda data, draw: _replaced(data, draw, bytes(BLOCK)),
    "ones": lambda data, draw: _replaced(data, draw, b"\xff" * BLOCK),
    "noise": lambda data, draw: _replaced(data, draw, draw.bytes(BLOCK)),
    "a part lost": _without,
    "a part twice": _twice,
    "parts exchanged": _swap,
    "cut short": lambda data, draw: data[: int(draw.integers(len(data)))],
    "longer": lambda data, draw: data + draw.bytes(BLOCK),
    "missing": lambda _data, _draw: None,
}
"""Twelve kinds, such as disks, copies and transfers bring about."""


def _damaged(data: bytes, kind: str, draw: random.Generator) -> bytes | None:
    """Damage a file so that it differs."""
    while True:
        found = DAMAGES[kind](data, draw)
        if found != data:
            return found


def _vouch(directory: Path) -> None:
    """Write a manifest that fits whatever the directory holds: it switches the check of the digests off."""
    path = directory / artifact.MANIFEST
    manifest: dict[str, Any] = json.loads(path.read_text())
    for name in artifact.PAYLOAD:
        data = (directory / name).read_bytes()
        manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    path.write_text(json.dumps(manifest))


@dataclass(slots=True)
class _Client:
    """Asks the rows whose answers are known."""

    server: Server
    question: bytes
    answer: bytes
    asked: int = 0
    wrong: list[str] = field(default_factory=list[str])

    def ask(self) -> bool:
        """Ask once; tell whether the answer is the known one, to the bit."""
        try:
            status, _, body = self.server.request("POST", "/invocations", self.question, Content_Type="text/csv")
        except (OSError, http.client.HTTPException) as error:
            status, body = 0, repr(error).encode()
        self.asked += 1
        right = status == http.client.OK and np.array(body.split(), dtype=np.float32).tobytes() == self.answer
        if not right:
            self.wrong.append(f"{status} {body[:100].decode(errors='replace')}")
        return right


@contextlib.contextmanager
def _load(client: _Client) -> Generator[None]:
    """Ask all the time, and read what the server prints, so that it never waits for a reader."""
    done = threading.Event()

    def ask() -> None:
        while not done.wait(PAUSE) and len(client.wrong) < PROBES:
            client.ask()

    output = client.server.process.stdout
    threads = [threading.Thread(target=ask), threading.Thread(target=lambda: list(output or ()), daemon=True)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        threads[0].join()


def _offer(port: int, directory: Path, digest: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4 * float(TRIAL_SECONDS))
    with contextlib.closing(connection):
        body = json.dumps({"url": str(directory), "manifest_sha256": digest})
        connection.request("POST", "/models/model", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


def _question(model: artifact.Artifact) -> tuple[bytes, bytes]:
    """Make rows, and the answers of XGBoost itself."""
    draw = np.random.default_rng(14)
    categories = model.schema.features[1].categories
    rows = np.column_stack([draw.normal(800, 400, PROBES), draw.integers(0, 4, PROBES), draw.integers(0, 24, PROBES)])
    rows = rows.astype(np.float32)
    quoted = ['"{}"'.format(categories[int(code)].replace('"', '""')) for code in rows[:, 1]]
    lines = [f"{a!s},{text},{c!s}" for (a, _, c), text in zip(rows, quoted, strict=True)]
    return "\n".join(lines).encode(), Predictor(model.model, model.schema).predict(rows).tobytes()


def corrupt_artefacts(folder: Path, count: int, seed: int, *, vouched: bool) -> Count:
    """Offer damaged copies of a model to the server that serves it, while a client asks all the time.

    Args:
        folder: For the model and the copies.
        count: Copies.
        seed: Decides what is damaged, and how.
        vouched: Write a manifest that fits the damage, so that the digests do not tell; then only the model file is
            damaged, because nothing but the digest vouches for, say, the name of a category.
    """
    job = prepare(folder / "job")
    code, errors = job.train()
    if code:
        return Count(denominator=0, failures=1, detail=errors)
    good, copy, draw = job.base / "model", folder / "copy", np.random.default_rng(seed)
    found = artifact.read(good)
    contents = {name: (good / name).read_bytes() for name in FILES}
    shutil.copytree(good, copy)
    refused = unharmed = 0
    problems: list[str] = []
    with serving(good, SLIPWAY_ADMIN_PORT="0", SLIPWAY_TRIAL_TIMEOUT_S=TRIAL_SECONDS) as server:
        admin = server.announced_port()
        client = _Client(server, *_question(found))
        with _load(client):
            for place in range(count):
                kind = [*DAMAGES][place % len(DAMAGES)]
                name = artifact.MODEL if vouched else FILES[int(draw.integers(len(FILES)))]
                _write(copy, contents, name, _damaged(contents[name], kind, draw), vouched=vouched)
                try:
                    status, reason = _offer(admin, copy, "" if vouched else found.digest)
                except OSError as error:
                    problems.append(f"{name}, {kind}: the server did not answer: {error}")
                    break
                refused += status == REFUSED
                if status == ACCEPTED and vouched and client.ask():
                    unharmed += 1
                    _offer(admin, good)
                elif status != REFUSED:
                    problems.append(f"{name}, {kind}: {status} {reason}")
    problems += [f"a wrong answer: {text}" for text in client.wrong]
    detail = f"{refused} refused, {unharmed} taken that answer as before, {client.asked} answers compared"
    detail += f"; {problems[0]}" if problems else ""
    return Count(denominator=refused + unharmed + len(problems), failures=len(problems), detail=detail)


def _write(copy: Path, contents: dict[str, bytes], name: str, damaged: bytes | None, *, vouched: bool) -> None:
    """Make the copy whole, but for one file."""
    for other, content in contents.items():
        (copy / other).write_bytes(content)
    if damaged is not None:
        (copy / name).write_bytes(damaged)
    elif vouched:
        (copy / name).write_bytes(b"")  # a file that is not there needs no digest to be missed
    else:
        (copy / name).unlink()
    if vouched:
        _vouch(copy)


@measure(
    14,
    "corrupt artefacts",
    target="0 crashes, hangs and wrong answers of a server that is offered mutants of 12 kinds",
    floor=300,
    full=20_000,
)
def with_digests(run: Run) -> Count:
    """Damage any file of the directory."""
    return corrupt_artefacts(run.folder, run.size, run.seed, vouched=False)


@measure(
    14,
    "corrupt artefacts without digests",
    target="the child process and the golden answers refuse at least 99.9 %, and the server does not crash",
    floor=40,
    full=5_000,
)
def without_digests(run: Run) -> Count:
    """Damage the model file, and vouch for it."""
    return corrupt_artefacts(run.folder, run.size, run.seed, vouched=True)
