"""Becomes another program after recording itself: `leash.py daemon|child OPTIONS PROGRAM ARGUMENT…`.

`daemon` detaches from the caller first (own session, re-parented), so it survives the caller and ignores its Ctrl-C.
`child` stays and asks the kernel to be killed when its parent dies (Linux, prctl(2) PR_SET_PDEATHSIG; it survives
execve), so a worker never outlives the process that watches it. Process id and start time stay the same across
execve: the record is true for the program.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `-I` starts without the repository on the path

from sandbox.loop.processes import this_process, write_record

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Detach or tie to the parent, record, then become the program."""
    mode, options, *command = sys.argv[1:]
    wanted = json.loads(options)
    if mode == "daemon":
        if os.fork():
            return
        os.setsid()
    else:
        _die_with(wanted["parent"])
    record = Path(wanted["record"])
    if not _sole_owner(record):
        return
    write_record(record, this_process(port=wanted["port"], fingerprint=wanted["fingerprint"]))
    os.execvpe(command[0], command, os.environ)  # noqa: S606 - no shell: the program replaces this one


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel was asked
        sys.exit(1)


def _sole_owner(record: Path) -> bool:
    """Whether no other process holds this record. The program inherits the lock and holds it while it lives."""
    record.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(record.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    os.set_inheritable(descriptor, True)
    return True


if __name__ == "__main__":
    main()
