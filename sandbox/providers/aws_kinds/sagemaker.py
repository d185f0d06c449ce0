"""SageMaker."""

from __future__ import annotations

from typing import Final

from sandbox.providers.aws_kinds.shared import KEY, ROLE, side
from sandbox.providers.kinds import Kind, arn, fill, hex_id, joined, together

DOMAIN: Final = "aws:sagemaker/domain:Domain"
CONFIGURATION: Final = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
SCALED: Final = "aws:appautoscaling/target:Target"

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
    DOMAIN: Kind(
        identify=hex_id("d"),
        compute=together(
            arn("arn:{partition}:sagemaker:{region}:{account}:domain/{id}"),
            lambda birth, id_: {
                "homeEfsFileSystemId": f"fs-0{birth.hex(16, 'home')}",
                "url": f"https://{id_}.studio.{birth.place.region}.sagemaker.aws",
            },
        ),
        immutable=frozenset({"domainName", "authMode", "vpcId", "kmsKeyId"}),
        needs={"kmsKeyId": KEY},
        api=("sagemaker", "CreateDomain", ""),
        seconds=300.0,
    ),
    "aws:sagemaker/userProfile:UserProfile": Kind(
        identify=joined("domainId", "userProfileName"),
        compute=arn("arn:{partition}:sagemaker:{region}:{account}:user-profile/{id}"),
        immutable=frozenset({"domainId", "userProfileName", "singleSignOnUserIdentifier", "singleSignOnUserValue"}),
        needs={"domainId": DOMAIN},
        api=("sagemaker", "CreateUserProfile", ""),
    ),
    "aws:sagemaker/mlflowApp:MlflowApp": Kind(
        identify=lambda birth: fill(
            "arn:{partition}:sagemaker:{region}:{account}:mlflow-app/app-{id}", birth, birth.hex(12, "app").upper()
        ),
        compute=lambda _birth, id_: {"arn": id_},
        immutable=frozenset({"name"}),
        needs={"roleArn": ROLE},
        api=("sagemaker", "CreateMlflowApp", ""),
        seconds=120.0,
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
    CONFIGURATION: Kind(
        identify=joined("name"),
        compute=arn("arn:{partition}:sagemaker:{region}:{account}:endpoint-config/{id}"),
        immutable=frozenset(
            {
                "name",
                "namePrefix",
                "productionVariants",
                "shadowProductionVariants",
                "kmsKeyArn",
                "dataCaptureConfig",
                "asyncInferenceConfig",
                "executionRoleArn",
            }
        ),
        autoname="name",
        api=("sagemaker", "CreateEndpointConfig", ""),
    ),
    "aws:sagemaker/endpoint:Endpoint": Kind(
        identify=joined("name"),
        compute=arn("arn:{partition}:sagemaker:{region}:{account}:endpoint/{id}"),
        immutable=frozenset({"name"}),
        autoname="name",
        needs={"endpointConfigName": CONFIGURATION},
        api=("sagemaker", "CreateEndpoint", ""),
        seconds=480.0,
    ),
    SCALED: Kind(
        identify=joined("resourceId"),
        compute=arn("arn:{partition}:application-autoscaling:{region}:{account}:scalable-target/{hex}"),
        immutable=frozenset({"resourceId", "scalableDimension", "serviceNamespace"}),
        api=("application-autoscaling", "RegisterScalableTarget", ""),
    ),
    "aws:appautoscaling/policy:Policy": Kind(
        identify=joined("name"),
        compute=arn(
            "arn:{partition}:autoscaling:{region}:{account}:scalingPolicy:{hex}:"
            "resource/{serviceNamespace}/{resourceId}:policyName/{id}"
        ),
        immutable=frozenset({"name", "resourceId", "scalableDimension", "serviceNamespace"}),
        autoname="name",
        needs={"resourceId": SCALED},
        api=("application-autoscaling", "PutScalingPolicy", ""),
    ),
}
