"""Load balancers: who reaches them, by what certificate, and that the controller can be told."""

from collections.abc import Iterator
from typing import Final

from settings.model import Scheme, Settings
from settings.problems import Finding, Path, repeated
from settings.rules.environment import Rule

_ANYWHERE: Final = 0
"""Prefix length of the range that is everybody."""


def ranges_match_the_scheme(settings: Settings) -> Iterator[Finding]:
    """Nobody outside reaches an internal load balancer, and nobody's private address reaches a public one."""
    spec = settings.load_balancing
    internal = spec.scheme is Scheme.INTERNAL
    for index, cidr in enumerate(spec.inbound_cidrs):
        everybody = cidr.prefixlen == _ANYWHERE
        if (internal and (everybody or cidr.is_global)) or (not internal and not everybody and not cidr.is_global):
            yield Finding(
                path=_at("inboundCidrs", index),
                found=str(cidr),
                allowed=f"{'private' if internal else 'public'} ranges while scheme is {spec.scheme}",
                remedy="name the range of the VPC or of a connected network, such as 10.0.0.0/8"
                if internal
                else "name the ranges that your callers reach the internet from",
            )


def everybody_meets_a_web_acl(settings: Settings) -> Iterator[Finding]:
    """What the whole internet may call is scanned within minutes; only a web ACL limits what a caller may try."""
    spec = settings.load_balancing
    for index, cidr in enumerate(spec.inbound_cidrs):
        if spec.scheme is Scheme.INTERNET_FACING and cidr.prefixlen == _ANYWHERE and spec.web_acl_arn is None:
            yield Finding(
                path=_at("inboundCidrs", index),
                found=str(cidr),
                allowed="everybody only behind a web ACL",
                remedy="set webAclArn, or name the ranges of your callers",
            )


def the_internet_is_answered_with_tls(settings: Settings) -> Iterator[Finding]:
    """Without a certificate there is no HTTPS listener, and requests cross the internet in plain text."""
    spec = settings.load_balancing
    if spec.scheme is Scheme.INTERNET_FACING and not spec.certificate_arns:
        yield Finding(
            path=_at("certificateArns"),
            found="an empty list",
            allowed=f"at least one certificate while scheme is {spec.scheme}",
            remedy="name the ACM certificate of your domain, or write scheme: internal",
        )


def certificates_and_web_acl_are_at_hand(settings: Settings) -> Iterator[Finding]:
    """A load balancer takes certificates and a web ACL of its own region and account."""
    spec, environment = settings.load_balancing, settings.environment
    named = {_at("certificateArns", index): arn for index, arn in enumerate(spec.certificate_arns)}
    if spec.web_acl_arn is not None:
        named[_at("webAclArn")] = spec.web_acl_arn
    for path, arn in named.items():
        _, partition, service, region, account, name = arn.split(":", 5)
        if (partition, region, account) != (environment.partition, environment.region, environment.account_id):
            home = f"arn:{environment.partition}:{service}:{environment.region}:{environment.account_id}:"
            yield Finding(
                path=path,
                found=arn,
                allowed=f"an ARN that begins with {home}",
                remedy=f"name one that exists in {environment.region}, as {home}{name} would",
            )


def ranges_and_certificates_differ(settings: Settings) -> Iterator[Finding]:
    """AWS refuses the same rule, and the same certificate, a second time."""
    spec = settings.load_balancing
    lists = {"inboundCidrs": [str(cidr) for cidr in spec.inbound_cidrs], "certificateArns": list(spec.certificate_arns)}
    for field, values in lists.items():
        for index, first in repeated(values).items():
            yield Finding(
                path=_at(field, index),
                found=f"{values[index]} again (first in {field}[{first}])",
                allowed="each one once",
                remedy="remove it",
            )


def memory_limit_covers_the_reservation(settings: Settings) -> Iterator[Finding]:
    """The API server refuses a pod that reserves more than it may use."""
    spec = settings.load_balancing
    if spec.memory_limit_mib < spec.memory_mib:
        yield Finding(
            path=_at("memoryLimitMib"),
            found=str(spec.memory_limit_mib),
            allowed=f"at least memoryMib ({spec.memory_mib})",
            remedy=f"raise it to {spec.memory_mib}, or lower memoryMib",
        )


def owner_fits_into_an_argument(settings: Settings) -> Iterator[Finding]:
    """The chart writes the tags of load balancers into YAML without quotes, where such a colon ends a key."""
    owner = settings.environment.owner
    if ": " in owner or owner.endswith(":"):
        yield Finding(
            path=("environment", "owner"),
            found=owner,
            allowed="no colon before a space or at the end: load balancers carry the tag too",
            remedy=f"write {owner.replace(': ', ':').rstrip(':')}",
        )


def _at(*rest: str | int) -> Path:
    return ("loadBalancing", *rest)


RULES: Final[tuple[Rule, ...]] = (
    ranges_match_the_scheme,
    everybody_meets_a_web_acl,
    the_internet_is_answered_with_tls,
    certificates_and_web_acl_are_at_hand,
    ranges_and_certificates_differ,
    memory_limit_covers_the_reservation,
    owner_fits_into_an_argument,
)
