"""Teams as they are registered: namespaces, bounds, identities and access."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components import resource_policies, tenancy_objects
from components.priority_levels import HEADROOM, LEVELS, SERVING, TRAINING
from tests.settings.stacks import decoded, settings_of
from tests.support.rbac import BINDING, ROLE, TABLE, Question
from tests.support.recorded import STACKS, Recorded, Resource, record_program, stack_section
from tests.support.teams import record_teams, search

NAMESPACE = "kubernetes:core/v1:Namespace"
QUOTA = "kubernetes:core/v1:ResourceQuota"
ACCOUNT = "kubernetes:core/v1:ServiceAccount"
ENTRY = "aws:eks/accessEntry:AccessEntry"
POLICY = "aws:iam/rolePolicy:RolePolicy"
REPOSITORY = "aws:ecr/repository:Repository"
REPOSITORY_POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"
DUTIES = ("view", "deploy", "release")
PULL = {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"}
PUSH = {"ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"}


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def spaces(stack: str) -> list[dict[str, Any]]:
    """The namespaces of the settings, each with its team."""
    return [{**space, "team": team} for team in stack_section(stack, "teams") for space in team["namespaces"]]


def inside(recorded: Recorded, token: str, namespace: str) -> dict[str, Resource]:
    """Objects of a type in a namespace by name."""
    return {
        item.inputs["metadata"]["name"]: item
        for item in recorded.of_type(token)
        if item.inputs["metadata"]["namespace"] == namespace
    }


def by_urn(recorded: Recorded) -> dict[str, Resource]:
    return {item.urn: item for item in recorded.resources}


def allowed(policy: dict[str, Any]) -> dict[str, set[str]]:
    """Action → roles that a repository policy lets do it, each by a condition that nobody else meets."""
    roles: dict[str, set[str]] = {}
    for statement in policy["Statement"]:
        assert statement.keys() == {"Sid", "Effect", "Principal", "Action", "Condition"}
        assert (statement["Effect"], statement["Principal"]) == ("Allow", {"AWS": "*"})
        assert statement["Condition"].keys() == {"ArnEquals"}
        assert statement["Condition"]["ArnEquals"].keys() == {"aws:PrincipalArn"}
        for action in statement["Action"]:
            roles.setdefault(action, set()).update(statement["Condition"]["ArnEquals"]["aws:PrincipalArn"])
    return roles


# Adding a team


def test_another_team_only_adds_resources() -> None:
    before, after = by_urn(record_teams()), by_urn(record_teams(last=True))
    added = {urn.rpartition("::")[2] for urn in after.keys() - before.keys()}
    assert {"tenancy-search-training", "tenancy-search-training-quota", "tenancy-search-deployer"} <= added
    assert {"tenancy-search-images", "tenancy-search-images-lifecycle", "tenancy-search-images-policy"} <= added
    assert all("search" in name for name in added)
    assert before.keys() <= after.keys()
    ours = [urn for urn in before if before[urn].custom or before[urn].remote]
    assert [urn for urn in ours if before[urn] != after[urn]] == []


def test_the_order_of_the_teams_changes_no_resource() -> None:
    before, after = by_urn(record_teams(last=True)), by_urn(record_teams(first=True))
    assert before.keys() == after.keys()
    assert [urn for urn, item in before.items() if item.custom and item != after[urn]] == []


def test_a_role_of_two_teams_has_one_access_entry_with_both_groups() -> None:
    content = decoded()
    content["slipway:teams"].append(search())
    content["slipway:teams"][1]["access"]["view"] = content["slipway:teams"][0]["access"]["view"]
    viewer = "arn:aws:iam::777788889999:role/ml-platform-viewer"
    for teams in (settings_of(content).teams, settings_of(content).teams[::-1]):
        groups = tenancy_objects.groups_of_roles(teams)
        assert groups[viewer] == ["slipway:ml-platform:view", "slipway:search:view"]


def test_a_namespace_without_buckets_has_an_account_without_a_role_and_a_team_that_pays() -> None:
    recorded = record_teams(last=True)
    assert "annotations" not in inside(recorded, ACCOUNT, "search-training")["workload"].inputs["metadata"]
    assert not [item for item in recorded.of_type("aws:iam/role:Role") if "search" in item.name]
    labels = recorded.one(NAMESPACE, "tenancy-search-training").inputs["metadata"]["labels"]
    assert (labels["cost-center"], labels["slipway.dev/team"]) == ("search", "search")


# Namespaces


def test_the_two_namespaces_carry_the_labels_that_they_are_known_by(stack: str) -> None:
    wanted = {"ml-training": ("training", "research"), "ml-inference": ("inference", "production")}
    labels = {
        item.inputs["metadata"]["name"]: item.inputs["metadata"]["labels"]
        for item in record_program(stack).of_type(NAMESPACE)
    }
    assert {
        name: (each["workload-type"], each["cost-center"]) for name, each in labels.items() if "workload-type" in each
    } == wanted
    assert {labels[name]["slipway.dev/team"] for name in wanted} == {"ml-platform"}


def test_pods_behind_a_load_balancer_are_ready_once_it_has_found_them_healthy(stack: str) -> None:
    wanted = {space["name"]: "enabled" for space in spaces(stack) if space["loadBalancerSubnets"]}
    found = {
        item.inputs["metadata"]["name"]: item.inputs["metadata"]["labels"].get(tenancy_objects.BALANCED_LABEL)
        for item in record_program(stack).of_type(NAMESPACE)
    }
    assert {name: label for name, label in found.items() if label} == wanted == {"ml-inference": "enabled"}


def test_every_namespace_of_the_program_admits_only_restricted_pods(stack: str) -> None:
    recorded = record_program(stack)
    version = stack_section(stack, "cluster")["version"]
    for item in recorded.of_type(NAMESPACE):
        if item.name.startswith(("tenancy-", "headroom")):
            labels = item.inputs["metadata"]["labels"]
            for mode in ("enforce", "audit", "warn"):
                assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
                assert labels[f"pod-security.kubernetes.io/{mode}-version"] == f"v{version}"


def test_quotas_are_those_of_the_settings_and_count_gpus_and_load_balancers(stack: str) -> None:
    recorded = record_program(stack)
    for space in spaces(stack):
        quota = space["quota"]
        hard = inside(recorded, QUOTA, space["name"])["quota"].inputs["spec"]["hard"]
        assert hard == {
            "requests.cpu": str(quota["cpu"]),
            "requests.memory": f"{quota['memoryGib']}Gi",
            "limits.memory": f"{quota['memoryGib']}Gi",
            "requests.nvidia.com/gpu": str(quota["gpus"]),
            "pods": str(quota["pods"]),
            "requests.storage": f"{quota['storageGib']}Gi",
            "services.loadbalancers": str(quota["loadBalancers"]),
            "services.nodeports": "0",
            "count/ingresses.networking.k8s.io": str(quota["loadBalancers"]),
        }


def test_a_container_that_says_nothing_gets_what_the_quota_counts(stack: str) -> None:
    recorded = record_program(stack)
    for space in spaces(stack):
        (limits,) = inside(recorded, "kubernetes:core/v1:LimitRange", space["name"])["limits"].inputs["spec"]["limits"]
        wanted = space["limits"]
        assert limits["type"] == "Container"
        memory = f"{wanted['defaultMemoryMib']}Mi"
        assert limits["defaultRequest"] == {"cpu": f"{wanted['defaultCpuMillis']}m", "memory": memory}
        assert limits["default"] == {"cpu": f"{wanted['maxCpuMillis']}m", "memory": memory}
        assert limits["max"] == {"cpu": f"{wanted['maxCpuMillis']}m", "memory": f"{wanted['maxMemoryMib']}Mi"}


def test_no_pod_of_a_team_takes_the_priority_of_a_controller_and_no_training_that_of_a_server(stack: str) -> None:
    recorded = record_program(stack)
    for space in spaces(stack):
        spec = inside(recorded, QUOTA, space["name"])["foreign-priorities"].inputs["spec"]
        assert spec["hard"] == {"pods": "0"}
        (scope,) = spec["scopeSelector"]["matchExpressions"]
        assert (scope["scopeName"], scope["operator"]) == ("PriorityClass", "In")
        critical = {"system-cluster-critical", "system-node-critical"}
        assert set(scope["values"]) == critical | ({"serving"} if space["workloadType"] == "training" else set())


def test_the_default_account_of_every_namespace_mounts_no_token(stack: str) -> None:
    recorded = record_program(stack)
    patched = recorded.of_type("kubernetes:core/v1:ServiceAccountPatch")
    assert {item.inputs["metadata"]["name"] for item in patched} == {"default"}
    closed = {item.inputs["metadata"]["namespace"] for item in patched}
    assert {space["name"] for space in spaces(stack)} | {"headroom"} <= closed
    assert [item for item in patched if item.inputs["automountServiceAccountToken"] is not False] == []


# Priorities


def test_serving_comes_before_training_batch_and_placeholders_and_batch_displaces_nobody(stack: str) -> None:
    classes = record_program(stack).of_type("kubernetes:scheduling.k8s.io/v1:PriorityClass")
    by_value = sorted((item.inputs for item in classes), key=lambda spec: -spec["value"])
    assert [spec["metadata"]["name"] for spec in by_value] == [level.name for level in LEVELS]
    preempting = {spec["metadata"]["name"] for spec in by_value if spec["preemptionPolicy"] == "PreemptLowerPriority"}
    assert preempting == {SERVING.name, TRAINING.name}
    assert not [spec for spec in by_value if spec.get("globalDefault")]
    # A pod without a class has 0; above a billion Kubernetes keeps for itself.
    assert HEADROOM.value < 0 < min(spec["value"] for spec in by_value[:-1])
    assert by_value[0]["value"] <= 1_000_000_000


# Identities


def test_the_service_account_names_the_role_that_trusts_it(stack: str) -> None:
    recorded = record_program(stack)
    for space in spaces(stack):
        account = inside(recorded, ACCOUNT, space["name"])["workload"].inputs
        assert account["automountServiceAccountToken"] is False
        role = recorded.one("aws:iam/role:Role", f"tenancy-{space['name']}-workload-role")
        arn = account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
        assert arn == f"arn:aws:iam::{recorded.exports['accountId']}:role/{role.inputs['name']}"
        assert f"system:serviceaccount:{space['name']}:workload" in role.inputs["assumeRolePolicy"]


def test_workloads_reach_their_prefixes_of_the_buckets_and_nothing_else() -> None:
    prod = record_program("prod")
    data, models = (f"arn:aws:s3:::{prod.exports[name]}" for name in ("dataBucket", "modelsBucket"))
    granted = {
        item.name.removeprefix("tenancy-"): [
            (statement["Action"], statement["Resource"], statement.get("Condition"))
            for statement in item.policy()["Statement"]
        ]
        for item in prod.of_type(POLICY)
        if item.name.startswith("tenancy-")
    }
    through_s3 = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    key, ours = prod.exports["keyArn"], {"StringLike": {"s3:prefix": ["flight-delay/*"]}}
    assert granted == {
        "ml-training-workload-read-data": [
            ("s3:GetObject", [f"{data}/flight-delay/*"], None),
            ("s3:ListBucket", data, ours),
        ],
        "ml-training-workload-write-models": [
            (["s3:PutObject", "s3:AbortMultipartUpload"], [f"{models}/experiments/*"], None)
        ],
        "ml-training-workload-use-key": [(["kms:Decrypt", "kms:GenerateDataKey"], key, through_s3)],
        "ml-inference-workload-read-models": [
            ("s3:GetObject", [f"{models}/flight-delay/*"], None),
            ("s3:ListBucket", models, ours),
        ],
        "ml-inference-workload-use-key": [("kms:Decrypt", key, through_s3)],
    }


# Images


def test_every_team_has_one_repository_like_those_of_the_models(stack: str) -> None:
    recorded = record_program(stack)
    teams = [team["name"] for team in stack_section(stack, "teams")]
    made = {item.name: item for item in recorded.of_type(REPOSITORY)}
    assert {name for name in made if name.startswith("tenancy-")} == {f"tenancy-{team}-images" for team in teams}
    model = made[f"store-{stack_section(stack, 'models')[0]['name']}"]
    lifecycles = {
        item.name: item.inputs["policy"] for item in recorded.of_type("aws:ecr/lifecyclePolicy:LifecyclePolicy")
    }
    for team in teams:
        ours = made[f"tenancy-{team}-images"]
        assert ours.inputs == {**model.inputs, "name": f"slipway-{stack}/team-{team}"}
        assert ours.protect == model.protect
        assert lifecycles[f"{ours.name}-lifecycle"] == lifecycles[f"{model.name}-lifecycle"]
    assert recorded.exports["teamEcrRepos"].keys() == set(teams)


def test_all_roles_of_a_team_pull_its_images_and_only_those_that_deploy_push_them(stack: str) -> None:
    recorded = record_program(stack)
    for team in stack_section(stack, "teams"):
        access = team["access"]
        policy = recorded.one(REPOSITORY_POLICY, f"tenancy-{team['name']}-images-policy").policy()
        assert allowed(policy) == {
            **{action: {*access["view"], *access["deploy"], *access["release"]} for action in PULL},
            **{action: set(access["deploy"]) for action in PUSH},
        }


def test_roles_that_nobody_holds_leave_no_statement_and_a_team_without_roles_no_policy() -> None:
    text = resource_policies.repository_policy(pull=["arn:aws:iam::777788889999:role/reader"], push=())
    assert text is not None
    assert allowed(json.loads(text)).keys() == PULL
    assert resource_policies.repository_policy(pull=(), push=()) is None


# Access


def test_every_iam_role_of_a_team_is_in_its_groups_and_in_no_policy_of_eks(stack: str) -> None:
    recorded = record_program(stack)
    entries = {item.inputs["principalArn"]: item.inputs for item in recorded.of_type(ENTRY)}
    associated = {
        item.inputs["principalArn"]
        for item in recorded.of_type("aws:eks/accessPolicyAssociation:AccessPolicyAssociation")
    }
    for team in stack_section(stack, "teams"):
        for duty, arns in team["access"].items():
            for arn in arns:
                assert entries[arn]["type"] == "STANDARD"
                assert entries[arn]["kubernetesGroups"] == [f"slipway:{team['name']}:{duty}"]
                assert arn not in associated


def test_each_duty_is_a_role_in_each_namespace_bound_to_the_group_of_its_team(stack: str) -> None:
    recorded = record_program(stack)
    for space in spaces(stack):
        bindings = inside(recorded, BINDING, space["name"])
        assert bindings.keys() == inside(recorded, ROLE, space["name"]).keys()
        assert bindings.keys() - {"argo-rollouts-change", "release-flight-delay"} == set(DUTIES)
        for duty in DUTIES:
            binding = bindings[duty]
            assert binding.inputs["roleRef"] == {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": duty,
            }
            (subject,) = binding.inputs["subjects"]
            assert (subject["kind"], subject["name"]) == ("Group", f"slipway:{space['team']['name']}:{duty}")
    everywhere = [
        subject["name"]
        for item in recorded.resources
        if item.type == "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
        for subject in item.inputs["subjects"]
    ]
    assert set(everywhere) <= {"argo-rollouts", "prometheus-adapter"}, "no person and no team has a right everywhere"


@pytest.mark.parametrize("duty", DUTIES)
def test_a_duty_may_do_what_the_table_says_and_nothing_that_it_refuses(duty: str) -> None:
    prod, table = record_program("prod"), TABLE["duties"][duty]
    for space in spaces("prod"):
        rules = inside(prod, ROLE, space["name"])[duty].inputs["rules"]
        answers = {text: Question.of(text).allowed_by(rules) for text in [*table["may"], *table["may_not"]]}
        assert [text for text, answer in answers.items() if answer] == table["may"]
        assert [text for text in TABLE["everywhere"] if Question.of(text).allowed_by(rules)] == []


def test_the_table_speaks_of_every_kind_of_object_that_a_role_names() -> None:
    for duty in DUTIES:
        asked = {Question.of(text).resource for text in TABLE["duties"][duty]["may"]}
        named = {
            kind
            for rule in record_program("prod").one(ROLE, f"tenancy-ml-training-{duty}").inputs["rules"]
            for kind in rule["resources"]
        }
        readable = {kind for text in TABLE["duties"]["view"]["may"] for kind in [Question.of(text).resource]}
        assert named <= asked | readable | {"daemonsets", "statefulsets", "endpoints", "statefulsets/scale"}


def test_groups_do_not_begin_with_what_eks_keeps_for_itself() -> None:
    names = [tenancy_objects.group("system", duty) for duty in tenancy_objects.DUTIES]
    assert not [name for name in names if name.startswith(("system:", "eks:", "aws:", "amazon:", "iam:"))]
