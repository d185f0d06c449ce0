"""Exposure: what Kubernetes and load balancers offer to the internet."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.networks import parse, reach_the_world
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, require, show
from guardrails.view import Missing, Unknown, Value

_SERVICE = "kubernetes:core/v1:Service"
_INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
_CLASS = "kubernetes:elbv2.k8s.aws/v1beta1:IngressClassParams"
_BALANCERS = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
_NLB = "service.beta.kubernetes.io/aws-load-balancer"
_ALB = "alb.ingress.kubernetes.io"
_FIREWALLS = (f"{_ALB}/wafv2-acl-arn", f"{_ALB}/waf-acl-id", f"{_ALB}/web-acl-id", f"{_ALB}/wafv2-acl-name")


@dataclass(frozen=True, slots=True)
class ExposureFacts:
    """What may face the internet, and who makes load balancers."""

    controller_class: Annotated[str, "Load balancer class of the AWS Load Balancer Controller."] = "service.k8s.aws/nlb"
    controller_is_default: Annotated[bool, "Does the controller also take services without a class?"] = False
    never_public: Annotated[tuple[str, ...], "Parts of names of services that never face the internet."] = (
        "grafana",
        "prometheus",
        "alertmanager",
    )
    public_urns: Annotated[tuple[str, ...], "Globs over URNs of load balancers that face the internet on purpose."] = ()

    def private_forever(self, resource: Resource) -> bool:
        """Whether the name belongs to what never faces the internet."""
        name = f"{resource.name} {resource.get('metadata.name').text() or ''}"
        return any(part in name.lower() for part in self.never_public)


def _internal(service: Resource, notes: Value, facts: ExposureFacts) -> bool | None:
    """Whether a LoadBalancer service is internal: by annotation, else by the default of whoever implements it."""
    scheme, old = notes.child(f"{_NLB}-scheme"), notes.child(f"{_NLB}-internal")
    owner, kind = service.get("spec.loadBalancerClass"), notes.child(f"{_NLB}-type")
    if any(isinstance(value, Unknown) for value in (notes, scheme, old, owner, kind)):
        return None
    if not isinstance(scheme, Missing):
        return scheme.text() == "internal"
    if not isinstance(old, Missing):
        return old.flag() is True or old.text() == "0.0.0.0/0"
    ours = owner.text() == facts.controller_class or kind.text() in {"external", "nlb-ip"}
    return ours or (isinstance(owner, Missing) and facts.controller_is_default)


def _check_service(service: Resource, facts: ExposureFacts) -> Iterator[Finding]:
    kind = service.get("spec.type")
    if isinstance(kind, Unknown):
        yield Undetermined(path=kind.path)
    if kind.text() == "NodePort":
        yield Violation(path=kind.path, found="NodePort", wanted="ClusterIP behind an Ingress, or LoadBalancer")
    addresses = service.get("spec.externalIPs")
    if addresses.elements():
        yield Violation(path=addresses.path, found=show(addresses), wanted="none: they take over traffic of others")
    if kind.text() != "LoadBalancer":
        return
    notes = service.get("metadata.annotations")
    internal, ranges = _internal(service, notes, facts), service.get("spec.loadBalancerSourceRanges")
    networks = [network for each in ranges.elements() if (network := parse(each.text() or "")) is not None]
    limited = bool(ranges.elements()) and not reach_the_world(networks)
    place = notes.child(f"{_NLB}-scheme")
    if internal is None or (not internal and isinstance(ranges, Unknown)):
        yield Undetermined(path=place.path)
    elif not internal and (facts.private_forever(service) or not limited):
        found = f"{show(place)}: a load balancer on the internet"
        yield Violation(path=place.path, found=found, wanted="internal, or loadBalancerSourceRanges")


def _check_ingress(ingress: Resource, facts: ExposureFacts) -> Iterator[Finding]:
    notes = ingress.get("metadata.annotations")
    scheme = notes.child(f"{_ALB}/scheme")
    if isinstance(scheme, Unknown):
        yield Undetermined(path=scheme.path)
    elif scheme.text() == "internet-facing":
        guarded = any(not isinstance(notes.child(name), Missing) for name in _FIREWALLS)
        if facts.private_forever(ingress) or not guarded:
            wanted = f"internal, or {_FIREWALLS[0]}"
            yield Violation(path=scheme.path, found="internet-facing without a web ACL", wanted=wanted)


def _check_class(params: Resource, facts: ExposureFacts) -> Iterator[Finding]:
    """The scheme of a class overrules the annotations of every Ingress that uses it."""
    scheme, guarded = params.get("spec.scheme"), not isinstance(params.get("spec.wafv2AclArn"), Missing)
    if not guarded and not any(fnmatchcase(params.urn, glob) for glob in facts.public_urns):
        yield from require(scheme, lambda value: value.text() != "internet-facing", "internal, or wafv2AclArn")


def _check(resource: Resource, facts: ExposureFacts) -> Iterator[Finding]:
    if resource.token == _SERVICE:
        yield from _check_service(resource, facts)
    elif resource.token == _INGRESS:
        yield from _check_ingress(resource, facts)
    elif resource.token == _CLASS:
        yield from _check_class(resource, facts)
    else:
        on_purpose = any(fnmatchcase(resource.urn, glob) for glob in facts.public_urns)
        if not on_purpose and resource.get("loadBalancerType").text() != "gateway":
            yield from require(resource.get("internal"), lambda value: value.flag() is True, "true (AWS assumes false)")


NET_11 = ResourceRule(
    id="NET-11",
    name="lb-internal-by-default",
    title="Load balancers are internal, or public on purpose and filtered",
    tokens=(_SERVICE, _INGRESS, _CLASS, *_BALANCERS),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:CC6.6", "gdpr:32"),
    why="a service that was meant for the cluster is on the internet after one forgotten annotation",
    fix="set the scheme to internal; for the public, loadBalancerSourceRanges or a web ACL",
    facts=ExposureFacts,
    check=_check,
    traps=(
        "without an annotation the AWS controller makes internal load balancers and the in-tree one public ones",
        "dashboards and metrics never face the internet, filtered or not",
        "an Ingress that says nothing is internal",
        "the parameters of a class overrule the annotations of its Ingresses",
    ),
)
