"""A search in place of the one training of a pipeline: many trainings, of which the best goes on.

Source: SageMaker developer guide, "Tuning step"; API reference, `CreateHyperParameterTuningJob`. SageMaker's own SDK
refers to the artefact of the best training by joining its name to the place of artefacts (`get_top_model_s3_uri`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from components.pipeline_metrics import objective_metric
from components.pipeline_words import Step, joined, output, result
from settings.model import HyperparametersSpec

if TYPE_CHECKING:
    from components.model_places import ModelPlaces
    from settings.model import ModelSpec, RangeSpec, TuningSpec

TRAIN: Final = "Train"
TUNE: Final = "Tune"
ADOPT: Final = "Adopt"
"""Step that makes a model of ours of what another algorithm left."""
ADOPTED: Final = "adopted"
"""Folder of its artefact, beside what the training job itself wrote."""
_SCALING: Final = {
    "auto": "Auto",
    "linear": "Linear",
    "logarithmic": "Logarithmic",
    "reverse-logarithmic": "ReverseLogarithmic",
}
_OF_THE_SEARCH: Final = ("TrainingJobName", "HyperParameters", "Tags")
"""Arguments of a training that a search gives to its trainings itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The training job whose model is judged and registered, as later steps refer to it."""

    name: Step
    arn: Step
    artefact: Step
    """Address of `model.tar.gz`."""

    @classmethod
    def of(cls, places: ModelPlaces) -> Trained:
        """The one training, or the best one of the search; of another algorithm, with what was made of its model."""
        if places.model.training.tuning is None:
            own = places.model.training.algorithm is None
            adopted = joined("/", output(ADOPT, "model"), "model.tar.gz")
            return cls(
                name=result(TRAIN, "TrainingJobName"),
                arn=result(TRAIN, "TrainingJobArn"),
                artefact=result(TRAIN, "ModelArtifacts.S3ModelArtifacts") if own else adopted,
            )
        name = result(TUNE, "BestTrainingJob.TrainingJobName")
        return cls(
            name=name,
            arn=result(TUNE, "BestTrainingJob.TrainingJobArn"),
            artefact=joined("/", places.uri(places.jobs), name, "output/model.tar.gz"),
        )


def tuning_request(places: ModelPlaces, tuning: TuningSpec, training: Step) -> Step:
    """Arguments of the search: trainings like `training`, whose values it chooses.

    Args:
        places: Names of the model.
        tuning: The search.
        training: Arguments of the one training (`CreateTrainingJob`).
    """
    request: Step = {
        "HyperParameterTuningJobName": places.tuning_prefix,
        "HyperParameterTuningJobConfig": _config(places.model, tuning),
        "TrainingJobDefinition": _definition(places.model, tuning, training),
        "Tags": training["Tags"],
    }
    if tuning.warm_start_from:
        request["WarmStartConfig"] = {
            "ParentHyperParameterTuningJobs": [
                {"HyperParameterTuningJobName": each} for each in tuning.warm_start_from
            ],
            # The other type asks for the same data, and a run has the data that has arrived.
            "WarmStartType": "TransferLearning",
        }
    return request


def _config(model: ModelSpec, tuning: TuningSpec) -> Step:
    settings = model.training.hyperparameters
    metric, _ = objective_metric(model.gate.metric)
    config: Step = {
        "Strategy": tuning.strategy.capitalize(),
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": metric},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": tuning.jobs, "MaxParallelTrainingJobs": tuning.parallel_jobs},
        "ParameterRanges": _ranges(tuning),
        "TrainingJobEarlyStoppingType": "Auto" if tuning.early_stopping else "Off",
        "RandomSeed": settings.seed,
    }
    if tuning.minimum_rounds is not None:
        rounds = {"MinResource": tuning.minimum_rounds, "MaxResource": settings.num_round}
        config["StrategyConfig"] = {"HyperbandStrategyConfig": rounds}
    return config


def _definition(model: ModelSpec, tuning: TuningSpec, training: Step) -> Step:
    """The training without what the search chooses, and with the metric that it looks at."""
    algorithm, fixed = training["AlgorithmSpecification"], dict(training["HyperParameters"])
    # The trainings of a search do not heed the retry policies of its step ("Retry Policy for Pipeline Steps").
    retries = model.pipeline.attempts - 1
    for each in (*tuning.ranges, *tuning.choices):
        del fixed[each.name]
    metric, expression = objective_metric(model.gate.metric)
    return {
        **{name: value for name, value in training.items() if name not in _OF_THE_SEARCH},
        "AlgorithmSpecification": {
            "TrainingImage": algorithm["TrainingImage"],
            "TrainingInputMode": algorithm["TrainingInputMode"],
            "MetricDefinitions": [*algorithm["MetricDefinitions"], {"Name": metric, "Regex": expression}],
        },
        "StaticHyperParameters": fixed,
        **({"RetryStrategy": {"MaximumRetryAttempts": retries}} if retries else {}),
    }


def _ranges(tuning: TuningSpec) -> Step:
    whole = [each for each in tuning.ranges if _is_whole(each.name)]
    return {
        "IntegerParameterRanges": [_range(each) for each in whole],
        "ContinuousParameterRanges": [_range(each) for each in tuning.ranges if each not in whole],
        "CategoricalParameterRanges": [
            {"Name": each.name, "Values": [_text(each.name, value) for value in each.values]} for each in tuning.choices
        ],
    }


def _range(spec: RangeSpec) -> Step:
    return {
        "Name": spec.name,
        "MinValue": _text(spec.name, spec.minimum),
        "MaxValue": _text(spec.name, spec.maximum),
        "ScalingType": _SCALING[spec.scaling],
    }


def _text(name: str, value: float) -> str:
    return str(int(value) if _is_whole(name) else value)


def _is_whole(name: str) -> bool:
    return HyperparametersSpec.model_fields[name].annotation is int
