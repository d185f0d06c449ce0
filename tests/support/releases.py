"""Every Helm release and every configured EKS add-on that the program can register: all stacks, all optional parts on.

`python -m tests.support.releases` writes them as JSON, for `tools.chart_values`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from typing import Any, Final

from tests.support.changes import record_changed
from tests.support.objects import RELEASE, Release, as_release
from tests.support.optional import EVERYTHING
from tests.support.recorded import STACKS, Recorded, record_program

ADDON: Final = "aws:eks/addon:Addon"
OWN_SCHEMA: Final = frozenset({"coredns", "metrics-server", "vpc-cni"})
"""Add-ons whose configuration follows no chart: only `aws eks describe-addon-configuration` knows what they take."""


def everything() -> Recorded:
    """Prod with all optional parts on."""
    return record_changed(EVERYTHING)


@functools.cache
def every_release() -> tuple[Release, ...]:
    """Releases and add-ons with values, each different one once."""
    recordings = [*(record_program(stack) for stack in STACKS), everything()]
    found = [release for recorded in recordings for release in (*_releases(recorded), *_addons(recorded))]
    return tuple({json.dumps(dataclasses.asdict(release), sort_keys=True): release for release in found}.values())


def _releases(recorded: Recorded) -> list[Release]:
    return [as_release(item) for item in recorded.of_type(RELEASE)]


def _addons(recorded: Recorded) -> list[Release]:
    """Add-ons as releases of the charts that they are made of."""
    given: list[dict[str, Any]] = [item.inputs for item in recorded.of_type(ADDON)]
    return [
        Release(
            name=inputs["addonName"],
            namespace="kube-system",
            chart=inputs["addonName"],
            version=inputs["addonVersion"],
            values=json.loads(inputs["configurationValues"]),
            crds=False,
        )
        for inputs in given
        if inputs.get("configurationValues") and inputs["addonName"] not in OWN_SCHEMA
    ]


if __name__ == "__main__":
    json.dump([dataclasses.asdict(release) for release in every_release()], sys.stdout, indent=1)
