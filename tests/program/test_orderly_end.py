"""What the hook before a deletion is bound to."""

from __future__ import annotations

import pytest

from operations.teardown import CONTROLLERS
from tests.support.recorded import STACKS, record_program

SUBNET = "aws:ec2/subnet:Subnet"


@pytest.mark.parametrize("stack", STACKS)
def test_controllers_that_make_things_and_the_subnets_of_nodes_end_in_order(stack: str) -> None:
    bound = [each for each in record_program(stack).resources if each.before_delete]
    assert {each.inputs["name"] for each in bound if each.type != SUBNET} == set(CONTROLLERS)
    private = {
        each.name for each in record_program(stack).of_type(SUBNET) if "kubernetes.io/role/internal-elb" in each.tags
    }
    assert {each.name for each in bound if each.type == SUBNET} == private
    assert {hook for each in bound for hook in each.before_delete} == {"orderly-end"}
