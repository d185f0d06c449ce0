"""Processes of a running update, as Linux shows them under /proc (proc(5))."""

from __future__ import annotations

from pathlib import Path


def below(pid: int) -> list[int]:
    """Processes below a process, the nearest first; ones that end meanwhile are left out."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return found + [lower for child in found for lower in below(child)]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def environ_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def is_running(pid: int) -> bool:
    """A process that has ended and waits to be collected does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


LISTENING = "0A"


def addresses(pids: list[int]) -> tuple[set[str], set[str]]:
    """Addresses of TCP and UDP sockets of some processes, in hexadecimal: where they listen, whom they meet."""
    listening: set[str] = set()
    met: set[str] = set()
    for pid in pids:
        sockets = _socket_inodes(pid)
        for table in ("tcp", "tcp6", "udp", "udp6"):
            for line in _lines(Path(f"/proc/{pid}/net/{table}")):
                fields = line.split()
                if fields[9] in sockets:
                    local, remote = (end.rsplit(":", 1)[0] for end in fields[1:3])
                    if fields[3] == LISTENING:
                        listening.add(local)
                    else:
                        met |= {local, remote}
    return listening, met


def _socket_inodes(pid: int) -> set[str]:
    inodes: set[str] = set()
    for descriptor in _entries(Path(f"/proc/{pid}/fd")):
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    return inodes


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text().splitlines()[1:]
    except OSError:
        return []
