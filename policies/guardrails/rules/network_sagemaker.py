"""SageMaker and the network: jobs, models and workspaces inside the VPC."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.documents import test
from guardrails.jobs import JOBS, Job, Kind, judge_jobs
from guardrails.resources import Resource
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    Undetermined,
    Violation,
    require,
    require_true,
)
from guardrails.view import Missing, Unknown, Value

_MODEL = "aws:sagemaker/model:Model"
_NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
_DOMAIN = "aws:sagemaker/domain:Domain"
_ECR = re.compile(r"\d{12}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|on\.aws)/.+|public\.ecr\.aws/.+")
_FEWEST_SUBNETS = 2


@dataclass(frozen=True, slots=True)
class IsolationFacts:
    """How a job says that its container needs the network."""

    network_tag: Annotated[str, "Tag by which a job or model declares that its container calls other services."] = (
        "NetworkUse"
    )
    network_value: Annotated[str, "Value of that tag."] = "required"


def _check_container(image: Value, mode: Value) -> Iterator[Finding]:
    """An image from a registry other than ECR is pulled through the VPC."""
    private = test(image, lambda text: _ECR.fullmatch(text) is None)
    if private:
        yield from require(mode, lambda value: value.text() == "Vpc", "Vpc")
    elif private is None and mode.text() != "Vpc":
        yield Undetermined(path=image.path)


def _check_isolated(network: Value, declared: Value, facts: IsolationFacts) -> Iterator[Finding]:
    subnets = network.get("vpcConfig.subnets")
    wanted = f"at least {_FEWEST_SUBNETS} private subnets"
    yield from require(subnets, lambda value: len(value.elements()) >= _FEWEST_SUBNETS, wanted)
    isolated = network.child("enableNetworkIsolation")
    if isinstance(declared, Unknown) and isolated.flag() is not True:
        yield Undetermined(path=isolated.path)
    elif declared.text() != facts.network_value:
        yield from require_true(isolated)


def _check_job(job: Job, facts: IsolationFacts) -> Iterator[Finding]:
    if job.kind is not Kind.TRANSFORM:
        yield from _check_isolated(job.network, job.tagged(facts.network_tag), facts)
    for image, mode in job.images if job.kind is not Kind.PROCESSING else ():
        yield from _check_container(image, mode)


def _check(resource: Resource, facts: IsolationFacts) -> Iterator[Finding]:
    if resource.token == _NOTEBOOK:
        internet, subnet = resource.get("directInternetAccess"), resource.get("subnetId")
        yield from require(internet, lambda value: value.text() == "Disabled", "Disabled (AWS assumes Enabled)")
        if isinstance(subnet, Missing):
            yield Violation(path=subnet.path, found="nothing", wanted="a private subnet")
    elif resource.token == _DOMAIN:
        access = resource.get("appNetworkAccessType")
        yield from require(access, lambda value: value.text() == "VpcOnly", "VpcOnly (AWS assumes PublicInternetOnly)")
    elif resource.token in JOBS:
        yield from judge_jobs(resource, lambda job: _check_job(job, facts))
    else:
        yield from _check_isolated(resource.properties, resource.tag(facts.network_tag), facts)
        for container in (*resource.select("primaryContainer"), *resource.select("containers[*]")):
            yield from _check_container(container.child("image"), container.get("imageConfig.repositoryAccessMode"))


NET_12 = ResourceRule(
    id="NET-12",
    name="sagemaker-in-vpc-isolated",
    title="SageMaker jobs, models and workspaces run in the VPC, cut off from what they do not need",
    tokens=(*JOBS, _MODEL, _NOTEBOOK, _DOMAIN),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:SageMaker.1", "fsbp:SageMaker.2", "fsbp:SageMaker.5", "fsbp:SageMaker.16", "gdpr:32"),
    why="a container with the data and a way out is one malicious dependency away from a leak",
    fix="set vpc_config and enable_network_isolation; tag what must call services NetworkUse=required",
    facts=IsolationFacts,
    check=_check,
    traps=(
        "isolation leaves the S3 channels of a job working; only calls from inside the container break",
        "images in ECR need no repositoryAccessMode",
        "a notebook or domain that says nothing is on the internet",
        "a transform has the network of its model; a processing job has no word for images of other registries",
    ),
)
