"""Resources that AWS asks nothing for, and why; what they lead to is counted where it is used."""

from __future__ import annotations

from typing import Final

_ACCESS: Final = "identity and access management costs nothing"
_ROUTING: Final = "part of a VPC, which costs nothing; traffic is counted at gateways and endpoints"
_BUCKET: Final = "a setting of a bucket, which is counted itself"
_CLUSTER: Final = "part of the cluster; what runs there is paid with its nodes"
_RECORD: Final = "a record that costs nothing; jobs and hosts are counted where they run"
_EVENTS: Final = "rules and events of AWS services on the default bus cost nothing"
_RELEASE: Final = "a release makes one event of ours, and keeps its steps in one small object: below a cent a month"
_SCHEDULE: Final = "EventBridge Scheduler asks a dollar for a million calls; a clock makes thousands a month"
_TRACKING: Final = (
    "AWS asks nothing for MLflow Apps (its Machine Learning Blog, 2025-12-11); artefacts are counted in S3"
)
_SPENDING: Final = "AWS Budgets without actions and Cost Anomaly Detection cost nothing"
_SETTING: Final = "a setting of something that is counted itself"

FREE: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "aws:iam/instanceProfile:InstanceProfile",
            "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
            "aws:iam/policy:Policy",
            "aws:iam/role:Role",
            "aws:iam/rolePolicy:RolePolicy",
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "aws:iam/serviceLinkedRole:ServiceLinkedRole",
            "eks:index:ServiceRole",
        ),
        _ACCESS,
    ),
    **dict.fromkeys(
        (
            "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
            "aws:ec2/flowLog:FlowLog",
            "aws:ec2/internetGateway:InternetGateway",
            "aws:ec2/route:Route",
            "aws:ec2/routeTable:RouteTable",
            "aws:ec2/routeTableAssociation:RouteTableAssociation",
            "aws:ec2/securityGroup:SecurityGroup",
            "aws:ec2/subnet:Subnet",
            "aws:ec2/vpc:Vpc",
            "aws:ec2/vpcPeeringConnection:VpcPeeringConnection",
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        ),
        _ROUTING,
    ),
    **dict.fromkeys(
        (
            "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            "aws:s3/bucketLogging:BucketLogging",
            "aws:s3/bucketNotification:BucketNotification",
            "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
            "aws:s3/bucketPolicy:BucketPolicy",
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "aws:s3/bucketVersioning:BucketVersioning",
        ),
        _BUCKET,
    ),
    **dict.fromkeys(
        (
            "aws:ec2/launchTemplate:LaunchTemplate",
            "aws:eks/accessEntry:AccessEntry",
            "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
            "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        ),
        _CLUSTER,
    ),
    **dict.fromkeys(
        (
            "aws:appautoscaling/policy:Policy",
            "aws:appautoscaling/target:Target",
            "aws:sagemaker/endpointConfiguration:EndpointConfiguration",
            "aws:sagemaker/model:Model",
            "aws:sagemaker/modelPackageGroup:ModelPackageGroup",
            "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy",
            "aws:sagemaker/pipeline:Pipeline",
            "aws:sagemaker/userProfile:UserProfile",
        ),
        _RECORD,
    ),
    **dict.fromkeys(("aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"), _EVENTS),
    **dict.fromkeys(("aws:cloudwatch/eventBus:EventBus", "aws:s3/bucketObjectv2:BucketObjectv2"), _RELEASE),
    "aws:sagemaker/mlflowApp:MlflowApp": _TRACKING,
    "aws:scheduler/schedule:Schedule": _SCHEDULE,
    "aws:signer/signingProfile:SigningProfile": "AWS Signer asks nothing for signatures of images",
    **dict.fromkeys(
        (
            "aws:budgets/budget:Budget",
            "aws:costexplorer/anomalyMonitor:AnomalyMonitor",
            "aws:costexplorer/anomalySubscription:AnomalySubscription",
        ),
        _SPENDING,
    ),
    **dict.fromkeys(
        (
            "aws:appautoscaling/policy:Policy",
            "aws:appautoscaling/target:Target",
            "aws:cloudwatch/logMetricFilter:LogMetricFilter",
            "aws:dynamodb/tableItem:TableItem",
            "aws:ecr/lifecyclePolicy:LifecyclePolicy",
            "aws:ecr/repositoryPolicy:RepositoryPolicy",
            "aws:efs/accessPoint:AccessPoint",
            "aws:efs/backupPolicy:BackupPolicy",
            "aws:efs/fileSystemPolicy:FileSystemPolicy",
            "aws:efs/mountTarget:MountTarget",
            "aws:kms/alias:Alias",
            "aws:lambda/alias:Alias",
            "aws:lambda/eventSourceMapping:EventSourceMapping",
            "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
            "aws:lambda/permission:Permission",
            "aws:lb/listener:Listener",
            "aws:lb/targetGroup:TargetGroup",
            "aws:secretsmanager/secretPolicy:SecretPolicy",
            "aws:secretsmanager/secretVersion:SecretVersion",
            "aws:sns/topicPolicy:TopicPolicy",
            "aws:sns/topicSubscription:TopicSubscription",
            "aws:sqs/queuePolicy:QueuePolicy",
            "aws:sqs/redrivePolicy:RedrivePolicy",
            "aws:wafv2/webAclAssociation:WebAclAssociation",
        ),
        _SETTING,
    ),
}
"""Type token → why it costs nothing."""

_OBJECT: Final = "an object in the cluster; what it runs is paid with its nodes"
_NOT_OBJECTS: Final = frozenset(
    {
        "kubernetes:core/v1:PersistentVolumeClaim",
        "kubernetes:core/v1:Service",
        "kubernetes:karpenter.sh/v1:NodePool",
        "kubernetes:networking.k8s.io/v1:Ingress",
    }
)
"""Objects for which a controller makes something that AWS bills."""


def why_free(token: str) -> str | None:
    """Return why a type costs nothing, or None where nobody has said so."""
    if token.startswith("kubernetes:") and token not in _NOT_OBJECTS:
        return _OBJECT
    return FREE.get(token)
