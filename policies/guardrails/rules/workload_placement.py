"""Pods: the nodes that those who answer people may run on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from guardrails.pods import WORKLOADS, Pod, in_pods
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, decide
from guardrails.view import Missing, Unknown, Value, all_of, any_of


@dataclass(frozen=True, slots=True)
class PlacementFacts:
    """Who answers people, and how spot nodes are known."""

    real_time: Annotated[Mapping[str, tuple[str, ...]], "By label of a pod: values of pods that answer requests."] = (
        field(default_factory=lambda: {"app.kubernetes.io/component": ("model-server",)})
    )
    spot: Annotated[Mapping[str, str], "By label of a node, which is its taint as well: the value on spot nodes."] = (
        field(
            default_factory=lambda: {
                "slipway.dev/capacity": "spot",
                "karpenter.sh/capacity-type": "spot",
                "eks.amazonaws.com/capacityType": "SPOT",
            }
        )
    )


def _answers_people(pod: Pod, facts: PlacementFacts) -> bool | None:
    labels = {name: pod.metadata.get("labels").child(name) for name in facts.real_time}
    return any_of(
        None if isinstance(value, Unknown) else value.text() in facts.real_time[name] for name, value in labels.items()
    )


def _tolerates(toleration: Value, facts: PlacementFacts) -> bool | None:
    """Whether a toleration lets a pod onto spot nodes."""
    key, operator, value = (toleration.child(name) for name in ("key", "operator", "value"))
    if isinstance(key, Unknown) or isinstance(operator, Unknown):
        return None
    every = operator.text() == "Exists"
    if isinstance(key, Missing):
        return every
    wanted = facts.spot.get(key.text() or "")
    if wanted is None or every:
        return wanted is not None
    return None if isinstance(value, Unknown) else value.text() == wanted


def _check(pod: Pod, facts: PlacementFacts) -> Iterator[Finding]:
    answers = _answers_people(pod, facts)
    if answers is False:
        return
    ways = [(each, _tolerates(each, facts), "a toleration of spot nodes") for each in pod.spec.select("tolerations[*]")]
    for label, value in facts.spot.items():
        chosen = pod.spec.get("nodeSelector").child(label)
        if not isinstance(chosen, Missing):
            ways.append((chosen, None if isinstance(chosen, Unknown) else chosen.text() == value, "spot nodes"))
    for place, leads, found in ways:
        onto_spot = all_of([answers, leads])
        kept_off = None if onto_spot is None else not onto_spot
        yield from decide(kept_off, place, found=found, wanted="on-demand nodes alone for pods that answer requests")


K8S_10 = ResourceRule(
    id="K8S-10",
    name="real-time-on-demand",
    title="Pods that answer requests run on on-demand nodes",
    tokens=WORKLOADS,
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:A1.1",),
    why="AWS takes a spot node back with two minutes' notice, and people wait for the answers that were on it",
    fix="remove the toleration and the node selector of spot nodes; batch and training are what spot is for",
    facts=PlacementFacts,
    check=in_pods(_check),
    traps=(
        "a toleration without a key and with the operator Exists tolerates spot nodes, too",
        "the operator Exists needs no value",
        "batch pods and pods of training may go there",
    ),
)
