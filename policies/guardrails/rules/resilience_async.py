"""Asynchronous work: what fails is kept, tried again, and cannot run wild."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.facts import NoFacts
from guardrails.resources import Resource, Stack
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    StackRule,
    Undetermined,
    Violation,
    decide,
    require,
)
from guardrails.view import Missing, Unknown, Value, any_of

_FUNCTION = "aws:lambda/function:Function"
_INVOKE = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
_MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
_TARGET = "aws:cloudwatch/eventTarget:EventTarget"
_SCHEDULE = "aws:scheduler/schedule:Schedule"
_MACHINE = "aws:sfn/stateMachine:StateMachine"
_QUEUE = "aws:sqs/queue:Queue"
_REDRIVE = "aws:sqs/redrivePolicy:RedrivePolicy"
_DELIVERIES = {_TARGET: "", _SCHEDULE: "target."}
_FAILURES = {
    _QUEUE: ("redrivePolicy", "deadLetterTargetArn"),
    _REDRIVE: ("redrivePolicy", "deadLetterTargetArn"),
    _FUNCTION: ("deadLetterConfig", "targetArn"),
    _TARGET: ("deadLetterConfig", "arn"),
    _SCHEDULE: ("target", "deadLetterConfig.arn"),
    _INVOKE: ("destinationConfig", "onFailure.destination"),
    _MAPPING: ("destinationConfig", "onFailure.destinationArn"),
}
"""Where resources say who receives their failures: the property, and the path of the ARN in it."""
_FALLIBLE = frozenset(("Task", "Map", "Parallel"))


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """How long a function may run."""

    longest_seconds: Annotated[int, "The longest run of a function; Lambda ends every one after 900 seconds."] = 899


def _is_count(value: Value) -> bool:
    number = value.number()
    return number is not None and number >= 0


def _uncaught(states: Value) -> Iterator[Finding]:
    """The states that may fail and have no Catch, inside Map and Parallel too."""
    for name, state in states.items():
        if isinstance(state, Unknown):
            yield Undetermined(path=state.path)
            continue
        if state.child("Type").text() in _FALLIBLE and not state.child("Catch").elements():
            yield Violation(path=f"{state.path}.Catch", found=f"{name} without Catch", wanted="where to go on failure")
        branches = state.select("Branches[*].States")
        for inner in (*branches, state.get("ItemProcessor.States"), state.get("Iterator.States")):
            yield from _uncaught(inner)


def _check_resource(resource: Resource, facts: FunctionFacts) -> Iterator[Finding]:
    if resource.token == _FUNCTION:
        some = "a number, so that it cannot take the whole account's"
        reserved = resource.get("reservedConcurrentExecutions")
        yield from require(reserved, _is_count, some)
        longest = f"{facts.longest_seconds} at most"
        yield from require(
            resource.get("timeout"), lambda value: (value.number() or 3) <= facts.longest_seconds, longest
        )
    elif resource.token == _MACHINE:
        definition = resource.get("definition").json()
        if isinstance(definition, Unknown):
            yield Undetermined(path=definition.path)
        else:
            yield from _uncaught(definition.child("States"))
    else:
        prefix = _DELIVERIES[resource.token]
        for path, wanted in (("retryPolicy", "how often and how long"), ("deadLetterConfig.arn", "a queue")):
            value = resource.get(f"{prefix}{path}")
            if isinstance(value, Missing):
                yield Violation(path=value.path, found="nothing", wanted=wanted)
            elif isinstance(value, Unknown) and prefix and isinstance(resource.get("target"), Unknown):
                yield Undetermined(path=value.path)


RES_04 = ResourceRule(
    id="RES-04",
    name="async-failure-path",
    title="Events, schedules and state machines say what happens on failure",
    tokens=(_FUNCTION, _MACHINE, *_DELIVERIES),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:A1.2", "soc2:CC7.4", "gdpr:32-1-b"),
    why="an event that nobody handled is gone, and nobody knows",
    fix="set retry_policy and dead_letter_config, Catch on states that may fail, reserved concurrency and a timeout",
    facts=FunctionFacts,
    check=_check_resource,
    traps=(
        "states inside Map and Parallel may fail as well; Choice, Pass, Wait, Succeed and Fail cannot",
        "reserved concurrency of 0 stops a function, -1 reserves nothing",
    ),
)


def _only_failures(holder: Resource) -> bool:
    """Whether queues that the property depends on get failures: what a schedule starts may be one, too."""
    return holder.token != _SCHEDULE or bool(holder.get("target.sagemakerPipelineParameters").items())


def _dead_letter_urns(stack: Stack) -> tuple[frozenset[str], frozenset[str]]:
    """URNs and ARNs of what other resources send their failures to."""
    holders = [(each, *_FAILURES[each.token]) for each in stack.of(*_FAILURES)]
    urns = {urn for each, name, _ in holders if _only_failures(each) for urn in each.dependencies.get(name, ())}
    arns = {text for each, name, path in holders if (text := each.get(name).json().get(path).text()) is not None}
    return frozenset(urns), frozenset(arns)


def _redriven(stack: Stack, queue: Resource) -> bool | None:
    own = queue.given("redrivePolicy")
    if not isinstance(own, Missing):  # one that comes later was written all the same
        said = own.json()
        return isinstance(own, Unknown) or said.text() is not None or bool(said.items())
    sides = stack.attached(queue, _REDRIVE, "queueUrl")
    return True if sides.sure else None if sides.maybe else False


def _check_queue(stack: Stack, queue: Resource) -> Iterator[Finding]:
    place = queue.get("redrivePolicy")
    yield from decide(_redriven(stack, queue), place, found="nothing", wanted="a dead-letter queue", at=queue)
    for mapping in stack.attached(queue, _MAPPING, "eventSourceArn").sure:
        for function in stack.of(_FUNCTION):
            if mapping not in stack.attached(function, _MAPPING, "functionName").sure:
                continue
            limit, hidden = function.get("timeout"), queue.get("visibilityTimeoutSeconds")
            open_yet = isinstance(limit, Unknown) or isinstance(hidden, Unknown)
            least = 6 * (limit.number() or 3)  # Lambda's default timeout is 3 seconds, the queue's 30
            seconds = 30 if isinstance(hidden, Missing) else hidden.number() or 0
            answer = None if open_yet else seconds >= least
            wanted = f"{least:.0f} or more: six times the timeout of {function.name}"
            yield from decide(answer, hidden, found=f"{seconds:.0f}", wanted=wanted, at=queue)


def _check_stack(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    urns, arns = _dead_letter_urns(stack)
    for queue in stack.of(_QUEUE):
        if queue.urn not in urns and queue.get("arn").text() not in arns:
            yield from _check_queue(stack, queue)
    for function in stack.of(_FUNCTION):
        own = function.given("deadLetterConfig.targetArn")
        sides = stack.attached(function, _INVOKE, "functionName")
        answers = [not isinstance(each.get("destinationConfig.onFailure.destination"), Missing) for each in sides.sure]
        answer = any_of([*answers, *(None for _ in sides.maybe), not isinstance(own, Missing)])
        wanted = "a dead-letter target, or a destination on failure"
        yield from decide(answer, own, found="nothing", wanted=wanted, at=function)


RES_04_STACK = StackRule(
    id="RES-04",
    name="queues-and-functions-keep-failures",
    title="Queues and functions hand on what they cannot handle",
    tokens=(_QUEUE, _FUNCTION),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:A1.2", "soc2:CC7.4"),
    why="a message that always fails comes back until it expires, and then it is gone",
    fix="set redrive_policy on the queue; dead_letter_config or a FunctionEventInvokeConfig on the function",
    facts=NoFacts,
    check=_check_stack,
    traps=(
        "a dead-letter queue has none of its own",
        "a message must stay hidden for six times the function's timeout, else it is handled twice",
        "the redrive policy is a resource of its own, or stands in the queue",
    ),
)
