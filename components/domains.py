"""Domains: what the cluster writes to hosted zones of Route 53, for environments that have a domain.

Creates, where the settings ask for it: ExternalDNS, which points the host names of Ingresses at their load balancers;
cert-manager with its custom resource definitions, and an issuer whose certificates are proved by records in the zones.
Each has a role of its own, which writes to these zones only.
Does not create: hosted zones, certificates of load balancers (ACM has those).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import iam
from components.domain_objects import (
    CERTIFICATES_CHART,
    ISSUER,
    NAMESPACE,
    RECORDS_CHART,
    certificates_values,
    issuer,
    prove_control,
    publish_records,
    records_values,
)
from components.handles import ClusterHandle, DomainsHandle, NodePoolsHandle
from components.irsa import ServiceAccountRole, ServiceAccountRoleArgs
from components.releases import create_release

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import CertificatesSpec, ChartsSpec, DomainsSpec, RecordsSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainsArgs:
    """Arguments of `Domains`."""

    labels: Labels
    """Names and tags."""
    spec: DomainsSpec
    """Zones, and what is done in them."""
    charts: ChartsSpec
    """Charts of ExternalDNS and cert-manager."""
    cluster: ClusterHandle
    """The cluster."""
    pools: NodePoolsHandle
    """Managed groups; both controllers run on the system ones."""
    ingress_class: str
    """Class of Ingress whose host names are published."""
    resolver: str
    """Address of the VPC's resolver, the third of its range."""


class Domains(pulumi.ComponentResource):
    """Records and certificates; see the module for what is created. Needs both providers."""

    handle: DomainsHandle
    """What has a host name uses this."""

    def __init__(self, name: str, args: DomainsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:domains:Domains", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._account = iam.Account.of(args.labels.environment)
        records = [self._publish(spec) for spec in (args.spec.records,) if spec is not None]
        issuers = [self._certify(spec) for spec in (args.spec.certificates,) if spec is not None]
        self.handle = DomainsHandle(cluster_issuer=ISSUER if issuers else None, ready=(*records, *issuers))
        self.register_outputs({"cluster_issuer": self.handle.cluster_issuer})

    def _publish(self, spec: RecordsSpec) -> pulumi.Resource:
        labels, zones = self._args.labels, self._args.spec.hosted_zones
        role, granted = self._create_role(
            RECORDS_CHART, "ExternalDNS: records for load balancers", publish_records(self._account, spec, zones)
        )
        return create_release(
            f"{self._name}-records",
            chart=self._args.charts.external_dns,
            chart_name=RECORDS_CHART,
            namespace=NAMESPACE,
            values=records_values(labels, spec, zones, role_arn=role, ingress_class=self._args.ingress_class),
            parent=self,
            after=(granted, *self._args.pools.system_ready),
        )

    def _certify(self, spec: CertificatesSpec) -> pulumi.Resource:
        zones = self._args.spec.hosted_zones
        role, granted = self._create_role(
            CERTIFICATES_CHART, "cert-manager: proofs of control of a domain", prove_control(self._account, zones)
        )
        controller = create_release(
            f"{self._name}-certificates",
            chart=self._args.charts.cert_manager,
            chart_name=CERTIFICATES_CHART,
            namespace=NAMESPACE,
            values=certificates_values(spec, role_arn=role, resolver=self._args.resolver),
            parent=self,
            after=(granted, *self._args.pools.system_ready),
        )
        # The chart's last hook waits until the webhook answers, so the issuer is admitted.
        return kubernetes.apiextensions.CustomResource(
            f"{self._name}-issuer",
            api_version="cert-manager.io/v1",
            kind="ClusterIssuer",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=ISSUER),
            spec=issuer(spec, zones),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[controller]),
        )

    def _create_role(
        self, controller: str, description: str, statements: list[iam.Statement]
    ) -> tuple[str, pulumi.Resource]:
        """Create the role of a controller, whose service account has the controller's name; return ARN and grant."""
        name = self._args.labels.role(controller)
        args = ServiceAccountRoleArgs(
            cluster=self._args.cluster,
            role_name=name,
            description=description,
            namespace=NAMESPACE,
            service_account=controller,
        )
        role = ServiceAccountRole(f"{self._name}-{controller}", args, self._child).role
        granted = aws.iam.RolePolicy(
            f"{self._name}-{controller}-write-zones",
            name="write-zones",
            role=role.name,
            policy=iam.document(*statements),
            opts=self._child,
        )
        return self._account.role(name), granted
