"""Helm values, the issuer and the grants of what writes to hosted zones, as pure functions of settings.

Values are those of the charts `external-dns` 1.21 and `cert-manager` 1.21; the issuer is a ClusterIssuer
(`cert-manager.io/v1`). The grants are those that the projects publish (ExternalDNS, "AWS"; cert-manager, "Route53"),
narrowed to the zones, the types of records and the changes that each makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from components.releases import on_system_nodes, spread_over_zones

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components import iam
    from components.labels import Labels
    from settings.model import CertificatesSpec, HostedZoneSpec, RecordsSpec

NAMESPACE: Final = "kube-system"
"""Controllers live where no team has rights."""
RECORDS_CHART: Final = "external-dns"
CERTIFICATES_CHART: Final = "cert-manager"
ISSUER: Final = "public"
"""Name of the ClusterIssuer."""

_CRITICAL: Final = "system-cluster-critical"
_CHALLENGE: Final = "_acme-challenge.*"
"""Names of the records that prove control of a domain (RFC 8555, section 8.4)."""
_CHANGES: Final = {"upsert-only": ["CREATE", "UPSERT"], "sync": ["CREATE", "UPSERT", "DELETE"]}
_RECORD: Final = "route53:ChangeResourceRecordSets"


def records_values(
    labels: Labels, spec: RecordsSpec, zones: Sequence[HostedZoneSpec], *, role_arn: str, ingress_class: str
) -> dict[str, Any]:
    """Values of the chart `external-dns`, which runs one pod only: two would write at the same time.

    Args:
        labels: Names of the environment.
        spec: Policy, interval, resources.
        zones: The only zones that it looks at.
        role_arn: Role of its service account.
        ingress_class: The only class of Ingress that it publishes.
    """
    return {
        "provider": {"name": "aws"},
        "sources": ["ingress"],
        "policy": spec.policy,
        "registry": "txt",
        # A record that another cluster wrote is left alone.
        "txtOwnerId": labels.cluster,
        "domainFilters": [zone.domain for zone in zones],
        "extraArgs": {"zone-id-filter": [zone.id for zone in zones], "ingress-class": [ingress_class]},
        "interval": f"{spec.interval_minutes}m",
        "logFormat": "json",
        "env": [{"name": "AWS_DEFAULT_REGION", "value": labels.environment.region}],
        "serviceAccount": {"name": RECORDS_CHART, "annotations": {"eks.amazonaws.com/role-arn": role_arn}},
        "resources": _resources(spec.cpu_millis, spec.memory_mib),
        "priorityClassName": _CRITICAL,
        "dnsPolicy": "Default",
        **on_system_nodes(),
    }


def certificates_values(spec: CertificatesSpec, *, role_arn: str, resolver: str) -> dict[str, Any]:
    """Values of the chart `cert-manager`.

    Args:
        spec: Replicas and resources.
        role_arn: Role of the controller's service account.
        resolver: Address of the VPC's resolver.
    """
    return {
        "global": {
            "priorityClassName": _CRITICAL,
            # Otherwise everybody with the role `edit` in a namespace could ask for any name of the zones.
            "rbac": {"aggregateClusterRoles": False},
        },
        # Helm upgrades definitions that are part of a release; removing the release keeps every certificate.
        "crds": {"enabled": True, "keep": True},
        "serviceAccount": {"name": CERTIFICATES_CHART, "annotations": {"eks.amazonaws.com/role-arn": role_arn}},
        # It would look proofs up at the zone's own name servers, which nodes do not reach: they send HTTPS only.
        "dns01RecursiveNameservers": f"{resolver}:53",
        "dns01RecursiveNameserversOnly": True,
        **_part(spec, "controller"),
        "webhook": _part(spec, "webhook"),
        "cainjector": _part(spec, "cainjector"),
        "startupapicheck": {**on_system_nodes(), "resources": _resources(spec.cpu_millis, spec.memory_mib)},
    }


def issuer(spec: CertificatesSpec, zones: Sequence[HostedZoneSpec]) -> dict[str, Any]:
    """Specification of the ClusterIssuer: one proof for each zone, with the controller's own role."""
    return {
        "acme": {
            "server": spec.directory,
            "email": spec.email,
            "privateKeySecretRef": {"name": f"{ISSUER}-account"},
            "solvers": [
                {"selector": {"dnsZones": [zone.domain]}, "dns01": {"route53": {"hostedZoneID": zone.id}}}
                for zone in zones
            ],
        }
    }


def publish_records(account: iam.Account, spec: RecordsSpec, zones: Sequence[HostedZoneSpec]) -> list[iam.Statement]:
    """Read the zones, and write records for load balancers; `route53:ListHostedZones` knows no resources."""
    arns = _zones(account, zones)
    made: iam.Condition = {
        "ForAllValues:StringEquals": {
            f"{_RECORD}RecordTypes": ["A", "AAAA", "CNAME", "TXT"],
            f"{_RECORD}Actions": _CHANGES[spec.policy],
        }
    }
    return [
        {"Effect": "Allow", "Action": _RECORD, "Resource": arns, "Condition": made},
        {"Effect": "Allow", "Action": "route53:ListResourceRecordSets", "Resource": arns},
        {"Effect": "Allow", "Action": "route53:ListHostedZones", "Resource": "*"},
    ]


def prove_control(account: iam.Account, zones: Sequence[HostedZoneSpec]) -> list[iam.Statement]:
    """Write the records that prove control of a domain, and no others, and wait until they are published."""
    arns = _zones(account, zones)
    proofs: iam.Condition = {
        "ForAllValues:StringEquals": {f"{_RECORD}RecordTypes": ["TXT"]},
        "ForAllValues:StringLike": {f"{_RECORD}NormalizedRecordNames": [_CHALLENGE]},
    }
    return [
        {"Effect": "Allow", "Action": _RECORD, "Resource": arns, "Condition": proofs},
        {"Effect": "Allow", "Action": "route53:ListResourceRecordSets", "Resource": arns},
        {"Effect": "Allow", "Action": "route53:GetChange", "Resource": account.route53("change/*")},
    ]


def _zones(account: iam.Account, zones: Sequence[HostedZoneSpec]) -> list[str]:
    return [account.route53(f"hostedzone/{zone.id}") for zone in zones]


def _part(spec: CertificatesSpec, component: str) -> dict[str, Any]:
    match = {"app.kubernetes.io/instance": CERTIFICATES_CHART, "app.kubernetes.io/component": component}
    return {
        "replicaCount": spec.replicas,
        "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
        "resources": _resources(spec.cpu_millis, spec.memory_mib),
        "topologySpreadConstraints": spread_over_zones(match),
        **on_system_nodes(),
    }


def _resources(cpu_millis: int, memory_mib: int) -> Mapping[str, Mapping[str, str]]:
    return {
        "requests": {"cpu": f"{cpu_millis}m", "memory": f"{memory_mib}Mi"},
        "limits": {"memory": f"{memory_mib}Mi"},
    }
