"""What all tests share: property tests try the same examples in every run; tests of the whole program are marked.

`HYPOTHESIS_PROFILE=exploring make test-unit` looks for new examples.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parent
PROGRAM = tuple(
    TESTS / place
    for place in (
        "components",
        "costs",
        "program",
        "policies/test_gate.py",
        "policies/test_mutants.py",
        "sandbox/test_costing.py",
    )
)
"""Tests that record the program with its real stack files, often with settings of their own."""
collect_ignore = ["sdk"]  # needs an environment of its own, which `make test-sdk` has

# A shell lets what it starts in the background ignore SIGINT, and programs inherit that; some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is the machine's doing: in a fresh checkout the first draw of text makes a table of Unicode,
# which takes a second, and on a busy machine any example may.
PATIENT = [HealthCheck.too_slow]
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=PATIENT)
settings.register_profile("exploring", deadline=None, suppress_health_check=PATIENT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the whole program."""
    for item in items:
        if any(item.path.is_relative_to(place) for place in PROGRAM):
            item.add_marker(pytest.mark.program)


@pytest.fixture(scope="module")
def state_written_once() -> Iterator[None]:
    """Let the engine write its state at the end, not after every step: for whole stacks in tests that kill no engine.

    A state of some hundred resources takes the engine longer to write that often than all else that it does. What ends
    an update with an error leaves the same state: it is written then.
    """
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PULUMI_EXPERIMENTAL", "true")
        environment.setenv("PULUMI_SKIP_CHECKPOINTS", "true")
        yield
