"""The gate's report as a JSON document: what the console, the pull-request comment and code scanning are made from.

```text
{format: 1, stack, stackFile, passed, counts: {resources, rules, judgements, blocking, advice, undetermined, crashes,
 exempted, remedied}, resources: {type: number}, rules: [{name, id, title, severity, level, frameworks, why, fix}],
 findings: [{rule, level, outcome, blocks, urn, resource, type, path, found, wanted, fix, message, source}],
 expiring: [{rule, urn, reason, owner, expires, days}], timing: {secondsInRules, millisecondsPerJudgement}}
```

`source` is `{file, line}` or null, `urn` null for what concerns the stack as a whole. Everything but `timing` is the
same in every run over the same deployment on the same day.
"""

from collections.abc import Mapping

from guardrails.gate import Expiring, Finding, Outcome, Report
from guardrails.packconfig import Configured

FORMAT = 1


def document(stack: str, report: Report, configured: Mapping[str, Configured]) -> dict[str, object]:
    """The report on one environment.

    Args:
        stack: The environment's name.
        report: What the gate says.
        configured: The rules with the environment's levels.
    """
    return {
        "format": FORMAT,
        "stack": stack,
        "stackFile": f"Pulumi.{stack}.yaml",
        "passed": report.passed,
        "counts": counts(report),
        "resources": dict(report.resources),
        "rules": [_rule(each, configured) for each in sorted(configured)],
        "findings": [_finding(each) for each in report.findings],
        "expiring": [_expiring(each) for each in report.expiring],
        "timing": {
            "secondsInRules": round(report.seconds, 4),
            "millisecondsPerJudgement": round(1000 * report.seconds / max(report.judgements, 1), 4),
        },
    }


def counts(report: Report) -> dict[str, int]:
    """The report in numbers."""
    return {
        "resources": sum(report.resources.values()),
        "rules": len(report.rules),
        "judgements": report.judgements,
        "blocking": report.count(Outcome.VIOLATION, blocking=True),
        "advice": report.count(Outcome.VIOLATION, blocking=False),
        "undetermined": report.count(Outcome.UNDETERMINED),
        "crashes": report.count(Outcome.CRASH),
        "exempted": report.count(Outcome.EXEMPTED),
        "remedied": report.count(Outcome.REMEDIED),
    }


def _rule(name: str, configured: Mapping[str, Configured]) -> dict[str, object]:
    rule = configured[name].rule
    return {
        "name": name,
        "id": rule.id,
        "title": rule.title,
        "severity": str(rule.severity),
        "level": str(configured[name].level),
        "frameworks": list(rule.frameworks),
        "why": rule.why,
        "fix": rule.fix,
    }


def _finding(finding: Finding) -> dict[str, object]:
    message, source = finding.message, finding.source
    token, _, name = (message.urn or "").partition("::")[2].partition("::")[2].partition("::")
    return {
        "rule": finding.rule.name,
        "level": str(finding.level),
        "outcome": str(finding.outcome),
        "blocks": finding.blocks,
        "urn": message.urn,
        "resource": name,
        "type": token.rpartition("$")[2],
        "path": message.path,
        "found": message.found,
        "wanted": message.wanted,
        "fix": message.fix,
        "message": message.text,
        "source": None if source is None else {"file": source.file, "line": source.line},
    }


def _expiring(expiring: Expiring) -> dict[str, object]:
    exemption = expiring.exemption
    return {
        "rule": expiring.rule.name,
        "urn": exemption.urn,
        "reason": exemption.reason,
        "owner": exemption.owner,
        "expires": exemption.expires,
        "days": expiring.days,
    }
