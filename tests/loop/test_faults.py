"""An object becomes a version though a step is killed, the disk is full or calls fail: short; `make soak` plays on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.loop_faults import Fault, Platform

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.loop


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with Platform(tmp_path_factory.mktemp("faults")) as platform:
        yield platform


@pytest.mark.parametrize(
    "fault",
    [
        Fault("check", "kill"),
        Fault("train", "late"),
        Fault("evaluate", "kill"),
        Fault("evaluate", "full"),
        Fault("register", "refused"),
        Fault("register", "lost"),
        Fault("calls"),
    ],
    ids=str,
)
def test_after_a_fault_nothing_is_lost_or_doubled_and_the_next_event_works(platform: Platform, fault: Fault) -> None:
    assert platform.happen(fault) == []
