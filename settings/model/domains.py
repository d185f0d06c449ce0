"""Domains: which hosted zones the cluster may write to, and what it does there."""

from typing import Annotated, Literal

from pydantic import Field

from settings.model.base import Section
from settings.model.patterns import DIRECTORY, DOMAIN, EMAIL, HOSTED_ZONE


class HostedZoneSpec(Section):
    """A hosted zone of Route 53."""

    id: Annotated[str, Field(pattern=HOSTED_ZONE)]
    """Id of the zone."""
    domain: Annotated[str, Field(pattern=DOMAIN, max_length=253)]
    """Domain of the zone, without a dot at the end."""


class RecordsSpec(Section):
    """ExternalDNS: records that point the host names of Ingresses at their load balancers."""

    policy: Literal["upsert-only", "sync"]
    """`upsert-only` never deletes a record; `sync` deletes its own when their Ingress goes."""
    interval_minutes: Annotated[int, Field(ge=1, le=60)]
    """Time between two comparisons; Route 53 allows five requests a second in an account."""
    cpu_millis: Annotated[int, Field(ge=10, le=2000)]
    """Thousandths of a processor that the pod reserves."""
    memory_mib: Annotated[int, Field(ge=64, le=4096)]
    """Memory that the pod reserves, and may use at most, MiB."""


class CertificatesSpec(Section):
    """cert-manager: certificates for host names of the zones, proved by records in them."""

    directory: Annotated[str, Field(pattern=DIRECTORY)]
    """ACME directory of the certificate authority (RFC 8555)."""
    email: Annotated[str, Field(pattern=EMAIL, max_length=254)]
    """Where the authority writes to when something is wrong."""
    replicas: Annotated[int, Field(ge=2, le=5)]
    """Pods of the controller, of its webhook and of its injector, each."""
    cpu_millis: Annotated[int, Field(ge=10, le=2000)]
    """Thousandths of a processor that each pod reserves."""
    memory_mib: Annotated[int, Field(ge=64, le=8192)]
    """Memory that each pod reserves, and may use at most, MiB."""


class DomainsSpec(Section):
    """Domains: which hosted zones the cluster may write to, and what it does there."""

    hosted_zones: tuple[HostedZoneSpec, ...] = Field(strict=False, max_length=20)
    """The zones; empty exactly when nothing is done."""
    records: RecordsSpec | None
    """Records for the host names of Ingresses; null for none."""
    certificates: CertificatesSpec | None
    """Certificates for what does not stand behind a load balancer, which has its own from ACM; null for none."""
