"""IAM and Kubernetes: roles and service accounts that belong together agree."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.documents import Malformed, Statement, statements
from guardrails.resources import Resource, Stack
from guardrails.rule import Finding, Level, Levels, Severity, StackRule, Undetermined, Violation
from guardrails.view import Known, Missing, Unknown, Value

_ROLE = "aws:iam/role:Role"
_ACCOUNT = "kubernetes:core/v1:ServiceAccount"
_ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
_ADDON = "aws:eks/addon:Addon"
_RELEASE = "kubernetes:helm.sh/v3:Release"
_TEMPLATES = {
    "kubernetes:core/v1:Pod": "spec",
    "kubernetes:apps/v1:Deployment": "spec.template.spec",
    "kubernetes:apps/v1:StatefulSet": "spec.template.spec",
    "kubernetes:apps/v1:DaemonSet": "spec.template.spec",
    "kubernetes:batch/v1:Job": "spec.template.spec",
    "kubernetes:batch/v1:CronJob": "spec.jobTemplate.spec.template.spec",
}
_ANNOTATION = "eks.amazonaws.com/role-arn"
_SUBJECT = re.compile(r"system:serviceaccount:(?P<namespace>[^:]+):(?P<name>[^:]+)")
_AWS = re.compile(r"(?i)\bs3://|\.amazonaws\.com|\barn:aws|\bsagemaker\b|^AWS_(?!REGION|DEFAULT_REGION)")


@dataclass(frozen=True, slots=True)
class BindingFacts:
    """How many share a role."""

    most_accounts: Annotated[int, "Most service accounts that one role may be given to."] = 1


@dataclass(frozen=True, slots=True)
class _Grant:
    """A role given to a service account."""

    holder: Resource
    role: Value
    account: str | None
    """`namespace/name`; unknown when any part is, or when a chart or an add-on decides."""


def _named(namespace: Value, name: Value, fallback: str | None = None) -> str | None:
    first = namespace.text() or (fallback if isinstance(namespace, Missing) else None)
    second = name.text()
    return None if first is None or second is None else f"{first}/{second}"


def _annotated(value: Value) -> Iterator[Value]:
    """Every role annotation anywhere in a chart's values; an unknown part of them stands for one."""
    if isinstance(value, Unknown):
        yield value
    for key, member in value.items():
        if key == _ANNOTATION:
            yield member
        elif not isinstance(member, Unknown):
            yield from _annotated(member)
    if isinstance(value, Known) and isinstance(value.raw, list):
        for member in value.elements():
            yield from _annotated(member)


def _grants(stack: Stack) -> Iterator[_Grant]:
    for each in stack.objects(_ACCOUNT):
        metadata = each.get("metadata")
        role = metadata.get("annotations").child(_ANNOTATION)
        if not isinstance(role, Missing):
            account = _named(metadata.get("namespace"), metadata.get("name"), fallback="default")
            yield _Grant(each, role, account)
    for each in stack.of(_ASSOCIATION):
        yield _Grant(each, each.get("roleArn"), _named(each.get("namespace"), each.get("serviceAccount")))
    for each in stack.of(_ADDON):
        for role in (each.given("serviceAccountRoleArn"), *each.select("podIdentityAssociations[*].roleArn")):
            if not isinstance(role, Missing):
                yield _Grant(each, role, None)
    for each in stack.objects(_RELEASE):
        for role in _annotated(each.get("values")):
            yield _Grant(each, role, None)


def _subjects(statement: Statement) -> Iterator[str]:
    for condition in statement.conditions() or ():
        if condition.key.endswith(":sub"):
            for value in condition.values:
                if match := _SUBJECT.fullmatch(value.text() or ""):
                    yield f"{match['namespace']}/{match['name']}"


def _trusted(role: Resource) -> tuple[set[str], bool] | None:
    """The service accounts that a role trusts by name, and whether pods get it at all; unknown with its document."""
    listed = statements(role.get("assumeRolePolicy"))
    if isinstance(listed, Unknown):
        return None
    subjects: set[str] = set()
    pods = False
    for statement in () if isinstance(listed, Malformed) else listed:
        found = set(_subjects(statement))
        subjects |= found
        pods |= bool(found) or any((s.text() or "").startswith("pods.eks.") for s in statement.principals("Service"))
    return subjects, pods


def _judge_role(stack: Stack, role: Resource, grants: Iterable[_Grant], facts: BindingFacts) -> Iterator[Finding]:
    trust = _trusted(role)
    if trust is None or not trust[1]:
        yield from () if trust is not None else [Undetermined(path="assumeRolePolicy", resource=role)]
        return
    answers = [(grant, stack.names(grant.holder, grant.role, role)) for grant in grants]
    sure = [grant for grant, answer in answers if answer]
    accounts = {grant.account for grant in sure if grant.account is not None}
    if not sure and any(answer is None for _, answer in answers):
        yield Undetermined(path="assumeRolePolicy", why="who is given the role is not known yet", resource=role)
    elif not sure:
        wanted = f"a ServiceAccount with {_ANNOTATION}, an add-on, or a PodIdentityAssociation that names it"
        yield Violation(path="assumeRolePolicy", found="a role that no pod is given", wanted=wanted, resource=role)
    strangers = {each for each in accounts if not any(fnmatchcase(each, subject) for subject in trust[0])}
    for account in sorted(strangers) if trust[0] else ():
        found = f"{account} is given the role but not trusted by it"
        yield Violation(path="assumeRolePolicy", found=found, wanted="the same service account in both", resource=role)
    if len(accounts) > facts.most_accounts:
        found = f"one role for {', '.join(sorted(accounts))}"
        yield Violation(path="assumeRolePolicy", found=found, wanted="a role per service account", resource=role)


def _given_twice(grants: Iterable[_Grant]) -> Iterator[Finding]:
    annotated = {grant.account: grant.holder for grant in grants if grant.holder.token == _ACCOUNT}
    for grant in grants:
        if grant.holder.token == _ASSOCIATION and grant.account is not None and grant.account in annotated:
            found = f"{grant.account} has a role by annotation and one by pod identity"
            yield Violation(path="serviceAccount", found=found, wanted="one of them", resource=grant.holder)


def _uses_aws(container: Value) -> bool:
    texts = [*container.select("args[*]"), *container.select("command[*]")]
    texts += [value for each in container.select("env[*]") for value in (each.get("name"), each.get("value"))]
    return any(_AWS.search(value.text() or "") for value in texts)


def _check(stack: Stack, facts: BindingFacts) -> Iterator[Finding]:
    grants = tuple(_grants(stack))
    for role in stack.of(_ROLE):
        yield from _judge_role(stack, role, grants, facts)
    yield from _given_twice(grants)
    for workload in stack.objects(*_TEMPLATES):
        pod = workload.get(_TEMPLATES[workload.token])
        account = pod.get("serviceAccountName")
        containers = [each for kind in ("containers", "initContainers") for each in pod.select(f"{kind}[*]")]
        shared = not isinstance(account, Unknown) and (account.text() or "default") == "default"
        if shared and any(map(_uses_aws, containers)):
            found = "the namespace's default service account, in a pod that calls AWS"
            yield Violation(path=account.path, found=found, wanted="a service account of its own", resource=workload)


IAM_09 = StackRule(
    id="IAM-09",
    name="irsa-binding-consistent",
    title="Every role of a pod is given to the one service account that it trusts",
    tokens=(_ROLE, _ACCOUNT, _ASSOCIATION, *_TEMPLATES),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:5.2.1", "soc2:CC6.3"),
    why="a role that no pod gets is waiting for somebody, and one that several get tells nobody who did what",
    fix="annotate the service account that the trust policy names with the role, or associate it by pod identity",
    facts=BindingFacts,
    check=_check,
    traps=(
        "an add-on's service_account_role_arn and annotations in a chart's values also give a role",
        "of an annotation and an association on one service account, only one takes effect",
        "AWS_REGION alone does not make a pod a caller of AWS",
    ),
)
