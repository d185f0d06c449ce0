"""Values, rights and network policies of Argo Rollouts, as pure functions of settings.

Values are those of the chart `argo-rollouts` 2.41 (Argo Rollouts 1.9). The chart's own ClusterRole reads every secret
and changes every ReplicaSet, which is to say every pod; here the controller reads what it watches, without secrets, and
changes only namespaces that have a model for it. Which kinds it watches is said by `cmd/rollouts-controller/main.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pulumi_kubernetes as kubernetes

from components import network_flows
from components.labels import MONITORING_NAMESPACE, PROMETHEUS
from components.monitoring_objects import resources
from components.releases import on_system_nodes, spread_over_zones

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv4Network

    from components import iam
    from settings.model import RolloutControllerSpec

CHART: Final = "argo-rollouts"
"""Name of the chart, of its release, of the controller and of its service account."""
NAMESPACE: Final = "argo-rollouts"
"""A namespace of its own: the controller reads secrets and holds leases where it runs."""
GROUP: Final = "argoproj.io"
"""API group of its kinds."""
VERSION: Final = "v1.9.1"
"""Of the controller: the newest patch of 1.9, where chart 2.41 names v1.9.0. The definitions of both are the same."""
METRICS_PORT: Final = 8090
PROMETHEUS_PORT: Final = 9090

_Rule = kubernetes.rbac.v1.PolicyRuleArgs
_POD: Final = {"app.kubernetes.io/name": CHART}
_WATCH: Final = ("get", "list", "watch")


def controller_values(spec: RolloutControllerSpec, *, role_arn: str) -> dict[str, Any]:
    """Values of the chart `argo-rollouts`.

    Args:
        spec: Replicas and resources.
        role_arn: Role of its service account.
    """
    match = {**_POD, "app.kubernetes.io/component": "rollouts-controller"}
    return {
        # Rights are ours: the release makes none.
        "createClusterAggregateRoles": False,
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": role_arn}},
        "controller": {
            "createClusterRole": False,
            "image": {"tag": VERSION},
            # A share counts once the load balancer has it, and old pods stay until the new ones are its targets.
            "awsVerifyTargetGroup": True,
            "replicas": spec.replicas,
            **({"pdb": {"enabled": True, "maxUnavailable": 1}} if spec.replicas > 1 else {}),
            "resources": resources(spec.cpu_millis, spec.memory_mib),
            "priorityClassName": "system-cluster-critical",
            "topologySpreadConstraints": spread_over_zones(match),
            "logging": {"format": "json"},
            "metrics": {"enabled": True, "serviceMonitor": {"enabled": True}},
            **on_system_nodes(),
        },
    }


def read_targets() -> list[iam.Statement]:
    """See which weights and targets load balancers have; none of these calls knows resources."""
    things = ("Listeners", "LoadBalancers", "Rules", "Tags", "TargetGroups", "TargetHealth")
    return [
        {
            "Effect": "Allow",
            "Action": [f"elasticloadbalancing:Describe{thing}" for thing in things],
            "Resource": "*",
        }
    ]


def watched() -> list[kubernetes.rbac.v1.PolicyRuleArgs]:
    """What the controller reads everywhere, because it watches whole kinds."""
    ours = ["analysisruns", "analysistemplates", "clusteranalysistemplates", "experiments", "rollouts"]
    return [
        _rule(GROUP, ours, _WATCH),
        _rule("apps", ["deployments", "replicasets"], _WATCH),
        _rule("", ["services"], _WATCH),
        _rule("networking.k8s.io", ["ingresses"], _WATCH),
        _rule("batch", ["jobs"], _WATCH),
    ]


def changed() -> list[kubernetes.rbac.v1.PolicyRuleArgs]:
    """What it changes in a namespace with a model that it rolls out."""
    return [
        _rule(GROUP, ["rollouts", "rollouts/status", "rollouts/finalizers"], ["update", "patch"]),
        _rule(GROUP, ["analysisruns"], ["create", "update", "patch", "delete"]),
        _rule(GROUP, ["analysisruns/finalizers"], ["update"]),
        _rule("apps", ["replicasets"], ["create", "update", "patch", "delete"]),
        # After the first rollout the Deployment that holds the template gives up its pods.
        _rule("apps", ["deployments"], ["update"]),
        _rule("", ["services"], ["patch"]),
        _rule("", ["pods"], ["list"]),
        _rule("", ["endpoints"], ["get"]),
        _rule("", ["events"], ["create", "patch"]),
        _rule("networking.k8s.io", ["ingresses"], ["patch"]),
        _rule("elbv2.k8s.aws", ["targetgroupbindings"], ["get", "list"]),
    ]


def kept() -> list[kubernetes.rbac.v1.PolicyRuleArgs]:
    """What it keeps in its own namespace: the lease of its leader, and its configuration."""
    notes = "argo-rollouts-notification-"
    return [
        _rule("coordination.k8s.io", ["leases"], ["create", "get", "update"]),
        _rule("", ["configmaps"], _WATCH),
        _rule("", ["secrets"], _WATCH, names=[f"{notes}secret"]),
    ]


def controller_flows(
    private: Sequence[IPv4Network], services: IPv4Network
) -> Mapping[str, kubernetes.networking.v1.NetworkPolicySpecArgs]:
    """Network policies of its namespace, beside those of a closed one.

    Args:
        private: Ranges of the private subnets: the control plane, and AWS by its endpoints.
        services: Range of service addresses.
    """
    ranges = [str(block) for block in private]
    return {
        "allow-api-server": network_flows.call_api_server(ranges, services),
        "allow-aws": network_flows.call_aws(ranges),
        "allow-prometheus": network_flows.ask_pods(MONITORING_NAMESPACE, PROMETHEUS, PROMETHEUS_PORT),
        "allow-scraping": network_flows.be_scraped(METRICS_PORT),
    }


def judged_from_here() -> kubernetes.networking.v1.NetworkPolicySpecArgs:
    """In the namespace of Prometheus: the controller asks it."""
    return network_flows.be_asked(PROMETHEUS, namespace=NAMESPACE, by=_POD, port=PROMETHEUS_PORT)


def _rule(group: str, names_of_kinds: Sequence[str], verbs: Sequence[str], names: Sequence[str] = ()) -> _Rule:
    return _Rule(
        api_groups=[group], resources=list(names_of_kinds), verbs=list(verbs), resource_names=list(names) or None
    )
