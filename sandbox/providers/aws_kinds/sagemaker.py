"""SageMaker."""

from __future__ import annotations

from typing import Final

from sandbox.providers.aws_kinds.shared import ROLE, side
from sandbox.providers.kinds import Kind, arn, joined

KINDS: Final[dict[str, Kind]] = {
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": Kind(
        identify=joined("modelPackageGroupName"),
        compute=arn("arn:{partition}:sagemaker:{region}:{account}:model-package-group/{id}"),
        immutable=frozenset({"modelPackageGroupName", "modelPackageGroupDescription"}),
        api=("sagemaker", "CreateModelPackageGroup", ""),
    ),
    "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy": side(
        "aws:sagemaker/modelPackageGroup:ModelPackageGroup", "modelPackageGroupName"
    ),
    "aws:sagemaker/pipeline:Pipeline": Kind(
        identify=joined("pipelineName"),
        compute=arn("arn:{partition}:sagemaker:{region}:{account}:pipeline/{id}"),
        immutable=frozenset({"pipelineName"}),
        needs={"roleArn": ROLE},
        api=("sagemaker", "CreatePipeline", ""),
    ),
    "aws:sagemaker/model:Model": Kind(
        identify=joined("name"),
        compute=arn("arn:{partition}:sagemaker:{region}:{account}:model/{id}"),
        immutable=frozenset(
            {
                "name",
                "executionRoleArn",
                "primaryContainer",
                "containers",
                "vpcConfig",
                "enableNetworkIsolation",
                "inferenceExecutionConfig",
            }
        ),
        autoname="name",
        needs={"executionRoleArn": ROLE},
        api=("sagemaker", "CreateModel", ""),
    ),
}
