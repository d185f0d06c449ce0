"""What CloudWatch's agents are told and may do, as pure functions of settings.

Fields are those of the chart amazon-cloudwatch-observability 6.4, of which the EKS add-on of that version is made; EKS
takes only some of them (`aws eks describe-addon-configuration`). The role may do less than AWS's managed policy
`CloudWatchAgentServerPolicy`: metrics of Container Insights are log events in the embedded metric format, of which
CloudWatch makes metrics itself (CloudWatch user guide, "Embedding metrics within logs"), so nobody calls
`PutMetricData`; and the log groups exist, so nobody creates one without a key and an end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from components import grants, iam
from components.releases import container_resources, on_system_nodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.labels import Labels
    from components.namespaces import Level
    from settings.model import CloudWatchSpec

ADDON: Final = "amazon-cloudwatch-observability"
NAMESPACE: Final = "amazon-cloudwatch"
"""Namespace that EKS installs the add-on in."""
SERVICE_ACCOUNT: Final = "cloudwatch-agent"
"""Service account of the CloudWatch agent and of Fluent Bit; the operator has one of its own, without a role."""
POD_SECURITY_LEVEL: Final[Level] = "privileged"
"""The narrowest Pod Security level that works: both agents live in the network of their node and read its folders."""
WEBHOOK_PORT: Final = 9443
"""Port of the operator on which the API server asks it (chart, `manager.ports.webhookPort`)."""

_LOGS: Final = ("application", "dataplane", "host")
"""What Fluent Bit tells apart: containers; kubelet, containerd and the network's daemons; the node's own services."""
_INSIGHTS: Final = ("performance",)
_OFF: Final = {"enabled": False}


def log_groups(labels: Labels, spec: CloudWatchSpec) -> dict[str, str]:
    """Names of the log groups that the agents write to, by kind."""
    kinds = (*(_LOGS if spec.container_logs else ()), *(_INSIGHTS if spec.container_insights else ()))
    return {kind: labels.container_insights(kind) for kind in kinds}


def addon_values(spec: CloudWatchSpec) -> dict[str, Any]:
    """Configuration of the add-on; its agents tolerate every taint and stay off Fargate by themselves.

    Application Signals, which changes pods of others, stays off, and so do exporters for accelerators: Prometheus
    reads ours.
    """
    # It keeps up to 50 MB of what it could not send yet (chart, `Mem_Buf_Limit`).
    fluent_bit = {"fluentBit": {"resources": container_resources(64, 250, cpu_millis=50)}}
    agent: dict[str, Any] = (
        # The chart reserves 250m, an eighth of a system node that Prometheus and Karpenter share.
        {"agent": {"resources": container_resources(128, 512, cpu_millis=50)}}
        if spec.container_insights
        # Without anything to collect an agent ends, and is started again, without end.
        else {"agents": []}
    )
    return {
        "containerLogs": {"enabled": True, **fluent_bit} if spec.container_logs else _OFF,
        "containerInsights": {"enabled": spec.container_insights},
        **agent,
        "applicationSignals": _OFF,
        "dcgmExporter": _OFF,
        "neuronMonitor": _OFF,
        "manager": {**on_system_nodes(), "resources": container_resources(64, 128, cpu_millis=20)},
    }


def policies(account: iam.Account, labels: Labels, spec: CloudWatchSpec) -> Mapping[str, str]:
    """Inline policies of the agents by ability."""
    abilities = {"write-logs": grants.write_logs(account, *log_groups(labels, spec).values())}
    if spec.container_insights:
        abilities["see-node"] = [_see_node(account)]
    return {ability: iam.document(*statements) for ability, statements in abilities.items()}


def _see_node(account: iam.Account) -> iam.Statement:
    """Tell the tags and volumes of the node; the actions know no resources.

    Source: `receiver/awscontainerinsightreceiver/internal/host` of the agent's collector, `ec2tags.go` and
    `ebsvolume.go`.
    """
    return {
        "Effect": "Allow",
        "Action": ["ec2:DescribeTags", "ec2:DescribeVolumes"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:RequestedRegion": account.region}},
    }
