"""The sidecar that takes captures of a pod to S3, as pure functions in the spelling of the API.

A native sidecar: it starts before the server and ends after it, so it finds all that the server has finished. It runs
the image of the server, whose program of its own (`model_image/shipping`) does the work.
Sources: Kubernetes documentation, "Sidecar Containers" and "Pod Lifecycle"; aws/amazon-eks-pod-identity-webhook,
README (commit 3bf80a3) for the annotation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from components import iam
from components.labels import MODELS
from components.model_places import ModelPlaces

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import CaptureSpec, EksServingSpec, ModelSpec

CONTAINER: Final = "shipper"
VOLUME: Final = "captures"
FOLDER: Final = "/captures"
LAST_SECONDS: Final = 15
"""Time to ship the rest once the server has ended."""
ROLE_ANNOTATION: Final = "eks.amazonaws.com/role-arn"
SKIPPED_ANNOTATION: Final = "eks.amazonaws.com/skip-containers"
"""Names containers that get no token of AWS: the server reads what strangers send, and calls nothing."""
_SLACK_MIB: Final = 32
"""Beyond what the server counts: blocks and folders; a pod whose volume is too full is evicted."""
_CALL_SECONDS: Final = 7
"""Longest time of one call to S3, which may begin at the last moment: the shipper's time-outs together."""

Object = dict[str, Any]

RESTRICTED: Final[Object] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""Security context of both containers."""


def role_name(labels: Labels, model: str) -> str:
    """Name of the role of a model's sidecars."""
    return labels.role(f"{model}-capture")


def grace_seconds(capture: CaptureSpec | None) -> int:
    """Seconds that the end of a pod takes longer."""
    return LAST_SECONDS + _CALL_SECONDS if capture else 0


def abilities(labels: Labels, model: ModelSpec) -> dict[str, list[iam.Statement]]:
    """What the sidecar may do, beside the use of the key: create objects below one prefix, and read none."""
    prefix = ModelPlaces(labels, model).pod_captures
    resource = iam.Account.of(labels.environment).bucket(labels.bucket(MODELS), f"{prefix}*")
    return {"ship-captures": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": resource}]}


def use_key(labels: Labels, key_arn: str) -> str:
    """Let S3 encrypt what is uploaded in one part, and decrypt nothing.

    Source: Amazon S3 User Guide, "Using server-side encryption with AWS KMS keys".
    """
    return iam.document(
        {
            "Effect": "Allow",
            "Action": "kms:GenerateDataKey",
            "Resource": key_arn,
            "Condition": {"StringEquals": {"kms:ViaService": iam.Account.of(labels.environment).service("s3")}},
        }
    )


def account_annotations(labels: Labels, model: ModelSpec, spec: EksServingSpec) -> dict[str, str] | None:
    """What tells EKS which role the account has; the role is there when pods are."""
    if spec.capture is None or model.approved is None:
        return None
    return {ROLE_ANNOTATION: iam.Account.of(labels.environment).role(role_name(labels, model.name))}


def pod_annotations(server: str) -> Object:
    """Metadata of the pods: the server gets no token of AWS."""
    return {"annotations": {SKIPPED_ANNOTATION: server}}


def server_environment(capture: CaptureSpec) -> list[Object]:
    """Variables by which the server captures."""
    values = {
        "SLIPWAY_CAPTURE_DIR": FOLDER,
        "SLIPWAY_CAPTURE_PERCENT": f"{capture.percent:g}",
        "SLIPWAY_MAX_CAPTURE_DISK_BYTES": str(capture.disk_mib * 1024 * 1024),
        **({"SLIPWAY_CAPTURE_DROP": ",".join(capture.drop)} if capture.drop else {}),
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def sidecar(capture: CaptureSpec, image: str, target: str, region: str) -> Object:
    """The container.

    Args:
        capture: What it may take.
        image: The server's image.
        target: Where captures go, `s3://<bucket>/<prefix>/`.
        region: Region of the bucket.
    """
    memory = f"{capture.memory_mib}Mi"
    return {
        "name": CONTAINER,
        "image": image,
        "restartPolicy": "Always",
        "command": ["python", "-m", "shipping"],
        "args": ["--source", FOLDER, "--target", target, "--last-seconds", str(LAST_SECONDS)],
        "env": [{"name": "AWS_REGION", "value": region}],
        "resources": {"requests": {"cpu": f"{capture.cpu_millis}m", "memory": memory}, "limits": {"memory": memory}},
        "securityContext": RESTRICTED,
        "volumeMounts": [mount()],
    }


def mount() -> Object:
    """The folder, in both containers."""
    return {"name": VOLUME, "mountPath": FOLDER}


def volume(capture: CaptureSpec) -> Object:
    """The folder's volume."""
    return {"name": VOLUME, "emptyDir": {"sizeLimit": f"{capture.disk_mib + _SLACK_MIB}Mi"}}
