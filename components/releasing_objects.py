"""What a release step is told and made of, what starts it, and what it may do.

Sources: EKS user guide, "Grant IAM users access to Kubernetes with EKS access entries"; service authorization reference
for SageMaker; Kubernetes documentation, "Using RBAC Authorization", section "Referring to resources"; SageMaker
developer guide, "Events that SageMaker AI sends to Amazon EventBridge", section "Pipeline execution state change".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pulumi_kubernetes as kubernetes

from components import drift_definition, grants, iam
from components.code_builds import override
from components.labels import MODELS, PROJECT
from components.model_places import ModelPlaces
from components.packaging_grants import IMAGE_READY, SOURCE
from components.promotion_policies import package_arns
from settings.recall_times import LOOKS, trial_hours
from settings.release_times import pods_minutes, rollout_minutes

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import EksServingSpec, ModelSpec

PROGRAM: Final = (
    *(f"release/{name}.py" for name in ("__init__", "__main__", "api", "experiment", "patience", "progress")),
    *(f"release/{name}.py" for name in ("prometheus", "recall", "record", "registry", "step")),
    *(f"rollout/{name}.py" for name in ("__init__", "experiment", "judgement", "plan", "rates", "recall")),
    *(f"rollout/{name}.py" for name in ("sequential", "shift", "verdicts")),
)
"""Files of a release step, below `functions`."""
SOURCES: Final = "_release/"
"""Prefix of the models bucket with the programs of release steps; no model's name begins so."""
SPECIFICATION: Final = "release/buildspec.yml"
"""How a release step runs, below `functions`."""
THING: Final = "releasing"
"""Name of the component, which log group and queue are called by."""

_Rule = kubernetes.rbac.v1.PolicyRuleArgs


def project_name(labels: Labels, model: str) -> str:
    """Name of a model's CodeBuild project."""
    return f"{labels.cluster}-{model}-release"


def group(model: str) -> str:
    """Kubernetes group of a model's release step alone; no duty of a team has a name of four parts."""
    return f"{PROJECT}:model:{model}:release"


def variables(labels: Labels, model: ModelSpec, spec: EksServingSpec) -> dict[str, str]:
    """What a release step is told; the version comes with the event, as does that it is to look back."""
    packages = f"model-package/{labels.package_group(model.name)}/"
    return {
        "VERB": "roll-out",
        "CLUSTER": labels.cluster,
        "NAMESPACE": spec.namespace,
        "MODEL": model.name,
        "PACKAGES": iam.Account.of(labels.environment).arn("sagemaker", packages),
        **_trial(model),
        "REPORTS": f"s3://{labels.bucket(MODELS)}/{ModelPlaces(labels, model).drift_reports}",
        "READY_SECONDS": str(rollout_minutes(spec) * 60),
        "BACK_SECONDS": str(pods_minutes() * 60),
        "IMAGE": "",
        "VERSION": "",
        "MODEL_PACKAGE_ARN": "",
        "AGAIN": "",
    }


def _trial(model: ModelSpec) -> dict[str, str]:
    """What it takes to take a version back after its promotion; nothing where nobody looks for drift."""
    if model.drift is None:
        return {"MINIMUM_LABELS": "", "LOOKS": "", "TRIAL_HOURS": ""}
    labels, hours = model.drift.quality.minimum_labels, trial_hours(model.drift)
    return {"MINIMUM_LABELS": str(labels), "LOOKS": str(LOOKS), "TRIAL_HOURS": str(hours)}


ANNOUNCED: Final = {"image": "$.detail.image", "version": "$.detail.version", "package": "$.detail.modelPackageArn"}
"""Where an announcement names what is released."""


def announcement_pattern(model: str) -> str:
    """Announcements of images of one model."""
    return json.dumps({"source": [SOURCE], "detail-type": [IMAGE_READY], "detail": {"model": [model]}})


def announcement_input() -> str:
    """What an announcement tells a release step."""
    return override({"IMAGE": "<image>", "VERSION": "<version>", "MODEL_PACKAGE_ARN": "<package>"})


def look_pattern(labels: Labels, model: ModelSpec) -> str:
    """Looks for drift of one model that have ended well: each leaves a report."""
    pipeline = f"pipeline/{drift_definition.pipeline_name(labels, model)}"
    return json.dumps(
        {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Model Building Pipeline Execution Status Change"],
            "detail": {
                "currentPipelineExecutionStatus": ["Succeeded"],
                "pipelineArn": [iam.Account.of(labels.environment).arn("sagemaker", pipeline)],
            },
        }
    )


def look_input() -> str:
    """What a look for drift tells a release step."""
    return override({"VERB": "recall"})


def recall(labels: Labels, model: ModelSpec) -> dict[str, list[iam.Statement]]:
    """Read what was found about the version in service, and which versions there are."""
    read: iam.Statement = {
        "Effect": "Allow",
        "Action": "sagemaker:ListModelPackages",
        "Resource": package_arns(labels, [model]),
    }
    reports = ModelPlaces(labels, model).drift_reports
    found = grants.read_objects(iam.Account.of(labels.environment), labels.bucket(MODELS), [reports])
    return {"list-packages": [read], "read-reports": found}


def report(labels: Labels, model: ModelSpec) -> dict[str, list[iam.Statement]]:
    """Find the cluster; write down with a version how its release ended, and reject it, but approve nothing."""
    account = iam.Account.of(labels.environment)
    mark: iam.Statement = {
        "Effect": "Allow",
        "Action": "sagemaker:UpdateModelPackage",
        "Resource": package_arns(labels, [model]),
    }
    return {
        "find-cluster": [
            {
                "Effect": "Allow",
                "Action": "eks:DescribeCluster",
                "Resource": account.arn("eks", f"cluster/{labels.cluster}"),
            }
        ],
        "see-approval": [{**mark, "Action": "sagemaker:DescribeModelPackage"}],
        "report": [
            {**mark, "Condition": {"Null": {"sagemaker:ModelApprovalStatus": "true"}}},
            {**mark, "Condition": {"StringEquals": {"sagemaker:ModelApprovalStatus": "Rejected"}}},
        ],
    }


def failures(labels: Labels, model: str) -> dict[str, Any]:
    """Alarm on release steps that ended badly, with the previous version in service or with nobody knowing.

    Source: CodeBuild user guide, "CodeBuild resource metrics".
    """
    project = project_name(labels, model)
    return {
        "name": f"{project}-failed",
        "alarm_description": f"a release of {model} did not end in the new version: docs/rollouts.md says what to do",
        "namespace": "AWS/CodeBuild",
        "metric_name": "FailedBuilds",
        "dimensions": {"ProjectName": project},
        "statistic": "Sum",
    }


def dead_letters(labels: Labels) -> dict[str, Any]:
    """Alarm on announcements that started nothing."""
    return {
        "name": f"{labels.cluster}-{THING}-dead-letters",
        "alarm_description": "images that were announced and not released: docs/rollouts.md says what to do",
        "namespace": "AWS/SQS",
        "metric_name": "ApproximateNumberOfMessagesVisible",
        "dimensions": {"QueueName": labels.queue(f"{THING}-dead")},
        "statistic": "Maximum",
    }


def role_rules(model: str) -> list[kubernetes.rbac.v1.PolicyRuleArgs]:
    """See and change one Deployment, see the Rollout that runs its pods, and have it skip its steps on the way back.

    What `functions/release/api.py` calls. Of a status, the API server guards the whole and no single field.
    """
    return [
        _Rule(api_groups=["apps"], resources=["deployments"], verbs=["get", "patch"], resource_names=[model]),
        _Rule(api_groups=["argoproj.io"], resources=["rollouts"], verbs=["get"], resource_names=[model]),
        _Rule(api_groups=["argoproj.io"], resources=["rollouts/status"], verbs=["patch"], resource_names=[model]),
    ]
