"""What all tests beside the SDK share. `tests/conftest.py` is not loaded: its packages are not in this environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure(config: pytest.Config) -> None:
    """The SDK warns of its own modules, and of what a session for pipelines is for."""
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning")
    config.addinivalue_line("filterwarnings", "ignore:Running within a PipelineSession:UserWarning")


@pytest.fixture(autouse=True, scope="session")
def _offline() -> Iterator[None]:
    from tests.sdk.offline import cut_off  # noqa: PLC0415 - what it imports warns, and that is not ignored before

    with cut_off():
        yield
