"""Prod with models that are rolled out by shares of requests, one by each strategy."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from tests.support.changes import record_changed
from tests.support.optional import EVERYTHING
from tests.support.served import another

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

JUDGEMENT: Final[dict[str, Any]] = {"minRequests": 1000, "errorMargin": 0.01, "slower": 1.5, "shift": 0.1}
_COMMON: Final[dict[str, Any]] = {"stepMinutes": 5, "patienceMinutes": 60, "judgement": JUDGEMENT}
ROLLOUTS: Final[dict[str, dict[str, Any]]] = {
    "in-shares": {"strategy": "canary", "weights": [5, 50], "variant": None, **_COMMON},
    "at-once": {"strategy": "blue-green", "weights": [], "variant": None, **_COMMON},
    "by-header": {"strategy": "a-b", "weights": [], "variant": {"header": "Cookie", "value": "*variant=b*"}, **_COMMON},
}
"""Models by the way that another version takes over from them."""


@functools.cache
def rolled_out() -> Recorded:
    """Prod with everything on and these models beside its own, which is a canary, too."""
    more: dict[str, object] = {"teams.0.namespaces.1.quota.loadBalancers": 1 + len(ROLLOUTS)}
    for place, (name, rollout) in enumerate(ROLLOUTS.items(), 1):
        model = another(name, {"kind": "alb", "host": None, "paths": ["/invocations", "/v2"]})
        model["serving"]["eks"]["rollout"] = rollout
        more[f"models.{place}"] = model
    return record_changed({**EVERYTHING, **more})
