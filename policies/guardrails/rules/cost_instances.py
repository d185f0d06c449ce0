"""Instance types: which families, and up to which size."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from typing import Annotated

from guardrails.jobs import JOBS, SettingFacts, judge_jobs
from guardrails.machines import (
    INSTANCE_FAMILY,
    INSTANCE_TYPE,
    MANAGED_GROUPS,
    NODE_POOL,
    Machine,
    machine,
    rank,
    requirements,
)
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, show
from guardrails.view import Missing, Unknown, Value

_SIZE = "karpenter.k8s.aws/instance-size"
_TYPES = {
    **dict.fromkeys(MANAGED_GROUPS, ("instanceTypes[*]",)),
    "aws:ec2/launchTemplate:LaunchTemplate": ("instanceType", "instanceRequirements.allowedInstanceTypes[*]"),
    "aws:ec2/instance:Instance": ("instanceType",),
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": (
        "productionVariants[*].instanceType",
        "shadowProductionVariants[*].instanceType",
    ),
    "aws:sagemaker/notebookInstance:NotebookInstance": ("instanceType",),
}


@dataclass(frozen=True, slots=True)
class InstanceFacts(SettingFacts):
    """What the organisation pays for."""

    families: Annotated[tuple[str, ...], "Families of instances, such as m6i (wildcards allowed)."] = ()
    sage_maker_families: Annotated[tuple[str, ...], "Families of SageMaker instances, without ml."] = ()
    largest: Annotated[str, "The largest size, such as 4xlarge."] = "4xlarge"
    sage_maker_largest: Annotated[str, "The largest size of SageMaker instances."] = "4xlarge"

    def allows(self, found: Machine, *, sage_maker: bool) -> bool:
        """Whether a type is among them."""
        families = self.sage_maker_families if sage_maker else self.families
        largest = self.sage_maker_largest if sage_maker else self.largest
        return rank(found.size) <= rank(largest) and any(fnmatchcase(found.family, each) for each in families)


def _judge(value: Value, facts: InstanceFacts) -> Iterator[Finding]:
    text = value.text() or ""
    sage_maker = text.startswith("ml.")
    found = machine(text)
    if isinstance(value, Unknown):
        yield Undetermined(path=value.path)
    elif not (facts.sage_maker_families if sage_maker else facts.families):
        yield Undetermined(path=value.path, why="the configuration names no instance families")
    elif found is None or not facts.allows(found, sage_maker=sage_maker):
        largest = facts.sage_maker_largest if sage_maker else facts.largest
        wanted = f"a family of the configuration, {largest} at most"
        yield Violation(path=value.path, found=show(value), wanted=wanted)


def _check_pool(pool: Resource, facts: InstanceFacts) -> Iterator[Finding]:
    listed = [each for each in requirements(pool.properties) if each.operator == "In"]
    if any(isinstance(each.value, Unknown) for each in requirements(pool.properties)):
        yield Undetermined(path="spec.template.spec.requirements")
        return
    types = [each for each in listed if each.key == INSTANCE_TYPE]
    families = [each for each in listed if each.key == INSTANCE_FAMILY]
    sizes = [each for each in listed if each.key == _SIZE]
    for value in (value for each in types for value in each.values):
        yield from _judge(value, facts)
    if not types and not (families and sizes):
        wanted = f"In lists for {INSTANCE_TYPE}, or for {INSTANCE_FAMILY} and {_SIZE}"
        yield Violation(path="spec.template.spec.requirements", found="a choice without an end", wanted=wanted)
    elif not types:
        largest = max((size for each in sizes for size in each.names), key=rank, default="large")
        for value in (value for each in families for value in each.values):
            if isinstance(value, Unknown) or any(each.undecided for each in sizes):
                yield Undetermined(path=value.path)
            elif not facts.allows(Machine(value.text() or "", largest), sage_maker=False):
                wanted = f"a family of the configuration, {facts.largest} at most"
                yield Violation(path=value.path, found=f"{show(value)} up to {largest}", wanted=wanted)


def _check(resource: Resource, facts: InstanceFacts) -> Iterator[Finding]:
    if resource.token == NODE_POOL:
        yield from _check_pool(resource, facts)
    if resource.token in JOBS:
        judged = partial(_judge, facts=facts)
        yield from judge_jobs(resource, lambda job: chain.from_iterable(map(judged, job.machines)), facts)
    for path in _TYPES.get(resource.token, ()):
        for value in resource.select(path):
            if not isinstance(value, Missing):
                yield from _judge(value, facts)


COST_05 = ResourceRule(
    id="COST-05",
    name="instance-allowlist",
    title="Machines are of families and sizes that the organisation pays for",
    tokens=(*_TYPES, *JOBS, NODE_POOL),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("soc2:CC5.2",),
    why="one wrong word in an instance type costs a thousand times more",
    fix="choose a type of the configuration, or add the family to the pack configuration with a review",
    facts=InstanceFacts,
    check=_check,
    traps=(
        "a NodePool that does not list types, or families and sizes, may choose any machine",
        "NotIn and Gt leave the choice open",
        "serverless variants have no instance type; metal is the largest size",
        "a type that an execution of a pipeline chooses is each that the parameter lists; one without a list is open",
    ),
)
