"""Where the SDK sends something else than the program, and why the program does not follow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ABSENT: Final = "(absent)"


@dataclass(frozen=True, slots=True)
class Difference:
    """A key that one of the two definitions lacks."""

    place: str
    sdk: Any
    """What the SDK sends where the program sends nothing; `ABSENT` where it is the other way round."""
    why: str


_PREFIX = (
    "the SDK drops the prefix of a job that it keeps of a processing job (aws/sagemaker-python-sdk#5776, #6299), and "
    "jobs without it get names that no role of ours may use"
)
_TUNER = (
    "the SDK's tuner does not hand on what its trainer was told, and trainings would be less closed than a single one"
)
_EMPTY = "the SDK writes down that there is nothing"
NAMED: Final = (
    Difference("MlflowConfig", None, _EMPTY),
    Difference("PipelineExperimentConfig", None, _EMPTY),
    Difference("Steps.Train.Arguments.TrainingJobName", ABSENT, _PREFIX),
    Difference("Steps.Tune.Arguments.HyperParameterTuningJobName", ABSENT, _PREFIX),
    Difference(
        "Steps.Train.Arguments.AlgorithmSpecification.EnableSageMakerMetricsTimeSeries",
        ABSENT,
        "the SDK's trainer has no argument for it; metrics of the registry are those of the evaluation",
    ),
    Difference("Steps.Tune.Arguments.TrainingJobDefinition.EnableNetworkIsolation", ABSENT, _TUNER),
    Difference("Steps.Tune.Arguments.TrainingJobDefinition.EnableInterContainerTrafficEncryption", ABSENT, _TUNER),
    Difference("Steps.Tune.Arguments.TrainingJobDefinition.ResourceConfig.VolumeKmsKeyId", ABSENT, _TUNER),
    Difference(
        "Steps.Tune.Arguments.TrainingJobDefinition.RetryStrategy",
        ABSENT,
        "the SDK's trainer has no argument for it, and the trainings of a search heed no retry policies of its step",
    ),
    Difference("Steps.Register.Arguments.InferenceSpecification.Containers.Environment", {}, _EMPTY),
    Difference("Steps.Register.Arguments.ModelMetrics.Bias", {}, _EMPTY),
    Difference("Steps.Register.Arguments.ModelMetrics.Explainability", {}, _EMPTY),
)


def differences(ours: Any, sdk: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Places at which two definitions differ, with the values of both.

    A step is named by its name wherever it stands, so the same step has the same place beside a champion and without.
    """
    if isinstance(ours, dict) and isinstance(sdk, dict):
        for name in sorted(ours.keys() | sdk.keys()):
            yield from differences(ours.get(name, ABSENT), sdk.get(name, ABSENT), _below(place, name))
    elif isinstance(ours, list) and isinstance(sdk, list) and len(ours) == len(sdk):
        for one, other in zip(ours, sdk, strict=True):
            yield from differences(one, other, f"Steps.{one['Name']}" if _is_step(one) else place)
    elif (type(ours), ours) != (type(sdk), sdk):
        yield place, ours, sdk


def unnamed(ours: Any, sdk: Any) -> list[tuple[str, Any, Any]]:
    """Differences that the table does not name, or names otherwise."""
    named = {each.place: each.sdk for each in NAMED}
    return [
        (place, one, other)
        for place, one, other in differences(ours, sdk)
        if place not in named or other != named[place] or ABSENT not in (one, other)
    ]


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _is_step(part: Any) -> bool:
    return isinstance(part, dict) and {"Name", "Type", "Arguments"} <= part.keys()
