"""SageMaker: data at rest under a key of ours, and traffic between the hosts of a job."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.jobs import JOBS, Job, Kind, judge_jobs
from guardrails.keys import own_key
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, require_true, show
from guardrails.view import Missing, Unknown, Value

_ENDPOINT = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
_FEATURES = "aws:sagemaker/featureGroup:FeatureGroup"
_QUALITY = "aws:sagemaker/dataQualityJobDefinition:DataQualityJobDefinition"
_SCHEDULE = "aws:sagemaker/monitoringSchedule:MonitoringSchedule"
_WORKSPACES = ("aws:sagemaker/notebookInstance:NotebookInstance", "aws:sagemaker/domain:Domain")
_SCHEDULED = "monitoringScheduleConfig.monitoringJobDefinition"


@dataclass(frozen=True, slots=True)
class LocalStorageFacts:
    """Which machines keep data on disks of their own."""

    local_storage_families: Annotated[
        tuple[str, ...],
        "Instance families with local NVMe disks, which their hardware encrypts and which refuse a volume key.",
    ] = (
        *(
            "c5d",
            "c6gd",
            "c6id",
            "c7gd",
            "g4dn",
            "g5",
            "g6",
            "g6e",
            "gr6",
            "i3en",
            "i4i",
            "inf2",
            "m5d",
            "m5dn",
            "m6gd",
        ),
        *("m6id", "m7gd", "p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "r5d", "r5dn", "r6gd", "r6id", "r7gd"),
        *("trn1", "trn1n", "trn2"),
    )

    def local(self, instance: Value) -> bool | None:
        """Whether an instance type has local disks."""
        text = instance.text()
        if isinstance(instance, Unknown):
            return None
        return (text or "").removeprefix("ml.").rpartition(".")[0] in self.local_storage_families


def _volume(holder: Value, name: str, machines: tuple[Value, ...], facts: LocalStorageFacts) -> Iterator[Finding]:
    """A volume key where machines have volumes, and none where they have local disks only."""
    local = [facts.local(each) for each in machines]
    if not machines:
        return
    if isinstance(holder, Unknown) or None in local:
        yield Undetermined(path=holder.child(name).path)
    elif not any(local):
        yield from own_key(holder, name)
    elif all(local):
        yield from _refused(holder.child(name))


def _refused(key: Value) -> Iterator[Finding]:
    if not isinstance(key, Missing):
        wanted = "no key: local disks encrypt themselves, and AWS refuses the request"
        yield Violation(path=key.path, found=f"{show(key)} for machines with local disks", wanted=wanted)


def _check_job(job: Job, facts: LocalStorageFacts) -> Iterator[Finding]:
    if job.kind is Kind.MODEL:
        return
    yield from _told(job, job.output, "kmsKeyId")
    if job.kind is not Kind.PROCESSING or not isinstance(job.output, Missing):
        yield from own_key(job.output, "kmsKeyId")
    yield from _told(job, job.hosts, "volumeKmsKeyId")
    yield from _volume(job.hosts, "volumeKmsKeyId", job.machines, facts)


def _told(job: Job, holder: Value, name: str) -> Iterator[Finding]:
    """A key that an execution names may be anybody's."""
    key = holder.child(name)
    if job.in_pipeline and isinstance(key, Unknown) and not isinstance(holder, Unknown):
        yield Undetermined(path=key.path)


def _check_endpoint(endpoint: Resource, facts: LocalStorageFacts) -> Iterator[Finding]:
    variants = endpoint.select("productionVariants[*]") + endpoint.select("shadowProductionVariants[*]")
    machines = [variant.child("instanceType") for variant in variants]
    local = [facts.local(each) for each in machines if not isinstance(each, Missing)]
    key = endpoint.get("kmsKeyArn")
    if None in local:
        yield Undetermined(path=key.path)
    elif any(local):
        yield from _refused(key)
    elif local:
        yield from own_key(endpoint.properties, "kmsKeyArn")
    for holder in (endpoint.get("dataCaptureConfig"), endpoint.get("asyncInferenceConfig.outputConfig")):
        if not isinstance(holder, Missing):
            yield from own_key(holder, "kmsKeyId")


def _check_features(group: Resource) -> Iterator[Finding]:
    online, offline = group.get("onlineStoreConfig"), group.get("offlineStoreConfig")
    if not isinstance(online, Missing) and online.child("enableOnlineStore").flag() is not False:
        yield from own_key(online.child("securityConfig"), "kmsKeyId")
    if not isinstance(offline, Missing):
        yield from own_key(offline.child("s3StorageConfig"), "kmsKeyId")


def _check_rest(resource: Resource, facts: LocalStorageFacts) -> Iterator[Finding]:
    if resource.token in JOBS:
        yield from judge_jobs(resource, lambda job: _check_job(job, facts))
    elif resource.token == _ENDPOINT:
        yield from _check_endpoint(resource, facts)
    elif resource.token == _FEATURES:
        yield from _check_features(resource)
    elif resource.token == _QUALITY:
        yield from own_key(resource.get("dataQualityJobOutputConfig"), "kmsKeyId")
        cluster = resource.get("jobResources.clusterConfig")
        yield from _volume(cluster, "volumeKmsKeyId", (cluster.child("instanceType"),), facts)
    elif resource.token == _SCHEDULE:
        definition = resource.get(_SCHEDULED)
        if not isinstance(definition, Missing):
            yield from own_key(definition.child("monitoringOutputConfig"), "kmsKeyId")
            cluster = definition.get("monitoringResources.clusterConfig")
            yield from _volume(cluster, "volumeKmsKeyId", (cluster.child("instanceType"),), facts)
    else:
        yield from own_key(resource.properties, "kmsKeyId")


ENC_09 = ResourceRule(
    id="ENC-09",
    name="sagemaker-kms",
    title="What SageMaker stores is encrypted with a key of ours",
    tokens=(*JOBS, _ENDPOINT, _FEATURES, _QUALITY, _SCHEDULE, *_WORKSPACES),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:SageMaker.17", "fsbp:SageMaker.18", "fsbp:SageMaker.21", "soc2:CC6.1", "gdpr:32-1-a"),
    why="models, captured requests and features carry the data that they were made from",
    fix="name the environment's key under kms_key_id, volume_kms_key_id or kms_key_arn",
    facts=LocalStorageFacts,
    check=_check_rest,
    traps=(
        "machines with local NVMe disks refuse a volume key: there its presence is the finding",
        "an endpoint configuration with any such machine must have no key; serverless variants have no volume",
        "a schedule that names a job definition has nothing of its own to encrypt",
        "a key that each execution of a pipeline names is nobody's until then",
    ),
)


@dataclass(frozen=True, slots=True)
class TrafficFacts:
    """Which jobs may talk in the clear."""

    exempt_urns: Annotated[
        tuple[str, ...], "Globs over URNs of jobs whose collectives over EFA would pay too much for encryption."
    ] = ()


def _hosts(counts: tuple[Value, ...]) -> float | None:
    """How many hosts a job has; unknown when a number that decides is."""
    given = [value for value in counts if not isinstance(value, Missing)]
    known = sum(value.number() or 0 for value in given if not isinstance(value, Unknown))
    return None if known <= 1 and any(isinstance(value, Unknown) for value in given) else known


def _judge_traffic(counts: tuple[Value, ...], network: Value) -> Iterator[Finding]:
    hosts, encrypted = _hosts(counts), network.child("enableInterContainerTrafficEncryption")
    if hosts is None and encrypted.flag() is not True:
        yield Undetermined(path=encrypted.path, why="the number of hosts is known only after deployment")
    elif hosts is not None and hosts > 1:
        yield from require_true(encrypted)


def _check_job_traffic(job: Job) -> Iterator[Finding]:
    if job.kind in {Kind.TRAINING, Kind.PROCESSING}:
        for counts in job.counts:
            yield from _judge_traffic(counts, job.network)


def _check_traffic(resource: Resource, facts: TrafficFacts) -> Iterator[Finding]:
    if any(fnmatchcase(resource.urn, glob) for glob in facts.exempt_urns):
        return
    if resource.token in JOBS:
        yield from judge_jobs(resource, _check_job_traffic)
    elif resource.token == _QUALITY:
        counts = (resource.get("jobResources.clusterConfig.instanceCount"),)
        yield from _judge_traffic(counts, resource.get("networkConfig"))
    else:
        definition = resource.get(_SCHEDULED)
        counts = (definition.get("monitoringResources.clusterConfig.instanceCount"),)
        yield from _judge_traffic(counts, definition.get("networkConfig"))


ENC_10 = ResourceRule(
    id="ENC-10",
    name="sagemaker-internode-tls",
    title="Hosts of one SageMaker job encrypt what they tell each other",
    tokens=(*JOBS, _QUALITY, _SCHEDULE),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:SageMaker.9", "fsbp:SageMaker.10", "fsbp:SageMaker.13", "soc2:CC6.7", "gdpr:32"),
    why="gradients and shuffled rows are the training data in another form",
    fix="set enable_inter_container_traffic_encryption; list jobs that cannot afford it in configuration",
    facts=TrafficFacts,
    check=_check_traffic,
    traps=("instance groups of one host each are several hosts", "a job of one host has no such traffic"),
)
