"""Folders that a job may read and not change, as FastFile mode gives a channel: a file system that is mounted so.

The mounts are of a mount namespace of the job's own, so nobody else sees them and they end with it. Not imitated: that
each read is a fetch from S3, which takes time and favours reading from start to end.
Source: SageMaker API reference, `Channel`, `InputMode`; unshare(1), mount_namespaces(7), mount(8), "Bind mounts".
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NAMESPACE: Final = ("unshare", "--mount", "--map-root-user")
_MOUNTS: Final = """
while [ "$1" != -- ]; do mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit; shift; done
shift
exec "$@"
"""
_PROBE_SECONDS: Final = 10


@functools.cache
def possible() -> bool:
    """Whether this machine makes mount namespaces: Linux, with the right to make a user namespace."""
    if shutil.which(_NAMESPACE[0]) is None:
        return False
    words = [*_NAMESPACE, "mount", "--bind", "/tmp", "/tmp"]  # noqa: S108 - any folder that there is, unchanged
    probe = subprocess.run(words, capture_output=True, check=False, timeout=_PROBE_SECONDS)  # noqa: S603 - constant
    return probe.returncode == 0


def before(folders: Sequence[Path]) -> list[str]:
    """What goes in front of a command line from which on the folders are read-only; nothing for no folder."""
    return [*_NAMESPACE, "sh", "-c", _MOUNTS, "sh", *map(str, folders), "--"] if folders else []
