"""What SARIF 2.1.0 (sections 3.13 to 3.49) and GitHub's code scanning require of a log."""

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.reports import RULE, environment, finding, report
from tools import sarif
from tools.reports import Environment

MESSAGE = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "id": {"type": "integer", "minimum": -1},
        "message": MESSAGE,
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation", "region"],
            "additionalProperties": False,
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "required": ["uri"],
                    "additionalProperties": False,
                    "properties": {
                        "uri": {"type": "string", "pattern": r"^(?!/)(?!.*://)[A-Za-z0-9._~!$&'()*+,;=:@%/-]+$"},
                        "uriBaseId": {"const": "%SRCROOT%"},
                    },
                },
                "region": {
                    "type": "object",
                    "required": ["startLine"],
                    "additionalProperties": False,
                    "properties": {"startLine": {"type": "integer", "minimum": 1}},
                },
            },
        },
    },
    "additionalProperties": False,
}
RESULT = {
    "type": "object",
    "required": ["ruleId", "ruleIndex", "message", "level", "locations", "partialFingerprints"],
    "additionalProperties": False,
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "kind": {"const": "fail"},
        "level": LEVEL,
        "message": MESSAGE,
        "locations": {"type": "array", "minItems": 1, "maxItems": 1, "items": LOCATION},
        "relatedLocations": {"type": "array", "uniqueItems": True, "items": LOCATION},
        "partialFingerprints": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}},
        "suppressions": {
            "type": "array",
            "uniqueItems": True,
            "items": {
                "type": "object",
                "required": ["kind"],
                "additionalProperties": False,
                "properties": {
                    "kind": {"enum": ["inSource", "external"]},
                    "status": {"enum": ["accepted", "underReview", "rejected"]},
                    "justification": {"type": "string"},
                },
            },
        },
        "properties": {"type": "object"},
    },
}
DESCRIPTOR = {
    "type": "object",
    "required": ["id", "shortDescription", "fullDescription", "help", "properties"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "name": {"type": "string"},
        "shortDescription": MESSAGE,
        "fullDescription": MESSAGE,
        "help": MESSAGE,
        "defaultConfiguration": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"enabled": {"type": "boolean"}, "level": LEVEL},
        },
        "properties": {
            "type": "object",
            "required": ["tags", "precision", "security-severity"],
            "properties": {
                "tags": {"type": "array", "uniqueItems": True, "items": {"type": "string"}},
                "precision": {"enum": ["very-high", "high", "medium", "low"]},
                "security-severity": {"type": "string", "pattern": r"^(10\.0|\d\.\d)$"},
            },
        },
    },
}
LOG = {
    "type": "object",
    "required": ["$schema", "version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "pattern": "sarif-schema-2.1.0.json$"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "additionalProperties": False,
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "additionalProperties": False,
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name", "rules"],
                                "additionalProperties": False,
                                "properties": {
                                    "name": {"type": "string"},
                                    "semanticVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
                                    "rules": {"type": "array", "uniqueItems": True, "items": DESCRIPTOR},
                                },
                            }
                        },
                    },
                    "automationDetails": {"type": "object", "required": ["id"]},
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": RESULT},
                },
            },
        },
    },
}
"""The parts of the published schema that a log of ours uses, closed against anything else."""
VALIDATOR: Any = jsonschema.Draft202012Validator(LOG)


def checked(*environments: Environment) -> dict[str, Any]:
    """The only run of a log that the schema accepts and whose indices point where they say."""
    log = json.loads(json.dumps(sarif.log(environments)))
    VALIDATOR.validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    return run


FIELDS = st.fixed_dictionaries(
    {
        "path": st.text(max_size=30),
        "found": st.text(max_size=30),
        "message": st.text(max_size=30),
        "urn": st.none() | st.text(max_size=30),
        "outcome": st.sampled_from(["violation", "undetermined", "crash", "exempted", "remedied"]),
        "blocks": st.booleans(),
        "source": st.none()
        | st.fixed_dictionaries({"file": st.text(min_size=1, max_size=20), "line": st.integers(1, 10**6)}),
    }
)


@settings(deadline=None, max_examples=50)
@given(st.lists(FIELDS, max_size=4), st.lists(FIELDS, max_size=2))
def test_whatever_is_found_the_log_is_valid(prod: list[dict[str, Any]], dev: list[dict[str, Any]]) -> None:
    run = checked(
        environment("prod", *[finding(**fields) for fields in prod]),
        environment("dev", *[finding(**fields) for fields in dev]),
    )
    assert len(run["results"]) == len(prod) + len(dev)


def test_a_result_lies_where_the_program_makes_the_resource_and_names_the_stack_file() -> None:
    (result,) = checked(environment("prod", finding()))["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("components/bucket.py", 66)
    related = result["relatedLocations"][0]["physicalLocation"]["artifactLocation"]
    assert related["uri"] == "Pulumi.prod.yaml"
    (elsewhere,) = checked(environment("prod", finding(source=None)))["results"]
    assert elsewhere["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "Pulumi.prod.yaml"


def fingerprint(stack: str = "prod", **fields: Any) -> str:
    (result,) = checked(environment(stack, finding(**fields)))["results"]
    return result["partialFingerprints"]["slipwayFinding/v1"]


def test_a_fingerprint_survives_moved_lines_and_new_wording_and_tells_findings_apart() -> None:
    assert re.fullmatch("[0-9a-f]{64}", fingerprint())
    assert fingerprint(source={"file": "components/store.py", "line": 1}, message="other", fix="x") == fingerprint()
    assert (
        len({fingerprint(), fingerprint("dev"), fingerprint(path="x"), fingerprint(urn="u"), fingerprint(found="y")})
        == 5
    )


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({}, "error"),
        ({"blocks": False}, "warning"),
        ({"outcome": "undetermined"}, "error"),
        ({"blocks": False, "outcome": "exempted"}, "note"),
        ({"blocks": False, "outcome": "remedied"}, "note"),
    ],
)
def test_the_level_says_whether_it_blocks(fields: dict[str, Any], level: str) -> None:
    (result,) = checked(environment("prod", finding(**fields)))["results"]
    assert result["level"] == level
    assert ("suppressions" in result) == (fields.get("outcome") == "exempted")


def test_a_rule_is_described_once_with_its_strictest_level_and_its_frameworks() -> None:
    lenient = report("dev") | {"rules": [RULE | {"level": "advisory"}]}
    run = checked(Environment(stack="dev", policy=lenient, changes=None, cost=None), environment("prod"))
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["defaultConfiguration"] == {"enabled": True, "level": "error"}
    assert "fsbp:S3.5" in rule["properties"]["tags"]
    assert "deny it" in rule["help"]["text"]


def test_more_results_than_github_shows_are_cut_after_those_that_block() -> None:
    advice = [finding(blocks=False, path=str(number)) for number in range(sarif.MOST_RESULTS)]
    results = sarif.log([environment("prod", *advice, finding())])["runs"][0]["results"]
    assert len(results) == sarif.MOST_RESULTS
    assert results[0]["level"] == "error"
