"""TLS where requests enter: load balancer listeners, ingresses, services."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.documents import test
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, decide, require
from guardrails.view import Missing, Unknown, Value, all_of

_LISTENERS = ("aws:lb/listener:Listener", "aws:alb/listener:Listener")
_INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
_CLASS = "kubernetes:elbv2.k8s.aws/v1beta1:IngressClassParams"
_SERVICE = "kubernetes:core/v1:Service"
_ALB = "alb.ingress.kubernetes.io"
_NLB = "service.beta.kubernetes.io/aws-load-balancer"


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """Which TLS is new enough."""

    policies: Annotated[tuple[str, ...], "Globs over names of accepted security policies of load balancers."] = (
        "ELBSecurityPolicy-TLS13-1-2-*",
        "ELBSecurityPolicy-TLS13-1-3-*",
        "ELBSecurityPolicy-TLS-1-2-*",
        "ELBSecurityPolicy-FS-1-2-*",
    )
    plain_ports: Annotated[tuple[str, ...], "Ports of network load balancers on which nobody speaks TLS."] = (
        "80",
        "8080",
    )

    def judge(self, policy: Value) -> Iterator[Finding]:
        """A security policy, named and on the list; AWS's default admits TLS 1.0."""
        yield from require(
            policy,
            lambda value: any(fnmatchcase(value.text() or "", glob) for glob in self.policies),
            "a security policy for TLS 1.2 or newer, such as ELBSecurityPolicy-TLS13-1-2-2021-06",
        )


def _check_listener(listener: Resource, facts: TlsFacts) -> Iterator[Finding]:
    protocol = listener.get("protocol")
    kind = "HTTP" if isinstance(protocol, Missing) else protocol.text()
    if isinstance(protocol, Unknown):
        yield Undetermined(path=protocol.path)
    elif kind in {"HTTPS", "TLS"}:
        yield from facts.judge(listener.get("sslPolicy"))
    elif kind == "HTTP":
        actions = listener.get("defaultActions")
        redirects = all_of(
            test(each.get(path), lambda text, wanted=wanted: text == wanted)
            for each in actions.elements()
            for path, wanted in (("type", "redirect"), ("redirect.protocol", "HTTPS"))
        )
        answer = bool(actions.elements()) and redirects
        yield from decide(answer, actions, found="plain HTTP", wanted="HTTPS, or nothing but a redirect to it")


def _ports(value: Value) -> list[str] | None:
    """The protocols of `listen-ports`; `None` when unknown or broken."""
    if isinstance(value, Missing):
        return []
    entries = value.json()
    if isinstance(entries, Unknown) or entries.text() is not None:
        return None
    return [key for each in entries.elements() for key, _ in each.items()]


def _check_ingress(ingress: Resource, facts: TlsFacts) -> Iterator[Finding]:
    notes = ingress.get("metadata.annotations")
    classes = (ingress.get("spec.ingressClassName"), notes.child("kubernetes.io/ingress.class"))
    ours = any(value.text() == "alb" for value in classes) or any(key.startswith(_ALB) for key, _ in notes.items())
    if isinstance(notes, Unknown):
        yield Undetermined(path=notes.path)
    if isinstance(notes, Unknown) or not ours:
        return
    place = notes.child(f"{_ALB}/listen-ports")
    protocols = _ports(place)
    certificate = notes.child(f"{_ALB}/certificate-arn")
    if protocols is None:
        yield Undetermined(path=place.path)
        return
    found_by_host = not isinstance(certificate, Missing) or bool(ingress.get("spec.tls").elements())
    encrypted = "HTTPS" in protocols or (not protocols and found_by_host)
    yield from decide(
        encrypted, place, found="no HTTPS listener", wanted='[{"HTTPS":443}], or a certificate-arn, or spec.tls'
    )
    redirect = notes.child(f"{_ALB}/ssl-redirect")
    if encrypted and "HTTP" in protocols:
        yield from require(redirect, lambda value: not isinstance(value, Missing), "the HTTPS port to redirect to")
    if encrypted:
        yield from facts.judge(notes.child(f"{_ALB}/ssl-policy"))


def _check_service(service: Resource, facts: TlsFacts) -> Iterator[Finding]:
    kind, notes = service.get("spec.type"), service.get("metadata.annotations")
    balanced = test(kind, lambda text: text == "LoadBalancer")
    if balanced is None or (balanced and isinstance(notes, Unknown)):
        yield Undetermined(path=notes.path if balanced else kind.path)
    if not balanced or isinstance(notes, Unknown):
        return
    certificate = notes.child(f"{_NLB}-ssl-cert")
    if not isinstance(certificate, Missing):
        yield from facts.judge(notes.child(f"{_NLB}-ssl-negotiation-policy"))
        return
    for port in service.select("spec.ports[*]"):
        number, speaks = port.child("port"), port.child("appProtocol")
        plain = f"{number.number() or 0:g}" in facts.plain_ports or speaks.text() == "http"
        if plain:
            wanted = f"{_NLB}-ssl-cert, or TLS in the pods on another port"
            yield Violation(path=number.path, found="plain HTTP", wanted=wanted)
        elif isinstance(number, Unknown):
            yield Undetermined(path=number.path)


def _check(resource: Resource, facts: TlsFacts) -> Iterator[Finding]:
    if resource.token == _INGRESS:
        yield from _check_ingress(resource, facts)
    elif resource.token == _SERVICE:
        yield from _check_service(resource, facts)
    elif resource.token == _CLASS:
        if not isinstance(resource.get("spec.sslPolicy"), Missing):  # else each Ingress names its own
            yield from facts.judge(resource.get("spec.sslPolicy"))
    else:
        yield from _check_listener(resource, facts)


ENC_11 = ResourceRule(
    id="ENC-11",
    name="lb-tls",
    title="Load balancers speak TLS 1.2 or newer, and HTTP only to say so",
    tokens=(*_LISTENERS, _INGRESS, _CLASS, _SERVICE),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:5.4.5", "fsbp:ELB.1", "fsbp:ELB.17", "fsbp:ELB.18", "soc2:CC6.7", "gdpr:32"),
    why="requests carry the features of real people, and answers decide about them",
    fix="listen on HTTPS with a TLS 1.2+ policy; on HTTP keep one action: redirect to HTTPS",
    facts=TlsFacts,
    check=_check,
    traps=(
        "TCP listeners pass TLS through to the pods",
        "a redirect without protocol HTTPS stays on HTTP",
        "the controller finds certificates by the hosts of spec.tls, so certificate-arn may be absent",
        "the default security policy of listeners still admits TLS 1.0",
    ),
)
