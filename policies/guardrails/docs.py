"""`python -m guardrails.docs [--check]` (in `policies/` or with it on the path): write what is made from the rules.

Writes `docs/policies.md`, `docs/controls.md` and `policies/config.schema.json`; with `--check` it only compares, and
ends with 1 when a file differs or a control has lost what holds it.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from guardrails import controls, facts
from guardrails.controls import FRAMEWORKS, Cases, Control
from guardrails.registry import all_rules
from guardrails.rule import EVERY_TYPE, AnyRule, Kind, ResourceRule
from guardrails.schema import config_schema

ROOT = Path(__file__).parents[2]
THEMES: Mapping[str, str] = {
    "IAM": "Identity",
    "ENC": "Encryption",
    "NET": "Network",
    "K8S": "Workloads",
    "SUP": "Supply chain",
    "COST": "Cost",
    "DATA": "Data",
    "RES": "Resilience",
    "TAG": "Tags",
}
_MOST_TYPES = 12
_TOLD = (
    "{count} rules: {prod} block in `prod`, `staging` and `local`, {dev} in `dev`; the others advise. `remediate` "
    "mends what it can and blocks on the rest. How to configure and exempt: "
    "[policies/README.md](../policies/README.md); which control each answers: [controls.md](controls.md)."
)
_TOLD_OF_CONTROLS = (
    "Made from the rules, `policies/controls.yaml` and the rules' cases by `make docs`. A test fails when a control "
    "has no rule, or a rule no case in which it fires. Cases are counted as those in which the rule fires, passes, and "
    "cannot tell."
)


def files() -> dict[Path, str]:
    """Path from the repository's root → content, of everything that is made from the rules."""
    rules = all_rules()
    schema = json.dumps(config_schema(rules), indent=2, ensure_ascii=False) + "\n"
    return {
        Path("docs/policies.md"): policies_page(rules),
        Path("docs/controls.md"): controls_page(controls.read(), rules, controls.cases_of_rules()),
        Path("policies/config.schema.json"): schema,
    }


def policies_page(rules: Sequence[AnyRule]) -> str:
    """Every rule: what it asks, why, how to satisfy it, where it blocks, what it answers."""
    blocking = {kind: sum(rule_blocks(rule, kind) for rule in rules) for kind in ("dev", "prod")}
    told = [
        "# Policies",
        "Made from the rules by `make docs`; edit `policies/guardrails/rules/` instead.",
        _TOLD.format(count=len(rules), **blocking),
    ]
    for prefix, theme in THEMES.items():
        held = [rule for rule in rules if rule.id.partition("-")[0] == prefix]
        told += [f"## {theme}", _summary(held), *map(_section, held)]
    return "\n\n".join(told) + "\n"


def rule_blocks(rule: AnyRule, kind: str) -> bool:
    """Whether the rule stops a deployment of an environment of this kind."""
    return str(getattr(rule.levels, kind)) in {"mandatory", "remediate"}


def controls_page(listed: Iterable[Control], rules: Sequence[AnyRule], cases: Mapping[str, list[Cases]]) -> str:
    """Each control with the rules that hold it and the tests that hold those."""
    by_name = {rule.name: rule for rule in rules}
    told = [
        "# Control matrix",
        _TOLD_OF_CONTROLS,
        "## What this platform promises",
    ]
    rows = [(each.id, _escaped(each.title), _held_by(each, by_name), _tests_of(each, cases)) for each in listed]
    told.append(_table(("control", "what", "rules", "tests"), rows))
    for prefix, requirements in controls.framework_controls(rules).items():
        told.append(f"## {FRAMEWORKS[prefix]}")
        found = [
            (_requirement(prefix, name), ", ".join(map(_link, names)), _cases(names, cases))
            for name, names in requirements.items()
        ]
        told.append(_table(("requirement", "rules", "cases"), found))
    told += ["## Cases of each rule", _table(("rule", "severity", "files"), list(_case_rows(rules, cases)))]
    return "\n\n".join(told) + "\n"


def _summary(rules: Iterable[AnyRule]) -> str:
    rows = [
        (_link(rule.name), rule.id, _escaped(rule.title), rule.severity, rule.levels.dev, rule.levels.prod)
        for rule in rules
    ]
    return _table(("rule", "id", "asks", "severity", "dev", "prod"), rows)


def _section(rule: AnyRule) -> str:
    judged = "each resource before it is made" if rule.kind is Kind.RESOURCE else "the stack as a whole"
    mends = " Its remedy mends a resource where the level is `remediate`." if _mends(rule) else ""
    told = [
        f"### `{rule.name}`",
        f"{rule.id}, {rule.severity}. {_escaped(rule.title)}. Judges {judged}.{mends}",
        f"- **Why:** {_escaped(rule.why)}.",
        f"- **How to satisfy it:** {_escaped(rule.fix)}.",
        *(f"- **Mind:** {_escaped(trap)}." for trap in rule.traps),
        f"- **Answers:** {', '.join(map(_answered, rule.frameworks))}.",
        f"- **Reads:** {_types(rule)}.",
    ]
    options = facts.schema(rule.facts)
    text = "\n".join((told[0], "", told[1], "", *told[2:]))
    if not options:
        return text
    rows = [
        (f"`{name}`", f"`{_short(each['default'])}`", _escaped(str(each["description"])))
        for name, each in options.items()
    ]
    return f"{text}\n\n{_table(('option', 'default', 'meaning'), rows)}"


def _mends(rule: AnyRule) -> bool:
    return isinstance(rule, ResourceRule) and rule.remedy is not None


def _types(rule: AnyRule) -> str:
    if EVERY_TYPE in rule.tokens:
        return "every type"
    shown = ", ".join(f"`{token}`" for token in rule.tokens[:_MOST_TYPES])
    return f"{shown} and {len(rule.tokens) - _MOST_TYPES} more" if len(rule.tokens) > _MOST_TYPES else shown


def _held_by(control: Control, by_name: Mapping[str, AnyRule]) -> str:
    if not control.rules:
        return f"none: {_escaped(control.without)}"
    if controls.EVERY in control.rules:
        return "all of them"
    return ", ".join(_link(name) for name in control.rules if name in by_name)


def _tests_of(control: Control, cases: Mapping[str, list[Cases]]) -> str:
    evidence = [f"`{file}`" for file in control.evidence]
    names = tuple(cases) if controls.EVERY in control.rules else control.rules
    return ", ".join([*([_cases(names, cases)] if names else []), *evidence])


def _cases(names: Iterable[str], cases: Mapping[str, list[Cases]]) -> str:
    held = [each for name in names for each in cases.get(name, [])]
    counted = (
        sum(each.fire for each in held),
        sum(each.let_pass for each in held),
        sum(each.undetermined for each in held),
    )
    return " / ".join(map(str, counted)) + " cases"


def _case_rows(rules: Iterable[AnyRule], cases: Mapping[str, list[Cases]]) -> Iterator[tuple[str, ...]]:
    for rule in rules:
        told = (
            f"`{each.file}` ({each.fire} / {each.let_pass} / {each.undetermined})" for each in cases.get(rule.name, [])
        )
        yield _link(rule.name), str(rule.severity), ", ".join(told)


def _answered(framework: str) -> str:
    prefix, _, name = framework.partition(":")
    return f"{FRAMEWORKS[prefix]} {_requirement(prefix, name)}"


def _requirement(prefix: str, name: str) -> str:
    if prefix != "gdpr":
        return name
    article, *parts = name.split("-")
    return f"Art. {article}{''.join(f'({part})' for part in parts)}"


def _link(name: str) -> str:
    return f"[`{name}`](policies.md#{name})"


_CELL = 80
"""Characters of a table cell that still reads."""


def _short(default: object) -> str:
    text = json.dumps(default, ensure_ascii=False).replace("|", "\\|")
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def _escaped(text: str) -> str:
    """Text of a rule as Markdown: nothing in it opens a tag or ends a cell."""
    return " ".join(text.split()).replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*").rstrip(".")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def main(arguments: Sequence[str]) -> int:
    """Write or compare; 1 when something is not up to date or a control is not held."""
    parser = argparse.ArgumentParser(prog="python -m guardrails.docs")
    parser.add_argument("--check", action="store_true", help="only compare")
    check: bool = parser.parse_args(arguments).check
    wrong = controls.problems(controls.read(), all_rules(), controls.cases_of_rules(), ROOT)
    for path, text in files().items():
        target = ROOT / path
        if not check:
            target.write_text(text, encoding="utf-8")
        elif not target.is_file() or target.read_text(encoding="utf-8") != text:
            wrong.append(f"{path} is not up to date; run make docs")
    for problem in wrong:
        sys.stderr.write(f"{problem}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
