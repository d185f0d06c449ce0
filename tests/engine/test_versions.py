"""What the program does with another version under `approved`, under the real engine: nothing to pods that serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from tests.support.changes import record_changed
from tests.support.optional import APPROVED
from tests.support.served import ROLLING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine import Engine

    Open = Callable[[Callable[[], None]], Engine]

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("state_written_once")]

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
NAME = "serving-flight-delay"


def program(version: int, minimum: int) -> Callable[[], None]:
    """The model's Deployment as the whole program registers it with a version under `approved`.

    Args:
        version: The version.
        minimum: Seconds for which a pod has to be ready, which the program alone decides.
    """
    approved = {**APPROVED, "version": version, "imageDigest": f"sha256:{version:064x}"}
    item = record_changed({**ROLLING, "models.0.approved": approved}).one(DEPLOYMENT, NAME)
    assert f"{version:064x}" in str(item.inputs)

    def run() -> None:
        provider = kubernetes.Provider("cluster", kubeconfig="{}")
        kubernetes.apps.v1.Deployment(
            NAME,
            metadata=item.inputs["metadata"],
            spec=cast("kubernetes.apps.v1.DeploymentSpecArgsDict", {**item.inputs["spec"], "minReadySeconds": minimum}),
            opts=pulumi.ResourceOptions(provider=provider, ignore_changes=item.ignore_changes),
        )

    return run


def served(engine: Engine) -> tuple[str, int]:
    (record,) = [each for each in engine.world().all() if each.type == DEPLOYMENT]
    spec = cast("dict[str, Any]", record.inputs["spec"])
    return spec["template"]["spec"]["containers"][0]["image"], spec["minReadySeconds"]


def test_an_older_version_under_approved_brings_nothing_back(open_engine: Open) -> None:
    engine = open_engine(program(8, 1))
    engine.up()
    image, _ = served(engine)
    assert image.endswith(f"@sha256:{8:064x}")

    engine = open_engine(program(7, 1))
    assert engine.up().unchanged
    assert served(engine) == (image, 1)

    engine = open_engine(program(7, 2))
    engine.up()
    assert served(engine) == (image, 2), "what the program decides arrives, without the version"
