"""The algorithm that trains in place of the model image: one that exists, may be pulled, and leaves what can be served.

Source: SageMaker developer guide, "XGBoost hyperparameters" and "Run training and inference containers in internet-free
mode"; API reference, `AlgorithmSpecification`.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from settings.algorithms import OTHERS, READABLE, SPELLINGS, TYPED, UNREADABLE, XGBOOST, XGBOOST_ACCOUNTS, Number
from settings.model import AlgorithmSpec, HyperparametersSpec, Settings
from settings.problems import Finding, join, show
from settings.rules.models import MULTICLASS, ModelRule

_SECTIONS: Final = ("builtIn", "script", "own")
_RESERVED: Final = "sagemaker_"
"""Begins the names of hyperparameters by which a script finds its way into AWS's image."""

_TYPED: Final = frozenset({*TYPED, *SPELLINGS.values(), "eval_metric"})
"""Names that the program gives to the algorithm itself."""


def _algorithm(settings: Settings, index: int) -> Iterator[AlgorithmSpec]:
    """The model's algorithm, if it is not the model image's own."""
    algorithm = settings.models[index].training.algorithm
    if algorithm is not None:
        yield algorithm


def _finding(index: int, path: tuple[str | int, ...], found: object, allowed: str, remedy: str) -> Finding:
    return Finding(path=("models", index, "training", *path), found=str(found), allowed=allowed, remedy=remedy)


def _sections(algorithm: AlgorithmSpec) -> dict[str, object]:
    """The sections that are there."""
    values = zip(_SECTIONS, (algorithm.built_in, algorithm.script, algorithm.own), strict=True)
    return {name: value for name, value in values if value is not None}


def one_algorithm_is_chosen(settings: Settings, index: int) -> Iterator[Finding]:
    """Two algorithms would be two models."""
    for algorithm in _algorithm(settings, index):
        found = _sections(algorithm)
        if len(found) != 1:
            allowed, remedy = f"exactly one of {join(_SECTIONS)}", "keep one section, or write algorithm: null"
            yield _finding(index, ("algorithm",), " and ".join(found) or "none of them", allowed, remedy)


def built_in_is_one_that_can_be_served(settings: Settings, index: int) -> Iterator[Finding]:
    """What another algorithm leaves is nothing that the model image can evaluate or serve."""
    for algorithm in _algorithm(settings, index):
        if algorithm.built_in is not None and algorithm.built_in.name != XGBOOST:
            yield _finding(
                index,
                ("algorithm", "builtIn", "name"),
                algorithm.built_in.name,
                f"{XGBOOST}: no model of another built-in algorithm can be evaluated and served by the model image",
                f"write {XGBOOST}, or train in an image of your own that leaves an XGBoost model of trees",
            )


def models_of_the_version_can_be_read(settings: Settings, index: int) -> Iterator[Finding]:
    """A format that is gone is found out when the training has been paid."""
    for algorithm in _algorithm(settings, index):
        for section, spec in (("builtIn", algorithm.built_in), ("script", algorithm.script)):
            if spec is None or spec.version in READABLE:
                continue
            old = ": older ones leave a binary format that XGBoost dropped" if spec.version in UNREADABLE else ""
            allowed, remedy = f"{join(READABLE)}{old}", f"write {READABLE[0]}"
            yield _finding(index, ("algorithm", section, "version"), spec.version, allowed, remedy)


def region_has_the_image(settings: Settings, index: int) -> Iterator[Finding]:
    """SageMaker pulls an image from a registry of its own region only."""
    region = settings.environment.region
    for algorithm in _algorithm(settings, index):
        for section in _sections(algorithm):
            if section != "own" and region not in XGBOOST_ACCOUNTS:
                yield _finding(
                    index,
                    ("algorithm", section),
                    f"{section} in {region}",
                    "a region in which AWS publishes its XGBoost image",
                    "write algorithm: null, which trains the same trees in the model image, or bring an image of yours",
                )


def image_is_of_a_trusted_registry(settings: Settings, index: int) -> Iterator[Finding]:
    """Whoever controls the registry decides what reads the data; and SageMaker pulls within its region only."""
    environment = settings.environment
    for algorithm in _algorithm(settings, index):
        if algorithm.own is None:
            continue
        name = algorithm.own.image.partition("@")[0]
        own = f"{environment.account_id}.dkr.ecr."
        trusted = [each for each in settings.registry.training_registries if f"{name}/".startswith(f"{each}/")]
        if name.split(".")[3] != environment.region:
            allowed, remedy = f"an image in {environment.region}", "replicate it to the region, and name it there"
        elif not trusted and not name.startswith(own):
            allowed = "the registry of the account, or one of registry.trainingRegistries"
            remedy = f"copy the image to the account, or add {name} to registry.trainingRegistries"
        else:
            continue
        yield _finding(index, ("algorithm", "own", "image"), name, allowed, remedy)


def hyperparameters_are_told_once(settings: Settings, index: int) -> Iterator[Finding]:
    """Which of two values an algorithm takes is its own affair; and some names are SageMaker's."""
    for algorithm in _algorithm(settings, index):
        for section in _sections(algorithm):
            spec = getattr(algorithm, "built_in" if section == "builtIn" else section)
            for name in spec.hyperparameters:
                if name in _TYPED or name.startswith(_RESERVED):
                    path = ("algorithm", section, "hyperparameters", name)
                    allowed = "names that neither training.hyperparameters nor SageMaker has"
                    remedy = "remove it, or write it under training.hyperparameters if that has it"
                    yield _finding(index, path, name, allowed, remedy)


def the_built_in_algorithm_takes_what_it_is_told(settings: Settings, index: int) -> Iterator[Finding]:
    """AWS's image refuses a training with a hyperparameter that it does not know, or with a value out of range."""
    for algorithm in _algorithm(settings, index):
        told = algorithm.built_in.hyperparameters if algorithm.built_in is not None else {}
        for name, value in told.items():
            if name not in OTHERS and name not in _TYPED and not name.startswith(_RESERVED):
                near = get_close_matches(name, OTHERS, n=1)
                remedy = f"write {near[0]} instead" if near else "remove it"
                yield _told(index, name, name, f"one of {join(OTHERS)}", remedy)
            elif name in OTHERS and (allowed := _refused(OTHERS[name], value)):
                yield _told(index, name, value, allowed, "write such a value, in quotes")


def _told(index: int, name: str, found: str, allowed: str, remedy: str) -> Finding:
    return _finding(index, ("algorithm", "builtIn", "hyperparameters", name), found, allowed, remedy)


def _refused(known: Number | tuple[str, ...], value: str) -> str:
    """What a hyperparameter has to be, if `value` is not; else empty."""
    if isinstance(known, Number):
        return "" if known.takes(value) else str(known)
    return "" if value in known else join(known)


def only_the_model_image_takes_its_instructions(settings: Settings, index: int) -> Iterator[Finding]:
    """What no other algorithm reads would be promised and not kept."""
    training = settings.models[index].training
    for _ in _algorithm(settings, index):
        for name, field in HyperparametersSpec.model_fields.items():
            value = getattr(training.hyperparameters, name)
            default = field.get_default(call_default_factory=True)
            if name not in TYPED and value != default:
                neutral = "{}" if default == {} else show(default)
                allowed = f"{neutral} with an algorithm other than the model image's"
                remedy = f"remove {name}, or write algorithm: null"
                yield _finding(index, ("hyperparameters", name), value, allowed, remedy)


def classes_are_told_to_the_algorithm(settings: Settings, index: int) -> Iterator[Finding]:
    """The model image counts the classes of the data; XGBoost itself wants to be told."""
    hyperparameters = settings.models[index].training.hyperparameters
    for _ in _algorithm(settings, index):
        if hyperparameters.objective == MULTICLASS and hyperparameters.num_class == 0:
            allowed = "2 and more with an algorithm other than the model image's"
            yield _finding(index, ("hyperparameters", "num_class"), 0, allowed, "write the number of classes")


def the_built_in_algorithm_reads_copies(settings: Settings, index: int) -> Iterator[Finding]:
    """AWS's image refuses a channel in a mode that it does not list (its `algorithm_mode/channel_validation.py`)."""
    training = settings.models[index].training
    for algorithm in _algorithm(settings, index):
        if algorithm.built_in is not None and training.input_mode != "File":
            allowed = "File with a built-in algorithm: its image takes no other mode that the program offers"
            remedy = "write inputMode: File, or algorithm: null, whose image reads streamed files"
            yield _finding(index, ("inputMode",), training.input_mode, allowed, remedy)


def other_algorithms_have_one_host(settings: Settings, index: int) -> Iterator[Finding]:
    """Every host would find all rows, in one file, and learn from each of them as often as there are hosts."""
    count = settings.models[index].training.instance_count
    for _ in _algorithm(settings, index):
        if count > 1:
            allowed, remedy = "1 with an algorithm other than the model image's", "write 1, and a larger instanceType"
            yield _finding(index, ("instanceCount",), count, allowed, remedy)


def other_algorithms_are_not_searched(settings: Settings, index: int) -> Iterator[Finding]:
    """A search reads its metric in the log of the model image; of AWS's images SageMaker lets nobody say how."""
    tuning = settings.models[index].training.tuning
    for _ in _algorithm(settings, index):
        if tuning is not None:
            allowed = "null with an algorithm other than the model image's"
            yield _finding(index, ("tuning",), "a search", allowed, "write tuning: null, or algorithm: null")


MODEL_RULES: Final[tuple[ModelRule, ...]] = (
    one_algorithm_is_chosen,
    built_in_is_one_that_can_be_served,
    models_of_the_version_can_be_read,
    region_has_the_image,
    image_is_of_a_trusted_registry,
    hyperparameters_are_told_once,
    the_built_in_algorithm_takes_what_it_is_told,
    only_the_model_image_takes_its_instructions,
    classes_are_told_to_the_algorithm,
    the_built_in_algorithm_reads_copies,
    other_algorithms_have_one_host,
    other_algorithms_are_not_searched,
)
"""Every rule of this module."""
