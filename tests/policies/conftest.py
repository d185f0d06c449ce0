from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from crossguard.inprocess import InProcess
from guardrails.packconfig import load
from guardrails.registry import all_rules

CONFIG = Path(__file__).parents[2] / "policies" / "config"


@pytest.fixture(scope="session")
def pack() -> Callable[[str], InProcess]:
    """The whole pack, configured for an environment."""

    @cache
    def configured(environment: str) -> InProcess:
        return InProcess(all_rules(), load(CONFIG / f"{environment}.json"))

    return configured
