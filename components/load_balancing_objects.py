"""The load balancer controller's Helm values and the class of Ingress that it serves, as pure functions of settings.

Values are those of the chart `aws-load-balancer-controller` 3.5, fields those of IngressClassParams
(`elbv2.k8s.aws/v1beta1`) and of an Application Load Balancer (ELB API, `LoadBalancerAttribute`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from components.labels import BALANCER_LOGS, WORKLOAD_TYPE, Labels
from components.releases import on_system_nodes, spread_over_zones
from settings.model import LoadBalancingSpec, Scheme

if TYPE_CHECKING:
    import pulumi

NAMESPACE: Final = "kube-system"
CHART: Final = "aws-load-balancer-controller"
SERVICE_ACCOUNT: Final = CHART
INGRESS_CLASS: Final = "alb"
CONTROLLER: Final = "ingress.k8s.aws/alb"
"""Name under which the controller claims classes of Ingress."""
PARAMETERS_GROUP: Final = "elbv2.k8s.aws"
PARAMETERS_KIND: Final = "IngressClassParams"

_SUBNET_ROLE: Final = {
    Scheme.INTERNAL: "kubernetes.io/role/internal-elb",
    Scheme.INTERNET_FACING: "kubernetes.io/role/elb",
}
"""Tag of the subnets for a scheme."""
_UNUSED: Final = ("ALBGatewayAPI", "NLBGatewayAPI", "EnableServiceController", "LBCapacityReservation")
"""Features that its role has no rights for: Gateway API, load balancers of Services, reserved capacity."""


def controller_values(labels: Labels, spec: LoadBalancingSpec, *, role_arn: str) -> dict[str, Any]:
    """Values of the chart `aws-load-balancer-controller`.

    Args:
        labels: Names and tags of the environment.
        spec: Replicas, resources, TLS, web ACL.
        role_arn: Role of the controller's service account.
    """
    return {
        "clusterName": labels.cluster,
        # A pod cannot ask the instance where it is: metadata is one hop too far. Tags, unlike the VPC's id, are known
        # before the VPC exists.
        "region": labels.environment.region,
        "vpcTags": {**labels.ownership, **labels.named("vpc")},
        "replicaCount": spec.replicas,
        "podDisruptionBudget": {"maxUnavailable": 1},
        "topologySpreadConstraints": spread_over_zones({"app.kubernetes.io/name": CHART}),
        **on_system_nodes(),
        # With the VPC's resolver it finds AWS while CoreDNS waits for a node.
        "dnsPolicy": "Default",
        "serviceAccount": {"name": SERVICE_ACCOUNT, "annotations": {"eks.amazonaws.com/role-arn": role_arn}},
        "resources": {
            "requests": {"cpu": f"{spec.cpu_millis}m", "memory": f"{spec.memory_mib}Mi"},
            "limits": {"memory": f"{spec.memory_limit_mib}Mi"},
        },
        "podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "securityContext": {"capabilities": {"drop": ["ALL"]}},
        # Otherwise no Service could be created while the controller is away.
        "enableServiceMutatorWebhook": False,
        # A new certificate at each upgrade would fail admission until every replica has read it.
        "keepTLSSecret": True,
        # The class comes after the controller, which has to admit its parameters.
        "createIngressClassResource": False,
        "ingressClass": INGRESS_CLASS,
        "disableIngressClassAnnotation": True,
        # An Ingress could otherwise join another team's load balancer and answer for its paths.
        "disableIngressGroupNameAnnotation": True,
        "defaultTargetType": "ip",
        "defaultLoadBalancerScheme": Scheme.INTERNAL.value,
        "defaultSSLPolicy": spec.tls_policy,
        "defaultTags": dict(labels.tags),
        "enableShield": False,
        "enableWaf": False,
        "enableWafv2": spec.web_acl_arn is not None,
        "controllerConfig": {"featureGates": dict.fromkeys(_UNUSED, False)},
    }


def class_parameters(spec: LoadBalancingSpec, *, log_bucket: pulumi.Input[str]) -> dict[str, Any]:
    """Specification of the IngressClassParams: what no annotation of an Ingress can change.

    Args:
        spec: Scheme, TLS, attributes.
        log_bucket: Bucket of the access logs.
    """
    parameters: dict[str, Any] = {
        "namespaceSelector": {"matchLabels": {WORKLOAD_TYPE: "inference"}},
        "scheme": spec.scheme.value,
        "ipAddressType": "ipv4",
        "targetType": "ip",
        "subnets": {"tags": {_SUBNET_ROLE[spec.scheme]: ["1"]}},
        "inboundCIDRs": [str(cidr) for cidr in spec.inbound_cidrs],
        "sslPolicy": spec.tls_policy,
        "loadBalancerAttributes": [
            {"key": key, "value": value} for key, value in _attributes(spec, log_bucket).items()
        ],
    }
    if spec.certificate_arns:
        parameters |= {"certificateArn": list(spec.certificate_arns), "sslRedirectPort": "443"}
    if spec.web_acl_arn is not None:
        parameters["wafv2AclArn"] = spec.web_acl_arn
    return parameters


def _attributes(spec: LoadBalancingSpec, log_bucket: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    attributes: dict[str, pulumi.Input[str]] = {
        "deletion_protection.enabled": _switch(on=spec.deletion_protection),
        "idle_timeout.timeout_seconds": str(spec.idle_timeout_seconds),
        "routing.http.drop_invalid_header_fields.enabled": "true",
        "access_logs.s3.enabled": _switch(on=spec.access_logs),
    }
    if spec.access_logs:
        attributes |= {"access_logs.s3.bucket": log_bucket, "access_logs.s3.prefix": BALANCER_LOGS}
    return attributes


def _switch(*, on: bool) -> str:
    return "true" if on else "false"
