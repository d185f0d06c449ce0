"""The hosts of one training job: processes in a network of their own with nothing but loopback.

XGBoost's collective listens on every interface of its host; in a new network namespace there is no other interface.
Run as `hosts.py {"bases": […], "command": […]}` inside that namespace, this starts the command once for each base
folder, hands SIGTERM on to all, and ends when all have ended, with the first exit status that is not 0.
Source: unshare(1), network_namespaces(7); the ioctl is netdevice(7)'s.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `-I` starts without the repository on the path

from sandbox.loop.processes import leash_command

ISOLATED: Final = ("unshare", "--net", "--map-root-user")
"""In front of a command line that runs in a new network namespace."""
_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40
_HEAD_START_SECONDS: Final = 0.5
"""The first host runs the tracker, and one that does not find it tries again only seconds later."""
_PROBE_SECONDS: Final = 10


@functools.cache
def can_isolate() -> bool:
    """Whether this machine makes network namespaces: Linux, with the right to make a user namespace."""
    if shutil.which(ISOLATED[0]) is None:
        return False
    probe = subprocess.run([*ISOLATED, "true"], capture_output=True, check=False, timeout=_PROBE_SECONDS)  # noqa: S603 - a constant command line
    return probe.returncode == 0


def names(count: int) -> list[str]:
    """Names of the hosts of a job; those of several are addresses, for nothing resolves names in their network."""
    return ["algo-1"] if count == 1 else [f"127.0.0.{number}" for number in range(1, count + 1)]


def command_line(bases: list[Path], command: list[str]) -> list[str]:
    """Command line of this module: `command` as often as there are base folders."""
    wanted = json.dumps({"bases": [str(base) for base in bases], "command": command})
    return [sys.executable, "-I", str(Path(__file__).resolve()), wanted]


def main() -> None:
    """Start the hosts and wait for them."""
    wanted = json.loads(sys.argv[1])
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP | _IFF_RUNNING))
    hosts: list[subprocess.Popen[bytes]] = []
    stopped = threading.Event()

    def hand_on(number: int, _frame: object) -> None:
        stopped.set()
        for host in hosts:
            host.send_signal(number)

    signal.signal(signal.SIGTERM, hand_on)
    for base in wanted["bases"]:
        leash = leash_command("child", Path(base) / "host.json")
        environment = os.environ | {"SAGEMAKER_BASE_DIR": base}
        hosts.append(subprocess.Popen([*leash, *wanted["command"]], cwd=base, env=environment))  # noqa: S603 - the image's entry point
        if stopped.wait(_HEAD_START_SECONDS if len(hosts) == 1 else 0):
            hosts[-1].terminate()  # it may have come after the signal was handed on
            break
    codes = [host.wait() for host in hosts]
    sys.exit(next((abs(code) for code in codes if code), 0))


if __name__ == "__main__":
    main()
