"""What a team's namespace holds, as pure functions of settings: quota, limits, roles, and groups of people.

Source of all fields: Kubernetes API reference (`v1` ResourceQuota and LimitRange, `rbac.authorization.k8s.io/v1` Role)
and "Resource Quotas" of its documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi_kubernetes as kubernetes

from components import network_flows
from components.labels import WORKLOAD_TYPE
from components.nodes import GPU_RESOURCE
from components.priority_levels import NODE_CRITICAL, SERVING
from components.serving_pods import selector

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network

    from components.address_plan import AddressPlan
    from settings.model import ContainerLimitsSpec, ModelSpec, NamespaceSpec, QuotaSpec, TeamSpec

WORKLOAD: Final = "workload"
"""Service account of the pods of a team's namespace."""
TEAM_LABEL: Final = "slipway.dev/team"
"""Namespace label with the team's name."""
BALANCED_LABEL: Final = "elbv2.k8s.aws/pod-readiness-gate-inject"
"""Namespace label by which pods behind a load balancer are ready only once it has found them healthy: a rollout keeps
the old ones until then (AWS Load Balancer Controller 3.5, "Pod readiness gate")."""
VIEW: Final = "view"
DEPLOY: Final = "deploy"
RELEASE: Final = "release"
DUTIES: Final = (VIEW, DEPLOY, RELEASE)
"""What people and automation do in a namespace; each has a Role and a group of this name in every team."""

_Rule = kubernetes.rbac.v1.PolicyRuleArgs
_READ: Final = ("get", "list", "watch")
_WRITE: Final = ("create", "update", "patch", "delete")
_CHANGE: Final = ("update", "patch")


def namespace_labels(team: TeamSpec, namespace: NamespaceSpec) -> dict[str, str]:
    """Labels of a namespace: what runs there, who pays, and whose it is."""
    return {
        WORKLOAD_TYPE: namespace.workload_type,
        "cost-center": namespace.cost_center or team.cost_center,
        TEAM_LABEL: team.name,
        **({BALANCED_LABEL: "enabled"} if namespace.load_balancer_subnets else {}),
    }


def quota(spec: QuotaSpec) -> dict[str, str]:
    """Hard limits of a namespace by resource.

    A Service of type LoadBalancer has to leave `allocateLoadBalancerNodePorts` off: nobody calls nodes by their ports.
    """
    return {
        "requests.cpu": str(spec.cpu),
        "requests.memory": f"{spec.memory_gib}Gi",
        "limits.memory": f"{spec.memory_gib}Gi",
        f"requests.{GPU_RESOURCE}": str(spec.gpus),
        "pods": str(spec.pods),
        "requests.storage": f"{spec.storage_gib}Gi",
        "services.loadbalancers": str(spec.load_balancers),
        "services.nodeports": "0",
        "count/ingresses.networking.k8s.io": str(spec.load_balancers),
    }


def foreign_priorities(namespace: NamespaceSpec) -> kubernetes.core.v1.ResourceQuotaSpecArgs:
    """No pod of the namespace takes a priority that is not its kind's: its pods would end those of others."""
    refused = NODE_CRITICAL if namespace.workload_type == "inference" else (*NODE_CRITICAL, SERVING.name)
    classes = kubernetes.core.v1.ScopedResourceSelectorRequirementArgs(
        scope_name="PriorityClass", operator="In", values=list(refused)
    )
    return kubernetes.core.v1.ResourceQuotaSpecArgs(
        hard={"pods": "0"}, scope_selector=kubernetes.core.v1.ScopeSelectorArgs(match_expressions=[classes])
    )


def container_limits(spec: ContainerLimitsSpec) -> kubernetes.core.v1.LimitRangeItemArgs:
    """Defaults and maximum of one container; what it says nothing about, it may use up to the maximum of processors."""
    memory, most = f"{spec.default_memory_mib}Mi", f"{spec.max_cpu_millis}m"
    return kubernetes.core.v1.LimitRangeItemArgs(
        type="Container",
        default_request={"cpu": f"{spec.default_cpu_millis}m", "memory": memory},
        default={"cpu": most, "memory": memory},
        max={"cpu": most, "memory": f"{spec.max_memory_mib}Mi"},
    )


def aws_ranges(plan: AddressPlan, elsewhere: Sequence[IPv4Network]) -> list[str]:
    """Ranges in which interface endpoints have their addresses: private subnets, and other VPCs."""
    return [str(cidr) for cidr in (*plan.private.values(), *elsewhere)]


def flows(
    namespace: NamespaceSpec, plan: AddressPlan, endpoint_ranges: Sequence[str]
) -> dict[str, kubernetes.networking.v1.NetworkPolicySpecArgs]:
    """Network policies of a namespace by name, beside those that close it.

    Args:
        namespace: The namespace.
        plan: Subnets of the VPC.
        endpoint_ranges: Of interface endpoints that pods call.
    """
    subnets = {"private": plan.private.values(), "public": plan.public.values()}
    callers = [str(cidr) for side in namespace.load_balancer_subnets for cidr in subnets[side]]
    found: dict[str, kubernetes.networking.v1.NetworkPolicySpecArgs] = {}
    if namespace.pods_call_aws:
        found["allow-aws"] = network_flows.call_aws(endpoint_ranges)
    if callers:
        found["allow-load-balancers"] = network_flows.take_requests(callers)
    if namespace.workload_type == "inference":
        found["allow-scraping"] = network_flows.be_scraped()
    else:
        found["allow-own-pods"] = network_flows.talk_among_themselves()
    return found


def questions(
    teams: Sequence[TeamSpec], models: Sequence[ModelSpec]
) -> dict[str, dict[str, kubernetes.networking.v1.NetworkPolicySpecArgs]]:
    """Network policies by namespace and name, by which pods of one namespace ask models that pods of another serve.

    Names have dots between their parts, which no model and no namespace has.
    """
    homes = {model.name: model.serving.eks.namespace for model in models if model.serving and model.serving.eks}
    found: dict[str, dict[str, kubernetes.networking.v1.NetworkPolicySpecArgs]] = {}
    for namespace in (namespace for team in teams for namespace in team.namespaces):
        for model in namespace.asks:
            home, servers = homes[model], selector(model)
            found.setdefault(namespace.name, {})[f"ask.{model}"] = network_flows.ask_pods(
                home, servers, network_flows.SERVING
            )
            found.setdefault(home, {})[f"answer.{model}.{namespace.name}"] = network_flows.be_asked(
                servers, namespace=namespace.name, by={}, port=network_flows.SERVING
            )
    return found


def group(team: str, duty: str) -> str:
    """Kubernetes group of those who have a duty in a team; EKS gives it to their IAM roles."""
    return f"slipway:{team}:{duty}"


def groups_of_roles(teams: Sequence[TeamSpec]) -> dict[str, list[str]]:
    """Groups by the ARN of the IAM role that is in them, sorted: EKS has one access entry per role."""
    groups: dict[str, list[str]] = {}
    for team in teams:
        access = team.access
        for duty, arns in ((VIEW, access.view), (DEPLOY, access.deploy), (RELEASE, access.release)):
            for arn in arns:
                groups.setdefault(arn, []).append(group(team.name, duty))
    return {arn: sorted(names) for arn, names in groups.items()}


def role_rules(duty: str) -> list[kubernetes.rbac.v1.PolicyRuleArgs]:
    """Rules of the Role of a duty. None reads secrets, runs commands in pods, or changes what bounds the namespace."""
    return {VIEW: _view(), DEPLOY: [*_view(), *_deploy()], RELEASE: _release()}[duty]


def _view() -> list[_Rule]:
    core = ["configmaps", "endpoints", "events", "limitranges", "persistentvolumeclaims", "pods", "pods/log"]
    return [
        _rule("", [*core, "resourcequotas", "serviceaccounts", "services"], _READ),
        _rule("apps", ["daemonsets", "deployments", "replicasets", "statefulsets"], _READ),
        _rule("batch", ["cronjobs", "jobs"], _READ),
        _rule("autoscaling", ["horizontalpodautoscalers"], _READ),
        _rule("policy", ["poddisruptionbudgets"], _READ),
        _rule("networking.k8s.io", ["ingresses", "networkpolicies"], _READ),
        _rule("discovery.k8s.io", ["endpointslices"], _READ),
        _rule("events.k8s.io", ["events"], _READ),
        _rule("metrics.k8s.io", ["pods"], _READ),
        _rule("argoproj.io", ["analysisruns", "analysistemplates", "rollouts"], _READ),
    ]


def _deploy() -> list[_Rule]:
    return [
        _rule("", ["configmaps", "persistentvolumeclaims", "services"], _WRITE),
        _rule("", ["pods"], ["delete"]),
        _rule("", ["pods/eviction"], ["create"]),
        _rule("apps", ["deployments", "statefulsets"], _WRITE),
        _rule("apps", ["deployments/scale", "statefulsets/scale"], ["get", *_CHANGE]),
        _rule("batch", ["cronjobs", "jobs"], _WRITE),
        _rule("autoscaling", ["horizontalpodautoscalers"], _WRITE),
        _rule("policy", ["poddisruptionbudgets"], _WRITE),
        _rule("networking.k8s.io", ["ingresses"], _WRITE),
    ]


def _release() -> list[_Rule]:
    return [
        _rule("apps", ["deployments"], [*_READ, *_CHANGE]),
        _rule("apps", ["deployments/scale"], ["get", *_CHANGE]),
        _rule("apps", ["replicasets"], _READ),
        _rule("argoproj.io", ["analysisruns", "rollouts"], _READ),
        # A way back skips the steps of a rollout.
        _rule("argoproj.io", ["rollouts/status"], ["patch"]),
        _rule("", ["events", "pods", "services"], _READ),
        _rule("networking.k8s.io", ["ingresses"], [*_READ, *_CHANGE]),
    ]


def _rule(api_group: str, resources: Sequence[str], verbs: Sequence[str]) -> _Rule:
    return _Rule(api_groups=[api_group], resources=list(resources), verbs=list(verbs))
