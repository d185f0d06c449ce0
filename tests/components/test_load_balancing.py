"""Load balancing as it is registered: controller, role, class of Ingress."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from components import iam
from components.labels import Labels
from components.load_balancing_grants import BalancerDuty, controller_policies
from components.load_balancing_objects import class_parameters, controller_values
from settings.model import Partition, Scheme
from tests.settings.stacks import changed, decoded, settings_of
from tests.support.iam_evaluator import may
from tests.support.recorded import STACKS, record_program, stack_section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settings.model import LoadBalancingSpec

RELEASE = "kubernetes:helm.sh/v3:Release"
PARAMETERS = "kubernetes:elbv2.k8s.aws/v1beta1:IngressClassParams"
INGRESS_CLASS = "kubernetes:networking.k8s.io/v1:IngressClass"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
PROD = "arn:aws:elasticloadbalancing:us-east-1:777788889999:"
EC2 = "arn:aws:ec2:us-east-1:777788889999:"
CERTIFICATE = "arn:aws:acm:us-east-1:777788889999:certificate/01234567-89ab-cdef-0123-456789abcdef"
WEB_ACL = "arn:aws:wafv2:us-east-1:777788889999:regional/webacl/edge/01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def spec(**edits: object) -> LoadBalancingSpec:
    return settings_of(changed({f"loadBalancing.{key}": value for key, value in edits.items()})).load_balancing


def values(**edits: object) -> dict[str, Any]:
    return controller_values(Labels(settings_of(decoded()).environment), spec(**edits), role_arn="r", services=False)


def attributes(parameters: Mapping[str, Any]) -> dict[str, str]:
    return {item["key"]: item["value"] for item in parameters["loadBalancerAttributes"]}


# The controller


def test_the_controller_is_one_exact_release_that_brings_its_definitions(stack: str) -> None:
    release = record_program(stack).one(RELEASE, "load-balancing-controller").inputs
    chart = stack_section(stack, "charts")["awsLoadBalancerController"]
    assert (release["chart"], release["repositoryOpts"]) == (
        "aws-load-balancer-controller",
        {"repo": chart["repository"]},
    )
    assert (release["version"], release["namespace"]) == (chart["version"], "kube-system")
    assert release["atomic"] is release["cleanupOnFail"] is True
    # The chart has no other source for them, and without them its own objects are refused.
    assert release["skipCrds"] is False


def test_the_controller_finds_the_vpc_by_tags_that_no_other_vpc_carries(stack: str) -> None:
    recorded = record_program(stack)
    tags = recorded.one(RELEASE, "load-balancing-controller").inputs["values"]["vpcTags"]
    vpc = recorded.one("aws:ec2/vpc:Vpc")
    defaults = json.loads(recorded.one("pulumi:providers:aws").inputs["defaultTags"])["tags"]
    assert tags.items() <= {**defaults, **vpc.tags}.items()
    assert {"Name", "Project", "Environment"} == tags.keys()


def test_every_value_is_readable_before_anything_exists() -> None:
    assert record_program("prod", preview=True).one(RELEASE, "load-balancing-controller").known("values")


def test_service_account_and_role_are_those_that_trust_one_another(stack: str) -> None:
    recorded = record_program(stack)
    account = recorded.one(RELEASE, "load-balancing-controller").inputs["values"]["serviceAccount"]
    role = recorded.one("aws:iam/role:Role", "load-balancing-controller-role")
    arn = f"arn:aws:iam::{recorded.exports['accountId']}:role/{role.inputs['name']}"
    assert account["annotations"] == {"eks.amazonaws.com/role-arn": arn}
    assert f"system:serviceaccount:kube-system:{account['name']}" in role.inputs["assumeRolePolicy"]


def test_a_service_can_be_created_while_the_controller_is_away() -> None:
    assert values()["enableServiceMutatorWebhook"] is False
    assert values()["keepTLSSecret"] is True


def test_the_controller_survives_the_loss_of_a_node_and_stays_on_system_nodes() -> None:
    given = values()
    assert given["replicaCount"] == 2
    assert given["podDisruptionBudget"] == {"maxUnavailable": 1}
    (spread,) = given["topologySpreadConstraints"]
    assert spread["topologyKey"] == "topology.kubernetes.io/zone"
    assert spread["labelSelector"]["matchLabels"] == {"app.kubernetes.io/name": "aws-load-balancer-controller"}
    assert given["nodeSelector"]["slipway.dev/role"] == "system"
    assert given["resources"] == {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1024Mi"}}


def test_no_ingress_joins_the_load_balancer_of_another_team() -> None:
    assert values()["disableIngressGroupNameAnnotation"] is True
    assert "group" not in class_parameters(spec(), log_bucket="logs")


def test_what_the_controller_makes_carries_the_required_tags(stack: str) -> None:
    recorded = record_program(stack)
    given = recorded.one(RELEASE, "load-balancing-controller").inputs["values"]["defaultTags"]
    assert given == json.loads(recorded.one("pulumi:providers:aws").inputs["defaultTags"])["tags"]


def test_features_that_the_role_has_no_rights_for_are_off() -> None:
    gates = values()["controllerConfig"]["featureGates"]
    assert gates.keys() == {"ALBGatewayAPI", "NLBGatewayAPI", "EnableServiceController", "LBCapacityReservation"}
    assert set(gates.values()) == {False}
    assert values()["enableShield"] is values()["enableWaf"] is values()["enableWafv2"] is False
    assert values(webAclArn=WEB_ACL)["enableWafv2"] is True


# The class


def test_the_class_names_its_parameters_and_its_controller(stack: str) -> None:
    recorded = record_program(stack)
    made, parameters = recorded.one(INGRESS_CLASS), recorded.one(PARAMETERS)
    assert made.inputs["metadata"]["name"] == "alb"
    assert made.inputs["spec"] == {
        "controller": "ingress.k8s.aws/alb",
        "parameters": {
            "apiGroup": "elbv2.k8s.aws",
            "kind": "IngressClassParams",
            "name": parameters.inputs["metadata"]["name"],
        },
    }
    assert "annotations" not in made.inputs["metadata"]


def test_parameters_come_after_the_controller_that_admits_them_and_the_class_after_both(stack: str) -> None:
    recorded = record_program(stack)
    release = recorded.one(RELEASE, "load-balancing-controller")
    made, parameters = recorded.one(INGRESS_CLASS), recorded.one(PARAMETERS)
    assert recorded.depends_path(parameters, release)
    assert recorded.depends_path(made, parameters)
    assert recorded.depends_path(parameters, recorded.one("aws:s3/bucketPolicy:BucketPolicy", "store-logs-policy"))


def test_the_controller_outlives_nothing_that_it_needs(stack: str) -> None:
    recorded = record_program(stack)
    release = recorded.one(RELEASE, "load-balancing-controller")
    abilities = ("find-network", "make-load-balancers", "change-load-balancers", "open-node-ports")
    needed = [
        *(
            recorded.one("aws:iam/rolePolicy:RolePolicy", f"load-balancing-controller-{ability}")
            for ability in abilities
        ),
        recorded.one("aws:eks/nodeGroup:NodeGroup", "pools-system"),
        recorded.one(GROUP, "cluster-nodes"),
        *(item for item in recorded.of_type("aws:ec2/route:Route") if "-private-" in item.name),
    ]
    assert [item.name for item in needed if not recorded.depends_path(release, item)] == []


def test_only_namespaces_for_inference_use_the_class(stack: str) -> None:
    recorded = record_program(stack)
    selector = recorded.one(PARAMETERS).inputs["spec"]["namespaceSelector"]
    labels = [item.inputs["metadata"]["labels"] for item in recorded.of_type("kubernetes:core/v1:Namespace")]
    chosen = [each for each in labels if selector["matchLabels"].items() <= each.items()]
    assert chosen
    assert {each["workload-type"] for each in chosen} == {"inference"}
    assert len(chosen) < len(labels)


@pytest.mark.parametrize(
    ("scheme", "role", "side"),
    [
        ("internal", "kubernetes.io/role/internal-elb", "private"),
        ("internet-facing", "kubernetes.io/role/elb", "public"),
    ],
)
def test_a_load_balancer_stands_in_the_subnets_of_its_scheme(scheme: str, role: str, side: str) -> None:
    parameters = class_parameters(spec(scheme=scheme), log_bucket="logs")
    assert (parameters["scheme"], parameters["subnets"]) == (scheme, {"tags": {role: ["1"]}})
    subnets = record_program("prod").of_type("aws:ec2/subnet:Subnet")
    tagged = {subnet.name.split("-")[1] for subnet in subnets if subnet.tags.get(role) == "1"}
    assert tagged == {side}


def test_the_stack_file_decides_who_calls_how_it_is_encrypted_and_what_is_protected(stack: str) -> None:
    recorded, section = record_program(stack), stack_section(stack, "loadBalancing")
    given = recorded.one(PARAMETERS).inputs["spec"]
    assert given["scheme"] == section["scheme"] == "internal"
    assert given["inboundCIDRs"] == section["inboundCidrs"] != []
    assert given["sslPolicy"] == section["tlsPolicy"]
    assert given["targetType"] == "ip"
    assert attributes(given) == {
        "deletion_protection.enabled": str(section["deletionProtection"]).lower(),
        "idle_timeout.timeout_seconds": "60",
        "routing.http.drop_invalid_header_fields.enabled": "true",
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": f"slipway-{stack}-{recorded.exports['accountId']}-{recorded.exports['region']}-logs",
        "access_logs.s3.prefix": "load-balancers",
    }


def test_access_logs_go_below_the_prefix_that_the_bucket_accepts(stack: str) -> None:
    recorded = record_program(stack)
    logs = attributes(recorded.one(PARAMETERS).inputs["spec"])
    policy = recorded.one("aws:s3/bucketPolicy:BucketPolicy", "store-logs-policy").policy()
    (delivery,) = [item for item in policy["Statement"] if item.get("Sid") == "LoadBalancerLogs"]
    path = f"{logs['access_logs.s3.prefix']}/AWSLogs/{recorded.exports['accountId']}/*"
    assert delivery["Resource"] == f"arn:aws:s3:::{logs['access_logs.s3.bucket']}/{path}"


def test_access_logs_that_are_off_name_no_bucket() -> None:
    off = attributes(class_parameters(spec(accessLogs=False), log_bucket="logs"))
    assert off["access_logs.s3.enabled"] == "false"
    assert "access_logs.s3.bucket" not in off


def test_with_a_certificate_http_only_redirects_and_without_one_nothing_is_promised() -> None:
    secured = class_parameters(spec(certificateArns=[CERTIFICATE]), log_bucket="logs")
    assert (secured["certificateArn"], secured["sslRedirectPort"]) == ([CERTIFICATE], "443")
    # The controller refuses a redirect to a port that no listener has.
    assert {"certificateArn", "sslRedirectPort"}.isdisjoint(class_parameters(spec(), log_bucket="logs"))


def test_a_web_acl_stands_in_front_of_every_load_balancer_or_of_none() -> None:
    assert class_parameters(spec(webAclArn=WEB_ACL), log_bucket="logs")["wafv2AclArn"] == WEB_ACL
    assert "wafv2AclArn" not in class_parameters(spec(), log_bucket="logs")


# What the controller may do

OWNER = "elbv2.k8s.aws/cluster"
MADE = {f"aws:RequestTag/{OWNER}": "slipway-prod"}
OURS = {f"aws:ResourceTag/{OWNER}": "slipway-prod"}
THEIRS = {f"aws:ResourceTag/{OWNER}": "slipway-staging"}
NODES = {"aws:ResourceTag/kubernetes.io/cluster/slipway-prod": "owned"}
VPC = {"aws:ResourceTag/Project": "slipway", "aws:ResourceTag/Environment": "prod"}
HERE = {"aws:RequestedRegion": "us-east-1"}
INTERNAL = {**MADE, "elasticloadbalancing:Scheme": "internal"}
STRONG = {"elasticloadbalancing:SecurityPolicy": "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"}
WEAK = {"elasticloadbalancing:SecurityPolicy": "ELBSecurityPolicy-2016-08"}
BY_ELB = {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}
ELB_ROLE = (
    "arn:aws:iam::777788889999:role/aws-service-role/elasticloadbalancing.amazonaws.com/"
    "AWSServiceRoleForElasticLoadBalancing"
)


def controller_may(action: str, resource: str, context: Mapping[str, str], *, overrides: str = "{}") -> bool:
    return may(record_program("prod", overrides=overrides), "slipway-prod-load-balancing", action, resource, context)


@pytest.mark.parametrize(
    ("action", "resource", "context", "allowed"),
    [
        ("elasticloadbalancing:CreateLoadBalancer", f"{PROD}loadbalancer/app/k8s-a/1", INTERNAL, True),
        ("elasticloadbalancing:CreateLoadBalancer", f"{PROD}loadbalancer/app/k8s-a/1", MADE, False),
        (
            "elasticloadbalancing:CreateLoadBalancer",
            f"{PROD}loadbalancer/app/k8s-a/1",
            {**MADE, "elasticloadbalancing:Scheme": "internet-facing"},
            False,
        ),
        ("elasticloadbalancing:CreateLoadBalancer", f"{PROD}loadbalancer/net/k8s-a/1", INTERNAL, False),
        ("elasticloadbalancing:CreateTargetGroup", f"{PROD}targetgroup/k8s-a/1", MADE, True),
        ("elasticloadbalancing:CreateTargetGroup", f"{PROD}targetgroup/k8s-a/1", {}, False),
        ("elasticloadbalancing:CreateListener", f"{PROD}loadbalancer/app/a/1", {**MADE, **OURS, **STRONG}, True),
        ("elasticloadbalancing:CreateListener", f"{PROD}loadbalancer/app/a/1", {**MADE, **OURS}, True),
        ("elasticloadbalancing:CreateListener", f"{PROD}loadbalancer/app/a/1", {**MADE, **OURS, **WEAK}, False),
        ("elasticloadbalancing:CreateListener", f"{PROD}loadbalancer/app/a/1", {**MADE, **THEIRS}, False),
        ("elasticloadbalancing:CreateRule", f"{PROD}listener/app/a/1/2", {**MADE, **OURS}, True),
        ("elasticloadbalancing:CreateRule", f"{PROD}listener/app/a/1/2", MADE, False),
        (
            "elasticloadbalancing:AddTags",
            f"{PROD}listener-rule/app/a/1/2/3",
            {**MADE, "elasticloadbalancing:CreateAction": "CreateRule"},
            True,
        ),
        ("elasticloadbalancing:AddTags", f"{PROD}loadbalancer/app/a/1", MADE, False),
        ("elasticloadbalancing:AddTags", f"{PROD}loadbalancer/app/a/1", OURS, True),
        (
            "elasticloadbalancing:AddTags",
            f"{PROD}loadbalancer/app/a/1",
            {**OURS, f"aws:RequestTag/{OWNER}": "other"},
            False,
        ),
        ("elasticloadbalancing:RemoveTags", f"{PROD}loadbalancer/app/a/1", {**OURS, "aws:TagKeys": "old"}, True),
        ("elasticloadbalancing:RemoveTags", f"{PROD}loadbalancer/app/a/1", {**OURS, "aws:TagKeys": OWNER}, False),
        ("elasticloadbalancing:ModifyListener", f"{PROD}listener/app/a/1/2", {**OURS, **STRONG}, True),
        ("elasticloadbalancing:ModifyListener", f"{PROD}listener/app/a/1/2", {**OURS, **WEAK}, False),
        ("elasticloadbalancing:ModifyRule", f"{PROD}listener-rule/app/a/1/2/3", OURS, True),
        ("elasticloadbalancing:SetRulePriorities", f"{PROD}listener-rule/app/a/1/2/3", OURS, True),
        ("elasticloadbalancing:RegisterTargets", f"{PROD}targetgroup/k8s-a/1", OURS, True),
        ("elasticloadbalancing:RegisterTargets", f"{PROD}targetgroup/somebody/1", {}, False),
        ("elasticloadbalancing:DeleteLoadBalancer", f"{PROD}loadbalancer/app/k8s-a/1", OURS, True),
        ("elasticloadbalancing:DeleteLoadBalancer", f"{PROD}loadbalancer/app/k8s-a/1", THEIRS, False),
        ("elasticloadbalancing:DeleteLoadBalancer", f"{PROD}loadbalancer/app/by-hand/1", {}, False),
        ("elasticloadbalancing:DescribeTargetHealth", "*", HERE, True),
        ("elasticloadbalancing:DescribeTargetHealth", "*", {"aws:RequestedRegion": "eu-west-1"}, False),
        ("elasticloadbalancing:SetWebAcl", "*", HERE, False),
        ("wafv2:AssociateWebACL", WEB_ACL, {}, False),
        ("ec2:CreateSecurityGroup", f"{EC2}vpc/vpc-1", VPC, True),
        ("ec2:CreateSecurityGroup", f"{EC2}vpc/vpc-2", {**VPC, "aws:ResourceTag/Environment": "dev"}, False),
        ("ec2:CreateSecurityGroup", f"{EC2}security-group/sg-1", MADE, True),
        ("ec2:CreateSecurityGroup", f"{EC2}security-group/sg-1", {}, False),
        ("ec2:CreateTags", f"{EC2}security-group/sg-1", {**MADE, "ec2:CreateAction": "CreateSecurityGroup"}, True),
        ("ec2:CreateTags", f"{EC2}security-group/sg-1", MADE, False),
        ("ec2:CreateTags", f"{EC2}instance/i-1", {**MADE, "ec2:CreateAction": "CreateSecurityGroup"}, False),
        ("ec2:AuthorizeSecurityGroupIngress", f"{EC2}security-group/sg-nodes", NODES, True),
        ("ec2:RevokeSecurityGroupIngress", f"{EC2}security-group/sg-nodes", NODES, True),
        ("ec2:AuthorizeSecurityGroupIngress", f"{EC2}security-group/sg-1", OURS, True),
        ("ec2:AuthorizeSecurityGroupIngress", f"{EC2}security-group/sg-endpoints", {}, False),
        ("ec2:AuthorizeSecurityGroupEgress", f"{EC2}security-group/sg-nodes", NODES, False),
        ("ec2:DeleteSecurityGroup", f"{EC2}security-group/sg-1", OURS, True),
        ("ec2:DeleteSecurityGroup", f"{EC2}security-group/sg-nodes", NODES, False),
        ("ec2:DescribeRouteTables", "*", HERE, True),
        ("ec2:GetSecurityGroupsForVpc", f"{EC2}vpc/vpc-1", VPC, True),
        ("acm:DescribeCertificate", CERTIFICATE, {}, True),
        ("acm:DescribeCertificate", CERTIFICATE.replace("us-east-1", "eu-west-1"), {}, False),
        ("acm:ExportCertificate", CERTIFICATE, {}, False),
        ("iam:CreateServiceLinkedRole", ELB_ROLE, BY_ELB, True),
        ("iam:CreateServiceLinkedRole", ELB_ROLE, {"iam:AWSServiceName": "spot.amazonaws.com"}, False),
        ("iam:PassRole", "arn:aws:iam::777788889999:role/slipway-prod-node", {}, False),
    ],
)
def test_the_controller_works_on_what_belongs_to_its_cluster_and_on_nothing_else(
    action: str, resource: str, context: Mapping[str, str], *, allowed: bool
) -> None:
    assert controller_may(action, resource, context) is allowed


def test_with_a_web_acl_the_controller_uses_that_one_and_no_other() -> None:
    overrides = json.dumps({"loadBalancing": {"webAclArn": WEB_ACL}})
    balancer = f"{PROD}loadbalancer/app/k8s-a/1"
    assert controller_may("wafv2:AssociateWebACL", WEB_ACL, {}, overrides=overrides)
    assert controller_may("wafv2:AssociateWebACL", balancer, {}, overrides=overrides)
    assert controller_may("elasticloadbalancing:SetWebAcl", "*", HERE, overrides=overrides)
    assert not controller_may("wafv2:AssociateWebACL", WEB_ACL.replace("edge", "other"), {}, overrides=overrides)
    assert not controller_may("wafv2:UpdateWebACL", WEB_ACL, {}, overrides=overrides)


def test_the_longest_names_leave_the_policies_of_the_controller_within_what_aws_accepts() -> None:
    account = iam.Account(Partition.GOV_CLOUD, "123456789012", "us-gov-west-1")
    web_acl = account.arn("wafv2", f"regional/webacl/{'x' * 128}/01234567-89ab-cdef-0123-456789abcdef")
    duty = BalancerDuty(
        account=account,
        cluster=f"slipway-{'x' * 12}",
        vpc_tags={"Project": "slipway", "Environment": "x" * 12},
        scheme=Scheme.INTERNET_FACING,
        tls_policy="ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        web_acl_arn=web_acl,
    )
    assert 5_000 < sum(map(len, controller_policies(duty).values())) <= iam.MAX_ROLE_POLICY
