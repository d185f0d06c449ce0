"""What a pull request is judged by, read from a folder: the gate's reports, plans and costs of every environment.

```text
policy-<stack>.json    `make policy OUT=<folder>`; its shape stands in policies/guardrails/report.py. Needed
preview-<stack>.json   `pulumi preview --json`; optional
plan-<stack>.json      `make plan` of the proposal; optional, used together with
base-<stack>.json      `make plan` of what it would be merged into
cost-<stack>.json      {before, after, lines: [{name, before, after}]}, per month, `before` may be null; or what
                       `make cost` writes, alone or compared with an earlier one; optional
```
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

OPERATIONS = ("create", "update", "replace", "delete")
"""What a plan may do to a resource, in the order in which it is shown."""
_BOOKKEEPING = "pulumi:"


class ReportError(ValueError):
    """A file that cannot be used; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """A part of the cost, per month; `None` where it does not exist."""

    name: str
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an environment costs per month."""

    before: float | None
    after: float
    lines: tuple[CostLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Everything that is known about one environment."""

    stack: str
    policy: Mapping[str, Any]
    changes: Mapping[tuple[str, str], int] | None
    """(Operation, type) → number, when there is something to compare with."""
    cost: Cost | None

    def total(self, operation: str) -> int:
        """How many resources an operation concerns."""
        return sum(count for (each, _), count in (self.changes or {}).items() if each == operation)


def read(folder: Path) -> tuple[Environment, ...]:
    """The environments of a folder, by name.

    Raises:
        ReportError: There is none, or a file has another shape.
    """
    stacks = sorted(path.stem.removeprefix("policy-") for path in folder.glob("policy-*.json"))
    if not stacks:
        raise ReportError(f"{folder} holds no policy-<stack>.json; make them with make policy OUT={folder}")
    return tuple(_environment(folder, stack) for stack in stacks)


def _environment(folder: Path, stack: str) -> Environment:
    def load(kind: str) -> dict[str, Any] | None:
        path = folder / f"{kind}-{stack}.json"
        return _object(path) if path.exists() else None

    policy, preview, cost = load("policy"), load("preview"), load("cost")
    plan, base = load("plan"), load("base")
    try:
        if policy is None or policy["format"] != 1:
            raise ReportError(f"policy-{stack}.json has another format than 1")
        changes = (
            changes_of_preview(preview)
            if preview is not None
            else changes_between(base, plan)
            if base is not None and plan is not None
            else None
        )
        return Environment(stack=stack, policy=policy, changes=changes, cost=None if cost is None else cost_of(cost))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ReportError(f"the files of {stack} in {folder} have an unknown shape: {error!r}") from error


def _object(path: Path) -> dict[str, Any]:
    try:
        parsed: object = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReportError(f"{path}: not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ReportError(f"{path}: want an object")
    return cast("dict[str, Any]", parsed)


def changes_of_preview(preview: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """What `pulumi preview --json` would do; the two halves of a replacement count once."""
    steps = ((step["op"], kind_of(step["urn"])) for step in preview.get("steps", []))
    return dict(Counter((op, kind) for op, kind in steps if op in OPERATIONS and not kind.startswith(_BOOKKEEPING)))


def changes_between(base: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """How one deployment differs from another, by URN and inputs; which updates replace is not visible in them."""
    before, after = _inputs(base), _inputs(plan)
    kinds = {
        "create": after.keys() - before.keys(),
        "delete": before.keys() - after.keys(),
        "update": {urn for urn in before.keys() & after.keys() if before[urn] != after[urn]},
    }
    return dict(Counter((operation, kind_of(urn)) for operation, urns in kinds.items() for urn in urns))


def cost_of(document: Mapping[str, Any]) -> Cost:
    """A cost file; an estimate that is compared with nothing is told by component."""
    if "monthly" in document:
        parts = {name: band["expected"] for name, band in document["byComponent"].items()}
        lines = tuple(CostLine(name=name, before=None, after=float(amount)) for name, amount in parts.items())
        return Cost(before=None, after=float(document["monthly"]["expected"]), lines=lines)
    return Cost(
        before=_amount(document["before"]),
        after=float(document["after"]),
        lines=tuple(
            CostLine(name=_part(line), before=_amount(line["before"]), after=_amount(line["after"]))
            for line in document["lines"]
        ),
    )


def _part(line: Mapping[str, Any]) -> str:
    """What a line is about: its name, or the component, resource and meter that it counts."""
    if "name" in line:
        return str(line["name"])
    return f"{line['component']} {line['resource']}: {line['what']}"


def kind_of(urn: str) -> str:
    """The type in a URN."""
    return urn.split("::")[2].rpartition("$")[2]


def _amount(value: object) -> float | None:
    return None if value is None else float(cast("float", value))


def _inputs(deployment: Mapping[str, Any]) -> dict[str, object]:
    """URN → inputs, without what the engine keeps for itself and without ciphertexts, which differ in every run."""
    return {
        each["urn"]: _plain(each.get("inputs", {}))
        for each in deployment["deployment"]["resources"]
        if not kind_of(each["urn"]).startswith(_BOOKKEEPING)
    }


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(each) for each in cast("list[object]", value)]
    if isinstance(value, dict):
        held = cast("dict[str, object]", value)
        return {name: _plain(each) for name, each in held.items() if name != "ciphertext"}
    return value
