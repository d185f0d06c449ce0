"""The stack's outputs: what people and other programs read of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

if TYPE_CHECKING:
    from components.front_ends import ServingHandle
    from components.handles import (
        ClusterHandle,
        PackagingHandle,
        PipelinesHandle,
        RegistryHandle,
        StoreHandle,
        TenancyHandle,
        TrainingHandle,
    )
    from components.serving_handles import BatchTransformsHandle, InferenceEndpointsHandle
    from settings.model import Settings


def export_outputs(
    settings: Settings,
    *,
    store: StoreHandle,
    cluster: ClusterHandle,
    tenancy: TenancyHandle,
    training: TrainingHandle,
    registry: RegistryHandle,
    packaging: PackagingHandle,
    pipelines: PipelinesHandle,
    serving: ServingHandle,
    inference: InferenceEndpointsHandle,
    batches: BatchTransformsHandle,
) -> None:
    """Export the outputs of the stack; the kubeconfig stays a secret."""
    pulumi.export("accountId", settings.environment.account_id)
    pulumi.export("region", settings.environment.region)
    pulumi.export("clusterName", cluster.name)
    pulumi.export("clusterEndpoint", cluster.endpoint)
    pulumi.export("kubeconfig", cluster.kubeconfig)
    pulumi.export("dataBucket", store.data_bucket)
    pulumi.export("modelsBucket", store.models_bucket)
    pulumi.export("keyArn", store.key_arn)
    pulumi.export("modelEcrRepo", store.repositories)
    pulumi.export("teamEcrRepos", tenancy.repositories)
    pulumi.export("modelRoleArns", {model: roles.arns for model, roles in training.roles.items()})
    pulumi.export("eventBus", packaging.event_bus)
    pulumi.export("packagingProjects", packaging.projects)
    pulumi.export("pipelineNames", pipelines.names)
    pulumi.export("modelPackageGroups", registry.package_groups)
    pulumi.export("sageMakerModelArn", registry.model_arns)
    pulumi.export("modelUrls", serving.addresses)
    pulumi.export("endpointNames", inference.names)
    pulumi.export("batchTransforms", batches.plans)
    pulumi.export("settingsDigest", settings.digest)
