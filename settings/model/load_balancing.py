"""The AWS Load Balancer Controller, and what every load balancer that it makes has to be."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from settings.model.base import Cidr, Section
from settings.model.patterns import CERTIFICATE_ARN, WEB_ACL_ARN

TlsPolicy = Literal[
    "ELBSecurityPolicy-TLS13-1-2-2021-06",
    "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
    "ELBSecurityPolicy-TLS13-1-3-2021-06",
    "ELBSecurityPolicy-TLS13-1-2-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
]
"""Security policies of Application Load Balancers that begin at TLS 1.2 and offer TLS 1.3; PQ adds key exchange that a
quantum computer does not break (ELB user guide, "Security policies for your Application Load Balancer")."""


class Scheme(StrEnum):
    """Where a load balancer answers."""

    INTERNAL = "internal"
    INTERNET_FACING = "internet-facing"


class LoadBalancingSpec(Section):
    """The AWS Load Balancer Controller, and what every load balancer that it makes has to be."""

    replicas: Annotated[int, Field(ge=2, le=5)]
    """Controller pods; one leads, all answer the API server's admission calls."""
    cpu_millis: Annotated[int, Field(ge=50, le=4000)]
    """Thousandths of a processor that a controller pod reserves."""
    memory_mib: Annotated[int, Field(ge=256, le=16_384)]
    """Memory that a controller pod reserves, MiB."""
    memory_limit_mib: Annotated[int, Field(ge=1024, le=32_768)]
    """Memory that a controller pod may use at most, MiB; a start reads every object of the cluster at once."""
    scheme: Scheme
    """`internal` answers in the VPC and connected networks, `internet-facing` on the internet."""
    inbound_cidrs: tuple[Cidr, ...] = Field(strict=False, min_length=1, max_length=30)
    """Ranges that reach the load balancers; without them the controller would let everybody in."""
    certificate_arns: tuple[Annotated[str, Field(pattern=CERTIFICATE_ARN)], ...] = Field(strict=False, max_length=25)
    """ACM certificates of the HTTPS listeners, the default one first; empty until there is a domain."""
    tls_policy: TlsPolicy
    """Security policy of the HTTPS listeners."""
    idle_timeout_seconds: Annotated[int, Field(ge=1, le=4000)]
    """A connection without traffic is closed after this time."""
    deletion_protection: bool
    """Whether a load balancer refuses deletion; switch it off before an Ingress or the stack is removed."""
    access_logs: bool
    """Whether each request is logged to the bucket for access logs."""
    web_acl_arn: Annotated[str, Field(pattern=WEB_ACL_ARN)] | None
    """Regional AWS WAF web ACL in front of every load balancer; null for none."""
