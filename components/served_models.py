"""What SageMaker deploys of a model: containers, and whether they stand in the VPC, by what serves it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final

import pulumi_aws as aws

from components import iam
from components.model_places import ModelPlaces
from settings.model import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.labels import Labels
    from settings.model import ApprovedSpec, ModelSpec, ServingSpec

MEMORY_VARIABLE: Final = "SLIPWAY_MODELS_MEMORY_BYTES"
"""Setting of the model server without which it hosts no several models (`scoring.settings`)."""
PAYLOAD_VARIABLE: Final = "SLIPWAY_PAYLOAD_MB"
AT_ONCE_VARIABLE: Final = "SLIPWAY_PAYLOADS_AT_ONCE"
"""Settings of the model server from which it takes the limits of bodies and rows."""
MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a SageMaker model."""

    image: str
    data: str | None = None
    """Archive, or prefix of archives, that it loads."""
    name: str | None = None
    """Name by which a request picks it, where there are several."""
    memory_bytes: int | None = None
    """Memory for several models; None where it serves one."""
    room: Mapping[str, str] = field(default_factory=dict[str, str])
    """Settings of the server by which it has room for what callers send."""

    @property
    def words(self) -> list[str]:
        """All that it is, for fingerprints."""
        return [self.image, self.data or "", self.name or "", str(self.memory_bytes or ""), *self.room.values()]

    @property
    def environment(self) -> dict[str, str] | None:
        """Environment variables; None for none."""
        fleet = {MEMORY_VARIABLE: str(self.memory_bytes)} if self.memory_bytes is not None else {}
        return {**fleet, **self.room} or None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One SageMaker model."""

    name: str
    """Its name, which changes with everything else here."""
    containers: tuple[Container, ...]
    """At least one."""
    mode: str | None
    """How several containers answer: `Serial` or `Direct`; None for one."""
    in_network: bool
    """Whether it stands in the VPC, isolated; SageMaker refuses both for serverless endpoints."""

    @property
    def primary(self) -> aws.sagemaker.ModelPrimaryContainerArgs | None:
        """The only container."""
        if self.mode is not None:
            return None
        (container,) = self.containers
        return aws.sagemaker.ModelPrimaryContainerArgs(
            image=container.image,
            model_data_url=container.data,
            mode="MultiModel" if container.memory_bytes is not None else None,
            environment=container.environment,
        )

    @property
    def row(self) -> list[aws.sagemaker.ModelContainerArgs] | None:
        """Several containers in their order."""
        if self.mode is None:
            return None
        return [
            aws.sagemaker.ModelContainerArgs(
                image=container.image,
                model_data_url=container.data,
                container_hostname=container.name,
                environment=container.environment,
            )
            for container in self.containers
        ]


def served_model(labels: Labels, model: ModelSpec, approved: ApprovedSpec) -> ServedModel:
    """What is deployed of the approved version, for the place that serves it."""
    containers, mode = _containers(labels, model, approved)
    in_network = model.serving is None or model.serving.target is not Target.SERVERLESS
    shape = [word for container in containers for word in container.words]
    return ServedModel(
        name=labels.model(model.name, approved.version, shape, mode or "", str(in_network)),
        containers=containers,
        mode=mode,
        in_network=in_network,
    )


def _containers(labels: Labels, model: ModelSpec, approved: ApprovedSpec) -> tuple[tuple[Container, ...], str | None]:
    repository = f"{iam.Account.of(labels.environment).registry}/{labels.repository(model.name)}"
    image = f"{repository}@{approved.image_digest}"
    hosting = model.serving.hosting if model.serving is not None else None
    room = _room(model.serving)
    if hosting is not None and hosting.fleet is not None:
        prefix = f"{ModelPlaces(labels, model).uri(f'{model.name}/{hosting.fleet.prefix}')}/"
        memory = hosting.fleet.memory_mib * MEBIBYTE
        return (Container(image=image, data=prefix, memory_bytes=memory, room=room),), None
    if hosting is not None and hosting.row is not None:
        row = tuple(
            Container(image=image, data=approved.model_data, name=item.name, room=room)
            if item.image_digest is None
            else Container(image=f"{repository}@{item.image_digest}", name=item.name)
            for item in hosting.row.containers
        )
        return row, hosting.row.mode.capitalize()
    return (Container(image=image, data=approved.model_data, room=room),), None


def _room(serving: ServingSpec | None) -> dict[str, str]:
    """What the server is told of the requests; of a batch transform SageMaker tells it."""
    if serving is None or serving.requests is None or serving.target in (Target.EKS, Target.BATCH):
        return {}
    queue = serving.asynchronous if serving.target is Target.ASYNCHRONOUS else None
    return {
        PAYLOAD_VARIABLE: str(ceil(serving.requests.largest_mb)),
        AT_ONCE_VARIABLE: str(queue.concurrency if queue is not None else 1),
    }
