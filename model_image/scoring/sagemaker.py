"""What SageMaker tells a container that serves, by variables of its own, as settings of the server.

Sources: Amazon SageMaker Developer Guide, "Use your own inference code with batch transform" and "Troubleshoot
multi-container endpoints".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BATCH, PAYLOAD, AT_ONCE = "SAGEMAKER_BATCH", "SAGEMAKER_MAX_PAYLOAD_IN_MB", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"
"""Set in a batch transform. ``SAGEMAKER_BATCH_STRATEGY``, which is set too, changes nothing: a request of one record
keeps to the limits of one with many."""

PORT = "SAGEMAKER_BIND_TO_PORT"
"""Set where several containers share an instance, and with it an address."""

DEFAULT_PAYLOAD_MB, DEFAULT_AT_ONCE = 6, 1
"""Of a job that names none; SageMaker then leaves the variable out."""


def told(environment: Mapping[str, str]) -> tuple[dict[str, str | int | float], list[str]]:
    """Give settings by name, and what of the variables cannot be understood, one a line."""
    wanted = {"port": (PORT, environment.get(PORT))}
    if environment.get(BATCH, "").lower() == "true":
        wanted["payload_mb"] = PAYLOAD, environment.get(PAYLOAD, str(DEFAULT_PAYLOAD_MB))
        # 0 asks for the default
        wanted["payloads_at_once"] = AT_ONCE, environment.get(AT_ONCE) or str(DEFAULT_AT_ONCE)
    settings: dict[str, str | int | float] = {}
    problems: list[str] = []
    for name, (variable, text) in wanted.items():
        if text is None:
            continue
        if text.isdecimal() and (int(text) or variable == AT_ONCE):
            settings[name] = int(text) or DEFAULT_AT_ONCE
        else:
            problems.append(f"{variable} is {text!r}; expected a whole number above 0")
    return settings, problems
