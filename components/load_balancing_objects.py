"""The load balancer controller's Helm values and the class of Ingress that it serves, as pure functions of settings.

Values are those of the chart `aws-load-balancer-controller` 3.5, fields those of IngressClassParams
(`elbv2.k8s.aws/v1beta1`) and of an Application Load Balancer (ELB API, `LoadBalancerAttribute`).
"""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi

from components.labels import BALANCER_LOGS, WORKLOAD_TYPE, Labels
from components.releases import on_system_nodes, spread_over_zones
from settings.model import LoadBalancingSpec, Scheme

NAMESPACE: Final = "kube-system"
CHART: Final = "aws-load-balancer-controller"
SERVICE_ACCOUNT: Final = CHART
INGRESS_CLASS: Final = "alb"
CONTROLLER: Final = "ingress.k8s.aws/alb"
"""Name under which the controller claims classes of Ingress."""
PARAMETERS_GROUP: Final = "elbv2.k8s.aws"
PARAMETERS_KIND: Final = "IngressClassParams"

SERVICE_CLASS: Final = "service.k8s.aws/nlb"
"""Class by which a Service asks this controller for a Network Load Balancer."""
_SERVICES: Final = "EnableServiceController"
"""Feature for load balancers of Services."""
_ALB: Final = "alb.ingress.kubernetes.io"
_NLB: Final = "service.beta.kubernetes.io/aws-load-balancer"
_LISTENERS: Final = [{"HTTP": 80}, {"HTTPS": 443}]

_SUBNET_ROLE: Final = {
    Scheme.INTERNAL: "kubernetes.io/role/internal-elb",
    Scheme.INTERNET_FACING: "kubernetes.io/role/elb",
}
"""Tag of the subnets for a scheme."""
_UNUSED: Final = ("ALBGatewayAPI", "NLBGatewayAPI", "LBCapacityReservation")
"""Features that its role has no rights for: Gateway API, reserved capacity."""


def controller_values(labels: Labels, spec: LoadBalancingSpec, *, role_arn: str, services: bool) -> dict[str, Any]:
    """Values of the chart `aws-load-balancer-controller`.

    Args:
        labels: Names and tags of the environment.
        spec: Replicas, resources, TLS, web ACL.
        role_arn: Role of the controller's service account.
        services: Whether it makes load balancers of Services, too.
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
        "controllerConfig": {"featureGates": {**dict.fromkeys(_UNUSED, False), _SERVICES: services}},
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


def ingress_annotations(spec: LoadBalancingSpec) -> dict[str, str]:
    """Annotations that every Ingress of the class needs beside the class: its listeners.

    With a certificate the controller would otherwise listen on HTTPS alone, and find nothing to redirect. Redirect and
    policy are the class's; here they stand for whoever reads the Ingress alone.
    """
    if not spec.certificate_arns:
        return {}
    return {
        f"{_ALB}/listen-ports": json.dumps(_LISTENERS),
        f"{_ALB}/ssl-redirect": "443",
        f"{_ALB}/ssl-policy": spec.tls_policy,
    }


def service_annotations(spec: LoadBalancingSpec, *, log_bucket: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    """Annotations of a Service of `SERVICE_CLASS`: what the class of Ingress says for the others.

    Access logs tell of TLS connections only (ELB user guide, "Access logs for your Network Load Balancer").
    """
    attributes: dict[str, pulumi.Input[str]] = {
        "deletion_protection.enabled": _switch(on=spec.deletion_protection),
        "load_balancing.cross_zone.enabled": "true",
    }
    annotations: dict[str, pulumi.Input[str]] = {
        f"{_NLB}-scheme": spec.scheme.value,
        f"{_NLB}-nlb-target-type": "ip",
    }
    if spec.certificate_arns:
        attributes |= _access_logs(spec, log_bucket)
        annotations |= {
            f"{_NLB}-ssl-cert": ",".join(spec.certificate_arns),
            f"{_NLB}-ssl-ports": "443",
            f"{_NLB}-ssl-negotiation-policy": spec.tls_policy,
        }
    pairs = [pulumi.Output.concat(key, "=", value) for key, value in attributes.items()]
    annotations[f"{_NLB}-attributes"] = pulumi.Output.all(*pairs).apply(",".join)
    return annotations


def _attributes(spec: LoadBalancingSpec, log_bucket: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    return {
        "deletion_protection.enabled": _switch(on=spec.deletion_protection),
        "idle_timeout.timeout_seconds": str(spec.idle_timeout_seconds),
        "routing.http.drop_invalid_header_fields.enabled": "true",
        **_access_logs(spec, log_bucket),
    }


def _access_logs(spec: LoadBalancingSpec, log_bucket: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    logs: dict[str, pulumi.Input[str]] = {"access_logs.s3.enabled": _switch(on=spec.access_logs)}
    if spec.access_logs:
        logs |= {"access_logs.s3.bucket": log_bucket, "access_logs.s3.prefix": BALANCER_LOGS}
    return logs


def _switch(*, on: bool) -> str:
    return "true" if on else "false"
