"""Several hosts train one model: XGBoost's own collective, as SageMaker's resource configuration names the hosts.

The first host of the list runs the tracker. Source: Amazon SageMaker Developer Guide, "Distributed training
configuration"; XGBoost's Python API reference, ``xgboost.collective`` and ``xgboost.tracker``.
"""

from __future__ import annotations

import math
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import xgboost
from xgboost import collective
from xgboost.tracker import RabitTracker

from scoring import document
from scoring.errors import PlatformError, UserError
from scoring.hosts import Hosts

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from scoring.container import CollectiveSettings


@contextmanager
def join(resources: Path, settings: CollectiveSettings) -> Generator[Hosts]:
    """Meet the other hosts of the job; they part when the block ends.

    A block that raises does not say good-bye: that can hang, or crash, when a peer is gone. The process should then end
    without XGBoost's teardown, and its peers notice by the closed connections.

    Args:
        resources: ``resourceconfig.json``; a job without it has one host.
        settings: Port of the tracker, and how long hosts wait for each other.

    Raises:
        UserError: the configuration does not name this host among the hosts.
        PlatformError: the hosts did not meet in time, or one was lost.
    """
    names, current = _names(resources)
    if len(names) == 1:
        yield Hosts()
        return
    rank = names.index(current)
    try:
        tracker = _tracker(names, settings) if rank == 0 else None
        collective.init(
            dmlc_tracker_uri=_address(names[0]),
            dmlc_tracker_port=settings.port,
            dmlc_task_id=f"{rank:04d}",
            dmlc_timeout=settings.timeout_s,
            dmlc_retry=_retries(settings.timeout_s),
        )
    except (xgboost.core.XGBoostError, OSError) as error:
        hosts = f"{len(names)} hosts did not meet at {names[0]}:{settings.port}"
        raise PlatformError(f"{hosts} within about {settings.timeout_s} s: {_reason(error)}") from error
    try:
        yield Hosts(collective.get_rank(), collective.get_world_size())
        collective.finalize()
        if tracker:
            tracker.wait_for(timeout=settings.timeout_s)
    except xgboost.core.XGBoostError as error:
        raise PlatformError(f"{current} lost another host, whose own failure tells why: {_reason(error)}") from error


def _names(resources: Path) -> tuple[list[str], str]:
    if not resources.exists():
        return ["localhost"], "localhost"
    config = document.load(resources)
    names, current = config.texts("hosts"), config.get("current_host", str)
    if current not in names or len(set(names)) != len(names):
        raise UserError(f"{config.source}: current_host {current!r} must be one of the hosts {', '.join(names)}")
    return list(names), current


def _tracker(names: list[str], settings: CollectiveSettings) -> RabitTracker:
    tracker = RabitTracker(len(names), _address(names[0]), settings.port, sortby="task", timeout=settings.timeout_s)
    tracker.start()
    return tracker


def _address(name: str) -> str:
    return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])


def _retries(seconds: int) -> int:
    """Give the number of attempts after which XGBoost, which waits two seconds longer each time, gives up."""
    return 2 + math.isqrt(seconds)


def _reason(error: Exception) -> str:
    """Give the last cause that XGBoost names, without its stack of addresses."""
    causes = [line.removeprefix("- ") for line in str(error).splitlines() if line.startswith("- ")]
    return causes[-1] if causes else str(error).splitlines()[0]
