"""Where XGBoost computes: a processor, or an NVIDIA GPU if this build and this host have what that takes."""

from __future__ import annotations

import ctypes
from typing import cast

import xgboost

from scoring.errors import UserError

AUTO, CPU, CUDA = CHOICES = ("auto", "cpu", "cuda")
"""Values of the hyperparameter ``device``."""

DRIVER = "libcuda.so.1"
"""What NVIDIA's container runtime puts into a container that is given a GPU."""


def choose(wanted: str) -> str:
    """Give ``cpu`` or ``cuda``; ``auto`` takes a GPU where one can be used.

    Raises:
        UserError: a GPU is wanted, but the installed XGBoost is built without CUDA, or no GPU is visible.
    """
    if wanted == CPU:
        return CPU
    reason = _obstacle()
    if wanted == CUDA and reason:
        raise UserError(f"hyperparameter 'device' is 'cuda', but {reason}; write 'cpu' or 'auto'")
    return CPU if reason else CUDA


def _obstacle() -> str:
    build = cast("dict[str, object]", xgboost.build_info())  # pyright: ignore[reportUnknownMemberType] # its annotation is a bare dict
    if not build.get("USE_CUDA"):
        return "the installed XGBoost is built without CUDA (this image's lock has xgboost-cpu)"
    return "" if visible_gpus() else "no GPU is visible: the host has none, or the container was not given it"


def visible_gpus() -> int:
    """Count the GPUs that this process may use.

    Source: CUDA Driver API, ``cuInit`` and ``cuDeviceGetCount``; both give 0 on success.
    """
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return 0
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return 0 if failed else count.value
