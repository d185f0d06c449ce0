"""Making a killed run whole again.

An engine that was killed leaves its lock, and forgets what its providers were creating at that moment: the file
backend keeps the lock, and `refresh` drops a pending creation although the resource exists. Recovery breaks a lock
only when its owner is gone, finds each pending creation among what exists, and writes it into the state with its id;
then a refresh and an update converge.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sandbox.checkpoint import has_pending_operations
from sandbox.engine import PROJECT, EngineError
from sandbox.loop.processes import start_time

if TYPE_CHECKING:
    from sandbox.engine import Engine, State
    from sandbox.world import World

_CREATING: Final = "creating"
_CLOCK_SECONDS: Final = 2.0
"""Boot time and clock ticks are rounded; a start this much after the lock still counts as before it."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a recovery found and did."""

    locks_broken: int
    adopted: tuple[str, ...]
    """URNs of pending creations that exist and are in the state now."""
    dropped: tuple[str, ...]
    """URNs of pending operations that left nothing to adopt."""

    @property
    def needed(self) -> bool:
        """Whether anything was wrong."""
        return bool(self.locks_broken or self.adopted or self.dropped)


def recover(engine: Engine) -> Recovery:
    """Breaks stale locks and settles pending operations.

    Raises:
        EngineError: another run holds the stack.
    """
    broken = _break_stale_locks(engine.backend / ".pulumi" / "locks" / "organization" / PROJECT / engine.stack)
    if not has_pending_operations(engine.state_file):
        return Recovery(broken, (), ())
    _back_up(engine.state_file)
    state = engine.export()
    adopted, dropped = _settle(state, engine.world())
    engine.import_(state)
    engine.refresh()
    return Recovery(broken, tuple(adopted), tuple(dropped))


def _break_stale_locks(folder: Path) -> int:
    locks = sorted(folder.glob("*.json")) if folder.exists() else []
    for lock in locks:
        owner = _owner(lock)
        if owner is not None and _is_alive(owner):
            raise EngineError(
                f"another run (process {owner['pid']} of {owner['username']}) holds this stack; wait for it to end"
            )
        lock.unlink(missing_ok=True)
    return len(locks)


def _owner(lock: Path) -> dict[str, Any] | None:
    """Returns what the engine wrote of itself; a half-written lock has no owner."""
    try:
        return json.loads(lock.read_text())
    except (OSError, ValueError):
        return None


def _is_alive(owner: dict[str, Any]) -> bool:
    """Tells whether the owner still runs; a process that started after the lock was taken only inherited its number."""
    if owner.get("hostname") != socket.gethostname():
        return True
    started = start_time(int(owner["pid"]))
    if started is None:
        return False
    taken = datetime.fromisoformat(owner["timestamp"]).timestamp()
    return not started.isdecimal() or _boot_time() + int(started) / os.sysconf("SC_CLK_TCK") <= taken + _CLOCK_SECONDS


def _boot_time() -> int:
    """Returns when the system booted, in seconds since the epoch (proc(5), `/proc/stat`)."""
    lines = Path("/proc/stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("btime "))


def _back_up(state: Path) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    shutil.copy2(state, state.with_suffix(f".{stamp}.before-recovery.json"))


def _settle(state: State, world: World) -> tuple[list[str], list[str]]:
    """Moves pending creations that exist into the resources, and forgets the other pending operations."""
    known = {(resource["type"], resource.get("id")) for resource in state.resources}
    operations: list[dict[str, Any]] = state.deployment.pop("pending_operations", None) or []
    adopted: list[str] = []
    dropped: list[str] = []
    for operation in operations:
        pending: dict[str, Any] = operation["resource"]
        urn: str = pending["urn"]
        strays = [record for record in world.by_urn(urn) if (record.type, record.id) not in known]
        if operation["type"] != _CREATING or not strays:
            dropped.append(urn)
            continue
        record = strays[-1]
        state.resources.append({**pending, "id": record.id, "outputs": record.outputs})
        known.add((record.type, record.id))
        adopted.append(urn)
    return adopted, dropped
