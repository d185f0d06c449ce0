"""Models: data that is their own, training that can run, and a version that can be served."""

from collections.abc import Callable, Iterator
from typing import Final

from settings.instances import (
    PROCESSING_TYPES,
    TRAINING_TYPES,
    Accelerator,
    accelerator,
    architecture,
    near,
    takes_volume_key,
)
from settings.model import Settings
from settings.problems import Finding, Path, join, repeated
from settings.rules.environment import Rule

BINARY, MULTICLASS, REGRESSION = "binary:logistic", "multi:softprob", "reg:squarederror"

LONGEST_RUN_DAYS: Final = 7
"""A training takes five days at most; the jobs around it, and waits for capacity, are shorter."""
GATE_METRICS: Final = {
    BINARY: ("auc", "accuracy"),
    MULTICLASS: ("accuracy", "macro_f1", "weighted_f1"),
    REGRESSION: ("r2",),
}
"""Metrics by objective that grow with quality, of those in the image's evaluation."""

OWN_HYPERPARAMETERS: Final[tuple[tuple[str, object, tuple[str, ...]], ...]] = (
    ("num_class", 0, (MULTICLASS,)),
    ("scale_pos_weight", 1, (BINARY,)),
    ("class_weight", "none", (BINARY, MULTICLASS)),
    ("monotone_constraints", {}, (BINARY, REGRESSION)),
)
"""Hyperparameters of some objectives only, with the value that has no effect."""

ARTEFACT_FOLDERS: Final = ("jobs", "promoted")
"""Below a model's prefix of the models bucket: what trainings write, and what promotions bring."""

ModelRule = Callable[[Settings, int], Iterator[Finding]]
"""A rule on the model at an index."""


def model_names_differ(settings: Settings) -> Iterator[Finding]:
    """A model's name is the name of its package group, repository and pipeline."""
    names = [model.name for model in settings.models]
    for index, first in repeated(names).items():
        yield Finding(
            path=("models", index, "name"),
            found=f"{names[index]} again (first in models[{first}])",
            allowed="a name that no other model has",
            remedy="rename one of the two",
        )


def dataset_prefixes_are_apart(settings: Settings) -> Iterator[Finding]:
    """An object below two prefixes would retrain two models."""
    prefixes = [model.dataset_prefix for model in settings.models]
    for index, prefix in enumerate(prefixes):
        for first, other in enumerate(prefixes[:index]):
            if prefix.startswith(other) or other.startswith(prefix):
                yield Finding(
                    path=("models", index, "datasetPrefix"),
                    found=prefix,
                    allowed=f"a prefix apart from {other} (models[{first}])",
                    remedy="give each model a prefix of its own, such as its name and a slash",
                )


def training_type_exists(settings: Settings, index: int) -> Iterator[Finding]:
    """SageMaker refuses an unknown type when the training job starts, long after the stack is up."""
    for path, name in _training_types(settings, index):
        if name not in TRAINING_TYPES:
            choices = near(name, TRAINING_TYPES)
            yield Finding(
                path=path,
                found=name,
                allowed="a SageMaker training type of settings/instances.py",
                remedy=f"write {join(choices)}" if choices else "choose another family, such as ml.m5, ml.c6i or ml.g5",
            )


def _training_types(settings: Settings, index: int) -> Iterator[tuple[Path, str]]:
    """Where each instance type of a training is written, and which it is."""
    training = settings.models[index].training
    yield ("models", index, "training", "instanceType"), training.instance_type
    for place, name in enumerate(training.fallback_instance_types):
        yield ("models", index, "training", "fallbackInstanceTypes", place), name


def fallback_hosts_take_the_same_job(settings: Settings, index: int) -> Iterator[Finding]:
    """One request is sent with another type in it: what holds of the first type has to hold of all."""
    (_, first), *others = _training_types(settings, index)
    seen = [first]
    for path, name in others:
        if name in seen:
            yield Finding(path=path, found=f"{name} again", allowed="a type once", remedy="remove it")
        elif {first, name} <= TRAINING_TYPES and _hosts(name) != _hosts(first):
            yield Finding(
                path=path,
                found=f"{name} ({_hosts(name)})",
                allowed=f"hosts that can take the job of {first} ({_hosts(first)})",
                remedy="choose such a type, or remove it",
            )
        seen.append(name)


def _hosts(name: str) -> str:
    """What the request of a job, its image or its device depend on."""
    bare, disks = name.removeprefix("ml."), "no local disks" if takes_volume_key(name) else "local disks"
    return f"{architecture(bare)}, accelerator: {accelerator(bare)}, {disks}"


def processing_type_exists(settings: Settings, index: int) -> Iterator[Finding]:
    """SageMaker refuses an unknown type when the first job starts, long after the stack is up."""
    model = settings.models[index]
    hosts: dict[tuple[str, ...], str] = {("processing",): model.processing.instance_type}
    if model.drift is not None:
        hosts["drift", "job"] = model.drift.job.instance_type
    for path, name in hosts.items():
        if name not in PROCESSING_TYPES:
            choices = near(name, PROCESSING_TYPES)
            yield Finding(
                path=("models", index, *path, "instanceType"),
                found=name,
                allowed="a SageMaker processing type",
                remedy=f"write {join(choices)}" if choices else "choose another family, such as ml.m5 or ml.c5",
            )


def warm_hosts_are_not_spot(settings: Settings, index: int) -> Iterator[Finding]:
    """SageMaker refuses a warm pool of spot hosts (SageMaker developer guide, "SageMaker managed warm pools")."""
    training = settings.models[index].training
    if training.spot and training.keep_alive_seconds is not None:
        yield Finding(
            path=("models", index, "training", "keepAliveSeconds"),
            found=str(training.keep_alive_seconds),
            allowed="null while spot is true",
            remedy="write null: hosts that AWS may take back cannot be kept, or set spot to false",
        )


def spot_training_has_time_to_wait(settings: Settings, index: int) -> Iterator[Finding]:
    """With spot, the wait counts from the start and includes the run (SageMaker API, StoppingCondition)."""
    training = settings.models[index].training
    wait, run = training.max_wait_seconds, training.max_runtime_seconds
    path = ("models", index, "training", "maxWaitSeconds")
    if training.spot and (wait is None or wait < run):
        yield Finding(
            path=path,
            found="null" if wait is None else str(wait),
            allowed=f"at least maxRuntimeSeconds ({run}) while spot is true",
            remedy=f"write {run} plus the seconds to wait for capacity, or set spot to false",
        )
    if not training.spot and wait is not None:
        yield Finding(
            path=path,
            found=str(wait),
            allowed="null while spot is false",
            remedy="write null, or set spot to true",
        )


def copies_outlive_the_cache(settings: Settings, index: int) -> Iterator[Finding]:
    """A step that is taken from an earlier run leads to what that run wrote, for as long as the new run takes."""
    spec = settings.models[index].pipeline
    least = (spec.cache_days or 0) + LONGEST_RUN_DAYS
    if spec.keep_days < least:
        yield Finding(
            path=("models", index, "pipeline", "keepDays"),
            found=str(spec.keep_days),
            allowed=f"at least {least}, a week more than cacheDays",
            remedy=f"write {least}, or less for cacheDays",
        )


def early_stopping_can_happen(settings: Settings, index: int) -> Iterator[Finding]:
    """Patience as long as the training never runs out."""
    hyperparameters = settings.models[index].training.hyperparameters
    if hyperparameters.early_stopping_rounds >= hyperparameters.num_round:
        yield Finding(
            path=("models", index, "training", "hyperparameters", "early_stopping_rounds"),
            found=str(hyperparameters.early_stopping_rounds),
            allowed=f"less than num_round ({hyperparameters.num_round})",
            remedy="lower early_stopping_rounds, to a tenth of num_round for example, or raise num_round",
        )


def gate_metric_is_of_the_objective(settings: Settings, index: int) -> Iterator[Finding]:
    """A metric that the evaluation does not have never passes the gate."""
    model = settings.models[index]
    objective = model.training.hyperparameters.objective
    if model.gate.metric not in GATE_METRICS[objective]:
        yield Finding(
            path=("models", index, "gate", "metric"),
            found=model.gate.metric,
            allowed=f"{join(GATE_METRICS[objective])} with objective {objective}",
            remedy="choose one of them, and a minimum that fits it",
        )


def hyperparameters_fit_the_objective(settings: Settings, index: int) -> Iterator[Finding]:
    """The image refuses a job whose settings mean nothing for what it learns."""
    hyperparameters = settings.models[index].training.hyperparameters
    for name, neutral, objectives in OWN_HYPERPARAMETERS:
        value = getattr(hyperparameters, name)
        if value != neutral and hyperparameters.objective not in objectives:
            yield Finding(
                path=("models", index, "training", "hyperparameters", name),
                found=str(value),
                allowed=f"{neutral} with objective {hyperparameters.objective}",
                remedy=f"remove {name}; it belongs to {join(objectives)}",
            )


def classes_are_several(settings: Settings, index: int) -> Iterator[Finding]:
    """One class leaves nothing to tell apart."""
    if settings.models[index].training.hyperparameters.num_class == 1:
        yield Finding(
            path=("models", index, "training", "hyperparameters", "num_class"),
            found="1",
            allowed="2 and more, or 0 for the classes that occur",
            remedy="write the number of classes, or remove num_class",
        )


def gpu_training_has_a_gpu(settings: Settings, index: int) -> Iterator[Finding]:
    """The image refuses a job that asks for CUDA on a host without a GPU."""
    training = settings.models[index].training
    kind = accelerator(training.instance_type.removeprefix("ml."))
    if training.hyperparameters.device == "cuda" and kind is not Accelerator.NVIDIA:
        yield Finding(
            path=("models", index, "training", "hyperparameters", "device"),
            found="cuda",
            allowed=f"auto or cpu with {training.instance_type}, which has no NVIDIA GPU",
            remedy="remove device, or choose an instance type such as ml.g5.xlarge",
        )


def data_on_disk_have_one_host(settings: Settings, index: int) -> Iterator[Finding]:
    """Several hosts share the data, and the image keeps those of one host on disk only."""
    training = settings.models[index].training
    if training.hyperparameters.memory_limit_mib and training.instance_count > 1:
        yield Finding(
            path=("models", index, "training", "hyperparameters", "memory_limit_mib"),
            found=f"{training.hyperparameters.memory_limit_mib:g}",
            allowed=f"0 with {training.instance_count} hosts",
            remedy="remove memory_limit_mib, or set instanceCount to 1",
        )


def classes_are_weighed_once(settings: Settings, index: int) -> Iterator[Finding]:
    """The image refuses a job that is told two weights of the rows labelled 1."""
    hyperparameters = settings.models[index].training.hyperparameters
    if hyperparameters.class_weight == "balanced" and hyperparameters.scale_pos_weight != 1:
        yield Finding(
            path=("models", index, "training", "hyperparameters", "scale_pos_weight"),
            found=str(hyperparameters.scale_pos_weight),
            allowed="1 while class_weight is balanced",
            remedy="remove scale_pos_weight, or set class_weight to none",
        )


def a_lossguided_tree_has_an_end(settings: Settings, index: int) -> Iterator[Finding]:
    """Without a number of leaves the order of splits decides nothing, and the image refuses the job."""
    training = settings.models[index].training
    searched = () if training.tuning is None else (*training.tuning.ranges, *training.tuning.choices)
    leaves = [training.hyperparameters.max_leaves] if all(each.name != "max_leaves" for each in searched) else []
    if training.hyperparameters.grow_policy == "lossguide" and 0 in leaves:
        yield Finding(
            path=("models", index, "training", "hyperparameters", "max_leaves"),
            found="0",
            allowed="1 and more with grow_policy lossguide",
            remedy="write how many leaves a tree may have, 31 for example, or remove grow_policy",
        )


def directions_are_of_features(settings: Settings, index: int) -> Iterator[Finding]:
    """What is predicted has no direction to keep; whether the data has the others, the job finds out."""
    model = settings.models[index]
    if model.label in model.training.hyperparameters.monotone_constraints:
        yield Finding(
            path=("models", index, "training", "hyperparameters", "monotone_constraints", model.label),
            found=f"{model.label}, the label",
            allowed="columns of numbers that the model learns from",
            remedy="remove it",
        )


def approved_model_is_in_this_environment(settings: Settings, index: int) -> Iterator[Finding]:
    """Nobody may read artefacts of other environments, and those of this one only where runs and promotions put them.

    What reads them has the right to these folders, whichever version is approved: the instances of one version may
    still start while the next one comes.
    """
    model, environment = settings.models[index], settings.environment
    if model.approved is None:
        return
    bucket = f"s3://slipway-{environment.name}-{environment.account_id}-{environment.region}-models"
    folders = [f"{bucket}/{model.name}/{folder}/" for folder in ARTEFACT_FOLDERS]
    address = model.approved.model_data
    if not address.startswith(tuple(folders)):
        _, _, key = address.removeprefix("s3://").partition("/")
        ours = f"{bucket}/{key}"
        there = ours if ours.startswith(tuple(folders)) else f"{folders[-1]}{model.approved.version}/model.tar.gz"
        yield Finding(
            path=("models", index, "approved", "modelData"),
            found=address,
            allowed=f"an object below {' or '.join(folders)}",
            remedy=f"copy the model there and write {there}",
        )


RULES: Final[tuple[Rule, ...]] = (
    model_names_differ,
    dataset_prefixes_are_apart,
)
MODEL_RULES: Final[tuple[ModelRule, ...]] = (
    training_type_exists,
    fallback_hosts_take_the_same_job,
    processing_type_exists,
    warm_hosts_are_not_spot,
    spot_training_has_time_to_wait,
    copies_outlive_the_cache,
    early_stopping_can_happen,
    gate_metric_is_of_the_objective,
    hyperparameters_fit_the_objective,
    classes_are_several,
    gpu_training_has_a_gpu,
    data_on_disk_have_one_host,
    classes_are_weighed_once,
    a_lossguided_tree_has_an_end,
    directions_are_of_features,
    approved_model_is_in_this_environment,
)
