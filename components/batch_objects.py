"""What every batch transform job of a model has in common, as a value of its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from components.pipeline_words import CSV
from settings.instances import takes_volume_key

if TYPE_CHECKING:
    from components.model_places import ModelPlaces
    from settings.model import BatchSpec

BATCH_STRATEGY: Final = "MultiRecord"
"""As many rows in one request as the largest payload holds."""


def plan(places: ModelPlaces, spec: BatchSpec, *, model_name: str, key_arn: str) -> dict[str, Any]:
    """Return the plan as `lifecycle.transforms.Plan` reads it.

    Args:
        places: Of the model.
        spec: Hosts and requests of its jobs.
        model_name: SageMaker's name of the version that answers.
        key_arn: Key of volumes and answers.
    """
    hosts: dict[str, Any] = {"InstanceType": spec.instance_type, "InstanceCount": spec.instances}
    if takes_volume_key(spec.instance_type):
        hosts["VolumeKmsKeyId"] = key_arn
    return {
        "jobPrefix": places.job_prefix,
        "output": places.uri(places.batches),
        "request": {
            "ModelName": model_name,
            "MaxPayloadInMB": spec.payload_mb,
            "MaxConcurrentTransforms": spec.concurrency,
            "BatchStrategy": BATCH_STRATEGY,
            "ModelClientConfig": {
                "InvocationsTimeoutInSeconds": spec.timeout_seconds,
                "InvocationsMaxRetries": spec.retries,
            },
            "TransformInput": {"ContentType": CSV, "SplitType": "Line", "CompressionType": "None"},
            "TransformOutput": {"Accept": CSV, "AssembleWith": "Line", "KmsKeyId": key_arn},
            "TransformResources": hosts,
            "Tags": [{"Key": key, "Value": value} for key, value in places.labels.tags.items()],
        },
    }
