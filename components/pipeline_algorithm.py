"""What trains in a model's pipeline: which image, told what, and how its data are given.

The model image reads files as they came and knows our hyperparameters. Any other algorithm finds numbers (CSV without a
header, the label first), as AWS's XGBoost image wants them, and XGBoost's own names.
Sources: SageMaker API reference, `AlgorithmSpecification`; developer guide, "Run training and inference containers in
internet-free mode": an isolated container gets its code by a channel; aws/sagemaker-xgboost-container for the names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from components import iam
from components.labels import fingerprint
from components.pipeline_metrics import PROGRESS, metric_definitions
from components.pipeline_words import CONTENT_TYPES, CSV, Step, channel, joined, output
from components.script_source import ARCHIVE, ScriptSource
from settings.algorithms import SPELLINGS, TYPED, XGBOOST_ACCOUNTS, XGBOOST_REPOSITORY

if TYPE_CHECKING:
    from components.model_places import ModelPlaces
    from settings.model import ModelSpec

CHANNELS: Final = ("train", "validation")
"""What a training job reads."""
CODE: Final = "code"
"""Channel of a script, by which the image of AWS gets one without a network."""
_CODE_FOLDER: Final = f"/opt/ml/input/data/{CODE}"
_SILENT: Final = {
    "early_stopping_rounds": 0,
    "num_class": 0,
    "scale_pos_weight": 1,
    "gamma": 0,
    "reg_alpha": 0,
    "max_delta_step": 0,
    "max_leaves": 0,
    "grow_policy": "depthwise",
    "colsample_bylevel": 1,
    "colsample_bynode": 1,
}
"""Values by which the settings say that something is not wanted; XGBoost says it by silence."""


def numbers(name: str) -> str:
    """Name of the output of `Process` that holds a channel as numbers; no prefix of the channel's own files."""
    return f"numbers-{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmRequest:
    """What `CreateTrainingJob` is told of the algorithm, in its words."""

    specification: Step
    hyperparameters: dict[str, str]
    channels: list[Step]

    @property
    def fingerprint(self) -> str:
        """Changes with the algorithm and what it is told."""
        return fingerprint(json.dumps([self.specification, self.hyperparameters, self.channels]))


def training_image(account: iam.Account, model: ModelSpec) -> tuple[str, str] | None:
    """Address of the image that trains, and the ARN of its repository; None for the model's own.

    AWS names its images by version alone and moves the name to corrected builds.
    """
    algorithm = model.training.algorithm
    if algorithm is None:
        return None
    if algorithm.own is not None:
        registry, _, named = algorithm.own.image.partition("/")
        holder, repository = registry.partition(".")[0], named.partition("@")[0]
        return algorithm.own.image, iam.Account(account.partition, holder, account.region).repository(repository)
    spec = algorithm.built_in or algorithm.script
    holder = iam.Account(account.partition, XGBOOST_ACCOUNTS[account.region], account.region)
    version = "" if spec is None else spec.version
    return f"{holder.registry}/{XGBOOST_REPOSITORY}:{version}", holder.repository(XGBOOST_REPOSITORY)


def algorithm_request(account: iam.Account, places: ModelPlaces, image: Step) -> AlgorithmRequest:
    """Image, hyperparameters and channels of a training.

    Args:
        account: Where the platform runs.
        places: Names of the model.
        image: The model's own image, if nothing else trains.
    """
    model, algorithm = places.model, places.model.training.algorithm
    found = training_image(account, model)
    if algorithm is None or found is None:
        return _of_the_model_image(model, image)
    mode = model.training.input_mode
    specification: Step = {"TrainingImage": found[0], "TrainingInputMode": mode}
    told = xgboost_hyperparameters(model) | algorithm.chosen.hyperparameters
    channels = [channel(name, joined("/", output("Process", numbers(name)), ""), CSV, mode) for name in CHANNELS]
    if algorithm.own is not None:
        words = {"ContainerEntrypoint": algorithm.own.entry_point, "ContainerArguments": algorithm.own.arguments}
        specification |= {name: list(value) for name, value in words.items() if value}
    if algorithm.script is not None:
        source = ScriptSource.of(algorithm.script)
        told |= {"sagemaker_program": source.program, "sagemaker_submit_directory": f"{_CODE_FOLDER}/{ARCHIVE}"}
        channels.append(channel(CODE, places.uri(places.sources + source.key), "application/gzip"))
    return AlgorithmRequest(specification=specification, hyperparameters=told, channels=channels)


def xgboost_hyperparameters(model: ModelSpec) -> dict[str, str]:
    """The settings' hyperparameters that are XGBoost's, in its own spelling, with the metrics to report and stop by."""
    settings = model.training.hyperparameters
    values = {name: getattr(settings, name) for name in TYPED}
    found = {
        SPELLINGS.get(name, name): str(value)
        for name, value in values.items()
        if name not in _SILENT or value != _SILENT[name]
    }
    return found | {"eval_metric": ",".join(PROGRESS[settings.objective])}


def _of_the_model_image(model: ModelSpec, image: Step) -> AlgorithmRequest:
    settings, form = model.training.hyperparameters, CONTENT_TYPES[model.data.format]
    metrics, mode = metric_definitions(settings.objective), model.training.input_mode
    return AlgorithmRequest(
        specification={
            "TrainingImage": image,
            "TrainingInputMode": mode,
            "MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in metrics.items()],
            "EnableSageMakerMetricsTimeSeries": False,
        },
        hyperparameters={"label": model.label} | settings.told(),
        channels=[channel(name, output("Process", name), form, mode) for name in CHANNELS],
    )
