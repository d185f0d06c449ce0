"""Controls: what an assessment asks for, and which rules and tests answer it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from guardrails.rule import AnyRule

CONTROLS_FILE = Path(__file__).parents[1] / "controls.yaml"
CASES_FOLDER = Path(__file__).parents[2] / "tests" / "policies" / "cases"
FRAMEWORKS: Mapping[str, str] = {
    "cis-eks": "CIS Amazon EKS Benchmark",
    "fsbp": "AWS Foundational Security Best Practices",
    "soc2": "SOC 2 Trust Services Criteria",
    "gdpr": "General Data Protection Regulation",
}
"""The prefix of a rule's frameworks, and what it stands for."""
EVERY = "*"
"""Stands for all rules."""
_VERDICT = re.compile(r"\bverdict: *([a-z-]+)")
_RULE = re.compile(r"^rule: *([a-z0-9-]+) *$", re.MULTILINE)


class ControlError(ValueError):
    """The controls' file cannot be used, or a control has lost what holds it; every problem is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One thing that an assessment asks for."""

    id: str
    title: str
    rules: tuple[str, ...] = ()
    """Names; `*` for all of them."""
    evidence: tuple[str, ...] = ()
    """Test files beyond the cases of the rules."""
    without: str = ""
    """Why no rule can hold it; empty when rules do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """The tests of one rule."""

    file: str
    """Name in `tests/policies/cases/`."""
    fire: int
    let_pass: int
    undetermined: int


def read(path: Path = CONTROLS_FILE) -> tuple[Control, ...]:
    """The controls of a file, in its order.

    Raises:
        ControlError: An entry has an unknown shape.
    """
    try:
        entries = cast("list[dict[str, Any]]", yaml.safe_load(path.read_text(encoding="utf-8")))
        return tuple(map(_control, entries))
    except (TypeError, AttributeError, yaml.YAMLError) as error:
        raise ControlError(f"{path}: {error}") from error


def _control(entry: dict[str, Any]) -> Control:
    lists: dict[str, Any] = {name: tuple(entry.get(name, ())) for name in ("rules", "evidence")}
    return Control(**{**entry, **lists})


def framework_controls(rules: Iterable[AnyRule]) -> dict[str, dict[str, list[str]]]:
    """Framework → requirement → names of the rules that answer it, each in order."""
    found: dict[str, dict[str, list[str]]] = {prefix: {} for prefix in FRAMEWORKS}
    for rule in rules:
        for each in rule.frameworks:
            prefix, _, requirement = each.partition(":")
            found.setdefault(prefix, {}).setdefault(requirement, []).append(rule.name)
    return {prefix: dict(sorted(held.items(), key=lambda item: _natural(item[0]))) for prefix, held in found.items()}


def cases_of_rules(folder: Path = CASES_FOLDER) -> dict[str, list[Cases]]:
    """The case files of each rule, by the rule's name."""
    found: dict[str, list[Cases]] = {}
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        rule, verdicts = _RULE.search(text), _VERDICT.findall(text)
        if rule is not None:
            counted = Cases(
                file=path.name,
                fire=verdicts.count("violation"),
                let_pass=verdicts.count("pass"),
                undetermined=verdicts.count("undetermined"),
            )
            found.setdefault(rule[1], []).append(counted)
    return found


def problems(
    controls: Iterable[Control], rules: Iterable[AnyRule], cases: Mapping[str, list[Cases]], root: Path
) -> list[str]:
    """What keeps the matrix from being true: controls without rules, rules without firing cases, lost files."""
    known = {rule.name for rule in rules}
    listed = list(controls)
    firing = {name for name, files in cases.items() if any(each.fire for each in files)}
    return [
        *(f"{each.id}: neither a rule nor a reason" for each in listed if not each.rules and not each.without),
        *(f"{each.id}: rules hold it, and it says that none can" for each in listed if each.rules and each.without),
        *(
            f"{each.id}: there is no rule {name}"
            for each in listed
            for name in each.rules
            if name not in known | {EVERY}
        ),
        *(
            f"{each.id}: there is no test {file}"
            for each in listed
            for file in each.evidence
            if not (root / file).is_file()
        ),
        *(f"{name}: no case in which it fires" for name in sorted(known - firing - ANSWERED_BY_ACCOUNT)),
        *(f"{name}: its framework is unknown" for name in _foreign(rules)),
    ]


ANSWERED_BY_ACCOUNT = frozenset({"volumes-encrypted-by-default"})
"""Rules that can only ask: a setting of the account, which no stack shows, may answer."""


def _foreign(rules: Iterable[AnyRule]) -> list[str]:
    return [rule.name for rule in rules if any(each.partition(":")[0] not in FRAMEWORKS for each in rule.frameworks)]


def _natural(name: str) -> list[tuple[int, int | str]]:
    """An order in which EKS.10 comes after EKS.9."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part]
