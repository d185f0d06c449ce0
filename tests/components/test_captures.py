"""How captured requests leave a pod: the sidecar, its rights, its way, and what bounds it."""

from __future__ import annotations

import json
from typing import Any

from components.capture_objects import CONTAINER, FOLDER, LAST_SECONDS
from components.serving_pods import CHANGED_BY_RELEASES
from scoring.settings import ServerSettings
from shipping.__main__ import CONNECT_SECONDS, READ_SECONDS, parse
from tests.support.changes import record_changed
from tests.support.iam_evaluator import inline_policies, listed, may
from tests.support.network_policies import NETWORK_POLICY, End, Policies
from tests.support.recorded import Resource, stack_section
from tests.support.served import ROLLING, four_models, of_serving, one_model

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
ROLE = "slipway-prod-flight-delay-capture"
BUCKET = "slipway-prod-777788889999-us-east-1-models"
PREFIX = "flight-delay/captures/eks/main/"
MIB = 1024 * 1024


def template(item: Resource | None = None) -> dict[str, Any]:
    return (item or one_model().one(DEPLOYMENT, "serving-flight-delay")).inputs["spec"]["template"]


def containers() -> tuple[dict[str, Any], dict[str, Any]]:
    """The sidecar and the server."""
    spec = template()["spec"]
    (sidecar,), (server,) = spec["initContainers"], spec["containers"]
    return sidecar, server


def wanted() -> dict[str, Any]:
    return stack_section("prod", "models")[0]["serving"]["eks"]["capture"]


def test_the_server_captures_what_the_settings_say_where_the_sidecar_looks() -> None:
    sidecar, server = containers()
    settings = ServerSettings.load({item["name"]: item.get("value", "7") for item in server["env"]})
    assert (settings.capture_percent, settings.capture_drop) == (wanted()["percent"], ",".join(wanted()["drop"]))
    options = parse(sidecar["args"])
    assert str(options.source) == settings.capture_dir == FOLDER
    assert options.target == f"s3://{BUCKET}/{PREFIX}"
    assert {each["mountPath"] for each in sidecar["volumeMounts"]} == {FOLDER}
    assert FOLDER in {each["mountPath"] for each in server["volumeMounts"]}


def test_the_server_stops_to_capture_before_the_kubelet_would_evict_the_pod() -> None:
    _, server = containers()
    settings = ServerSettings.load({item["name"]: item.get("value", "7") for item in server["env"]})
    (volume,) = (each for each in template()["spec"]["volumes"] if each["name"] == "captures")
    size = int(volume["emptyDir"]["sizeLimit"].removesuffix("Mi")) * MIB
    assert settings.max_capture_disk_bytes == wanted()["diskMib"] * MIB
    assert settings.max_capture_disk_bytes + settings.max_capture_file_bytes <= size
    assert settings.max_capture_disk_bytes >= 2 * settings.max_capture_file_bytes


def test_the_sidecar_runs_the_servers_image_as_restricted_outlives_it_and_has_time_for_the_rest() -> None:
    sidecar, server = containers()
    assert sidecar["restartPolicy"] == "Always"
    assert (sidecar["image"], sidecar["securityContext"]) == (server["image"], server["securityContext"])
    assert "spec.template.spec.initContainers" in CHANGED_BY_RELEASES
    environment = {item["name"]: item.get("value", "") for item in server["env"]}
    ended = server["lifecycle"]["preStop"]["sleep"]["seconds"] + sum(
        float(environment[f"SLIPWAY_{each}_S"]) for each in ("DRAIN", "GRACE")
    )
    last = parse(sidecar["args"]).last_seconds
    assert last == LAST_SECONDS
    assert ended + last + CONNECT_SECONDS + READ_SECONDS < template()["spec"]["terminationGracePeriodSeconds"]


def test_the_sidecar_creates_objects_below_its_models_prefix_and_does_nothing_else() -> None:
    recorded = four_models()
    statements = [one for policy in inline_policies(recorded, ROLE) for one in policy["Statement"]]
    assert {action for one in statements for action in listed(one["Action"])} == {
        "s3:PutObject",
        "kms:GenerateDataKey",
    }
    objects = f"arn:aws:s3:::{BUCKET}"
    assert may(recorded, ROLE, "s3:PutObject", f"{objects}/{PREFIX}2026/11/22/21/00-00-000000-a.jsonl", {})
    for other in ("flight-delay/captures/flight-delay/main/a", "flight-delay/data/a.csv", "by-alb/captures/eks/main/a"):
        assert not may(recorded, ROLE, "s3:PutObject", f"{objects}/{other}", {})


def test_only_the_sidecar_has_the_role_of_its_own_models_account() -> None:
    recorded = four_models()
    account = recorded.one("kubernetes:core/v1:ServiceAccount", "serving-flight-delay-account").inputs["metadata"]
    assert account["annotations"] == {"eks.amazonaws.com/role-arn": f"arn:aws:iam::777788889999:role/{ROLE}"}
    role = next(item for item in recorded.of_type("aws:iam/role:Role") if item.inputs["name"] == ROLE)
    assert f"system:serviceaccount:{account['namespace']}:{account['name']}" in role.inputs["assumeRolePolicy"]
    sidecar, server = containers()
    assert template()["metadata"]["annotations"] == {"eks.amazonaws.com/skip-containers": server["name"]}
    assert sidecar["name"] == CONTAINER != server["name"]


def test_a_models_pods_reach_aws_and_those_of_others_by_their_own_policy_alone() -> None:
    found = [item for item in of_serving(four_models(), "by-alb") if item.type == NETWORK_POLICY]
    policies = Policies([item.inputs for item in found])
    labels = template(four_models().one(DEPLOYMENT, "serving-by-alb"))["metadata"]["labels"]
    pod = End(namespace="ml-inference", address="10.48.33.20", labels=labels)
    s3 = End(address="52.216.1.1")
    assert policies.permit(pod, s3, 443)
    assert not policies.permit(pod, s3, 80)
    assert not policies.permit(pod, End(address="169.254.169.254"), 443)
    (policy,) = found
    assert policy.inputs["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_without_captures_there_is_nothing_of_them() -> None:
    watching = {"models.0.drift": None, "models.0.retraining.drift": False}
    recorded = record_changed({**ROLLING, **watching, "models.0.serving.eks.capture": None})
    ours = of_serving(recorded)
    assert not [item.type for item in ours if item.type.startswith("aws:") or item.type == NETWORK_POLICY]
    text = json.dumps([item.inputs for item in ours])
    assert "capture" not in text.lower()
    assert "initContainers" not in text
