"""One value that is wrong by itself, and several together: the whole text that the user reads."""

import pytest

from settings.model import PATTERNS
from settings.parse import parse
from settings.problems import SettingsError
from settings.schema import stack_file_schema
from tests.settings.cases import MISTAKES, Case
from tests.settings.stacks import GONE, changed, encoded, problems
from tests.support.optional import APPROVED, CERTIFICATE
from tests.support.served import another


@pytest.mark.parametrize("case", MISTAKES, ids=str)
def test_a_mistake_is_told_in_one_line_with_its_remedy_at_the_end(case: Case) -> None:
    assert problems(case.content) == [case.line]


def test_problems_of_all_sections_and_rules_come_together_in_the_order_of_the_file() -> None:
    lines = problems(
        changed(
            {
                "aws:region": "eu-west-1",
                "modles": [],
                "cluster.version": 1.35,
                "cluster.adminRoleArns.0": "arn:aws:iam::111122223333:role/admin",
                "nodePools.1.minSzie": 1,
                "nodePools.1.minSize": GONE,
                "nodePools.0.capacity": "spot",
                "nodePools.4.minSize": 99,
                "network.zones.1": "us-west-2b",
                "network.publicPrefix": "24",
                "teams": GONE,
                "store.forceDestroy": True,
            }
        )
    )
    assert [line.split(" · ")[0] for line in lines] == [
        "slipway:network.zones[1]",
        "slipway:network.publicPrefix",
        "slipway:store.forceDestroy",
        "slipway:cluster.version",
        "slipway:cluster.adminRoleArns[0]",
        "slipway:nodePools[0].capacity",
        "slipway:nodePools[1].minSize",
        "slipway:nodePools[1].minSzie",
        "slipway:nodePools[4].minSize",
        "slipway:teams",
        "slipway:modles",
        "aws:region",
    ]


def test_the_message_counts_its_problems_and_says_that_nothing_was_created() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(encoded(changed({"network.publicPrefix": 28, "store.keyDeletionDays": 31})), file="Pulumi.x.yaml")
    head, *lines = str(caught.value).splitlines()
    assert head == "2 problems in the settings; nothing was created."
    assert lines == [f"  {problem}" for problem in caught.value.problems]
    assert lines[0].startswith("  Pulumi.x.yaml · slipway:network.publicPrefix · found 28 · allowed: ")
    assert lines[0].endswith("lower it to 27 or less")


def test_a_rule_is_silent_about_a_value_that_is_wrong_by_itself() -> None:
    lines = problems(changed({"nodePools.1.maxSize": "20", "nodePools.1.minSize": 21}))
    assert [line.split(" · ")[0] for line in lines] == ["slipway:nodePools[1].maxSize"]


def test_a_file_without_any_setting_names_every_section_once() -> None:
    with pytest.raises(SettingsError) as caught:
        parse({}, file="Pulumi.x.yaml")
    assert [problem.key for problem in caught.value.problems] == list(
        stack_file_schema()["properties"]["config"]["properties"]
    )
    assert {problem.found for problem in caught.value.problems} == {"nothing"}


def test_all_that_is_wrong_with_how_models_are_served_is_refused_together_with_remedies() -> None:
    front = {"kind": "alb", "host": "delays.example.com", "paths": ["/invocations"]}
    pods = "models.0.serving.eks"
    lines = problems(
        changed(
            {
                "loadBalancing.certificateArns": [CERTIFICATE],
                "models.0.approved": APPROVED | {"imageDigest": "registry.example/flight-delay:v3"},
                f"{pods}.rollout.weights": [50, 25],
                f"{pods}.autoscaling.minPods": 12,
                f"{pods}.targetRequestsPerSecond": 100_000,
                f"{pods}.frontEnd": front,
                "models.1": another("second", front),
            }
        )
    )
    first = "slipway:models[0].serving.eks"
    found = {line.split(" · ")[0]: line.split(" · ")[-1] for line in lines}
    assert len(found) == len(lines)
    assert found == {
        f"{first}.autoscaling.minPods": "lower it to 10, or raise maxPods",
        f"{first}.targetRequestsPerSecond": "raise autoscaling.maxPods to 100, or give a pod more and measure it again",
        f"{first}.rollout.weights": "write [25, 50]",
        "slipway:models[0].approved.imageDigest": "write the digest, for a tag may name another image tomorrow: it "
        "stands with the version as packaged-image, and aws ecr describe-images --repository-name <repository> "
        "--image-ids imageTag=<tag> tells it",
        "slipway:models[1].serving.eks.frontEnd.host": "give each model a host of its own",
    }


@pytest.mark.parametrize("text", ["hello", "5", "true", "", "[", "NaN", "[1]", "[" * 100_000])
def test_a_section_that_is_no_mapping_is_one_problem_whatever_its_text(text: str) -> None:
    (line,) = problems(changed({"network": text}))
    assert line.startswith("slipway:network · found ")
    assert line.endswith("write its keys, indented, below network:")


def test_an_encrypted_setting_is_refused_without_showing_it() -> None:
    content = encoded(changed({"aws:secretKey": "ciphertext", "vault": "ciphertext"}))
    secrets = {"slipway:network", "slipway:vault", "aws:secretKey"}
    with pytest.raises(SettingsError) as caught:
        parse(content, file="Pulumi.x.yaml", secrets=secrets)
    first, second = caught.value.problems
    assert (first.key, first.found) == ("slipway:network", "an encrypted value")
    assert first.remedy == "write the value itself instead of secure:"
    assert (second.key, second.found, second.remedy) == ("slipway:vault", "an unknown key", "remove it")
    assert "ciphertext" not in str(caught.value)


def test_an_encrypted_key_that_no_section_has_is_refused_when_all_else_is_right() -> None:
    content = encoded(changed({"vault": "ciphertext"}))
    with pytest.raises(SettingsError) as caught:
        parse(content, file="Pulumi.x.yaml", secrets={"slipway:vault"})
    (problem,) = caught.value.problems
    assert (problem.key, problem.remedy) == ("slipway:vault", "remove it")


def test_a_key_or_value_with_a_line_break_stays_on_one_line() -> None:
    lines = problems(changed({"store.a\nb": 1, "network.interfaceEndpoints": ["x\ny", "x\ny", "logs"], "c\nd": 1}))
    assert [line.split(" · ")[0] for line in lines] == [
        "slipway:network.interfaceEndpoints[0]",
        "slipway:network.interfaceEndpoints[1]",
        "slipway:network.interfaceEndpoints[1]",
        r'slipway:store["a\nb"]',
        r'"slipway:c\nd"',
    ]
    assert not any("\n" in line for line in lines)


def test_an_encrypted_value_of_another_package_is_left_alone() -> None:
    content = encoded(changed({"datadog:apiKey": "ciphertext"}))
    assert parse(content, file="x", secrets={"datadog:apiKey"}).environment.name == "prod"


def patterns(node: object) -> set[object]:
    match node:
        case list():
            return set[object]().union(*map(patterns, node))  # pyright: ignore[reportUnknownArgumentType] - any JSON
        case {"pattern": str(pattern)}:
            return {pattern}
        case dict():
            return set[object]().union(*map(patterns, node.values()))  # pyright: ignore[reportUnknownArgumentType] - any JSON
        case _:
            return set()


def test_every_pattern_of_the_schema_is_explained_in_words() -> None:
    assert patterns(stack_file_schema()["$defs"]) == set(PATTERNS)
