"""Every rule: a file that breaks it, the line that the user reads, and a file that only just keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from settings.places import INTERFACE_ENDPOINTS, REGIONS
from settings.rules import RULES
from settings.rules.models import MODEL_RULES
from settings.rules.pools import POOL_RULES
from tests.settings.stacks import changed, problems, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from settings.model import Settings
    from settings.problems import Finding

Edits = dict[str, Any]

APPLY: Final[dict[str, Callable[[Settings], Iterator[Finding]]]] = {
    **{rule.__name__: rule for rule in RULES},
    **{
        rule.__name__: lambda settings, rule=rule: (
            finding for index in range(len(settings.node_pools)) for finding in rule(settings, index)
        )
        for rule in POOL_RULES
    },
    **{
        rule.__name__: lambda settings, rule=rule: (
            finding for index in range(len(settings.models)) for finding in rule(settings, index)
        )
        for rule in MODEL_RULES
    },
}
"""Every rule by name, as a function of the whole settings."""

MODEL: Final = {
    "name": "other",
    "datasetPrefix": "other/",
    "label": "late",
    "training": {
        "instanceType": "ml.m5.xlarge",
        "instanceCount": 1,
        "volumeGib": 10,
        "maxRuntimeSeconds": 3600,
        "spot": False,
        "maxWaitSeconds": None,
        "hyperparameters": {
            "num_round": 100,
            "max_depth": 6,
            "eta": 0.1,
            "subsample": 1,
            "colsample_bytree": 1,
            "min_child_weight": 0,
            "early_stopping_rounds": 10,
            "seed": 0,
        },
    },
    "gate": {"metric": "accuracy", "minimum": 0.5},
    "approved": None,
}


def approved(bucket: str) -> dict[str, object]:
    address = f"s3://slipway-{bucket}-us-east-1-models/flight-delay/3/model.tar.gz"
    return {"version": 3, "imageDigest": f"sha256:{'0' * 64}", "modelData": address}


FIRING: Final[list[tuple[str, Edits, str]]] = [
    (
        "region_belongs_to_partition",
        {"environment.region": "eu-centrall-1"},
        "slipway:environment.region · found eu-centrall-1 · allowed: a region of partition aws: … · write eu-central-1, me-central-1 or eu-central-2",
    ),
    (
        "region_belongs_to_partition",
        {
            "environment.partition": "aws-cn",
            "cluster.adminRoleArns": ["arn:aws-cn:iam::777788889999:role/platform-admin"],
        },
        "slipway:environment.region · found us-east-1 · allowed: a region of partition aws-cn: cn-north-1, cn-northwest-1 · write partition: aws, or a region of aws-cn",
    ),
    (
        "account_is_a_real_number",
        {
            "environment.accountId": "000000000000",
            "cluster.adminRoleArns": ["arn:aws:iam::000000000000:role/platform-admin"],
        },
        'slipway:environment.accountId · found "000000000000" · allowed: the number of an AWS account · write what `aws sts get-caller-identity` answers, in quotes',
    ),
    (
        "protected_data_outlives_the_stack",
        {"store.forceDestroy": True},
        "slipway:store.forceDestroy · found true · allowed: false while slipway:environment.protectData is true · write false, or set slipway:environment.protectData to false",
    ),
    (
        "protected_key_waits_longest",
        {"store.keyDeletionDays": 29},
        "slipway:store.keyDeletionDays · found 29 · allowed: 30 while slipway:environment.protectData is true · write 30, or set slipway:environment.protectData to false",
    ),
    (
        "protected_cluster_refuses_deletion",
        {"cluster.deletionProtection": False},
        "slipway:cluster.deletionProtection · found false · allowed: true while slipway:environment.protectData is true · write true, or set slipway:environment.protectData to false",
    ),
    (
        "vpc_is_private",
        {"network.cidr": "11.0.0.0/16"},
        "slipway:network.cidr · found 11.0.0.0/16 · allowed: a range inside 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10 · choose a private range that no connected network uses, such as 10.64.0.0/16",
    ),
    (
        "vpc_has_a_sensible_size",
        {"network.cidr": "10.0.0.0/15"},
        "slipway:network.cidr · found 10.0.0.0/15 · allowed: a prefix length from /16 to /20 · write 10.0.0.0/16",
    ),
    (
        "vpc_has_a_sensible_size",
        {"network.cidr": "10.0.0.0/21", "network.privatePrefix": 25},
        "slipway:network.cidr · found 10.0.0.0/21 · allowed: a prefix length from /16 to /20 · write 10.0.0.0/20",
    ),
    (
        "vpc_keeps_clear_of_docker",
        {"network.cidr": "172.17.16.0/20", "network.privatePrefix": 23},
        "slipway:network.cidr · found 172.17.16.0/20 · allowed: a range that does not overlap 172.17.0.0/16, which Docker and SageMaker use themselves · choose another private range, such as 10.64.0.0/16",
    ),
    (
        "subnets_fit",
        {"network.cidr": "10.48.0.0/17", "network.publicPrefix": 20},
        "slipway:network.privatePrefix · found 3 zones of /19 and /20: 36,864 addresses · allowed: at most the 32,768 of 10.48.0.0/17 · raise privatePrefix to 20, widen cidr or name fewer zones",
    ),
    (
        "subnets_fit",
        {"network.cidr": "10.48.0.0/20", "network.privatePrefix": 25, "network.publicPrefix": 20},
        "slipway:network.privatePrefix · found 3 zones of /25 and /20: 12,672 addresses · allowed: at most the 4,096 of 10.48.0.0/20 · raise publicPrefix, widen cidr or name fewer zones",
    ),
    (
        "zones_belong_to_region",
        {"network.zones.1": "us-west-2b"},
        "slipway:network.zones[1] · found us-west-2b · allowed: a zone of us-east-1 · write us-east-1b",
    ),
    (
        "zones_differ",
        {"network.zones.2": "us-east-1a"},
        "slipway:network.zones[2] · found us-east-1a again (first in zones[0]) · allowed: each zone once · name another zone, or remove it",
    ),
    (
        "endpoints_are_known",
        {"network.interfaceEndpoints": ["ecr"]},
        "slipway:network.interfaceEndpoints[0] · found ecr · allowed: … · write ecr.api or ecr.dkr",
    ),
    (
        "endpoints_are_known",
        {"network.interfaceEndpoints": ["s3"]},
        "slipway:network.interfaceEndpoints[0] · found s3 · allowed: … · remove it: its gateway endpoint is free and always there",
    ),
    (
        "endpoints_are_known",
        {"network.interfaceEndpoints": ["sagemaker.runtimes"]},
        "slipway:network.interfaceEndpoints[0] · found sagemaker.runtimes · allowed: … · write sagemaker.runtime",
    ),
    (
        "endpoints_are_known",
        {"network.interfaceEndpoints": ["qqq"]},
        "slipway:network.interfaceEndpoints[0] · found qqq · allowed: … · write one of them",
    ),
    (
        "endpoints_differ",
        {"network.interfaceEndpoints": ["sts", "kms", "sts"]},
        "slipway:network.interfaceEndpoints[2] · found sts again (first in interfaceEndpoints[0]) · allowed: each service once · remove it",
    ),
    (
        "service_range_is_private",
        {"cluster.serviceCidr": "100.64.0.0/16"},
        "slipway:cluster.serviceCidr · found 100.64.0.0/16 · allowed: /12 to /24 inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 · write 172.20.0.0/16, unless the VPC or a connected network uses it",
    ),
    (
        "service_range_is_private",
        {"cluster.serviceCidr": "172.20.0.0/25"},
        "slipway:cluster.serviceCidr · found 172.20.0.0/25 · allowed: /12 to /24 inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 · write 172.20.0.0/16, unless the VPC or a connected network uses it",
    ),
    (
        "service_range_is_free",
        {"cluster.serviceCidr": "10.48.128.0/20"},
        "slipway:cluster.serviceCidr · found 10.48.128.0/20 · allowed: a range that does not overlap the VPC's 10.48.0.0/16 · choose a range outside it, such as 172.20.0.0/16 beside a VPC in 10.0.0.0/8",
    ),
    (
        "service_range_is_free",
        {"cluster.serviceCidr": "172.16.0.0/12"},
        "slipway:cluster.serviceCidr · found 172.16.0.0/12 · allowed: a range that does not overlap 172.17.0.0/16, which Docker takes · choose a range outside it, such as 172.20.0.0/16 beside a VPC in 10.0.0.0/8",
    ),
    (
        "public_ranges_match_the_switch",
        {"cluster.publicEndpoint": True},
        "slipway:cluster.publicEndpointCidrs · found an empty list · allowed: at least one range while publicEndpoint is true · name your office's or VPN's public range, or set publicEndpoint to false",
    ),
    (
        "public_ranges_match_the_switch",
        {"cluster.publicEndpointCidrs": ["8.8.8.0/24"]},
        "slipway:cluster.publicEndpointCidrs · found 8.8.8.0/24 · allowed: an empty list while publicEndpoint is false · write [], or set publicEndpoint to true",
    ),
    (
        "public_ranges_are_narrow",
        {"cluster.publicEndpoint": True, "cluster.publicEndpointCidrs": ["0.0.0.0/0"]},
        "slipway:cluster.publicEndpointCidrs[0] · found 0.0.0.0/0 · allowed: ranges of /17 to /32, alone and together · name the addresses that your office or VPN really has, such as a /29",
    ),
    (
        "public_ranges_are_narrow",
        {"cluster.publicEndpoint": True, "cluster.publicEndpointCidrs": ["8.8.0.0/16"]},
        "slipway:cluster.publicEndpointCidrs[0] · found 8.8.0.0/16 · allowed: ranges of /17 to /32, alone and together · name the addresses that your office or VPN really has, such as a /29",
    ),
    (
        "public_ranges_are_public",
        {"cluster.publicEndpoint": True, "cluster.publicEndpointCidrs": ["203.0.113.0/29"]},
        "slipway:cluster.publicEndpointCidrs[0] · found 203.0.113.0/29 · allowed: a range of the public internet · name the address with which your office or VPN reaches the internet",
    ),
    (
        "administrators_belong_to_the_account",
        {"cluster.adminRoleArns.0": "arn:aws:iam::111122223333:role/team/admin"},
        "slipway:cluster.adminRoleArns[0] · found arn:aws:iam::111122223333:role/team/admin · allowed: a role of account 777788889999 in partition aws · write arn:aws:iam::777788889999:role/team/admin",
    ),
    (
        "administrators_differ",
        {"cluster.adminRoleArns.1": "arn:aws:iam::777788889999:role/platform-admin"},
        "slipway:cluster.adminRoleArns[1] · found arn:aws:iam::777788889999:role/platform-admin again (first in adminRoleArns[0]) · allowed: each role once · remove it",
    ),
    (
        "kube_proxy_matches_the_control_plane",
        {"cluster.addons.kubeProxy": "v1.36.0-eksbuild.21"},
        "slipway:cluster.addons.kubeProxy · found v1.36.0-eksbuild.21 · allowed: a version v1.35.… like slipway:cluster.version 1.35 · write what `aws eks describe-addon-versions --addon-name kube-proxy --kubernetes-version 1.35` lists",
    ),
    (
        "pool_names_differ",
        {"nodePools.2.name": "cpu"},
        "slipway:nodePools[2].name · found cpu again (first in nodePools[1]) · allowed: a name that no other pool has · rename one of the two",
    ),
    (
        "one_system_pool",
        {"nodePools.0.role": "cpu"},
        "slipway:nodePools · found no pool with role system · allowed: exactly one · add an on-demand pool with role: system for the cluster's controllers",
    ),
    (
        "one_system_pool",
        {"nodePools.1.role": "system"},
        "slipway:nodePools[1].role · found system again (first in nodePools[0]) · allowed: exactly one pool with role system · write role: cpu, or remove the pool",
    ),
    (
        "system_pool_stays",
        {"nodePools.0.capacity": "spot"},
        "slipway:nodePools[0].capacity · found spot · allowed: on-demand for role system · write on-demand",
    ),
    (
        "system_pool_survives_a_node",
        {"nodePools.0.minSize": 1},
        "slipway:nodePools[0].minSize · found 1 · allowed: at least 2 for role system, in different zones · raise minSize to 2",
    ),
    (
        "minimum_is_at_most_maximum",
        {"nodePools.1.minSize": 21},
        "slipway:nodePools[1].minSize · found 21 · allowed: at most maxSize (20) · lower minSize to 20 or raise maxSize to 21",
    ),
    (
        "desired_is_between",
        {"nodePools.1.desiredSize": 2},
        "slipway:nodePools[1].desiredSize · found 2 · allowed: from minSize (3) to maxSize (20) · write 3, or move the bound",
    ),
    (
        "desired_is_between",
        {"nodePools.1.desiredSize": 21},
        "slipway:nodePools[1].desiredSize · found 21 · allowed: from minSize (3) to maxSize (20) · write 20, or move the bound",
    ),
    (
        "update_leaves_nodes",
        {"nodePools.3.maxUnavailable": 9},
        "slipway:nodePools[3].maxUnavailable · found 9 · allowed: at most maxSize (8) · lower maxUnavailable to 8 or less",
    ),
    (
        "instance_types_exist",
        {"nodePools.1.instanceTypes.0": "m6i.xlrage"},
        "slipway:nodePools[1].instanceTypes[0] · found m6i.xlrage · allowed: an instance type of settings/instances.py · write m6i.xlarge, m6i.8xlarge or m6i.4xlarge",
    ),
    (
        "instance_types_exist",
        {"nodePools.3.instanceTypes.0": "g7.2xlarge"},
        "slipway:nodePools[3].instanceTypes[0] · found g7.2xlarge · allowed: an instance type of settings/instances.py; not g7: the NVIDIA image's driver (580) does not see its GPUs · choose another family, such as m6i, c6i, r6i, m7g, g5 or g6",
    ),
    (
        "instance_types_exist",
        {"nodePools.3.instanceTypes.0": "quantum.large"},
        "slipway:nodePools[3].instanceTypes[0] · found quantum.large · allowed: an instance type of settings/instances.py · choose another family, such as m6i, c6i, r6i, m7g, g5 or g6",
    ),
    (
        "instance_types_differ",
        {"nodePools.1.instanceTypes.1": "m6i.xlarge"},
        "slipway:nodePools[1].instanceTypes[1] · found m6i.xlarge again (first in instanceTypes[0]) · allowed: each type once · name another type, or remove it",
    ),
    (
        "spot_is_diversified",
        {"nodePools.2.instanceTypes": ["m6i.xlarge"]},
        "slipway:nodePools[2].instanceTypes · found 1 type · allowed: at least 3 different types for capacity spot · add 2 more of the same size from other families or generations",
    ),
    (
        "spot_is_diversified",
        {"nodePools.4.instanceTypes": ["g6.xlarge", "g5.xlarge"]},
        "slipway:nodePools[4].instanceTypes · found 2 types · allowed: at least 3 different types for capacity spot · add 1 more of the same size from other families or generations",
    ),
    (
        "one_architecture",
        {"nodePools.1.instanceTypes.2": "m7g.xlarge"},
        "slipway:nodePools[1].instanceTypes[2] · found m7g.xlarge (arm64) · allowed: types for amd64, like m6i.xlarge · move it to a pool of its own",
    ),
    (
        "accelerator_matches_role",
        {"nodePools.1.instanceTypes.2": "g5.xlarge"},
        "slipway:nodePools[1].instanceTypes[2] · found g5.xlarge (accelerator: nvidia) · allowed: types without an accelerator for role cpu · move it to a pool with role: gpu",
    ),
    (
        "accelerator_matches_role",
        {"nodePools.3.instanceTypes.1": "m5.xlarge"},
        "slipway:nodePools[3].instanceTypes[1] · found m5.xlarge (accelerator: none) · allowed: types with an NVIDIA GPU for role gpu · name a GPU type such as g6.xlarge, or write role: cpu",
    ),
    (
        "accelerator_matches_role",
        {"nodePools.1.instanceTypes.2": "inf2.xlarge"},
        "slipway:nodePools[1].instanceTypes[2] · found inf2.xlarge (accelerator: neuron) · allowed: types without an accelerator for role cpu · remove it: no pool of this platform runs AWS Neuron",
    ),
    (
        "model_names_differ",
        {"models.1": MODEL, "models.1.datasetPrefix": "other/"},
        "slipway:models[1].name · found flight-delay again (first in models[0]) · allowed: a name that no other model has · rename one of the two",
    ),
    (
        "dataset_prefixes_are_apart",
        {"models.1": MODEL, "models.1.name": "other", "models.1.datasetPrefix": "flight-delay/2013/"},
        "slipway:models[1].datasetPrefix · found flight-delay/2013/ · allowed: a prefix apart from flight-delay/ (models[0]) · give each model a prefix of its own, such as its name and a slash",
    ),
    (
        "namespaces_differ",
        {"namespaces.1.name": "training"},
        "slipway:namespaces[1].name · found training again (first in namespaces[0]) · allowed: a name that no other namespace has · rename one of the two, or remove it",
    ),
    (
        "namespaces_are_not_reserved",
        {"namespaces.0.name": "kube-system"},
        "slipway:namespaces[0].name · found kube-system · allowed: any name but default and those that begin with kube- · write training, or another name of your own",
    ),
    (
        "namespaces_are_not_reserved",
        {"namespaces.1.name": "default"},
        "slipway:namespaces[1].name · found default · allowed: any name but default and those that begin with kube- · write inference, or another name of your own",
    ),
    (
        "training_type_exists",
        {"models.0.training.instanceType": "ml.m5.8xlarge"},
        "slipway:models[0].training.instanceType · found ml.m5.8xlarge · allowed: a SageMaker training type of settings/instances.py · write ml.m5.xlarge, ml.m5.4xlarge or ml.m5.2xlarge",
    ),
    (
        "training_type_exists",
        {"models.0.training.instanceType": "ml.quantum.large"},
        "slipway:models[0].training.instanceType · found ml.quantum.large · allowed: a SageMaker training type of settings/instances.py · choose another family, such as ml.m5, ml.c6i or ml.g5",
    ),
    (
        "spot_training_has_time_to_wait",
        {"models.0.training.maxWaitSeconds": 3599},
        "slipway:models[0].training.maxWaitSeconds · found 3599 · allowed: at least maxRuntimeSeconds (3600) while spot is true · write 3600 plus the seconds to wait for capacity, or set spot to false",
    ),
    (
        "spot_training_has_time_to_wait",
        {"models.0.training.maxWaitSeconds": None},
        "slipway:models[0].training.maxWaitSeconds · found null · allowed: at least maxRuntimeSeconds (3600) while spot is true · write 3600 plus the seconds to wait for capacity, or set spot to false",
    ),
    (
        "spot_training_has_time_to_wait",
        {"models.0.training.spot": False},
        "slipway:models[0].training.maxWaitSeconds · found 7200 · allowed: null while spot is false · write null, or set spot to true",
    ),
    (
        "early_stopping_can_happen",
        {"models.0.training.hyperparameters.early_stopping_rounds": 400},
        "slipway:models[0].training.hyperparameters.early_stopping_rounds · found 400 · allowed: less than num_round (400) · lower early_stopping_rounds, to a tenth of num_round for example, or raise num_round",
    ),
    (
        "approved_model_is_in_this_environment",
        {"models.0.approved": approved("dev-111122223333")},
        "slipway:models[0].approved.modelData · found s3://slipway-dev-111122223333-us-east-1-models/flight-delay/3/model.tar.gz · allowed: an object of s3://slipway-prod-777788889999-us-east-1-models/ · copy the model there and write s3://slipway-prod-777788889999-us-east-1-models/flight-delay/3/model.tar.gz",
    ),
]
"""Rule, what is changed in prod's file, and the only line of the message; `…` stands for the list of known names."""

PASSING: Final[list[tuple[str, Edits]]] = [
    (
        "region_belongs_to_partition",
        {"environment.region": "eu-central-1", "network.zones": ["eu-central-1a", "eu-central-1b", "eu-central-1c"]},
    ),
    (
        "account_is_a_real_number",
        {
            "environment.accountId": "000000000001",
            "cluster.adminRoleArns": ["arn:aws:iam::000000000001:role/platform-admin"],
        },
    ),
    ("protected_data_outlives_the_stack", {"environment.protectData": False, "store.forceDestroy": True}),
    ("protected_key_waits_longest", {"environment.protectData": False, "store.keyDeletionDays": 7}),
    ("protected_cluster_refuses_deletion", {"environment.protectData": False, "cluster.deletionProtection": False}),
    ("vpc_is_private", {"network.cidr": "100.64.0.0/16"}),
    ("vpc_has_a_sensible_size", {"network.cidr": "10.48.0.0/20", "network.privatePrefix": 22}),
    ("vpc_keeps_clear_of_docker", {"network.cidr": "172.18.0.0/16"}),
    ("subnets_fit", {"network.cidr": "10.48.0.0/17", "network.publicPrefix": 21}),
    ("zones_belong_to_region", {"network.zones": ["us-east-1f", "us-east-1d"]}),
    ("zones_differ", {"network.zones": ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"]}),
    ("endpoints_are_known", {"network.interfaceEndpoints": ["eks-auth", "sagemaker.metrics"]}),
    ("endpoints_differ", {"network.interfaceEndpoints": []}),
    ("service_range_is_private", {"cluster.serviceCidr": "192.168.255.0/24"}),
    ("service_range_is_free", {"cluster.serviceCidr": "10.49.0.0/16"}),
    ("public_ranges_match_the_switch", {"cluster.publicEndpoint": True, "cluster.publicEndpointCidrs": ["8.8.8.8/32"]}),
    (
        "public_ranges_are_narrow",
        {"cluster.publicEndpoint": True, "cluster.publicEndpointCidrs": ["8.8.0.0/17", "8.9.0.0/17"]},
    ),
    ("public_ranges_are_public", {"cluster.publicEndpoint": True, "cluster.publicEndpointCidrs": ["1.1.1.0/24"]}),
    ("administrators_belong_to_the_account", {"cluster.adminRoleArns.0": "arn:aws:iam::777788889999:role/team/admin"}),
    ("administrators_differ", {"cluster.adminRoleArns.1": "arn:aws:iam::777788889999:role/on-call"}),
    (
        "kube_proxy_matches_the_control_plane",
        {"cluster.version": "1.36", "cluster.addons.kubeProxy": "v1.36.0-eksbuild.21"},
    ),
    ("pool_names_differ", {"nodePools.2.name": "cpu-2"}),
    ("one_system_pool", {"nodePools.1.role": "cpu"}),
    ("system_pool_stays", {"nodePools.0.capacity": "on-demand"}),
    ("system_pool_survives_a_node", {"nodePools.0.minSize": 2}),
    ("minimum_is_at_most_maximum", {"nodePools.1.minSize": 20, "nodePools.1.desiredSize": 20}),
    ("desired_is_between", {"nodePools.1.desiredSize": 20}),
    ("update_leaves_nodes", {"nodePools.3.maxUnavailable": 8}),
    ("instance_types_exist", {"nodePools.1.instanceTypes.0": "m8i.96xlarge"}),
    ("instance_types_differ", {"nodePools.1.instanceTypes.1": "m6i.2xlarge"}),
    ("spot_is_diversified", {"nodePools.2.instanceTypes": ["m6i.xlarge", "m5.xlarge", "m7i.xlarge"]}),
    ("one_architecture", {"nodePools.1.instanceTypes": ["m7g.xlarge", "m8g.xlarge"]}),
    ("accelerator_matches_role", {"nodePools.3.instanceTypes": ["g5g.xlarge"]}),
    ("model_names_differ", {"models.1": MODEL, "models.1.name": "other", "models.1.datasetPrefix": "other/"}),
    (
        "dataset_prefixes_are_apart",
        {"models.1": MODEL, "models.1.name": "other", "models.1.datasetPrefix": "flight-delays/"},
    ),
    ("namespaces_differ", {"namespaces.1.name": "training-2"}),
    ("namespaces_are_not_reserved", {"namespaces.1.name": "default-models"}),
    ("training_type_exists", {"models.0.training.instanceType": "ml.m5.12xlarge"}),
    ("spot_training_has_time_to_wait", {"models.0.training.maxWaitSeconds": 3600}),
    ("spot_training_has_time_to_wait", {"models.0.training.spot": False, "models.0.training.maxWaitSeconds": None}),
    ("early_stopping_can_happen", {"models.0.training.hyperparameters.early_stopping_rounds": 399}),
    ("approved_model_is_in_this_environment", {"models.0.approved": approved("prod-777788889999")}),
]
"""Rule, and a change of prod's file that comes as close to breaking it as possible."""


def names(cases: list[tuple[str, Edits, str]] | list[tuple[str, Edits]]) -> set[str]:
    return {case[0] for case in cases}


def test_every_rule_has_a_file_that_breaks_it_and_one_that_keeps_it() -> None:
    assert len(APPLY) == len(RULES) + len(POOL_RULES) + len(MODEL_RULES)
    assert names(FIRING) == names(PASSING) == set(APPLY)


@pytest.mark.parametrize(("rule", "edits", "line"), FIRING)
def test_a_broken_rule_gives_its_line_and_no_other(
    rule: str,
    edits: Edits,
    line: str,
) -> None:
    assert rule in APPLY
    (found,) = problems(changed(edits))
    start, _, end = line.partition("…")
    assert found.startswith(start)
    assert found.endswith(end)
    known = [", ".join(sorted(INTERFACE_ENDPOINTS)), *(", ".join(sorted(regions)) for regions in REGIONS.values())]
    assert found in {line.replace("…", text) for text in known}


@pytest.mark.parametrize(("rule", "edits", "line"), FIRING)
def test_the_line_comes_from_the_rule_that_the_case_names(
    rule: str,
    edits: Edits,
    line: str,
) -> None:
    found = list(APPLY[rule](settings_of(changed(edits))))
    assert len(found) == 1
    assert line.endswith(found[0].remedy)


@pytest.mark.parametrize(("rule", "edits"), PASSING)
def test_a_kept_rule_says_nothing(
    rule: str,
    edits: Edits,
) -> None:
    assert rule in APPLY
    content = changed(edits)
    assert problems(content) == []


@pytest.mark.parametrize(
    "ranges",
    [["0.0.0.0/1", "128.0.0.0/1"], ["8.8.0.0/17", "8.8.128.0/17"], ["8.8.0.0/18", "8.8.64.0/18", "8.8.128.0/17"]],
)
def test_public_ranges_that_are_wide_only_together_are_all_named(
    ranges: list[str],
) -> None:
    lines = problems(changed({"cluster.publicEndpoint": True, "cluster.publicEndpointCidrs": ranges}))
    assert len(lines) == len(ranges)
    union = "0.0.0.0/0" if ranges[0] == "0.0.0.0/1" else "8.8.0.0/16"
    for line, cidr in zip(lines, ranges, strict=True):
        assert f"found {cidr}, together with the others {union}" in line
        assert line.endswith("such as a /29")


def test_a_small_range_beside_a_wide_pair_is_left_alone() -> None:
    ranges = ["8.8.0.0/17", "8.8.128.0/17", "1.1.1.1/32"]
    lines = problems(changed({"cluster.publicEndpoint": True, "cluster.publicEndpointCidrs": ranges}))
    assert [line.split(" · ")[0] for line in lines] == [f"slipway:cluster.publicEndpointCidrs[{n}]" for n in (0, 1)]
