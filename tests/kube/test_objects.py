"""What the program registers is accepted by the API server: schema, enumerations, CEL rules, nothing unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.kube.admitted import ENFORCED, KINDS_ELSEWHERE, changed
from tests.kube.api import Refused
from tests.kube.helm import leaves
from tests.support.objects import program_objects

if TYPE_CHECKING:
    from tests.kube.admitted import Admitted
    from tests.kube.api import Object

pytestmark = pytest.mark.kube

Steps = tuple[str | int, ...]

BREACHES: dict[str, list[tuple[Steps, object, str]]] = {
    "Namespace": [(("metadata", "labels", ENFORCED), "strict", "must be one of privileged, baseline, restricted")],
    "NetworkPolicy": [(("spec", "policyTypes"), ["Sideways"], 'Unsupported value: "Sideways"')],
    "EC2NodeClass": [
        (("spec", "metadataOptions", "httpTokens"), "sometimes", 'Unsupported value: "sometimes"'),
        (("spec", "role"), "other", "must specify exactly one of"),
        (("spec", "blockDeviceMappings", 0, "ebs", "volumeSize"), "10", "should match"),
    ],
    "NodePool": [
        (("spec", "disruption", "consolidationPolicy"), "Never", 'Unsupported value: "Never"'),
        (
            ("spec", "disruption", "budgets"),
            [{"nodes": "0", "duration": "1h"}],
            "'schedule' must be set with 'duration'",
        ),
        (("spec", "template", "spec", "nodeClassRef", "group"), "", "group may not be empty"),
    ],
    "ResourceQuota": [(("spec", "hard", "pods"), "many", "quantities must match")],
    "PriorityClass": [(("preemptionPolicy",), "Sometimes", 'Unsupported value: "Sometimes"')],
}
"""Per kind: where, which value, and what the server says to it."""


def unknown_field(item: Object) -> Object:
    """A copy with a field that no schema has, as deep as a specification where there is one."""
    inside: Any = item.get("spec")
    where: Steps = ("spec", "slipwayProbe") if isinstance(inside, dict) else ("slipwayProbe",)
    return changed(item, where, "x")


def test_every_object_of_the_program_is_accepted(admitted: Admitted) -> None:
    assert admitted.refused == ()
    kinds = {item["kind"] for item in admitted.objects}
    assert {"Namespace", "NetworkPolicy", "EC2NodeClass", "NodePool"} <= kinds
    left_out = [item.object["kind"] for item in program_objects(admitted.stack)]
    assert len(left_out) - len(admitted.objects) == sum(kind in KINDS_ELSEWHERE for kind in left_out)


def test_the_server_holds_what_the_program_registered(admitted: Admitted) -> None:
    for item in admitted.objects:
        metadata = item["metadata"]
        held = admitted.api.get(item["apiVersion"], item["kind"], metadata["name"], metadata.get("namespace"))
        assert lost(item, held) == [], metadata["name"]
        assert lost({**item, "spec": {"probe": 1}}, held) == ["spec.probe"]


def lost(wanted: Object, held: Object) -> list[str]:
    """Paths of values that one object has and another lacks; a value may be written in another way (1000m, 1)."""
    kept = {path for path, _ in leaves(held)}
    # An empty value and none are the same to the server.
    return [".".join(map(str, path)) for path, value in leaves(wanted) if value and path not in kept]


def test_a_field_that_does_not_exist_is_refused_on_every_kind(admitted: Admitted) -> None:
    for item in {item["kind"]: item for item in admitted.objects}.values():
        with pytest.raises(Refused, match=r"unknown field|field not declared") as refused:
            admitted.api.create(unknown_field(item), dry_run=True)
        assert "slipwayProbe" in refused.value.message, item["kind"]


def test_wrong_values_and_broken_rules_are_refused(admitted: Admitted) -> None:
    seen = 0
    for kind, breaches in BREACHES.items():
        for item in admitted.of_kind(kind)[:1]:
            admitted.api.create(changed(item, ("kind",), kind), dry_run=True)
            for path, value, said in breaches:
                with pytest.raises(Refused) as refused:
                    admitted.api.create(changed(item, path, value), dry_run=True)
                assert said in refused.value.message
                seen += 1
    assert seen >= 8
