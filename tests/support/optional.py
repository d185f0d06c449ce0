"""Every optional part of the platform switched on, as overrides of a stack file."""

from __future__ import annotations

import json
from typing import Any, Final

EFS: Final[dict[str, Any]] = {
    "driverVersion": "v3.4.1-eksbuild.1",
    "throughputMode": "elastic",
    "provisionedMibps": None,
    "infrequentAccessDays": 1,
    "backups": True,
}
LUSTRE: Final[dict[str, Any]] = {
    "driverVersion": "v1.9.0-eksbuild.1",
    "deployment": "PERSISTENT_2",
    "storageGib": 2400,
    "throughputPerTib": 250,
    "zone": "us-east-1b",
    "dataPrefix": "flight-delay/",
    "namespace": "ml-training",
}
MOUNTPOINT: Final[dict[str, Any]] = {
    "driverVersion": "v2.7.0-eksbuild.1",
    "volumes": [
        {"name": "data-sets", "bucket": "data", "prefix": "flight-delay/", "namespace": "ml-training"},
        {"name": "approved", "bucket": "models", "prefix": "approved/", "namespace": "ml-inference"},
    ],
}
FARGATE_PROFILE: Final[dict[str, Any]] = {
    "selectors": [{"namespace": "ml-inference", "labels": {"compute": "fargate"}}],
    "podSecurityGroups": True,
    "podPorts": [8080],
    "logRetentionDays": 90,
}
STORAGE: Final = json.dumps({"storage": {"efs": EFS, "lustre": LUSTRE, "mountpoint": MOUNTPOINT}})
FARGATE: Final = json.dumps({"fargate": {"profile": FARGATE_PROFILE}})
EVERYTHING: Final = json.dumps({**json.loads(STORAGE), **json.loads(FARGATE)})
