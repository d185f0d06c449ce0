"""Physical names and tags: how everything that others must know by name is called.

A name is fixed by the environment alone, so that every ARN in a policy document is known before anything exists.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from settings.model import EnvironmentSpec

PROJECT: Final = "slipway"
"""First part of every physical name and value of the `Project` tag."""

DATA: Final = "data"
"""Kind of the bucket that data sets arrive in."""
MODELS: Final = "models"
"""Kind of the bucket that training writes models to."""
LOGS: Final = "logs"
"""Kind of the bucket that receives access logs."""

ENDPOINT_LOGS: Final = "/aws/sagemaker/Endpoints"
"""Where SageMaker has the log groups of endpoints, one each, and their metrics."""
BALANCER_LOGS: Final = "load-balancers"
"""Prefix of the load balancers' access logs in the bucket for logs."""

KARPENTER_DISCOVERY: Final = "karpenter.sh/discovery"
"""Tag by which Karpenter finds subnets and the node security group; its value is the cluster's name."""
POOL_LABEL: Final = "slipway.dev/pool"
"""Node label (and EC2 tag) with the pool's name; add-ons select the system pool by it."""
ROLE_LABEL: Final = "slipway.dev/role"
"""Node label with the pool's role: `system`, `cpu`, `gpu` or `neuron`."""
DEVICE_PLUGIN_LABEL: Final = "slipway.dev/device-plugin"
"""Node label with the plugin that makes its accelerators known: `nvidia` or `neuron`; none where the machine image
brings one, or where there is nothing to make known."""
EFA_LABEL: Final = "slipway.dev/efa"
"""Node label of nodes with Elastic Fabric Adapters."""
CAPACITY_LABEL: Final = "slipway.dev/capacity"
"""Node label with the purchase option: `on-demand` or `spot`; also the key of the taint on spot nodes."""
WORKLOAD_TYPE: Final = "workload-type"
"""Namespace label that says what runs there: `training` or `inference`."""
MODEL_LABEL: Final = "slipway.dev/model"
"""Label of everything that serves a model, with the model's name."""
VERSION_LABEL: Final = "slipway.dev/version"
"""Label of a Deployment and its pods with the version of the model package that they serve."""

MONITORING_NAMESPACE: Final = "monitoring"
"""Namespace of Prometheus; a network policy lets it in by this name and the pod label `PROMETHEUS`."""
PROMETHEUS: Final = {"app.kubernetes.io/name": "prometheus"}
"""Label that the Prometheus operator gives to every Prometheus pod."""


MAX_BUCKET_NAME: Final = 63
"""S3 user guide, "General purpose bucket naming rules"."""
MAX_ROLE_NAME: Final = 64
"""IAM user guide, "IAM and AWS STS quotas"."""
MAX_SAGEMAKER_NAME: Final = 63
"""SageMaker API reference, `ModelName` and `ModelPackageGroupName`."""
MAX_NODE_GROUP_NAME: Final = 63
"""EKS API reference, `CreateNodegroup`."""
MAX_CLUSTER_NAME: Final = 100
"""EKS API reference, `CreateCluster`."""
MAX_QUEUE_NAME: Final = 80
"""SQS API reference, `CreateQueue`."""
MAX_BUDGET_NAME: Final = 100
"""AWS Budgets API reference, `Budget`."""
MAX_RULE_NAME: Final = 64
"""EventBridge API reference, `PutRule`; EventBridge Scheduler has the same for `CreateSchedule`."""

_FINGERPRINT_DIGITS: Final = 8


def fitted(name: str, limit: int) -> str:
    """Return `name` unchanged.

    Raises:
        ValueError: if the name is longer than the service's limit.
    """
    if len(name) > limit:
        raise ValueError(
            f"{name!r} has {len(name)} characters, the service allows {limit}; shorten the name in settings"
        )
    return name


def fingerprint(*parts: str | Sequence[str]) -> str:
    """Eight hexadecimal digits that change when any of `parts` does; the same in every process."""
    canonical = json.dumps([part if isinstance(part, str) else list(part) for part in parts], separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_FINGERPRINT_DIGITS]


def ending(name: str, suffix: str, limit: int) -> str:
    """Return `name` with `suffix` behind it, of `name` no more than the service's limit leaves room for.

    The suffix has to tell apart what is called alike then: by a fingerprint of the whole name.
    """
    return f"{name[: limit - len(suffix) - 1].rstrip('-')}-{suffix}"


@dataclass(frozen=True, slots=True)
class Labels:
    """Names and tags of one environment."""

    environment: EnvironmentSpec

    @property
    def cluster(self) -> str:
        """Name of the EKS cluster; also the value of Karpenter's discovery tag."""
        return fitted(f"{PROJECT}-{self.environment.name}", MAX_CLUSTER_NAME)

    @property
    def key_alias(self) -> str:
        """Alias of the environment's KMS key."""
        return f"alias/{PROJECT}-{self.environment.name}"

    @property
    def cluster_log_group(self) -> str:
        """The log group that EKS writes control-plane logs to; EKS fixes the form of this name."""
        return f"/aws/eks/{self.cluster}/cluster"

    def container_insights(self, kind: str) -> str:
        """The log group that CloudWatch's own agents write one kind to; they fix the form of this name."""
        return f"/aws/containerinsights/{self.cluster}/{kind}"

    @property
    def tags(self) -> Mapping[str, str]:
        """The required tags; the provider's default tags, repeated where AWS does not propagate them."""
        return {
            "Project": PROJECT,
            "Environment": self.environment.name,
            "Owner": self.environment.owner,
            "CostCenter": self.environment.cost_center,
            "DataClassification": self.environment.data_classification.value,
        }

    @property
    def ownership(self) -> Mapping[str, str]:
        """The tags that tell this environment's resources from all others; conditions in policies match them."""
        return {key: self.tags[key] for key in ("Project", "Environment")}

    def named(self, thing: str, **tags: str) -> dict[str, str]:
        """Tags of one resource beyond the required ones: what the console shows as its name, and `tags`."""
        return {"Name": f"{PROJECT}-{self.environment.name}-{thing}", **tags}

    def role(self, duty: str) -> str:
        """Name of the IAM role of one duty."""
        return fitted(f"{PROJECT}-{self.environment.name}-{duty}", MAX_ROLE_NAME)

    def queue(self, thing: str) -> str:
        """Name of a queue of ours."""
        return fitted(f"{PROJECT}-{self.environment.name}-{thing}", MAX_QUEUE_NAME)

    @property
    def budget(self) -> str:
        """Name of the environment's budget."""
        return fitted(f"{PROJECT}-{self.environment.name}", MAX_BUDGET_NAME)

    def rule(self, event: str) -> str:
        """Name of an EventBridge rule of ours."""
        return fitted(f"{PROJECT}-{self.environment.name}-{event}", MAX_RULE_NAME)

    @property
    def event_bus(self) -> str:
        """Name of the bus of the platform's own events."""
        return f"{PROJECT}-{self.environment.name}"

    @property
    def signing_profile(self) -> str:
        """Name of the signing profile of images; AWS Signer allows no hyphen."""
        return f"{PROJECT}_{self.environment.name}".replace("-", "_")

    def package_build(self, model: str) -> str:
        """Name of the CodeBuild project of a model; its longest form is far below the 150 characters of CodeBuild."""
        return f"{PROJECT}-{self.environment.name}-{model}-package"

    def bucket(self, kind: str) -> str:
        """Name of a bucket; account and region make it unique among all of S3."""
        environment = self.environment
        return fitted(
            f"{PROJECT}-{environment.name}-{environment.account_id}-{environment.region}-{kind}", MAX_BUCKET_NAME
        )

    def repository(self, model: str) -> str:
        """Name of a model's image repository; its longest form is far below the 256 characters of ECR."""
        return f"{PROJECT}-{self.environment.name}/{model}"

    def team_repository(self, team: str) -> str:
        """Name of a team's image repository; no model begins with `team-` (`settings.rules.tenancy`)."""
        return self.repository(f"team-{team}")

    def secret(self, namespace: str, name: str) -> str:
        """Name of a secret of a namespace in AWS Secrets Manager."""
        return f"{PROJECT}/{self.environment.name}/{namespace}/{name}"

    def log_group(self, thing: str) -> str:
        """Name of a log group of ours."""
        return f"/{PROJECT}/{self.environment.name}/{thing}"

    def package_group(self, model: str) -> str:
        """Name of a model's package group."""
        return fitted(f"{PROJECT}-{self.environment.name}-{model}", MAX_SAGEMAKER_NAME)

    def model(self, model: str, version: int, *immutable: str | Sequence[str]) -> str:
        """Name of the SageMaker model of one approved version, different for every combination of its inputs.

        SageMaker changes no model in place: the next one exists beside this one until endpoints have moved.
        """
        return self._served(model, f"v{version}", *immutable)

    def endpoint(self, model: str, target: str, *immutable: str | Sequence[str]) -> str:
        """Name of a model's endpoint, different for every combination of inputs that an update cannot change."""
        return self._served(model, target, *immutable)

    def _served(self, model: str, what: str, *immutable: str | Sequence[str]) -> str:
        mark = fingerprint(self.environment.name, model, what, *immutable)
        return ending(f"{PROJECT}-{self.environment.name}-{model}", f"{what}-{mark}", MAX_SAGEMAKER_NAME)

    def endpoint_log_group(self, endpoint: str) -> str:
        """The log group that SageMaker writes the logs of an endpoint to; it fixes the form of this name."""
        return f"{ENDPOINT_LOGS}/{endpoint}"

    @property
    def endpoint_logs(self) -> str:
        """First part of the names of the log groups of all endpoints of ours."""
        return self.endpoint_log_group(f"{PROJECT}-{self.environment.name}-")

    def pipeline(self, model: str) -> str:
        """Name of a model's pipeline; its longest form is far below the 256 characters of SageMaker."""
        return f"{PROJECT}-{self.environment.name}-{model}"

    def launch_template(self, pool: str) -> str:
        """Name of a pool's launch template; its longest form is far below the 128 characters of EC2."""
        return f"{PROJECT}-{self.environment.name}-{pool}"

    def placement_group(self, pool: str) -> str:
        """Name of the placement group of a pool; its longest form is far below the 255 characters of EC2."""
        return f"{PROJECT}-{self.environment.name}-{pool}"

    def node_group(self, pool: str, *immutable: str | Sequence[str]) -> str:
        """Name of a node group, different for every combination of inputs that EKS cannot change in place.

        A replacement then exists beside the old group until its nodes have joined.
        """
        return fitted(f"{pool}-{fingerprint(pool, *immutable)}", MAX_NODE_GROUP_NAME)
