"""Pods: who they are to the Kubernetes API."""

from collections.abc import Iterator

from guardrails.facts import NoFacts
from guardrails.pods import WORKLOADS, Pod, namespace_of, pod_of
from guardrails.resources import Resource, Stack
from guardrails.rule import Finding, Level, Levels, Severity, StackRule, Undetermined, decide, require, show
from guardrails.view import Known, Missing, Unknown, Value

_ACCOUNT = "kubernetes:core/v1:ServiceAccount"
_BINDINGS = (
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
)


def _named(account: Resource) -> str:
    return account.get("metadata.name").text() or account.name


def _bound(stack: Stack, namespace: str | None, name: str | None) -> bool:
    """Whether a binding of the stack gives a service account rights in the Kubernetes API."""
    return any(
        subject.child("kind").text() == "ServiceAccount"
        and subject.child("name").text() == name
        and (subject.child("namespace").text() or namespace_of(binding).text()) == namespace
        for binding in stack.of(*_BINDINGS)
        for subject in binding.select("subjects[*]")
    )


def _token(stack: Stack, pod: Pod, name: Value) -> Value:
    """Whether the token is mounted: the pod's own setting, else that of its service account."""
    own = pod.spec.child("automountServiceAccountToken")
    if not isinstance(own, Missing):
        return own
    namespace = namespace_of(pod.resource).text()
    for account in stack.of(_ACCOUNT):
        if _named(account) == name.text() and namespace_of(account).text() == namespace:
            setting = account.get("automountServiceAccountToken")
            flag = setting.flag()
            return own if isinstance(setting, Missing) else setting if flag is None else Known(own.path, flag)
    return own


def _check_pod(stack: Stack, pod: Pod) -> Iterator[Finding]:
    name = pod.spec.child("serviceAccountName")
    if isinstance(name, Missing):
        name = pod.spec.child("serviceAccount") if pod.spec.child("serviceAccount").text() else name
    yield from require(
        name, lambda value: value.text() not in {None, "default"}, "a service account of its own", at=pod.resource
    )
    token = _token(stack, pod, name)
    if token.flag() is not False and not _bound(stack, namespace_of(pod.resource).text(), name.text()):
        answer = None if isinstance(token, Unknown) or isinstance(name, Unknown) else False
        found = "true, by default" if isinstance(token, Missing) else show(token)
        yield from decide(answer, token, found=found, wanted="false, as nothing is granted to it", at=pod.resource)


def _check(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    for workload in stack.of(*WORKLOADS):
        pod = pod_of(workload)
        if isinstance(pod.spec, Unknown):
            yield Undetermined(path=pod.spec.path, resource=workload)
        else:
            yield from _check_pod(stack, pod)
    for account in stack.of(_ACCOUNT):
        if _named(account) == "default":
            yield from require(
                account.get("automountServiceAccountToken"), lambda value: value.flag() is False, "false", at=account
            )


K8S_06 = StackRule(
    id="K8S-06",
    name="service-account-hygiene",
    title="Each workload has a service account of its own, and a token only where something is granted to it",
    tokens=(*WORKLOADS, _ACCOUNT),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.1.5", "cis-eks:4.1.6", "soc2:CC6.3"),
    why="a token in a pod is the first thing that an intruder asks the Kubernetes API with",
    fix="set serviceAccountName, and automountServiceAccountToken false on the pod or its service account",
    facts=NoFacts,
    check=_check,
    traps=(
        "roles of AWS need no mounted token: EKS projects a token of its own for them",
        "a service account that a RoleBinding or ClusterRoleBinding of the stack names may mount its token",
        "the pod's setting wins over the service account's",
    ),
)
