"""What a build is told and made of: its program, its variables, and the events that start it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from components import iam
from components.code_builds import override
from components.labels import MODELS

if TYPE_CHECKING:
    from components.model_places import ModelPlaces
    from settings.model import PackagingSpec

PROGRAM: Final = (
    *(f"lifecycle/{name}" for name in ("__init__.py", "steps.py", "crane.py")),
    *(f"packager/{name}" for name in ("__init__.py", "__main__.py", "build.py", "calls.py", "champion.py")),
    *(f"packager/{name}" for name in ("layer.py", "registry.py")),
    *(f"packager/{name}" for name in ("go.mod", "go.sum")),
)
"""Files of a build, below `functions`."""
SOURCES: Final = "_packager/"
"""Prefix of the models bucket with the programs of builds; no model's name begins so."""
SPECIFICATION: Final = "packager/buildspec.yml"
"""How a build runs, below `functions`."""


def variables(places: ModelPlaces, spec: PackagingSpec, signing: str | None) -> dict[str, str]:
    """What a build of a model is told; which version it is comes with the event."""
    labels, model = places.labels, places.model.name
    return {
        "MODEL": model,
        "PACKAGE_GROUP": labels.package_group(model),
        "REPOSITORY": f"{iam.Account.of(labels.environment).registry}/{labels.repository(model)}",
        "MODELS_BUCKET": labels.bucket(MODELS),
        "EVENT_BUS": labels.event_bus,
        "BASE_IMAGE": spec.base_image,
        "BLOCKED_SEVERITIES": " ".join(spec.blocked_severities),
        "WAIT_SECONDS": str(spec.wait_minutes * 60),
        "MAX_IMAGE_AGE_DAYS": str(spec.max_image_age_days),
        "SIGNING_PROFILE": signing or "",
        "MODEL_PACKAGE_ARN": "",
        "REASON": "refresh",
    }


def approval_pattern(group: str) -> str:
    """Event of a version of one group that has been approved, or rejected, which may need another champion.

    Source: SageMaker developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge".
    """
    detail = {"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved", "Rejected"]}
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Model Package State Change"], "detail": detail}
    return json.dumps(pattern)


def approval_input() -> str:
    """What the approval of `<package>` tells a build."""
    return override({"MODEL_PACKAGE_ARN": "<package>", "REASON": "approval"})
