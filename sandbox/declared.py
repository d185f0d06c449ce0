"""What a stack that is up declares of each model, as the local loop takes it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, cast

from sandbox.loop.spec import DeclaredPipeline, LoopSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.world import World
    from settings.model import Settings


def loops(
    settings: Settings, outputs: dict[str, Any], world: World, state_dir: Path, image_python: Path
) -> Iterator[LoopSpec]:
    """The loop of each model.

    Args:
        settings: Of the stack.
        outputs: Of the stack.
        world: What exists in its sandbox.
        state_dir: Folder of the environment's state.
        image_python: Interpreter of the virtual environment that stands for the model image.
    """

    def declared(type_: str) -> dict[str, dict[str, Any]]:
        return {record.id: cast("dict[str, Any]", record.inputs) for record in world.of_type(type_)}

    pipelines = declared("aws:sagemaker/pipeline:Pipeline")
    # the id of a project is its ARN, and the output names it
    projects = {each["name"]: each for each in declared("aws:codebuild/project:Project").values()}
    objects = declared("aws:s3/bucketObjectv2:BucketObjectv2").values()
    roles = tuple(sorted(arn for arns in outputs["modelRoleArns"].values() for arn in arns.values()))
    for model in settings.models:
        name = outputs["pipelineNames"][model.name]
        variables = projects[outputs["packagingProjects"][model.name]]["environment"]["environmentVariables"]
        yield LoopSpec(
            account_id=outputs["accountId"],
            region=outputs["region"],
            data_bucket=outputs["dataBucket"],
            models_bucket=outputs["modelsBucket"],
            repository_url=outputs["modelEcrRepo"][model.name],
            key_arn=outputs["keyArn"],
            pipeline=DeclaredPipeline(
                name=name, role_arn=pipelines[name]["roleArn"], definition=pipelines[name]["pipelineDefinition"]
            ),
            role_arns=roles,
            package_group=outputs["modelPackageGroups"][model.name],
            objects={each["key"]: _content(each) for each in objects if each["key"].startswith(f"{model.name}/")},
            packaging={each["name"]: each["value"] for each in variables},
            model=model,
            state_dir=state_dir,
            image_python=image_python,
        )


def _content(declared: dict[str, Any]) -> bytes:
    """What an object holds: text, or bytes in base64."""
    packed = declared.get("contentBase64")
    return base64.b64decode(packed) if packed else str(declared["content"]).encode()
