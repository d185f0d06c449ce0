"""A candidate model is tried in a child process, which may crash, hang or run out of memory in the server's place.

XGBoost parses a model in native code: a file that is damaged, or made to do harm, can end the process that loads it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scoring import artifact, golden
from scoring.container import PREFIX
from scoring.errors import ArtifactError, UserError
from scoring.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMORY_BYTES = 4 * 1024**3
"""Address space of the child; it holds the libraries, the file and the model."""

NICE = 10
"""The child's share of a busy core is small beside the server's."""

REFUSED = 10
"""Exit status of a child that found the reason itself and wrote it to standard error."""

MESSAGE_BYTES = 2000


class DiedError(ArtifactError):
    """A child gave no verdict: it crashed, hung or ran out of memory."""


async def run(directory: Path, digest: str, timeout_s: float) -> int:
    """Load a model directory in a child process and ask it for its golden answers.

    Args:
        directory: Model directory.
        digest: sha256 that its manifest must have: the child judges the very bytes that the server has verified.
        timeout_s: Time for all of it.

    Returns:
        Bytes of memory by which the child grew: what the model takes, measured.

    Raises:
        ArtifactError: the child refused the model, died of it, or did not end in time.
    """
    command = ("scoring.trial", str(directory), digest, str(int(timeout_s) + 1))
    with await asyncio.to_thread(_start, command, NICE) as child:
        try:
            return int(await asyncio.to_thread(_ended, child, timeout_s))
        finally:
            child.kill()


def ask(command: Sequence[str], timeout_s: float) -> bytes:
    """Run a module that may die of what it reads in a child process.

    Args:
        command: The module, which begins with `confine`, and its arguments.
        timeout_s: Time for all of it.

    Returns:
        What it wrote to standard output.

    Raises:
        ArtifactError: the child refused what it read: it wrote the reason and ended with `REFUSED`.
        DiedError: the child died of it, or did not end in time.
    """
    with _start(command) as child:
        return _ended(child, timeout_s)


def _ended(child: subprocess.Popen[bytes], timeout_s: float) -> bytes:
    try:
        output, errors = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        message = (
            f"the model did not load and answer within {timeout_s:g} s ({PREFIX}TRIAL_TIMEOUT_S) in a trial process"
        )
        raise DiedError(message) from None
    finally:
        child.kill()
    if child.returncode == REFUSED:
        raise ArtifactError(errors[:MESSAGE_BYTES].decode(errors="replace").strip())
    if child.returncode:
        ended = f"by signal {-child.returncode}" if child.returncode < 0 else f"with status {child.returncode}"
        raise DiedError(f"a trial process that loaded the model ended {ended}")
    return output


def _start(command: Sequence[str], nice: int = 0) -> subprocess.Popen[bytes]:
    """Start the child, outside the event loop: the loop's own way copies the server's page tables first."""
    nothing, pipe = subprocess.DEVNULL, subprocess.PIPE
    words = (sys.executable, "-m", *command)
    child = subprocess.Popen(words, stdin=nothing, stdout=pipe, stderr=pipe)  # noqa: S603 - our own interpreter, no shell
    with contextlib.suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, child.pid, nice)  # here: most of its work is to import libraries
    return child


def confine(seconds: int, memory_bytes: int) -> None:
    """Limit this process, a child, to so much processor time and address space."""
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory_bytes),
    ):
        _, hard = resource.getrlimit(limit)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (allowed, hard))


def main(directory: str, digest: str, seconds: str) -> int:
    """Be the child: give 0 if the model answers as at training, else the exit status of the failure."""
    confine(int(seconds), MEMORY_BYTES)
    before = _resident_bytes()
    try:
        found = artifact.read(Path(directory), digest)
        predictor = Predictor(found.model, found.schema)
        golden.check(predictor, found.golden)
    except UserError as error:
        sys.stderr.write(str(error))
        return REFUSED
    sys.stdout.write(str(max(_resident_bytes() - before, len(found.model))))
    return 0


def _resident_bytes() -> int:
    """Tell how much memory this process holds. Source: proc(5), ``/proc/self/statm``."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
