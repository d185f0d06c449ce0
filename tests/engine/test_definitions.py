"""What a plan of the real engine tells of a changed pipeline."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pulumi_aws as aws
import pytest

from tests.settings.stacks import decoded
from tests.support.gated import text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine import Engine

    Open = Callable[[Callable[[], None]], Engine]

pytestmark = pytest.mark.engine

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def program(rounds: int) -> Callable[[], None]:
    """The pipeline of prod's model with so many rounds of boosting."""
    content = decoded("prod")
    content["slipway:models"][0]["training"]["hyperparameters"]["num_round"] = rounds
    definition = text_of(content)

    def run() -> None:
        role = aws.iam.Role("training", name="training", assume_role_policy="{}")
        aws.sagemaker.Pipeline(
            "training",
            pipeline_name="training",
            pipeline_display_name="training",
            role_arn=role.arn,
            pipeline_definition=definition,
        )

    return run


def test_a_plan_marks_the_value_of_a_definition_that_changes_and_no_other(open_engine: Open) -> None:
    open_engine(program(300)).up()
    told = COLOURS.sub("", open_engine(program(350)).preview(diff=True).stdout)
    changed = re.findall(r"^ +~ (\S+) *:", told, re.MULTILINE)

    assert re.search(r'~ num_round +: "300" => "350"', told), told
    assert changed[1:] == ["pipelineDefinition", "Steps", "[1]", "Arguments", "HyperParameters", "num_round"]
    assert not re.search(r"^ +[-+] ", told, re.MULTILINE), "nothing comes or goes"
