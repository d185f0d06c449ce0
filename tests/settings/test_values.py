"""One value that is wrong by itself: every kind of mistake, and the whole line that the user reads."""

from typing import Any, Final

import pytest

from settings.model import PATTERNS
from settings.parse import parse
from settings.problems import SettingsError
from settings.schema import stack_file_schema
from tests.settings.stacks import GONE, changed, encoded, problems

MISTAKES: Final[list[tuple[str, dict[str, Any], str]]] = [
    (
        "unknown key in a section",
        {"network.natGateway": "single"},
        "slipway:network.natGateway · found an unknown key · allowed: cidr, zones, publicPrefix, privatePrefix, natGateways, flowLogRetentionDays or interfaceEndpoints · write natGateways instead",
    ),
    (
        "unknown key in snake case",
        {"nodePools.1.max_size": 3},
        "slipway:nodePools[1].max_size · found an unknown key · allowed: name, role, capacity, instanceTypes, minSize, desiredSize, maxSize, diskGib or maxUnavailable · write maxSize instead",
    ),
    (
        "unknown key like nothing",
        {"store.xyzzy": 3},
        "slipway:store.xyzzy · found an unknown key · allowed: keyDeletionDays, noncurrentVersionDays, accessLogDays, untaggedImageDays or forceDestroy · remove it",
    ),
    (
        "unknown section",
        {"nodePool": []},
        "slipway:nodePool · found an unknown key · allowed: environment, network, store, cluster, nodePools, namespaces or models · write nodePools instead",
    ),
    (
        "unknown namespace",
        {"slipwya:network": "x"},
        "slipwya:network · found an unknown namespace · allowed: slipway: and the names of Pulumi packages · write slipway:network instead",
    ),
    (
        "missing key",
        {"nodePools.1.minSize": GONE},
        "slipway:nodePools[1].minSize · found nothing · allowed: a whole number, 0 to 450 · add minSize (Fewest nodes)",
    ),
    (
        "missing section",
        {"namespaces": GONE},
        "slipway:namespaces · found nothing · allowed: a list, at least 1 entries · add namespaces (Kubernetes namespaces for workloads)",
    ),
    (
        "a number in quotes",
        {"network.publicPrefix": "24"},
        'slipway:network.publicPrefix · found "24" · allowed: a whole number, 20 to 27 · remove the quotes: 24',
    ),
    (
        "a fraction for a whole number",
        {"network.publicPrefix": 24.5},
        "slipway:network.publicPrefix · found 24.5 · allowed: a whole number, 20 to 27 · write a whole number, 20 to 27",
    ),
    (
        "a whole number written as a fraction",
        {"network.publicPrefix": 24.0},
        "slipway:network.publicPrefix · found 24.0 · allowed: a whole number, 20 to 27 · write 24",
    ),
    (
        "words for a number",
        {"network.publicPrefix": "many"},
        "slipway:network.publicPrefix · found many · allowed: a whole number, 20 to 27 · write a whole number, 20 to 27",
    ),
    (
        "a version without quotes",
        {"cluster.version": 1.35},
        'slipway:cluster.version · found 1.35 · allowed: "1.35" (standard support until 2027-03-27) or "1.36" (standard support until 2027-08-02) · put it in quotes: "1.35"',
    ),
    (
        "an unsupported version",
        {"cluster.version": "1.34"},
        'slipway:cluster.version · found "1.34" · allowed: "1.35" (standard support until 2027-03-27) or "1.36" (standard support until 2027-08-02) · write "1.36"',
    ),
    (
        "an account without quotes",
        {"environment.accountId": 777788889999},
        'slipway:environment.accountId · found 777788889999 · allowed: twelve digits in quotes, such as "111122223333" · put it in quotes: "777788889999"',
    ),
    (
        "a short account",
        {"environment.accountId": "77778888999"},
        'slipway:environment.accountId · found "77778888999" · allowed: twelve digits in quotes, such as "111122223333" · write it in that form',
    ),
    (
        "a switch in quotes",
        {"cluster.publicEndpoint": "no"},
        'slipway:cluster.publicEndpoint · found "no" · allowed: true or false · write false, without quotes',
    ),
    (
        "a number for a switch",
        {"cluster.publicEndpoint": 1},
        "slipway:cluster.publicEndpoint · found 1 · allowed: true or false · write true or false",
    ),
    (
        "a retention that CloudWatch lacks",
        {"network.flowLogRetentionDays": 31},
        "slipway:network.flowLogRetentionDays · found 31 · allowed: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 · write 60",
    ),
    (
        "a retention above the longest",
        {"network.flowLogRetentionDays": 9999},
        "slipway:network.flowLogRetentionDays · found 9999 · allowed: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 · write 3653",
    ),
    (
        "a retention in quotes",
        {"network.flowLogRetentionDays": "30"},
        'slipway:network.flowLogRetentionDays · found "30" · allowed: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 · remove the quotes: 30',
    ),
    (
        "a misspelt choice",
        {"network.natGateways": "perzone"},
        "slipway:network.natGateways · found perzone · allowed: single or per-zone · write per-zone",
    ),
    (
        "a choice like nothing",
        {"network.natGateways": "xyz"},
        "slipway:network.natGateways · found xyz · allowed: single or per-zone · write one of them",
    ),
    (
        "a range with host bits",
        {"network.cidr": "10.48.0.1/16"},
        "slipway:network.cidr · found 10.48.0.1/16 · allowed: an IPv4 range in CIDR notation, such as 10.0.0.0/16 · write 10.48.0.0/16, the first address of that range",
    ),
    (
        "a range that is none",
        {"network.cidr": "10.48.0.256/16"},
        "slipway:network.cidr · found 10.48.0.256/16 · allowed: an IPv4 range in CIDR notation, such as 10.0.0.0/16 · write four numbers from 0 to 255 with dots between them, a slash and the prefix length",
    ),
    (
        "a number for a range",
        {"network.cidr": 10},
        "slipway:network.cidr · found 10 · allowed: an IPv4 range in CIDR notation, such as 10.0.0.0/16 · write it in that form",
    ),
    (
        "a name with capitals",
        {"environment.name": "Prod Two"},
        'slipway:environment.name · found "Prod Two" · allowed: lower-case letters, digits and single hyphens, starting with a letter, such as flight-delay, at most 12 characters · write prod-two',
    ),
    (
        "a name that is too long",
        {"environment.name": "production-two"},
        "slipway:environment.name · found production-two · allowed: lower-case letters, digits and single hyphens, starting with a letter, such as flight-delay, at most 12 characters · shorten it to 12 characters",
    ),
    (
        "a name of nothing usable",
        {"environment.name": "42"},
        'slipway:environment.name · found "42" · allowed: lower-case letters, digits and single hyphens, starting with a letter, such as flight-delay, at most 12 characters · write it in that form',
    ),
    (
        "an owner that is too short",
        {"environment.owner": "me"},
        "slipway:environment.owner · found me · allowed: letters, digits, spaces and _ . : / = + - @, which AWS allows in a tag, 3 to 128 characters · write at least 3 characters",
    ),
    (
        "one zone",
        {"network.zones": ["us-east-1a"]},
        "slipway:network.zones · found a list of 1 · allowed: a list, 2 to 4 entries · add 1 more",
    ),
    (
        "five zones",
        {"network.zones": ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1e"]},
        "slipway:network.zones · found a list of 5 · allowed: a list, 2 to 4 entries · remove 1",
    ),
    (
        "text for a list",
        {"network.zones": "us-east-1a"},
        "slipway:network.zones · found us-east-1a · allowed: a list, 2 to 4 entries · write a list: one entry per line, each after a hyphen",
    ),
    (
        "text for a mapping",
        {"cluster.addons": "latest"},
        "slipway:cluster.addons · found latest · allowed: a mapping with the keys vpcCni, kubeProxy, coredns · write its keys, indented, below addons:",
    ),
    (
        "a list for a section",
        {"store": []},
        "slipway:store · found a list of 0 · allowed: a mapping with the keys keyDeletionDays, noncurrentVersionDays, accessLogDays, untaggedImageDays, forceDestroy · write its keys, indented, below store:",
    ),
    (
        "below the least",
        {"store.keyDeletionDays": 6},
        "slipway:store.keyDeletionDays · found 6 · allowed: a whole number, 7 to 30 · raise it to 7 or more",
    ),
    (
        "above the most",
        {"nodePools.1.maxSize": 451},
        "slipway:nodePools[1].maxSize · found 451 · allowed: a whole number, 1 to 450 · lower it to 450 or less",
    ),
    (
        "at the open lower bound",
        {"models.0.training.hyperparameters.eta": 0},
        "slipway:models[0].training.hyperparameters.eta · found 0 · allowed: a number, above 0, at most 1 · write a number above 0",
    ),
    (
        "at the open upper bound",
        {"models.0.gate.minimum": 1},
        "slipway:models[0].gate.minimum · found 1 · allowed: a number, above 0, below 1 · write a number below 1",
    ),
    (
        "null where a value belongs",
        {"environment.region": None},
        "slipway:environment.region · found null · allowed: the code of an AWS region, such as eu-central-1 · write a value",
    ),
    (
        "an add-on without its build",
        {"cluster.addons.coredns": "1.14.3"},
        'slipway:cluster.addons.coredns · found "1.14.3" · allowed: an exact EKS add-on version, such as v1.22.4-eksbuild.3 · write it in that form',
    ),
    (
        "a region of another provider",
        {"aws:region": "eu-west-1"},
        "aws:region · found eu-west-1 · allowed: us-east-1, the value of slipway:environment.region · remove it: the program passes its region to the provider",
    ),
]


@pytest.mark.parametrize(("mistake", "edits", "line"), MISTAKES, ids=[mistake for mistake, _, _ in MISTAKES])
def test_a_mistake_is_told_in_one_line_with_its_remedy_at_the_end(
    mistake: str, edits: dict[str, Any], line: str
) -> None:
    assert mistake
    assert problems(changed(edits)) == [line]


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
                "namespaces": GONE,
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
        "slipway:namespaces",
        "slipway:modles",
        "aws:region",
    ]


def test_the_message_counts_its_problems_and_says_that_nothing_was_created() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(encoded(changed({"network.publicPrefix": 28, "store.keyDeletionDays": 31})), file="Pulumi.x.yaml")
    head, *lines = str(caught.value).splitlines()
    assert head == "2 problems in the settings; nothing was created."
    assert lines == [f"  {problem}" for problem in caught.value.problems]
    assert lines[0].endswith("lower it to 27 or less")


def test_a_rule_is_silent_about_a_value_that_is_wrong_by_itself() -> None:
    lines = problems(changed({"nodePools.1.maxSize": "20", "nodePools.1.minSize": 21}))
    assert [line.split(" · ")[0] for line in lines] == ["slipway:nodePools[1].maxSize"]


def test_a_file_without_any_setting_names_every_section_once() -> None:
    with pytest.raises(SettingsError) as caught:
        parse({}, file="Pulumi.x.yaml")
    keys = [problem.key for problem in caught.value.problems]
    assert keys == list(stack_file_schema()["properties"]["config"]["properties"])
    assert {problem.found for problem in caught.value.problems} == {"nothing"}


@pytest.mark.parametrize("text", ["hello", "5", "true", "null", "", "[", "NaN", "[" * 100_000])
def test_a_section_that_is_no_mapping_is_one_problem_whatever_its_text(text: str) -> None:
    (line,) = problems(changed({"network": text}))
    assert line.startswith("slipway:network · found ")
    assert line.endswith("write its keys, indented, below network:" if text != "null" else "write a value")


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


def test_an_encrypted_value_of_another_package_is_left_alone() -> None:
    content = encoded(changed({"datadog:apiKey": "ciphertext"}))
    assert parse(content, file="x", secrets={"datadog:apiKey"}).environment.name == "prod"


def test_every_pattern_of_the_schema_is_explained_in_words() -> None:
    def patterns(node: object) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(patterns, node))
        if isinstance(node, dict):
            own = {node["pattern"]} if isinstance(node.get("pattern"), str) else set()
            return own.union(*map(patterns, node.values()))
        return set()

    found = patterns(stack_file_schema()["$defs"])
    assert found
    assert found == set(PATTERNS)
