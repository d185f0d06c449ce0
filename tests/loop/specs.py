"""What the stack would tell the loop about a model: names, roles, and the pipeline that the program defines."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from components import iam
from components.labels import DATA, MODELS, Labels
from components.model_places import Duty, ModelPlaces
from components.packaging_objects import variables
from components.pipeline_champion import PLACEHOLDER
from components.pipeline_definition import pipeline_definition
from components.pipeline_jobs import Surroundings
from components.script_source import ScriptSource
from sandbox.loop.spec import DeclaredPipeline, LoopSpec
from settings.model import DataClassification, EnvironmentSpec, PackagingSpec, Partition
from tests.settings.stacks import decoded

if TYPE_CHECKING:
    from pathlib import Path

    from settings.model import ModelSpec

ACCOUNT, REGION = "123456789012", "eu-central-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
LABELS = Labels(
    EnvironmentSpec.model_construct(
        name="local",
        account_id=ACCOUNT,
        partition=Partition.AWS,
        region=REGION,
        owner="team",
        cost_center="ml",
        data_classification=DataClassification.INTERNAL,
        protect_data=False,
    )
)
AROUND = Surroundings(key_arn=KEY, subnets=("subnet-0123456789abcdef0",), security_group="sg-0123456789abcdef0")
PACKAGING = PackagingSpec.model_validate_json(json.dumps(decoded("local")["slipway:packaging"]))


def _script(places: ModelPlaces) -> dict[str, bytes]:
    """The script that trains the model, if one does."""
    algorithm = places.model.training.algorithm
    if algorithm is None or algorithm.script is None:
        return {}
    source = ScriptSource.of(algorithm.script)
    return {places.sources + source.key: base64.b64decode(source.content())}


def loop_spec(
    model: ModelSpec, folder: Path, image_python: Path, image_source: Path, beside: tuple[ModelSpec, ...] = ()
) -> LoopSpec:
    """The specification of a loop whose state lies in `folder`, in an environment that has the models `beside` too."""
    account, places = iam.Account.of(LABELS.environment), ModelPlaces(LABELS, model)
    models = sorted((model, *beside), key=lambda each: each.name)
    return LoopSpec(
        account_id=ACCOUNT,
        region=REGION,
        data_bucket=LABELS.bucket(DATA),
        models_bucket=LABELS.bucket(MODELS),
        repository_url=f"{account.registry}/{LABELS.repository(model.name)}",
        key_arn=KEY,
        pipeline=DeclaredPipeline(
            name=LABELS.pipeline(model.name),
            role_arn=account.role(places.role(Duty.PIPELINE)),
            definition=pipeline_definition(LABELS, model, AROUND),
        ),
        role_arns=tuple(account.role(ModelPlaces(LABELS, each).role(duty)) for each in models for duty in Duty),
        package_group=LABELS.package_group(model.name),
        objects={f"{places.champion}{PLACEHOLDER}": b"{}", **_script(places)},
        packaging=variables(places, PACKAGING, None),
        model=model,
        state_dir=folder,
        image_python=image_python,
        image_source=image_source,
    )
