"""Prod with models that pods of the cluster serve: one, and four with every kind of front end."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from tests.support.changes import record_changed
from tests.support.optional import APPROVED, EVERYTHING
from tests.support.recorded import stack_section

if TYPE_CHECKING:
    from tests.support.recorded import Recorded, Resource

FRONT_ENDS: Final[dict[str, dict[str, Any] | None]] = {
    "by-alb": {"kind": "alb", "host": None, "paths": ["/invocations", "/v2"]},
    "by-nlb": {"kind": "nlb", "host": None, "paths": []},
    "inside": None,
}
"""Further models and how they are reached; the first one has a host name."""


def another(name: str, front_end: dict[str, Any] | None) -> dict[str, Any]:
    """The model of prod under another name, with a front end of its own and an approved version."""
    model = copy.deepcopy(stack_section("prod", "models")[0])
    model |= {"name": name, "datasetPrefix": f"{name}/"}
    model["serving"]["eks"] |= {"frontEnd": front_end, "rollout": None}
    model["approved"] = {**APPROVED, "modelData": APPROVED["modelData"].replace("flight-delay", name)}
    return model


ROLLING: Final[dict[str, object]] = {
    **EVERYTHING,
    "models.0.serving.eks.rollout": None,
    "models.0.serving.eks.autoscaling.requests": None,
}
"""Everything on, and the model of prod's file updated pod by pod and scaled by processor time alone."""
UNWATCHED: Final[dict[str, object]] = {"models.0.drift": None, "models.0.retraining.drift": False}
"""Nothing looks for drift of it, which needs captures."""


def one_model() -> Recorded:
    """Prod with everything on, the model of its file approved and updated pod by pod."""
    return record_changed(ROLLING)


def four_models() -> Recorded:
    """The same with three more."""
    more = {f"models.{place}": another(name, front) for place, (name, front) in enumerate(FRONT_ENDS.items(), 1)}
    return record_changed({**ROLLING, **more})


def of_serving(recorded: Recorded, model: str = "") -> list[Resource]:
    """What serves a model, or all of them."""
    return [item for item in recorded.resources if item.custom and item.name.startswith(f"serving-{model}")]
