"""The gate of a pipeline definition: what an execution does with an evaluation."""

from __future__ import annotations

import json
from typing import Any

from components.labels import Labels
from components.pipeline_definition import pipeline_definition
from components.pipeline_jobs import Surroundings
from sandbox.loop.conditions import holds
from sandbox.loop.references import Scope, resolve
from tests.settings.stacks import Content, settings_of

AROUND = Surroundings(key_arn="arn:aws:kms:us-east-1:777788889999:key/1", subnets=["subnet-1"], security_group="sg-1")
FAILED, REGISTERED, NOTHING = {"Refuse"}, {"Register"}, set[str]()
"""Names of the steps that an execution comes to behind the conditions."""


def text_of(content: Content) -> str:
    """The definition of the first model of an environment, as the plan has it."""
    settings = settings_of(content)
    return pipeline_definition(Labels(settings.environment), settings.models[0], AROUND)


def defined(content: Content) -> dict[str, Any]:
    """The same, to look into."""
    return json.loads(text_of(content))


def step(definition: dict[str, Any], name: str) -> dict[str, Any]:
    """A step that is behind no condition."""
    return next(each for each in definition["Steps"] if each["Name"] == name)


def behind(definition: dict[str, Any], document: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps behind the conditions that an execution comes to after an evaluation, with what each says."""
    scope = Scope(parameters={}, execution={}, steps={"Evaluate": {}}, property_file=lambda _step, _name: document)
    conditions = [each["Arguments"] for each in definition["Steps"] if each["Type"] == "Condition"]
    return [
        {**inner, "said": resolve(inner["Arguments"].get("ErrorMessage", ""), scope)}
        for arguments in conditions
        for inner in arguments[
            "IfSteps" if all(holds(each, scope) for each in arguments["Conditions"]) else "ElseSteps"
        ]
    ]


def names(steps: list[dict[str, Any]]) -> set[str]:
    """Names of steps."""
    return {each["Name"] for each in steps}
