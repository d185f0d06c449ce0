"""Every optional part of the platform switched on, as changes of a stack file."""

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
SECRET_FILES: Final[dict[str, Any]] = {"driverVersion": "v2.2.2-eksbuild.1", "rereadMinutes": 60}
SECRETS: Final[list[dict[str, Any]]] = [
    {"name": "warehouse", "recoveryDays": 30, "rotation": None},
    {
        "name": "partner-api",
        "recoveryDays": 7,
        "rotation": {"functionArn": "arn:aws:lambda:us-east-1:777788889999:function:rotate", "everyDays": 30},
    },
]
FARGATE_PROFILE: Final[dict[str, Any]] = {
    "selectors": [{"namespace": "ml-inference", "labels": {"compute": "fargate"}}],
    "podSecurityGroups": True,
    "podPorts": [8080],
    "logRetentionDays": 90,
}
PEERING: Final[dict[str, Any]] = {
    "name": "jobs",
    "vpcId": "vpc-0123456789abcdef0",
    "cidr": "10.80.0.0/16",
    "routeTableIds": ["rtb-0123456789abcdef0"],
    "runtimeEndpointGroup": "sg-0123456789abcdef0",
    "jobGroups": ["sg-0123456789abcdef1"],
}
APPROVED: Final[dict[str, Any]] = {
    "version": 7,
    "imageDigest": "sha256:" + "7" * 64,
    "modelData": "s3://slipway-prod-777788889999-us-east-1-models/flight-delay/jobs/7/output/model.tar.gz",
}
CERTIFICATE: Final = "arn:aws:acm:us-east-1:777788889999:certificate/01234567-89ab-cdef-0123-456789abcdef"
STUDIO: Final[dict[str, Any]] = {
    "users": ["explorer", "reviewer"],
    "instanceTypes": ["ml.t3.medium", "ml.m5.xlarge"],
    "volumeGib": 20,
    "idleMinutes": 120,
    "internet": False,
}
SEARCH: Final[dict[str, Any]] = {
    "strategy": "bayesian",
    "jobs": 8,
    "parallelJobs": 2,
    "ranges": [
        {"name": "eta", "minimum": 0.02, "maximum": 0.3, "scaling": "logarithmic"},
        {"name": "max_depth", "minimum": 3, "maximum": 10, "scaling": "linear"},
    ],
    "choices": [{"name": "max_bin", "values": [64, 256]}],
    "minimumRounds": None,
    "earlyStopping": True,
    "warmStartFrom": ["3aee15-a1b2c3d4e5f6-search-0"],
}
STORAGE: Final = json.dumps({"storage": {"efs": EFS, "lustre": LUSTRE, "mountpoint": MOUNTPOINT}})
FARGATE: Final = json.dumps({"fargate": {"profile": FARGATE_PROFILE}})
PARTS: Final[dict[str, object]] = {
    "storage.efs": EFS,
    "storage.lustre": LUSTRE,
    "storage.mountpoint": MOUNTPOINT,
    "storage.secrets": SECRET_FILES,
    "teams.0.namespaces.1.secrets": SECRETS,
    "fargate.profile": FARGATE_PROFILE,
    "studio.domain": STUDIO,
    "tracking.app": {"logRetentionDays": 365},
    "network.peerings": [PEERING],
    "loadBalancing.certificateArns": [CERTIFICATE],
    "models.0.approved": APPROVED,
    "models.0.serving.eks.frontEnd.host": "delays.ml.example.com",
    "monitoring.adapter": {"replicas": 2, "cpuMillis": 50, "memoryMib": 128},
    "models.0.serving.eks.autoscaling.requests": {"metric": "per-second", "perPod": 1050},
    "monitoring.imageRegistry": "registry.example.com/mirror",
    "registry.promotesTo": {"environment": "edge", "accountId": "222233334444", "region": "us-east-1"},
    "models.0.training.tuning": SEARCH,
    "domains.hostedZones": [{"id": "Z0123456789ABCDEFGHIJ", "domain": "ml.example.com"}],
    "domains.records": {"policy": "sync", "intervalMinutes": 5, "cpuMillis": 50, "memoryMib": 128},
    "domains.certificates": {
        "directory": "https://acme-v02.api.letsencrypt.org/directory",
        "email": "ml-platform@example.com",
        "replicas": 2,
        "cpuMillis": 50,
        "memoryMib": 128,
    },
}
"""Parts that the organisation of the stack files may use as it is."""
EVERYTHING: Final[dict[str, object]] = {
    **PARTS,
    "charts.neuron": {"repository": "oci://public.ecr.aws/neuron", "version": "1.10.0"},
    "charts.efaDevicePlugin": {"repository": "https://aws.github.io/eks-charts", "version": "0.5.30"},
    "accelerators.efa": [{"pool": "gpu", "zone": "us-east-1b"}],
    "nodePools.1.role": "neuron",
    "nodePools.1.instanceTypes": ["inf2.xlarge"],
    "nodePools.3.instanceTypes": ["p4d.24xlarge", "p4de.24xlarge"],
}
"""What makes prod release every chart and add-on that the program knows, with every value that it may pass; its
policies do not allow the instance types."""
