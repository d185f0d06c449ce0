"""A second team beside the one of the stack files, and the program recorded with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.recorded import Recorded, record_program, stack_section

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING: Mapping[str, Any] = {"readData": [], "readModels": [], "writeModels": []}


def search() -> dict[str, Any]:
    """A team that calls nothing of AWS, has no load balancer, and pays itself for all that it does."""
    training, inference = stack_section("prod", "teams")[0]["namespaces"]
    nothing: dict[str, Any] = {"buckets": NOTHING, "secrets": [], "invokes": [], "asks": []}
    ours: dict[str, Any] = {**nothing, "costCenter": None, "loadBalancerSubnets": []}
    quota = {**inference["quota"], "loadBalancers": 0}
    return {
        "name": "search",
        "costCenter": "search",
        "access": {"view": [], "deploy": ["arn:aws:iam::777788889999:role/search-deployer"], "release": []},
        "namespaces": [
            {**training, "name": "search-training", **ours},
            {**inference, "name": "search-inference", **ours, "quota": quota},
        ],
    }


def record_teams(*, first: bool = False, last: bool = False) -> Recorded:
    """The prod program with the second team before or behind the other one, or without it."""
    if not first and not last:
        return record_program("prod")
    teams = [*([search()] * first), *stack_section("prod", "teams"), *([search()] * last)]
    return record_program("prod", overrides=json.dumps({"teams": teams}))
