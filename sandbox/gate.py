"""The policy gate over environments: recordings made beside each other, judged one after another, written as files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from guardrails import deployment, gate, report
from guardrails.packconfig import ConfigError, configure, load
from guardrails.registry import all_rules
from sandbox.charts import refuse_other_versions, with_charts
from sandbox.engine import ROOT
from tools.chart_values import find_helm
from tools.commands import SetupError
from tools.helm import ChartError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from guardrails.gate import Finding, Report

_HIDDEN_PREFIXES: Final = ("AWS_", "PULUMI_")
"""Variables that a recording must not see: it needs no account and no backend."""
_SECONDS: Final = 120


class GateError(Exception):
    """The gate cannot judge; the text is for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One environment and what the gate says about it."""

    stack: str
    report: Report
    document: Mapping[str, object]
    """The report as `guardrails.report` writes it."""


def stacks() -> list[str]:
    """Every environment that has a stack file."""
    return sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


def judge(names: Iterable[str], charts: Path | None = None) -> Iterator[Judged]:
    """Judge environments, in the order in which they are named.

    Args:
        names: The environments.
        charts: Folder of charts by name, whose objects are judged with their releases.

    Raises:
        GateError: A program, a provider, a configuration or a chart was refused.
    """
    named = list(names)
    with tempfile.TemporaryDirectory(prefix="slipway-gate-") as folder:
        _record(named, Path(folder))
        for name in named:
            recorded = json.loads((Path(folder) / f"{name}.json").read_text(encoding="utf-8"))
            yield judged(name, recorded if charts is None else _rendered(recorded, charts))


def _rendered(recorded: Mapping[str, Any], charts: Path) -> Mapping[str, Any]:
    try:
        helm = find_helm()
        refuse_other_versions(recorded, charts, helm)
        return with_charts(recorded, charts, helm)[0]
    except (ChartError, SetupError) as error:
        raise GateError(str(error)) from error


def judged(stack: str, recorded: object, config: Mapping[str, object] | None = None) -> Judged:
    """Judge a deployment as an environment.

    Args:
        stack: The environment.
        recorded: A deployment in the format of `pulumi stack export`.
        config: Pack configuration instead of the environment's own file.

    Raises:
        GateError: The configuration or the deployment cannot be read.
    """
    file = ROOT / "policies" / "config" / f"{stack}.json"
    if config is None and not file.exists():
        raise GateError(f"environment {stack} has no {file.relative_to(ROOT)}: write one, or copy prod.json")
    try:
        configured = configure(all_rules(), load(file) if config is None else config)
        found = gate.run(deployment.read(recorded), configured)
    except (ConfigError, deployment.DeploymentError) as error:
        raise GateError(f"environment {stack}: {error}") from error
    return Judged(stack=stack, report=found, document=report.document(stack, found, configured))


def lines(result: Judged) -> Iterator[str]:
    """The report for a terminal: what blocks with its fix, then what was let pass, then what will end."""
    for finding in result.report.findings:
        yield from _finding_lines(finding)
    for each in result.report.expiring:
        yield (
            f"  expires  {each.rule.name}: {each.exemption.urn} is exempted until {each.exemption.expires} "
            f"({each.days} days, {each.exemption.owner})"
        )


def summary(result: Judged) -> str:
    """The report in one line."""
    counted = report.counts(result.report)
    told = [
        f"{counted['resources']} resources",
        f"{counted['rules']} policies",
        *(f"{counted[name]} {name}" for name in ("blocking", "undetermined", "crashes", "advice", "exempted")),
    ]
    expiring = len(result.report.expiring)
    return ", ".join(told) + (f", {expiring} exemptions about to expire" if expiring else "")


def _finding_lines(finding: Finding) -> Iterator[str]:
    message = finding.message
    head = f"{finding.outcome} ({finding.level})" if finding.outcome is gate.Outcome.VIOLATION else finding.outcome
    mark = "✗" if finding.blocks else "·"
    yield f"  {mark} {head}  {message.text}"
    where = [part for part in (message.urn, finding.source and f"{finding.source.file}:{finding.source.line}") if part]
    if finding.blocks and where:
        yield f"      {'  '.join(where)}"


def _record(names: list[str], folder: Path) -> None:
    """Make the recordings in a process of their own, which sees no account and no backend."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN_PREFIXES)}
    done = subprocess.run(  # noqa: S603 - our own module, no shell
        [sys.executable, "-m", "sandbox.recording", str(folder), *names],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    for name in names:
        refused = folder / f"{name}.error"
        if refused.exists() or not (folder / f"{name}.json").exists():
            told = refused.read_text(encoding="utf-8") if refused.exists() else done.stderr
            raise GateError(f"environment {name} cannot be recorded:\n{last_error(told)}")


def last_error(text: str) -> str:
    """The last error of a traceback, with the lines that its message has below it."""
    kept: list[str] = []
    for line in text.rstrip().splitlines():
        kept = [] if line.startswith(("Traceback", "  File", "    ")) else [*kept, line]
    return "\n".join(kept) or text.strip()
