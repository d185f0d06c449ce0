"""Models with every target described, and one model for each kind of serving by SageMaker."""

from __future__ import annotations

import functools
import json
from typing import Any, Final

from tests.support.recorded import stack_section

ACCOUNT: Final = "777788889999"
DIGEST: Final = "sha256:" + "ab" * 32
ROLLOUT: Final[dict[str, Any]] = {
    "shift": "canary",
    "stepPercent": 10,
    "waitSeconds": 600,
    "terminationWaitSeconds": 300,
    "timeoutSeconds": 3600,
    "maxErrorPercent": 1.0,
    "maxModelMilliseconds": 100,
    "maxOverheadMilliseconds": None,
}
SCALING: Final[dict[str, Any]] = {
    "maxInstances": 6,
    "requestsPerMinute": 6000,
    "cpuPercent": None,
    "scaleInSeconds": 300,
    "scaleOutSeconds": 60,
}
TARGETS: Final[dict[str, Any]] = {
    "realTime": {
        "instanceType": "ml.m5.large",
        "instances": 2,
        "scaling": SCALING,
        "capturePercent": 20,
        "rollout": {**ROLLOUT, "maxOverheadMilliseconds": 50},
        "logRetentionDays": 90,
    },
    "serverless": {
        "memoryMb": 2048,
        "maxConcurrency": 20,
        "provisionedConcurrency": None,
        "outsideVpc": True,
        "logRetentionDays": 90,
    },
    "asynchronous": {
        "instanceType": "ml.m5.large",
        "minInstances": 0,
        "maxInstances": 3,
        "backlogPerInstance": 5,
        "concurrency": 4,
        "scaleInSeconds": 300,
        "scaleOutSeconds": 60,
        "rollout": ROLLOUT,
        "logRetentionDays": 90,
    },
    "batch": {
        "instanceType": "ml.m5.xlarge",
        "instances": 2,
        "payloadMb": 6,
        "concurrency": 4,
        "timeoutSeconds": 60,
        "retries": 1,
    },
}
"""Every SageMaker target of a model, described; `serving` points to one of them."""
LARGE: Final[dict[str, Any]] = {
    "largestMb": 12.5,
    "longestSeconds": 600,
    "peakPerMinute": 10,
    "usualMilliseconds": 9000,
    "immediate": False,
    "coldStarts": True,
}
"""Requests that only a queue takes."""
FLEET: Final[dict[str, Any]] = {"fleet": {"prefix": "fleet/", "memoryMib": 2048}, "row": None}
ROW: Final[dict[str, Any]] = {
    "fleet": None,
    "row": {
        "mode": "serial",
        "containers": [
            {"name": "before", "imageDigest": "sha256:" + "cd" * 32},
            {"name": "model", "imageDigest": None},
        ],
    },
}


@functools.cache
def trained() -> dict[str, Any]:
    (model,) = stack_section("prod", "models")
    return model


def serving(target: str, **more: Any) -> dict[str, Any]:
    """The `serving` of a model with every target described, pods as in prod among them, and a switch to one."""
    return {"eks": trained()["serving"]["eks"], **TARGETS, "target": target, **more}


def approved(version: int, model: str = "flight-delay") -> dict[str, Any]:
    """An approved version of prod's model, or of another one."""
    bucket = f"slipway-prod-{ACCOUNT}-us-east-1-models"
    data = f"s3://{bucket}/{model}/jobs/job-{version}/output/model.tar.gz"
    return {"version": version, "imageDigest": DIGEST, "modelData": data}


SERVED: Final[dict[str, dict[str, Any]]] = {
    "at-once": serving("real-time"),
    "now-and-then": serving("serverless"),
    "queue": serving("asynchronous", requests=LARGE),
    "nightly": serving("batch"),
    "fleet": serving("real-time", hosting=FLEET, realTime={**TARGETS["realTime"], "capturePercent": 0}),
    "row": serving("real-time", hosting=ROW, realTime={**TARGETS["realTime"], "instanceType": "ml.g5.xlarge"}),
}
"""Models by what serves them, one of each kind."""


def _watched(where: dict[str, Any]) -> dict[str, Any]:
    """What watches a model whose requests are captured, as in prod; the others have nothing of it."""
    if where["target"] == "real-time" and where["realTime"]["capturePercent"]:
        return {}
    return {"drift": None, "retraining": {**trained()["retraining"], "drift": False}}


def model_of(name: str, where: dict[str, Any], version: int = 3) -> dict[str, Any]:
    return {
        **trained(),
        "name": name,
        "datasetPrefix": f"{name}/",
        "approved": approved(version, name),
        **_watched(where),
        "serving": where,
    }


def all_served(*left_out: str) -> str:
    """Changes of prod's stack file after which every kind of model is served, but for those that are left out.

    With a serverless model, data are not protected: the settings refuse both together.
    """
    models = [model_of(name, where) for name, where in SERVED.items() if name not in left_out]
    protected = all(model["serving"]["target"] != "serverless" for model in models)
    return json.dumps({"environment": {"protectData": protected}, "models": models})
