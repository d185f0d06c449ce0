"""Small reports of the gate, written by hand: what the tools that read them are tested with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tools.reports import Environment, read

if TYPE_CHECKING:
    from pathlib import Path

URN = "urn:pulumi:prod::slipway::slipway:store:Store$aws:s3/bucket:Bucket::data"
RULE = {
    "name": "s3-tls-only",
    "id": "ENC-02",
    "title": "Buckets refuse plain HTTP",
    "severity": "high",
    "level": "mandatory",
    "frameworks": ["fsbp:S3.5"],
    "why": "traffic can be read",
    "fix": "deny it",
}


def finding(**fields: Any) -> dict[str, Any]:
    return {
        "rule": "s3-tls-only",
        "level": "mandatory",
        "outcome": "violation",
        "blocks": True,
        "urn": URN,
        "resource": "data",
        "type": "aws:s3/bucket:Bucket",
        "path": "policy",
        "found": "nothing",
        "wanted": "a Deny",
        "fix": "deny it",
        "message": "data policy: found nothing, want a Deny. Fix: deny it",
        "source": {"file": "components/bucket.py", "line": 66},
        **fields,
    }


def expiring(**fields: Any) -> dict[str, Any]:
    return {
        "rule": "s3-tls-only",
        "urn": "urn:pulumi:prod::*::data",
        "reason": "an old client",
        "owner": "platform",
        "expires": "2026-12-01",
        "days": 9,
        **fields,
    }


def report(stack: str, *findings: dict[str, Any], ending: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    blocking = sum(each["blocks"] for each in findings)
    counts = {"resources": 7, "rules": 1, "judgements": 7, "undetermined": 0, "crashes": 0, "exempted": 0}
    return {
        "format": 1,
        "stack": stack,
        "stackFile": f"Pulumi.{stack}.yaml",
        "passed": not blocking,
        "counts": counts | {"blocking": blocking, "advice": len(findings) - blocking, "remedied": 0},
        "resources": {"aws:s3/bucket:Bucket": 7},
        "rules": [RULE],
        "findings": list(findings),
        "expiring": list(ending),
        "timing": {"secondsInRules": 0.1, "millisecondsPerJudgement": 0.1},
    }


def written(folder: Path, **files: object) -> tuple[Environment, ...]:
    """Files by name (`policy_prod` is policy-prod.json), read back."""
    for name, content in files.items():
        (folder / f"{name.replace('_', '-')}.json").write_text(json.dumps(content), encoding="utf-8")
    return read(folder)


def environment(stack: str, *findings: dict[str, Any], ending: tuple[dict[str, Any], ...] = ()) -> Environment:
    return Environment(stack=stack, policy=report(stack, *findings, ending=ending), changes=None, cost=None)
