"""What tests of the real engine share: a small program, its stack file, and engines in temporary folders."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sandbox.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text("config: {}\n")
    return file


@pytest.fixture
def open_engine(tmp_path: Path, stack_file: Path) -> Callable[[Callable[[], None]], Engine]:
    """Opens the engine of this test's folder with a program; the folder keeps its state between programs."""

    def open_(program: Callable[[], None]) -> Engine:
        return Engine(tmp_path / "sandbox", "test", stack_file=stack_file, program=program)

    return open_


@pytest.fixture
def agree() -> Callable[[Engine], None]:
    """Asserts that state and world hold the same resources, each once."""

    def check(engine: Engine) -> None:
        state = engine.export()
        believed = Counter(
            (resource["type"], resource["id"])
            for resource in state.resources
            if resource.get("custom") and not resource["type"].startswith("pulumi:")
        )
        existing = Counter((record.type, record.id) for record in engine.world().all())
        assert believed == existing
        assert not state.deployment.get("pending_operations")
        per_urn = Counter(record.urn for record in engine.world().all())
        assert set(per_urn.values()) <= {1}, f"duplicates: {[urn for urn, n in per_urn.items() if n > 1]}"

    return check
