"""The gate's findings for code scanning: SARIF 2.1.0 (OASIS standard), as GitHub reads it.

One run holds all environments, because GitHub takes one run per tool and category. A result lies where the program
registers the resource, else at the stack file; its fingerprint holds nothing that moves when lines move.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tools.reports import Environment

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST_RESULTS = 5_000
"""Results of a run that GitHub shows."""
_SECURITY = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}
"""`security-severity` as GitHub bands it: critical from 9.0, high from 7.0, medium from 4.0, low above 0."""


def log(environments: Sequence[Environment]) -> dict[str, Any]:
    """The SARIF log of all environments."""
    rules = _rules(environments)
    index = {rule["id"]: position for position, rule in enumerate(rules)}
    results = [_result(each, found, index) for each in environments for found in each.policy["findings"]]
    results.sort(key=lambda result: ("error", "warning", "note").index(result["level"]))
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Slipway policies",
                        "semanticVersion": "0.1.0",
                        "rules": rules,
                    }
                },
                "automationDetails": {"id": "slipway-policies/"},
                "columnKind": "unicodeCodePoints",
                "results": results[:MOST_RESULTS],
            }
        ],
    }


def _rules(environments: Iterable[Environment]) -> list[dict[str, Any]]:
    """Every rule once, by name, with the strictest level of all environments."""
    order = ("disabled", "advisory", "remediate", "mandatory")
    strictest: dict[str, Mapping[str, Any]] = {}
    for environment in environments:
        for rule in environment.policy["rules"]:
            known = strictest.get(rule["name"])
            if known is None or order.index(rule["level"]) > order.index(known["level"]):
                strictest[rule["name"]] = rule
    return [_rule(strictest[name]) for name in sorted(strictest)]


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": rule["name"],
        "name": rule["id"],
        "shortDescription": {"text": f"{rule['title']}."},
        "fullDescription": {"text": f"{rule['title']}: {rule['why']}."},
        "help": {"text": f"Fix: {rule['fix']}. Why: {rule['why']}. Frameworks: {', '.join(rule['frameworks'])}."},
        "defaultConfiguration": {
            "enabled": rule["level"] != "disabled",
            "level": "error" if rule["level"] in {"mandatory", "remediate"} else "warning",
        },
        "properties": {
            "id": rule["id"],
            "tags": ["security", *rule["frameworks"]],
            "precision": "high",
            "problem.severity": "error" if rule["level"] in {"mandatory", "remediate"} else "warning",
            "security-severity": _SECURITY[rule["severity"]],
        },
    }


def _result(environment: Environment, found: Mapping[str, Any], index: Mapping[str, int]) -> dict[str, Any]:
    stack_file = _location(environment.policy["stackFile"], 1)
    source = found["source"]
    result: dict[str, Any] = {
        "ruleId": found["rule"],
        "ruleIndex": index[found["rule"]],
        "level": "error" if found["blocks"] else "warning" if found["outcome"] == "violation" else "note",
        "kind": "fail",
        "message": {"text": f"{environment.stack}: {found['message']}"},
        "locations": [_location(source["file"], source["line"]) if source else stack_file],
        "relatedLocations": [{**stack_file, "id": 1, "message": {"text": f"environment {environment.stack}"}}],
        "partialFingerprints": {"slipwayFinding/v1": _fingerprint(environment.stack, found)},
        "properties": {name: found[name] for name in ("outcome", "level", "urn", "path")}
        | {"environment": environment.stack},
    }
    if found["outcome"] == "exempted":
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": found["message"]}]
    return result


def _location(file: str, line: int) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(file), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": line},
        }
    }


def _fingerprint(stack: str, found: Mapping[str, Any]) -> str:
    """The same for the same finding in every run, whatever lines or wording do."""
    identity = (stack, found["rule"], found["outcome"], found["urn"] or "", found["path"], found["found"])
    return hashlib.sha256("\0".join(map(str, identity)).encode()).hexdigest()
