"""What the recorder answers in place of AWS, EKS and Kubernetes: ids and computed properties in their true shape.

A type that is not listed here is an error of the recording: no test passes on an answer that nobody thought about.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PARTITION = "aws"
RESOURCE_SIGNATURE = {"4dabf18193072939515e22adb298388d": "5cf8f73096256a8f31e491e813e4eb8e"}
"""How the wire marks a property map as a reference to a resource (`pulumi.runtime.rpc`)."""


@dataclass(frozen=True, slots=True)
class Request:
    """The registration that is answered."""

    urn: str
    name: str
    inputs: Mapping[str, Any]
    account_id: str
    region: str

    def digits(self, count: int = 17) -> str:
        """Hexadecimal digits that belong to this resource."""
        return hashlib.sha256(self.urn.encode()).hexdigest()[:count]

    def arn(self, service: str, resource: str, *, regional: bool = True) -> str:
        """ARN in the stack's account."""
        return f"arn:{PARTITION}:{service}:{self.region if regional else ''}:{self.account_id}:{resource}"


Answer = tuple[str, dict[str, Any]]
"""Physical id and computed properties."""


def _numbered(prefix: str, service: str | None = None, **computed: Any) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        physical = f"{prefix}-{request.digits()}"
        arn = {"arn": request.arn("ec2", f"{service}/{physical}")} if service else {}
        return physical, {**arn, **computed}

    return answer


def _named(property_: str, service: str, path: str, *, regional: bool = True) -> Callable[[Request], Answer]:
    """The physical name is the id; it has to be given, because this program fixes every name."""

    def answer(request: Request) -> Answer:
        physical = request.inputs[property_]
        return physical, {"arn": request.arn(service, f"{path}{physical}", regional=regional)}

    return answer


def _of_bucket(request: Request) -> Answer:
    return request.inputs["bucket"], {}


def _bucket(request: Request) -> Answer:
    name = request.inputs["bucket"]
    return name, {"arn": f"arn:{PARTITION}:s3:::{name}", "bucketDomainName": f"{name}.s3.amazonaws.com"}


def _key(request: Request) -> Answer:
    digits = request.digits(32)
    key_id = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return key_id, {"keyId": key_id, "arn": request.arn("kms", f"key/{key_id}")}


def _eip(request: Request) -> Answer:
    allocation = f"eipalloc-{request.digits()}"
    return allocation, {"allocationId": allocation, "publicIp": "198.51.100.1"}


def _vpc_endpoint(request: Request) -> Answer:
    physical = f"vpce-{request.digits()}"
    prefix_list = {"prefixListId": f"pl-{request.digits(8)}"} if request.inputs["vpcEndpointType"] == "Gateway" else {}
    return physical, {"arn": request.arn("ec2", f"vpc-endpoint/{physical}"), **prefix_list}


def _repository(request: Request) -> Answer:
    name = request.inputs["name"]
    url = f"{request.account_id}.dkr.ecr.{request.region}.amazonaws.com/{name}"
    return name, {
        "arn": request.arn("ecr", f"repository/{name}"),
        "repositoryUrl": url,
        "registryId": request.account_id,
    }


def _secret(request: Request) -> Answer:
    arn = request.arn("secretsmanager", f"secret:{request.inputs['name']}-{request.digits(6)}")
    return arn, {"arn": arn}


def _mlflow_app(request: Request) -> Answer:
    arn = request.arn("sagemaker", f"mlflow-app/app-{request.digits(12).upper()}")
    return arn, {"arn": arn}


def _role_policy(request: Request) -> Answer:
    return f"{request.inputs['role']}:{request.inputs['name']}", {}


def _role_policy_attachment(request: Request) -> Answer:
    return f"{request.inputs['role']}/{request.inputs['policyArn']}", {}


def _identity_provider(request: Request) -> Answer:
    arn = request.arn("iam", f"oidc-provider/{request.inputs['url'].removeprefix('https://')}", regional=False)
    return arn, {"arn": arn}


def _of_cluster(property_: str) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        physical = f"{request.inputs['clusterName']}:{request.inputs[property_]}"
        return physical, {"arn": request.arn("eks", f"{property_}/{physical.replace(':', '/')}/{request.digits(8)}")}

    return answer


def _queue(request: Request) -> Answer:
    name = request.inputs["name"]
    url = f"https://sqs.{request.region}.amazonaws.com/{request.account_id}/{name}"
    return url, {"url": url, "arn": request.arn("sqs", name)}


def _budget(request: Request) -> Answer:
    name = request.inputs["name"]
    return f"{request.account_id}:{name}", {"arn": request.arn("budgets", f"budget/{name}", regional=False)}


def _event_target(request: Request) -> Answer:
    identity = f"target-{request.digits(8)}"
    return f"{request.inputs['rule']}-{identity}", {"targetId": identity}


def _release(request: Request) -> Answer:
    return f"{request.inputs['namespace']}/{request.inputs['name']}", {"status": {"status": "deployed"}}


def _file_system(service: str, domain: str) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        physical = f"fs-{request.digits()}"
        return physical, {
            "arn": request.arn(service, f"file-system/{physical}"),
            "dnsName": f"{physical}.{domain}.{request.region}.amazonaws.com",
            "mountName": request.digits(8),
        }

    return answer


def _of_file_system(request: Request) -> Answer:
    return request.inputs["fileSystemId"], {}


def _provider(request: Request) -> Answer:
    return request.digits(32), {}


def _kubernetes_object(request: Request) -> Answer:
    metadata = request.inputs["metadata"]
    return "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part), {}


def _balanced(request: Request) -> Answer:
    """An Ingress or a Service, with the name of its load balancer; a Service of another type has none."""
    identity, _ = _kubernetes_object(request)
    if request.inputs["spec"].get("type") == "ClusterIP":
        return identity, {}
    name = f"k8s-{identity.replace('/', '-')}.elb.{request.region}.amazonaws.com"
    return identity, {"status": {"loadBalancer": {"ingress": [{"hostname": name}]}}}


ANSWERS: Mapping[str, Callable[[Request], Answer]] = {
    "pulumi:providers:aws": _provider,
    "pulumi:providers:kubernetes": _provider,
    "aws:budgets/budget:Budget": _budget,
    "aws:cloudwatch/eventBus:EventBus": _named("name", "events", "event-bus/"),
    "aws:cloudwatch/eventRule:EventRule": _named("name", "events", "rule/"),
    "aws:cloudwatch/eventTarget:EventTarget": _event_target,
    "aws:appautoscaling/policy:Policy": _named("name", "autoscaling", "scalingPolicy:policyName/"),
    "aws:appautoscaling/target:Target": _named("resourceId", "application-autoscaling", "scalable-target/"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _named("name", "cloudwatch", "alarm:"),
    "aws:cloudwatch/logGroup:LogGroup": _named("name", "logs", "log-group:"),
    "aws:codebuild/project:Project": _named("name", "codebuild", "project/"),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _numbered("sg", "security-group"),
    "aws:ec2/eip:Eip": _eip,
    "aws:ec2/flowLog:FlowLog": _numbered("fl", "vpc-flow-log"),
    "aws:ec2/internetGateway:InternetGateway": _numbered("igw", "internet-gateway"),
    "aws:ec2/launchTemplate:LaunchTemplate": _numbered("lt", "launch-template", latestVersion=1, defaultVersion=1),
    "aws:ec2/natGateway:NatGateway": _numbered("nat"),
    "aws:ec2/placementGroup:PlacementGroup": _named("name", "ec2", "placement-group/"),
    "aws:ec2/route:Route": _numbered("r-rtb"),
    "aws:ec2/routeTable:RouteTable": _numbered("rtb", "route-table"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _numbered("rtbassoc"),
    "aws:ec2/securityGroup:SecurityGroup": _numbered("sg", "security-group"),
    "aws:ec2/subnet:Subnet": _numbered("subnet", "subnet"),
    "aws:ec2/vpc:Vpc": _numbered("vpc", "vpc"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _vpc_endpoint,
    "aws:ec2/vpcPeeringConnection:VpcPeeringConnection": _numbered("pcx", acceptStatus="active"),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": lambda request: (request.inputs["repository"], {}),
    "aws:ecr/repository:Repository": _repository,
    "aws:ecr/repositoryPolicy:RepositoryPolicy": lambda request: (request.inputs["repository"], {}),
    "aws:efs/backupPolicy:BackupPolicy": _of_file_system,
    "aws:efs/fileSystem:FileSystem": _file_system("elasticfilesystem", "efs"),
    "aws:efs/fileSystemPolicy:FileSystemPolicy": _of_file_system,
    "aws:efs/mountTarget:MountTarget": _numbered("fsmt"),
    "aws:eks/accessEntry:AccessEntry": _of_cluster("principalArn"),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _of_cluster("principalArn"),
    "aws:eks/addon:Addon": _of_cluster("addonName"),
    "aws:eks/fargateProfile:FargateProfile": _of_cluster("fargateProfileName"),
    "aws:eks/nodeGroup:NodeGroup": _of_cluster("nodeGroupName"),
    "aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation": _numbered("dra"),
    "aws:fsx/lustreFileSystem:LustreFileSystem": _file_system("fsx", "fsx"),
    "aws:iam/instanceProfile:InstanceProfile": _named("name", "iam", "instance-profile/", regional=False),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _identity_provider,
    "aws:iam/role:Role": _named("name", "iam", "role/", regional=False),
    "aws:iam/rolePolicy:RolePolicy": _role_policy,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _role_policy_attachment,
    "aws:kms/alias:Alias": _named("name", "kms", ""),
    "aws:kms/key:Key": _key,
    "aws:s3/bucket:Bucket": _bucket,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _of_bucket,
    "aws:s3/bucketLogging:BucketLogging": _of_bucket,
    "aws:s3/bucketNotification:BucketNotification": _of_bucket,
    "aws:s3/bucketObjectv2:BucketObjectv2": lambda request: (request.inputs["key"], {}),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _of_bucket,
    "aws:s3/bucketPolicy:BucketPolicy": _of_bucket,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _of_bucket,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _of_bucket,
    "aws:s3/bucketVersioning:BucketVersioning": _of_bucket,
    "aws:sagemaker/domain:Domain": _numbered("d"),
    "aws:sagemaker/userProfile:UserProfile": lambda request: (
        request.arn("sagemaker", f"user-profile/{request.inputs['domainId']}/{request.inputs['userProfileName']}"),
        {},
    ),
    "aws:sagemaker/endpoint:Endpoint": _named("name", "sagemaker", "endpoint/"),
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": _named("name", "sagemaker", "endpoint-config/"),
    "aws:sagemaker/model:Model": _named("name", "sagemaker", "model/"),
    "aws:sagemaker/pipeline:Pipeline": _named("pipelineName", "sagemaker", "pipeline/"),
    "aws:sagemaker/mlflowApp:MlflowApp": _mlflow_app,
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": _named(
        "modelPackageGroupName", "sagemaker", "model-package-group/"
    ),
    "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy": lambda request: (
        request.inputs["modelPackageGroupName"],
        {},
    ),
    "aws:secretsmanager/secret:Secret": _secret,
    "aws:secretsmanager/secretRotation:SecretRotation": lambda request: (request.inputs["secretId"], {}),
    "aws:signer/signingProfile:SigningProfile": _named("name", "signer", "/signing-profiles/"),
    "aws:sns/topic:Topic": _named("name", "sns", ""),
    "aws:sns/topicSubscription:TopicSubscription": lambda request: (
        f"{request.inputs['topic']}:{request.digits()}",
        {},
    ),
    "aws:dynamodb/table:Table": _named("name", "dynamodb", "table/"),
    "aws:dynamodb/tableItem:TableItem": lambda request: (request.digits(), {}),
    "aws:lambda/eventSourceMapping:EventSourceMapping": lambda request: (request.digits(), {}),
    "aws:lambda/function:Function": _named("name", "lambda", "function:"),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": lambda request: (
        request.inputs["functionName"],
        {},
    ),
    "aws:lambda/permission:Permission": lambda request: (request.inputs["statementId"], {}),
    "aws:scheduler/schedule:Schedule": _named("name", "scheduler", "schedule/default/"),
    "aws:sqs/queue:Queue": _queue,
    "aws:sqs/queuePolicy:QueuePolicy": lambda request: (request.inputs["queueUrl"], {}),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _numbered("sgr", "security-group-rule"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _numbered("sgr", "security-group-rule"),
    "kubernetes:argoproj.io/v1alpha1:AnalysisTemplate": _kubernetes_object,
    "kubernetes:argoproj.io/v1alpha1:Rollout": _kubernetes_object,
    "kubernetes:cert-manager.io/v1:ClusterIssuer": _kubernetes_object,
    "kubernetes:core/v1:ConfigMap": _kubernetes_object,
    "kubernetes:core/v1:Namespace": _kubernetes_object,
    "kubernetes:core/v1:PersistentVolume": _kubernetes_object,
    "kubernetes:elbv2.k8s.aws/v1beta1:IngressClassParams": _kubernetes_object,
    "kubernetes:apps/v1:Deployment": _kubernetes_object,
    "kubernetes:autoscaling/v2:HorizontalPodAutoscaler": _kubernetes_object,
    "kubernetes:core/v1:Service": _balanced,
    "kubernetes:monitoring.coreos.com/v1:PodMonitor": _kubernetes_object,
    "kubernetes:monitoring.coreos.com/v1:PrometheusRule": _kubernetes_object,
    "kubernetes:monitoring.coreos.com/v1:ServiceMonitor": _kubernetes_object,
    "kubernetes:networking.k8s.io/v1:Ingress": _balanced,
    "kubernetes:policy/v1:PodDisruptionBudget": _kubernetes_object,
    "kubernetes:core/v1:LimitRange": _kubernetes_object,
    "kubernetes:core/v1:ResourceQuota": _kubernetes_object,
    "kubernetes:core/v1:ServiceAccount": _kubernetes_object,
    "kubernetes:core/v1:ServiceAccountPatch": _kubernetes_object,
    "kubernetes:helm.sh/v3:Release": _release,
    "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass": _kubernetes_object,
    "kubernetes:karpenter.sh/v1:NodePool": _kubernetes_object,
    "kubernetes:networking.k8s.io/v1:IngressClass": _kubernetes_object,
    "kubernetes:karpenter.sh/v1alpha1:NodeOverlay": _kubernetes_object,
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": _kubernetes_object,
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole": _kubernetes_object,
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": _kubernetes_object,
    "kubernetes:rbac.authorization.k8s.io/v1:Role": _kubernetes_object,
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": _kubernetes_object,
    "kubernetes:scheduling.k8s.io/v1:PriorityClass": _kubernetes_object,
    "kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass": _kubernetes_object,
    "kubernetes:storage.k8s.io/v1:StorageClass": _kubernetes_object,
    "kubernetes:vpcresources.k8s.aws/v1beta1:SecurityGroupPolicy": _kubernetes_object,
}
"""Type token → answer."""


def control_plane(request: Request) -> Answer:
    """The EKS cluster that the remote component `eks:index:Cluster` registers as its child."""
    name, token = request.inputs["name"], request.digits(32).upper()
    return name, {
        "name": name,
        "arn": request.arn("eks", f"cluster/{name}"),
        "version": request.inputs["version"],
        "endpoint": f"https://{token}.gr7.{request.region}.eks.amazonaws.com",
        "certificateAuthority": {"data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="},
        "identities": [{"oidcs": [{"issuer": f"https://oidc.eks.{request.region}.amazonaws.com/id/{token}"}]}],
        "vpcConfig": {"clusterSecurityGroupId": f"sg-{request.digits()}"},
    }


def control_plane_component(child: Request) -> dict[str, Any]:
    """Outputs of the remote component, computed from its cluster."""
    physical, cluster = control_plane(child)
    issuer = cluster["identities"][0]["oidcs"][0]["issuer"]
    group = cluster["vpcConfig"]["clusterSecurityGroupId"]
    return {
        "eksCluster": {**RESOURCE_SIGNATURE, "urn": child.urn, "id": physical, "packageVersion": ""},
        "oidcProviderUrl": issuer,
        "oidcIssuer": issuer.removeprefix("https://"),
        "clusterSecurityGroupId": group,
        "nodeSecurityGroupId": group,
    }
