"""Mutants of a recorded deployment: one property of one resource changed, and what the rules then say anew.

The operators are data, in `mutants/*.yaml`. One has

    change    what is broken, as a sentence
    type      the type whose resources it is applied to; `*` stands for every type that the path fits
    at        the place: `rules[*].bucketKeyEnabled`; `policy@` reads JSON text, `["a.b"]` a key with dots
    set       the new value; or `remove: true`, `append: <member>`, `first: <members that stay>`,
              `drop: true` for the whole resource, `protect: false` for its option
    near      what stands beside the place for the operator to apply: key → glob, or null for nothing
    where     likewise, by path from the resource's inputs; `name` is the resource's logical name
    blocked   names of the rules that must refuse the mutant
    advised   names of the rules that must advise against it
    undecided names of the rules that cannot judge it, which refuses it in a pull request

A place with `[*]` gives a mutant for each member. Operators apply wherever they fit, so mutants grow with the program.
What changes `tags` changes `tagsAll` too, into which the provider merges them.
"""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import yaml

from guardrails import deployment
from guardrails.evaluation import Clock, Verdict, judge_resource, judge_stack
from guardrails.packconfig import Configured, configure, load
from guardrails.registry import all_rules
from guardrails.resources import Resource, Stack
from guardrails.rule import Level, ResourceRule
from guardrails.view import Known, value_of
from tests.policies.elsewhere import CONFIG
from tests.support.recorded import record_deployment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).parent / "mutants"
_STEP = re.compile(
    r"""\.?(?:\["(?P<quoted>[^"]*)"\]|(?P<star>\[\*\])|\[(?P<index>\d+)\]|(?P<key>[^.\[\]@]+)|(?P<text>@))"""
)
_ACTIONS = ("set", "remove", "append", "first", "drop", "protect")
_TEXT = object()
"""The step into what JSON text says."""
Place = tuple[Any, ...]
Told = Counter[tuple[str, str, str]]
"""Rule, outcome and message."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operator:
    """One way of breaking resources."""

    change: str
    type: str
    at: str
    action: str
    value: Any
    near: Mapping[str, str | None]
    where: Mapping[str, str | None]
    blocked: frozenset[str]
    advised: frozenset[str]
    undecided: frozenset[str]

    @property
    def expected(self) -> frozenset[tuple[str, str]]:
        """Rules with the outcome that each must have."""
        refused = {(name, "violation") for name in self.blocked | self.advised}
        return frozenset(refused | {(name, "undetermined") for name in self.undecided})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One resource with one change."""

    operator: Operator
    index: int
    """Which resource of the deployment."""
    place: Place

    @property
    def name(self) -> str:
        """For messages: the resource, the place and the change."""
        return f"{base().inputs[self.index].name} {generalised(self.place)}: {self.operator.change}"

    @property
    def token(self) -> str:
        """The type of the resource."""
        return base().inputs[self.index].token


def generalised(place: Place) -> str:
    """A place as a path, any member of a list as `[*]`."""
    steps = ("@" if step is _TEXT else "[*]" if isinstance(step, int) else f".{step}" for step in place)
    return "".join(steps).removeprefix(".")


@cache
def operators() -> tuple[Operator, ...]:
    """All operators of the table."""
    raws = [raw for path in sorted(FOLDER.glob("*.yaml")) for raw in yaml.safe_load(path.read_text(encoding="utf-8"))]
    return tuple(
        _operator(raw, token, at) for raw in raws for token in _listed(raw["type"]) for at in _listed(raw.get("at", ""))
    )


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _operator(raw: Mapping[str, Any], token: str, at: str) -> Operator:
    (action,) = [each for each in _ACTIONS if each in raw]
    return Operator(
        change=raw["change"],
        type=token,
        at=at,
        action=action,
        value=raw[action],
        near=raw.get("near", {}),
        where=raw.get("where", {}),
        blocked=frozenset(raw.get("blocked", ())),
        advised=frozenset(raw.get("advised", ())),
        undecided=frozenset(raw.get("undecided", ())),
    )


@cache
def base() -> deployment.Deployment:
    """The prod program as recorded."""
    return deployment.read(record_deployment("prod"))


@cache
def configured() -> dict[str, Configured]:
    """The rules as prod has them."""
    return configure(all_rules(), load(CONFIG / "prod.json"))


def mutants(operator: Operator) -> Iterator[Mutant]:
    """Where an operator applies."""
    for index, subject in enumerate(base().inputs):
        if not fnmatchcase(subject.token, operator.type) or not isinstance(subject.properties, Known):
            continue
        raw: Any = subject.properties.raw
        named = operator.where.get("name")
        inside = {path: want for path, want in operator.where.items() if path != "name"}
        if (named is not None and not fnmatchcase(subject.name, named)) or not _holds(raw, inside):
            continue
        if operator.action == "protect" and not subject.protect:
            continue
        for place in [()] if operator.action in {"drop", "protect"} else _places(raw, _steps(operator.at)):
            if _holds(_read(raw, place[:-1]), operator.near) and _applies(operator, _read(raw, place)):
                yield Mutant(operator=operator, index=index, place=place)


def changed(mutant: Mutant) -> deployment.Deployment:
    """The deployment with the change, in inputs and outputs."""
    at = mutant.index
    if mutant.operator.action == "drop":
        return replace(base(), inputs=_without(base().inputs, at), outputs=_without(base().outputs, at))
    inputs, outputs = list(base().inputs), list(base().outputs)
    inputs[at], outputs[at] = _mutate(inputs[at], mutant), _mutate(outputs[at], mutant)
    return replace(base(), inputs=tuple(inputs), outputs=tuple(outputs))


def news(mutant: Mutant) -> Told:
    """What the rules say about a mutant and did not say before.

    A rule on one resource is asked about the changed one. A rule on the stack is asked when it read a resource of that
    type before: what it did not read cannot change what it says.
    """
    subject = base().inputs[mutant.index]
    after = changed(mutant)
    stack, told = Stack(after.outputs), Told()
    for name, each in configured().items():
        rule = each.rule
        if each.level is Level.DISABLED:
            continue
        if isinstance(rule, ResourceRule):
            if rule.concerns(subject.token) and mutant.operator.action != "drop":
                judged = judge_resource(rule, after.inputs[mutant.index], each.settings, _CLOCK)
                told += _told(name, judged) - _before(name, mutant.index)
        elif subject.token in _reads()[name] or rule.concerns(subject.token):
            told += _told(name, judge_stack(rule, stack, each.settings, _CLOCK)) - _before(name, None)
    return told


_CLOCK = Clock()


class _Tracked(Stack):
    """A stack that remembers which types it was asked for."""

    def of(self, *tokens: str) -> tuple[Resource, ...]:
        asked: set[str] = self.__dict__.setdefault("asked", set[str]())
        asked.update(tokens)
        return super().of(*tokens)


@cache
def _reads() -> dict[str, frozenset[str]]:
    """Which types each rule on the stack reads."""
    read: dict[str, frozenset[str]] = {}
    for name, each in configured().items():
        if not isinstance(each.rule, ResourceRule):
            stack = _Tracked(base().outputs)
            judge_stack(each.rule, stack, each.settings, _CLOCK)
            read[name] = frozenset(stack.__dict__.get("asked", ()))
    return read


@cache
def _before(name: str, index: int | None) -> Told:
    each = configured()[name]
    if isinstance(each.rule, ResourceRule):
        return _told(name, judge_resource(each.rule, base().inputs[index or 0], each.settings, _CLOCK))
    return _told(name, judge_stack(each.rule, Stack(base().outputs), each.settings, _CLOCK))


def _told(name: str, verdict: Verdict) -> Told:
    groups = (("violation", verdict.violations), ("undetermined", verdict.undetermined), ("exempted", verdict.exempted))
    return Told((name, "crash" if line.crashed else outcome, line.text) for outcome, lines in groups for line in lines)


def _without(resources: tuple[Resource, ...], index: int) -> tuple[Resource, ...]:
    return resources[:index] + resources[index + 1 :]


def _mutate(subject: Resource, mutant: Mutant) -> Resource:
    if mutant.operator.action == "protect":
        return replace(subject, protect=mutant.operator.value)
    if not isinstance(subject.properties, Known):
        return subject
    raw = _written(subject.properties.raw, mutant.place, mutant.operator)
    if mutant.place[0] == "tags":
        raw = _written(raw, ("tagsAll", *mutant.place[1:]), mutant.operator)
    return replace(subject, properties=value_of(raw))


def _written(raw: Any, place: Place, operator: Operator) -> Any:
    """A copy of a value with the change at a place; as it is where the place does not lead."""
    if not place:
        return _replaced(raw, operator)
    step, rest = place[0], place[1:]
    gone = not rest and operator.action == "remove"
    if step is _TEXT and isinstance(raw, str):
        return json.dumps(_written(json.loads(raw), rest, operator))
    if isinstance(step, int) and is_list(raw):
        members: list[Any] = [*raw]
        members[step : step + 1] = [] if gone else [_written(each, rest, operator) for each in members[step : step + 1]]
        return members
    if isinstance(step, str) and is_map(raw):
        held: dict[str, Any] = {key: each for key, each in raw.items() if key != step}
        return held if gone else {**held, step: _written(raw.get(step, {} if rest else None), rest, operator)}
    return raw


def _replaced(raw: Any, operator: Operator) -> Any:
    match operator.action:
        case "append":
            held: list[Any] = raw if is_list(raw) else [] if raw is None else [raw]
            return [*held, copy.deepcopy(operator.value)]
        case "first":
            return raw[: operator.value] if is_list(raw) else raw
        case _:
            return copy.deepcopy(operator.value)


def is_list(raw: Any) -> TypeGuard[list[Any]]:
    """Whether a raw value is a list."""
    return isinstance(raw, list)


def is_map(raw: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a raw value is a map."""
    return isinstance(raw, dict)


def _steps(path: str) -> Place:
    steps: list[Any] = []
    for match in _STEP.finditer(path):
        if match["text"]:
            steps.append(_TEXT)
        elif match["star"]:
            steps.append("*")
        elif match["index"]:
            steps.append(int(match["index"]))
        else:
            steps.append(match["quoted"] or match["key"])
    return tuple(steps)


def _places(raw: Any, steps: Place, above: Place = ()) -> Iterator[Place]:
    """The places that a path with `*` stands for; the last step need not lead anywhere yet."""
    if not steps:
        yield above
        return
    step, rest = steps[0], steps[1:]
    if step is _TEXT:
        if isinstance(raw, str):
            yield from _places(json.loads(raw), rest, (*above, _TEXT))
    elif step == "*":
        keys: Any = range(len(raw)) if is_list(raw) else list(raw) if is_map(raw) else ()
        for key in keys:
            yield from _places(raw[key], rest, (*above, key))
    elif is_map(raw) and (step in raw or not rest):
        yield from _places(raw.get(step), rest, (*above, step))
    elif is_list(raw) and isinstance(step, int) and step < len(raw):
        yield from _places(raw[step], rest, (*above, step))


def _read(raw: Any, place: Place) -> Any:
    for step in place:
        if step is _TEXT:
            raw = json.loads(raw)
        elif is_map(raw):
            raw = raw.get(step)
        elif is_list(raw) and isinstance(step, int):
            raw = raw[step] if step < len(raw) else None
        else:
            return None
    return raw


def _holds(raw: Any, conditions: Mapping[str, str | None]) -> bool:
    return all(
        _matches([_read(raw, place) for place in _places(raw, _steps(path))], want) for path, want in conditions.items()
    )


def _matches(found: list[Any], want: str | None) -> bool:
    texts = [str(member) for each in found if each is not None for member in (each if is_list(each) else [each])]
    return not texts if want is None else any(fnmatchcase(text, want) for text in texts)


def _applies(operator: Operator, current: Any) -> bool:
    """Whether the change would change something."""
    match operator.action:
        case "remove":
            return current is not None
        case "first":
            return is_list(current) and len(current) > operator.value
        case "set":
            return current != operator.value
        case _:
            return True
