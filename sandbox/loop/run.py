"""The local loop: data, training, gate, registry, serving, requests. Every step finds its own earlier result.

`bring_up` may be interrupted anywhere, by any signal, and run again: files appear whole or not at all, jobs and
versions have names that follow from what goes into them, and processes are known by record. State is never assumed,
always looked at.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from lifecycle.steps import LifecycleError
from sandbox.loop import services
from sandbox.loop.processes import ProcessError, end, running
from sandbox.loop.spec import HEALTH_PATH, LoopError, LoopPaths
from sandbox.loop.stages import Loop

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from sandbox.console import Console
    from sandbox.loop.spec import LoopReport, LoopSpec

APIS = "AWS APIs"
"""Name of the process that answers for AWS."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One process of the loop."""

    name: str
    url: str | None
    """Its address; None when it does not run."""
    healthy: bool
    """Whether it answers."""


def bring_up(spec: LoopSpec, console: Console) -> LoopReport:
    """Make the loop complete: data uploaded, model trained, approved and served, its answers judged.

    Raises:
        LoopError: A step cannot reach its result, or another `bring_up` is at work.
    """
    paths = LoopPaths.of(spec.state_dir)
    with _exclusive(paths):
        try:
            return Loop(spec, paths, console).run()
        except (LifecycleError, ProcessError) as error:
            raise LoopError(str(error)) from error
        except (ClientError, BotoCoreError) as error:
            raise LoopError(f"the AWS APIs on loopback refused: {error}; their log is {paths.api_log}") from error


def tear_down(state_dir: Path, console: Console) -> None:
    """End the processes that the loop has recorded, and no others, and remove its folder."""
    paths = LoopPaths.of(state_dir)
    if not paths.root.exists():
        return
    with _exclusive(paths), console.step("Stop model servers and AWS APIs"):
        for record in (*paths.server_records(), paths.api_record, *paths.jobs.glob("*/trainer.json")):
            end(record)
        shutil.rmtree(paths.root)


def status(state_dir: Path) -> tuple[ServiceStatus, ...]:
    """Which processes of the loop run and answer; starts nothing."""
    paths = LoopPaths.of(state_dir)
    servers = ((f"model server {record.stem}", record, "/ping") for record in paths.server_records())
    known = ((APIS, paths.api_record, HEALTH_PATH), *servers)
    found = [(name, running(record), path) for name, record, path in known]
    return tuple(
        ServiceStatus(name, services.address(record.port), services.get(record.port, path)[0] == services.OK)
        if record
        else ServiceStatus(name, None, healthy=False)
        for name, record, path in found
    )


@contextmanager
def _exclusive(paths: LoopPaths) -> Generator[None]:
    """Hold the loop; the kernel lets go when this process ends, however it ends."""
    paths.root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LoopError(f"another command works on {paths.root}: wait for it, or end it, then run this again") from None
    else:
        yield
    finally:
        os.close(descriptor)
