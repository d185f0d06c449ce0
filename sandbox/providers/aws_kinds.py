"""How the AWS resource types of the platform behave.

Ids, ARNs and endpoints have the shape that AWS documents for each service (Service Authorization Reference, API
references). Immutable inputs are those that the provider replaces a resource for; times are what AWS or the provider
publish as usual. A type without a row here is refused, so that no plan is made of guesses.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from sandbox.providers.kinds import Birth, Kind, arn, fill, hex_id, joined, together

if TYPE_CHECKING:
    from sandbox.wire import Json, Properties

_VPC: Final = "aws:ec2/vpc:Vpc"
_SUBNET: Final = "aws:ec2/subnet:Subnet"
_ROUTE_TABLE: Final = "aws:ec2/routeTable:RouteTable"
_GROUP: Final = "aws:ec2/securityGroup:SecurityGroup"
_BUCKET: Final = "aws:s3/bucket:Bucket"
_ROLE: Final = "aws:iam/role:Role"
_POLICY: Final = "aws:iam/policy:Policy"
_KEY: Final = "aws:kms/key:Key"
_REPOSITORY: Final = "aws:ecr/repository:Repository"
_CLUSTER: Final = "aws:eks/cluster:Cluster"
_QUEUE: Final = "aws:sqs/queue:Queue"
_RULE: Final = "aws:cloudwatch/eventRule:EventRule"

_EC2: Final = "arn:{partition}:ec2:{region}:{account}:"
_IAM: Final = "arn:{partition}:iam::{account}:"


def _uuid(birth: Birth) -> str:
    digits = birth.hex(32, "uuid")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _vpc(birth: Birth, _id: str) -> Properties:
    return {
        "defaultSecurityGroupId": f"sg-0{birth.hex(16, 'sg')}",
        "defaultNetworkAclId": f"acl-0{birth.hex(16, 'acl')}",
        "defaultRouteTableId": f"rtb-0{birth.hex(16, 'rtb')}",
        "mainRouteTableId": f"rtb-0{birth.hex(16, 'rtb')}",
        "dhcpOptionsId": f"dopt-0{birth.hex(16, 'dopt')}",
        "ownerId": birth.place.account_id,
    }


def _address(birth: Birth) -> str:
    """An address of TEST-NET-3 (RFC 5737)."""
    return f"203.0.113.{int(birth.hex(4, 'ip'), 16) % 254 + 1}"


def _eip(birth: Birth, id_: str) -> Properties:
    return {"allocationId": id_, "publicIp": _address(birth)}


def _nat(birth: Birth, _id: str) -> Properties:
    return {"networkInterfaceId": f"eni-0{birth.hex(16, 'eni')}", "publicIp": _address(birth)}


def _endpoint(birth: Birth, id_: str) -> Properties:
    service = birth.text("serviceName")
    entry: Json = {"dnsName": f"{id_}.{service.rsplit('.', 1)[-1]}.{birth.place.region}.vpce.amazonaws.com"}
    interface = birth.text("vpcEndpointType") == "Interface"
    return {
        "state": "available",
        "ownerId": birth.place.account_id,
        "dnsEntries": [entry] if interface else [],
        "prefixListId": None if interface else f"pl-{birth.hex(8, 'pl')}",
    }


def _bucket(birth: Birth, id_: str) -> Properties:
    return {
        "arn": f"arn:{birth.place.partition}:s3:::{id_}",
        "bucketDomainName": f"{id_}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{id_}.s3.{birth.place.region}.amazonaws.com",
        "region": birth.place.region,
        "bucketRegion": birth.place.region,
    }


def _role(birth: Birth, id_: str) -> Properties:
    path = birth.text("path", "/")
    return {"arn": f"{fill(_IAM, birth, id_)}role{path}{id_}", "uniqueId": f"AROA{birth.hex(17, 'role').upper()}"}


def _policy_arn(birth: Birth) -> str:
    return (
        f"arn:{birth.place.partition}:iam::{birth.place.account_id}:policy{birth.text('path', '/')}{birth.text('name')}"
    )


def _oidc_arn(birth: Birth) -> str:
    host = birth.text("url").removeprefix("https://")
    return f"arn:{birth.place.partition}:iam::{birth.place.account_id}:oidc-provider/{host}"


def _repository(birth: Birth, id_: str) -> Properties:
    place = birth.place
    return {
        "registryId": place.account_id,
        "repositoryUrl": f"{place.account_id}.dkr.ecr.{place.region}.amazonaws.com/{id_}",
    }


def _cluster(birth: Birth, _id: str) -> Properties:
    place, unique = birth.place, birth.hex(32, "oidc").upper()
    authority = base64.b64encode(f"sandbox certificate of {birth.text('name')}".encode()).decode()
    vpc = birth.inputs.get("vpcConfig")
    config: Properties = dict(vpc) if isinstance(vpc, dict) else {}
    config |= {"clusterSecurityGroupId": f"sg-0{birth.hex(16, 'cluster-sg')}"}
    return {
        "endpoint": f"https://{unique}.gr7.{place.region}.eks.amazonaws.com",
        "certificateAuthority": {"data": authority},
        "identities": [{"oidcs": [{"issuer": f"https://oidc.eks.{place.region}.amazonaws.com/id/{unique}"}]}],
        "status": "ACTIVE",
        "platformVersion": "eks.1",
        "vpcConfig": config,
    }


def _node_group(birth: Birth, _id: str) -> Properties:
    group = f"eks-{birth.text('nodeGroupName')}-{_uuid(birth)}"
    return {"status": "ACTIVE", "resources": [{"autoscalingGroups": [{"name": group}]}]}


def _suffix(birth: Birth) -> str:
    """Domain of the partition's endpoints."""
    return "amazonaws.com.cn" if birth.place.partition == "aws-cn" else "amazonaws.com"


def _rule_id(birth: Birth) -> str:
    """A rule of the default bus is called by its name alone."""
    bus = birth.text("eventBusName", "default")
    return birth.text("name") if bus == "default" else f"{bus}/{birth.text('name')}"


def _target_id(birth: Birth) -> str:
    return birth.text("targetId") or f"terraform-{birth.hex(26, 'target')}"


def _next_version(outputs: Properties) -> Properties:
    version = outputs.get("latestVersion")
    return {"latestVersion": version + 1 if isinstance(version, int) else 1}


def _side(of: str, name: str = "bucket", api: tuple[str, str, str] | None = None, *more: str) -> Kind:
    """A resource that configures another one and has its id."""
    return Kind(identify=joined(name), immutable=frozenset({name, *more}), needs={name: of}, api=api)


NETWORK: Final[dict[str, Kind]] = {
    _VPC: Kind(
        identify=hex_id("vpc"),
        compute=together(arn(_EC2 + "vpc/{id}"), _vpc),
        immutable=frozenset({"cidrBlock", "ipv4IpamPoolId"}),
        api=("ec2", "CreateVpc", ""),
    ),
    _SUBNET: Kind(
        identify=hex_id("subnet"),
        compute=arn(_EC2 + "subnet/{id}"),
        immutable=frozenset({"vpcId", "cidrBlock", "availabilityZone"}),
        needs={"vpcId": _VPC},
    ),
    "aws:ec2/internetGateway:InternetGateway": Kind(
        identify=hex_id("igw"), compute=arn(_EC2 + "internet-gateway/{id}"), needs={"vpcId": _VPC}
    ),
    "aws:ec2/eip:Eip": Kind(
        identify=hex_id("eipalloc"),
        compute=together(arn(_EC2 + "elastic-ip/{id}"), _eip),
        immutable=frozenset({"domain"}),
        api=("ec2", "AllocateAddress", ""),
    ),
    "aws:ec2/natGateway:NatGateway": Kind(
        identify=hex_id("nat"),
        compute=_nat,
        immutable=frozenset({"allocationId", "subnetId", "connectivityType"}),
        needs={"subnetId": _SUBNET, "allocationId": "aws:ec2/eip:Eip"},
        api=("ec2", "CreateNatGateway", ""),
        seconds=105,
    ),
    _ROUTE_TABLE: Kind(
        identify=hex_id("rtb"),
        compute=arn(_EC2 + "route-table/{id}"),
        immutable=frozenset({"vpcId"}),
        needs={"vpcId": _VPC},
    ),
    "aws:ec2/route:Route": Kind(
        identify=lambda birth: f"r-{birth.text('routeTableId')}{birth.hex(10)}",
        immutable=frozenset({"routeTableId", "destinationCidrBlock"}),
        needs={
            "routeTableId": _ROUTE_TABLE,
            "natGatewayId": "aws:ec2/natGateway:NatGateway",
            "gatewayId": "aws:ec2/internetGateway:InternetGateway",
        },
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Kind(
        identify=hex_id("rtbassoc"),
        immutable=frozenset({"subnetId", "gatewayId"}),
        needs={"routeTableId": _ROUTE_TABLE, "subnetId": _SUBNET},
    ),
    _GROUP: Kind(
        identify=hex_id("sg"),
        compute=arn(_EC2 + "security-group/{id}"),
        immutable=frozenset({"name", "namePrefix", "description", "vpcId"}),
        autoname="name",
        needs={"vpcId": _VPC},
        api=("ec2", "CreateSecurityGroup", ""),
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Kind(
        identify=hex_id("sg"),
        compute=arn(_EC2 + "security-group/{id}"),
        immutable=frozenset({"vpcId"}),
        needs={"vpcId": _VPC},
    ),
    "aws:ec2/securityGroupRule:SecurityGroupRule": Kind(
        identify=lambda birth: f"sgrule-{int(birth.hex(8), 16)}",
        immutable=frozenset(
            {
                "type",
                "fromPort",
                "toPort",
                "protocol",
                "cidrBlocks",
                "ipv6CidrBlocks",
                "prefixListIds",
                "self",
                "securityGroupId",
                "sourceSecurityGroupId",
            }
        ),
        needs={"securityGroupId": _GROUP},
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Kind(
        identify=hex_id("sgr"),
        compute=arn(_EC2 + "security-group-rule/{id}"),
        immutable=frozenset({"securityGroupId"}),
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Kind(
        identify=hex_id("sgr"),
        compute=arn(_EC2 + "security-group-rule/{id}"),
        immutable=frozenset({"securityGroupId"}),
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Kind(
        identify=hex_id("vpce"),
        compute=together(arn(_EC2 + "vpc-endpoint/{id}"), _endpoint),
        immutable=frozenset({"vpcId", "serviceName", "vpcEndpointType"}),
        needs={"vpcId": _VPC},
        api=("ec2", "CreateVpcEndpoint", ""),
        seconds=60,
    ),
    "aws:ec2/flowLog:FlowLog": Kind(
        identify=hex_id("fl"),
        compute=arn(_EC2 + "vpc-flow-log/{id}"),
        immutable=frozenset(
            {
                "vpcId",
                "subnetId",
                "eniId",
                "trafficType",
                "logDestination",
                "logDestinationType",
                "iamRoleArn",
                "logFormat",
                "maxAggregationInterval",
                "destinationOptions",
            }
        ),
        needs={"vpcId": _VPC},
        api=("ec2", "CreateFlowLogs", ""),
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": Kind(
        identify=hex_id("lt"),
        compute=together(
            arn(_EC2 + "launch-template/{id}"), lambda _birth, _id: {"latestVersion": 1, "defaultVersion": 1}
        ),
        revise=_next_version,
        immutable=frozenset({"name", "namePrefix"}),
        autoname="name",
        api=("ec2", "CreateLaunchTemplate", "LaunchTemplateData"),
    ),
}

IDENTITY: Final[dict[str, Kind]] = {
    _ROLE: Kind(
        identify=joined("name"),
        compute=_role,
        immutable=frozenset({"name", "namePrefix", "path"}),
        autoname="name",
        api=("iam", "CreateRole", ""),
    ),
    _POLICY: Kind(
        identify=_policy_arn,
        compute=lambda birth, id_: {"arn": id_, "policyId": f"ANPA{birth.hex(17, 'policy').upper()}"},
        immutable=frozenset({"name", "namePrefix", "path", "description"}),
        autoname="name",
        api=("iam", "CreatePolicy", ""),
    ),
    "aws:iam/rolePolicy:RolePolicy": Kind(
        identify=joined("role", "name", by=":"),
        immutable=frozenset({"role", "name", "namePrefix"}),
        autoname="name",
        needs={"role": _ROLE},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Kind(
        identify=lambda birth: f"{birth.text('role')}-{birth.hex(26)}",
        immutable=frozenset({"role", "policyArn"}),
        needs={"role": _ROLE},
    ),
    "aws:iam/instanceProfile:InstanceProfile": Kind(
        identify=joined("name"),
        compute=lambda birth, id_: {
            "arn": f"{fill(_IAM, birth, id_)}instance-profile{birth.text('path', '/')}{id_}",
            "uniqueId": f"AIPA{birth.hex(17, 'profile').upper()}",
        },
        immutable=frozenset({"name", "namePrefix", "path"}),
        autoname="name",
        needs={"role": _ROLE},
        api=("iam", "CreateInstanceProfile", ""),
    ),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": Kind(
        identify=_oidc_arn,
        compute=lambda _birth, id_: {"arn": id_},
        immutable=frozenset({"url"}),
    ),
    _KEY: Kind(
        identify=_uuid,
        compute=together(arn("arn:{partition}:kms:{region}:{account}:key/{id}"), lambda _birth, id_: {"keyId": id_}),
        immutable=frozenset({"keyUsage", "customerMasterKeySpec", "customKeyStoreId", "multiRegion"}),
        api=("kms", "CreateKey", ""),
    ),
    "aws:kms/alias:Alias": Kind(
        identify=joined("name"),
        compute=arn("arn:{partition}:kms:{region}:{account}:{name}"),
        immutable=frozenset({"name", "namePrefix"}),
        autoname="name",
        needs={"targetKeyId": _KEY},
    ),
    "aws:kms/keyPolicy:KeyPolicy": _side(_KEY, "keyId"),
}

STORE: Final[dict[str, Kind]] = {
    _BUCKET: Kind(
        identify=joined("bucket"),
        compute=_bucket,
        immutable=frozenset({"bucket", "bucketPrefix", "objectLockEnabled"}),
        autoname="bucket",
        api=("s3", "CreateBucket", ""),
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _side(_BUCKET, api=("s3", "PutBucketVersioning", "")),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _side(_BUCKET),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _side(_BUCKET),
    "aws:s3/bucketPolicy:BucketPolicy": _side(_BUCKET),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _side(_BUCKET),
    "aws:s3/bucketLogging:BucketLogging": _side(_BUCKET),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _side(_BUCKET),
    "aws:s3/bucketNotification:BucketNotification": _side(_BUCKET),
    _REPOSITORY: Kind(
        identify=joined("name"),
        compute=together(arn("arn:{partition}:ecr:{region}:{account}:repository/{id}"), _repository),
        immutable=frozenset({"name", "encryptionConfigurations"}),
        autoname="name",
        api=("ecr", "CreateRepository", ""),
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": _side(_REPOSITORY, "repository", None, "policy"),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": _side(_REPOSITORY, "repository"),
    "aws:cloudwatch/logGroup:LogGroup": Kind(
        identify=joined("name"),
        compute=arn("arn:{partition}:logs:{region}:{account}:log-group:{id}"),
        immutable=frozenset({"name", "namePrefix", "logGroupClass"}),
        autoname="name",
        api=("logs", "CreateLogGroup", ""),
    ),
}

CLUSTER: Final[dict[str, Kind]] = {
    _CLUSTER: Kind(
        identify=joined("name"),
        compute=together(arn("arn:{partition}:eks:{region}:{account}:cluster/{id}"), _cluster),
        immutable=frozenset(
            {
                "name",
                "roleArn",
                "encryptionConfig",
                "kubernetesNetworkConfig.serviceIpv4Cidr",
                "kubernetesNetworkConfig.ipFamily",
                "bootstrapSelfManagedAddons",
                "outpostConfig",
                "accessConfig.bootstrapClusterCreatorAdminPermissions",
            }
        ),
        autoname="name",
        needs={"roleArn": _ROLE},
        api=("eks", "CreateCluster", ""),
        seconds=540,
    ),
    "aws:eks/nodeGroup:NodeGroup": Kind(
        identify=joined("clusterName", "nodeGroupName", by=":"),
        compute=together(
            arn("arn:{partition}:eks:{region}:{account}:nodegroup/{clusterName}/{nodeGroupName}/{hex}"), _node_group
        ),
        immutable=frozenset(
            {
                "clusterName",
                "nodeGroupName",
                "nodeGroupNamePrefix",
                "nodeRoleArn",
                "subnetIds",
                "instanceTypes",
                "capacityType",
                "amiType",
                "diskSize",
                "remoteAccess",
                "launchTemplate.id",
                "launchTemplate.name",
            }
        ),
        autoname="nodeGroupName",
        needs={"clusterName": _CLUSTER, "nodeRoleArn": _ROLE},
        api=("eks", "CreateNodegroup", ""),
        seconds=120,
    ),
    "aws:eks/addon:Addon": Kind(
        identify=joined("clusterName", "addonName", by=":"),
        compute=arn("arn:{partition}:eks:{region}:{account}:addon/{clusterName}/{addonName}/{hex}"),
        immutable=frozenset({"clusterName", "addonName"}),
        needs={"clusterName": _CLUSTER},
        seconds=30,
    ),
    "aws:eks/accessEntry:AccessEntry": Kind(
        identify=joined("clusterName", "principalArn", by=":"),
        compute=arn("arn:{partition}:eks:{region}:{account}:access-entry/{clusterName}/{hex}", "accessEntryArn"),
        immutable=frozenset({"clusterName", "principalArn", "type"}),
        needs={"clusterName": _CLUSTER},
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Kind(
        identify=joined("clusterName", "principalArn", "policyArn", by="#"),
        immutable=frozenset({"clusterName", "principalArn", "policyArn", "accessScope"}),
        needs={"clusterName": _CLUSTER},
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Kind(
        identify=hex_id("a"),
        immutable=frozenset({"clusterName", "namespace", "serviceAccount"}),
        needs={"clusterName": _CLUSTER, "roleArn": _ROLE},
    ),
}

EVENTS: Final[dict[str, Kind]] = {
    _QUEUE: Kind(
        identify=lambda birth: (
            f"https://sqs.{birth.place.region}.{_suffix(birth)}/{birth.place.account_id}/{birth.text('name')}"
        ),
        compute=together(arn("arn:{partition}:sqs:{region}:{account}:{name}"), lambda _birth, id_: {"url": id_}),
        immutable=frozenset({"name", "namePrefix", "fifoQueue"}),
        autoname="name",
        api=("sqs", "CreateQueue", ""),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": _side(_QUEUE, "queueUrl"),
    _RULE: Kind(
        identify=_rule_id,
        compute=arn("arn:{partition}:events:{region}:{account}:rule/{id}"),
        immutable=frozenset({"name", "namePrefix", "eventBusName"}),
        autoname="name",
        api=("events", "PutRule", ""),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Kind(
        identify=lambda birth: f"{birth.text('rule')}-{_target_id(birth)}",
        compute=lambda birth, _id: {"targetId": _target_id(birth)},
        immutable=frozenset({"rule", "eventBusName", "targetId"}),
        needs={"rule": _RULE},
    ),
}

SAGEMAKER: Final[dict[str, Kind]] = {
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": Kind(
        identify=joined("modelPackageGroupName"),
        compute=arn("arn:{partition}:sagemaker:{region}:{account}:model-package-group/{id}"),
        immutable=frozenset({"modelPackageGroupName", "modelPackageGroupDescription"}),
        api=("sagemaker", "CreateModelPackageGroup", ""),
    ),
    "aws:sagemaker/model:Model": Kind(
        identify=joined("name"),
        compute=arn("arn:{partition}:sagemaker:{region}:{account}:model/{id}"),
        immutable=frozenset(
            {
                "name",
                "executionRoleArn",
                "primaryContainer",
                "containers",
                "vpcConfig",
                "enableNetworkIsolation",
                "inferenceExecutionConfig",
            }
        ),
        autoname="name",
        needs={"executionRoleArn": _ROLE},
        api=("sagemaker", "CreateModel", ""),
    ),
}

KINDS: Final[dict[str, Kind]] = {**NETWORK, **IDENTITY, **STORE, **CLUSTER, **EVENTS, **SAGEMAKER}
