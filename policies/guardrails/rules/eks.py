"""EKS: the control plane, declared as the `pulumi-eks` component or as the AWS resource that it makes."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Annotated

from guardrails.facts import NoFacts
from guardrails.networks import Network, parse, public, within_any
from guardrails.resources import Resource
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    Undetermined,
    Violation,
    decide,
    require,
    require_true,
    show,
)
from guardrails.view import Missing, Unknown, any_of

_COMPONENT = "eks:index:Cluster"
_CLUSTER = "aws:eks/cluster:Cluster"


def _silent(cluster: Resource) -> bool:
    """Whether a component registered no inputs; then only the resources below it can be judged."""
    return cluster.token == _COMPONENT and not cluster.properties.items()


def _check_secrets(cluster: Resource, _: NoFacts) -> Iterator[Finding]:
    if cluster.token == _COMPONENT:
        keys = [] if _silent(cluster) else [cluster.get("encryptionConfigKeyArn")]
    else:
        config = cluster.get("encryptionConfig")
        named = any_of(
            None if isinstance(value, Unknown) else value.text() == "secrets"
            for each in config.elements()
            for value in each.select("resources[*]")
        )
        yield from decide(named, config, found=show(config), wanted="resources [secrets] and provider.keyArn")
        keys = [each.get("provider.keyArn") for each in config.elements()] if named else []
    for key in keys:
        if isinstance(key, Missing):
            yield Violation(path=key.path, found="nothing", wanted="the ARN of a key of ours")


ENC_03 = ResourceRule(
    id="ENC-03",
    name="eks-secrets-cmk",
    title="Kubernetes secrets are encrypted with a key of ours",
    tokens=(_COMPONENT, _CLUSTER),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:5.3.1", "fsbp:EKS.3", "soc2:CC6.1", "gdpr:32"),
    why="a key of ours lets access to secrets be revoked and audited; it can be added to a cluster, never taken away",
    fix="set encryption_config_key_arn (component) or encryption_config with resources secrets and provider.key_arn",
    facts=NoFacts,
    check=_check_secrets,
    traps=("a key that is only known after deployment is a key",),
)


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """From where the Kubernetes API may be reached."""

    allow_public: Annotated[bool, "May the endpoint be reached from the internet, from a few addresses?"] = False
    allowed_cidrs: Annotated[tuple[str, ...], "When not empty, each public CIDR must lie inside one of these."] = ()
    widest_v4: Annotated[int, "Shortest IPv4 prefix that a public CIDR may have."] = 17
    widest_v6: Annotated[int, "Shortest IPv6 prefix that a public CIDR may have."] = 48

    def narrow(self, network: Network) -> bool:
        """Whether a network is small enough."""
        return network.prefixlen >= (self.widest_v4 if isinstance(network, IPv4Network) else self.widest_v6)

    def allow(self, network: Network) -> bool:
        """Whether a network is inside the allowed ones, where there are any."""
        allowed = [each for each in map(parse, self.allowed_cidrs) if each is not None]
        return not self.allowed_cidrs or within_any(network, allowed)


def _check_endpoint(cluster: Resource, facts: EndpointFacts) -> Iterator[Finding]:
    if _silent(cluster):
        return
    prefix = "" if cluster.token == _COMPONENT else "vpcConfig."
    opened = cluster.get(f"{prefix}endpointPublicAccess")
    cidrs = cluster.get(f"{prefix}publicAccessCidrs")
    if not facts.allow_public:
        yield from require(opened, lambda value: value.flag() is False, "false (AWS assumes true)")
        yield from require_true(cluster.get(f"{prefix}endpointPrivateAccess"))
    elif isinstance(opened, Unknown):
        yield Undetermined(path=opened.path)
    elif opened.flag() is not False:
        if not cidrs.elements():
            yield Violation(path=cidrs.path, found="nothing, which means everybody", wanted="the CIDRs that need it")
        networks: list[Network] = []
        for cidr in cidrs.elements():
            network = parse(cidr.text() or "")
            networks += [] if network is None else [network]
            good = (
                None
                if isinstance(cidr, Unknown)
                else network is not None and facts.narrow(network) and facts.allow(network)
            )
            yield from decide(good, cidr, found=show(cidr), wanted="a narrow CIDR that the configuration allows")
        for merged in public(networks):
            if merged not in networks and not facts.narrow(merged):
                yield Violation(path=cidrs.path, found=f"CIDRs that together make {merged}", wanted="narrow CIDRs")


NET_01 = ResourceRule(
    id="NET-01",
    name="eks-endpoint-private",
    title="The Kubernetes API is private, or open to a few addresses where configuration allows it",
    tokens=(_COMPONENT, _CLUSTER),
    severity=Severity.CRITICAL,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:5.4.1", "cis-eks:5.4.2", "fsbp:EKS.1", "soc2:CC6.6"),
    why="an API that everybody can reach is one leaked token or one vulnerability away from everybody's use",
    fix="set endpoint_private_access true, and endpoint_public_access false or public_access_cidrs to your addresses",
    facts=EndpointFacts,
    check=_check_endpoint,
    traps=(
        "endpointPublicAccess that is not written is true, and publicAccessCidrs that are not written are everybody",
        "0.0.0.0/1 and 128.0.0.0/1 together are everybody",
    ),
)
