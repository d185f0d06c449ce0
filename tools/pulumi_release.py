"""The official release archive of the Pulumi CLI: fetched over HTTPS, accepted only with its published SHA-256."""

import hashlib
import platform
import ssl
import sys
import tarfile
import threading
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Protocol

from tools.commands import SetupError

BASE_URL = "https://get.pulumi.com/releases/sdk"
"""Where Pulumi publishes archives and checksum files (github.com/pulumi/docs, data/versions.json)."""
CONNECT_SECONDS = 5.0
"""How long to wait for a first answer before another way to a CLI is taken."""
STALL_SECONDS = 30.0
"""How long a running download may be silent."""
CHUNK_BYTES = 1 << 20


class Opener(Protocol):
    """How bytes are fetched; `urllib.request.urlopen` except in tests."""

    def __call__(self, url: str, *, seconds: float, on_bytes: Callable[[int, int], None]) -> bytes:
        """The body at `url`; `on_bytes(done, total)` is told as it arrives (total 0: not known).

        Raises:
            OSError: No answer, an error status, or silence for `seconds`.
        """
        ...


def archive_name(version: str) -> str:
    """File name of the archive for this machine.

    Raises:
        SetupError: Pulumi publishes none for this system or processor.
    """
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform)
    machine = platform.machine().lower()
    processor = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(machine)
    if system is None or processor is None:
        raise SetupError(f"no official archive is published for {sys.platform} on {machine}")
    return f"pulumi-v{version}-{system}-{processor}.tar.gz"


def fetch(url: str, *, seconds: float, on_bytes: Callable[[int, int], None]) -> bytes:
    """`Opener` on urllib: honours the user's proxy settings, refuses to leave HTTPS."""
    request = urllib.request.Request(url, headers={"User-Agent": "slipway-bootstrap"})  # noqa: S310 - BASE_URL is https
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:  # noqa: S310 - see above
            if not response.geturl().startswith("https://"):
                raise OSError(f"{url} leads to {response.geturl()}, which is not HTTPS")
            total, body = int(response.headers.get("Content-Length") or 0), bytearray()
            while chunk := response.read(CHUNK_BYTES):
                body += chunk
                on_bytes(len(body), total)
            return bytes(body)
    except (HTTPException, ssl.SSLError, ValueError) as error:
        raise OSError(str(error)) from error


def published_checksum(version: str, opener: Opener = fetch, *, seconds: float = CONNECT_SECONDS) -> str:
    """SHA-256 that the release's own checksum file gives for this machine's archive, in hex.

    Raises:
        SetupError: The file cannot be had within `seconds`, name resolution included, or does not list the archive.
    """
    wanted = archive_name(version)
    url = f"{BASE_URL}/pulumi-{version}-checksums.txt"
    outcome: list[bytes | OSError] = []

    def ask() -> None:
        try:
            outcome.append(opener(url, seconds=seconds, on_bytes=lambda _done, _total: None))
        except OSError as error:
            outcome.append(error)

    # A socket timeout does not bound name resolution; a thread that is left behind does.
    asking = threading.Thread(target=ask, name="checksums", daemon=True)
    asking.start()
    asking.join(seconds)
    answer = outcome[0] if outcome else OSError(f"no answer within {seconds:g} s")
    if isinstance(answer, OSError):
        raise SetupError(f"{url} cannot be reached: {getattr(answer, 'reason', answer)}")
    for line in answer.decode("utf-8", errors="replace").splitlines():
        digest, _, name = line.strip().partition(" ")
        if name.strip().lstrip("*") == wanted:
            return digest.lower()
    raise SetupError(f"{url} lists no checksum for {wanted}")


def install(version: str, folder: Path, tell: Callable[[str], None], opener: Opener = fetch) -> None:
    """Put the engine of the official release at `folder/bin/pulumi`.

    Only the engine: language hosts beside it would change how programs and policy packs are started.

    Raises:
        SetupError: Not reachable, not published for this machine, or not what was published.
    """
    expected = published_checksum(version, opener)
    url = f"{BASE_URL}/{archive_name(version)}"
    try:
        body = opener(url, seconds=STALL_SECONDS, on_bytes=lambda done, total: tell(_megabytes(done, total)))
    except OSError as error:
        raise SetupError(f"{url} cannot be downloaded: {error}") from error
    found = hashlib.sha256(body).hexdigest()
    if found != expected:
        raise SetupError(
            f"{url} is not what was published: its SHA-256 is {found}, the release's checksum file says {expected}; "
            "nothing of it was installed. A proxy may have changed it, or the download was tampered with."
        )
    archive = folder / "archive.tar.gz"
    archive.write_bytes(body)
    try:
        _extract_engine(archive, folder / "bin" / "pulumi")
    except tarfile.TarError as error:
        raise SetupError(f"{url} is no readable archive: {error}") from error
    finally:
        archive.unlink()


def _extract_engine(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as tar:
        member = next((m for m in tar if m.isfile() and m.name in {"pulumi/pulumi", "pulumi/bin/pulumi"}), None)
        source = tar.extractfile(member) if member else None
        if source is None:
            raise SetupError(f"{archive.name}: the official archive holds no pulumi/pulumi")
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, target.open("wb") as file:
            while chunk := source.read(CHUNK_BYTES):
                file.write(chunk)
    target.chmod(0o755)


def _megabytes(done: int, total: int) -> str:
    return f"{done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else f"{done / 1e6:.0f} MB"
