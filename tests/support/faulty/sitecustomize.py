"""Beside an image's packages: lets the next container of a step meet with what the file of its name says.

    kill    the process is killed as it begins
    late    the process is killed when all its work is done, before it has said so
    full    no file can grow beyond some bytes, as on a full disk (setrlimit(2), RLIMIT_FSIZE: writes end in EFBIG)

The file lies in the folder `faults` beside the image, and is gone before it happens.
"""

from __future__ import annotations

import atexit
import os
import resource
import signal
import sys
from pathlib import Path

FULL_BYTES = 8


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fill() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, FULL_BYTES))


for word in sys.orig_argv:
    plan = Path(__file__).resolve().parents[1] / "faults" / word
    if word.isalpha() and plan.is_file():
        what = plan.read_text()
        plan.unlink()
        {"kill": _die, "late": lambda: atexit.register(_die), "full": _fill}[what]()
