"""The versions of a model beside one another: what each learnt with, and how well, read from the registry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle import evaluation, steps
from lifecycle.steps import TRAINING_JOB_PROPERTY
from lifecycle.training_log import REPORTED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.loop.loopback import Clients


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a model."""

    number: int
    status: str
    """Approval status."""
    metrics: Mapping[str, float]
    """Of its evaluation in the pipeline: those that a training tells at its end."""
    parameters: Mapping[str, str]
    """Hyperparameters of its training."""


def groups(clients: Clients) -> list[str]:
    """Names of the model package groups."""
    pages = clients.sagemaker.get_paginator("list_model_package_groups").paginate()
    return sorted(each["ModelPackageGroupName"] for page in pages for each in page["ModelPackageGroupSummaryList"])


def versions(clients: Clients, group: str) -> list[Version]:
    """Every version of a group, the oldest first."""
    pages = clients.sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    arns = [each["ModelPackageArn"] for page in pages for each in page["ModelPackageSummaryList"]]
    return sorted((_version(clients, arn) for arn in arns), key=lambda version: version.number)


def _version(clients: Clients, arn: str) -> Version:
    package = steps.describe_package(clients.sagemaker, arn)
    job = clients.sagemaker.describe_training_job(TrainingJobName=package.properties[TRAINING_JOB_PROPERTY])
    parameters = job["HyperParameters"]
    metrics = evaluation.metric_values(json.loads(steps.fetch(clients.s3, package.evaluation_uri)))
    return Version(
        number=package.version,
        status=package.status,
        metrics={name: metrics[name] for name in REPORTED[parameters["objective"]].final},
        parameters=parameters,
    )


def compared(found: Sequence[Version]) -> dict[str, str]:
    """A row for each version: status, metrics, and the parameters that are not the same in all."""
    names = {name for version in found for name in version.parameters}
    differ = sorted(name for name in names if len({version.parameters.get(name) for version in found}) > 1)
    return {f"version {version.number}": _row(version, differ) for version in found}


def _row(version: Version, differ: Sequence[str]) -> str:
    metrics = [f"{name} {value:.4f}" for name, value in version.metrics.items()]
    parameters = [f"{name}={version.parameters.get(name, 'not set')}" for name in differ]
    return " · ".join(filter(None, (version.status, ", ".join(metrics), ", ".join(parameters))))
