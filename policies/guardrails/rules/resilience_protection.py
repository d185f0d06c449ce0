"""Stateful resources refuse deletion."""

from collections.abc import Iterator

from guardrails.disposal import DisposalFacts
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Violation, require_true

_CLUSTERS = ("aws:eks/cluster:Cluster", "eks:index:Cluster")
_PROTECTED = (
    "aws:s3/bucket:Bucket",
    "aws:kms/key:Key",
    "aws:ecr/repository:Repository",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
    "aws:ec2/vpc:Vpc",
    "aws:sagemaker/domain:Domain",
    "aws:sagemaker/featureGroup:FeatureGroup",
)


def _check(resource: Resource, facts: DisposalFacts) -> Iterator[Finding]:
    if facts.covers(resource):
        return
    if resource.token in _CLUSTERS:
        if resource.properties.items():
            yield from require_true(resource.get("deletionProtection"))
    elif not resource.protect:
        fix = "give the resource, or the component that holds it, opts=ResourceOptions(protect=True)"
        yield Violation(path="opts.protect", found="false", wanted="true", fix=fix)


RES_01 = ResourceRule(
    id="RES-01",
    name="stateful-protected",
    title="Clusters, data, keys, images and what they stand on refuse deletion",
    tokens=(*_CLUSTERS, *_PROTECTED),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.DISABLED, prod=Level.MANDATORY),
    frameworks=("soc2:A1.2", "soc2:CC7.5", "gdpr:32-1-b"),
    why="without protection one wrong line in the program, or one wrong stack name, deletes what cannot be made again",
    fix="set deletion_protection true",
    facts=DisposalFacts,
    check=_check,
    traps=(
        "a parent's protection is inherited, and seen here",
        "an environment that is thrown away says so in its Environment tag, and the configuration names it",
        "a component that registers no inputs is judged by its children",
    ),
)
