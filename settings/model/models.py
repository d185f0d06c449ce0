"""The models: how each is trained, judged and served."""

import json
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from settings.model.algorithm import AlgorithmSpec
from settings.model.base import ImageDigest, ModelData, Name, Section
from settings.model.card import CardSpec
from settings.model.drift import DriftSpec
from settings.model.patterns import COLUMN, PREFIX, TRAINING_INSTANCE
from settings.model.processing import ProcessingSpec
from settings.model.retraining import ModelRetrainingSpec
from settings.model.serving import ServingSpec
from settings.model.serving_eks import EksServingSpec
from settings.model.tuning import TuningSpec

Directions = Annotated[
    dict[Annotated[str, Field(pattern=COLUMN, max_length=64)], Literal[-1, 1]],
    Field(max_length=32),
]
"""Direction by column; as text, so many are below the 2,500 characters that SageMaker takes of a hyperparameter."""


class HyperparametersSpec(Section):
    """XGBoost hyperparameters of a training job: the model image's own names, bounds and defaults.

    What decides the quality of a model is written out. The rest may be left to the defaults: it costs nothing, and most
    models never need it. The image reads the label from its own setting and takes every core of the host.
    """

    model_config = ConfigDict(alias_generator=None)

    num_round: Annotated[int, Field(ge=1, le=10_000)]
    """Boosting rounds at most."""
    max_depth: Annotated[int, Field(ge=1, le=32)]
    """Depth of a tree at most."""
    eta: Annotated[float, Field(gt=0, le=1)]
    """Learning rate."""
    subsample: Annotated[float, Field(gt=0, le=1)]
    """Share of rows that each round sees."""
    colsample_bytree: Annotated[float, Field(gt=0, le=1)]
    """Share of columns that each tree sees."""
    min_child_weight: Annotated[float, Field(ge=0)]
    """Smallest sum of instance weights in a leaf."""
    gamma: Annotated[float, Field(ge=0)] = 0.0
    """Smallest loss reduction that a split has to bring."""
    max_delta_step: Annotated[float, Field(ge=0)] = 0.0
    """Largest weight of a leaf before `eta`, which steadies very unequal classes; 0 sets no limit."""
    colsample_bylevel: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the tree's columns that each of its levels sees."""
    colsample_bynode: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the level's columns that each split sees."""
    grow_policy: Literal["depthwise", "lossguide"] = "depthwise"
    """`depthwise` grows a tree level by level; `lossguide` splits the leaf that gains most, up to `max_leaves`."""
    max_leaves: Annotated[int, Field(ge=0, le=2_147_483_647)] = 0
    """Leaves of a tree at most; 0 sets no limit beside `max_depth`."""
    monotone_constraints: Directions = Field(default_factory=dict[str, Literal[-1, 1]])
    """Column → 1 where the answer must never fall as its numbers grow, or -1 where it must never rise."""
    early_stopping_rounds: Annotated[int, Field(ge=0, le=10_000)]
    """Rounds without a better validation metric before training stops; 0 trains all rounds."""
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)]
    """Seed of every random choice."""
    objective: Literal["binary:logistic", "multi:softprob", "reg:squarederror"] = "binary:logistic"
    """What is learnt: one of two classes (labels 0 and 1), one of several (labels 0, 1, 2, …), or a number."""
    num_class: Annotated[int, Field(ge=0, le=1000)] = 0
    """Classes of `multi:softprob`; 0 takes those that occur in the training labels."""
    reg_lambda: Annotated[float, Field(ge=0)] = 1.0
    """L2 penalty on leaf weights."""
    reg_alpha: Annotated[float, Field(ge=0)] = 0.0
    """L1 penalty on leaf weights."""
    max_bin: Annotated[int, Field(ge=2, le=65_536)] = 256
    """Histogram bins of a column at most."""
    scale_pos_weight: Annotated[float, Field(gt=0)] = 1.0
    """Weight of a row labelled 1, of two classes; one labelled 0 weighs 1. Other than 1 shifts the probabilities."""
    class_weight: Literal["none", "balanced"] = "none"
    """`balanced` gives all classes the same total weight; then `scale_pos_weight` has to be 1."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`cuda` needs an NVIDIA GPU and an image with XGBoost's CUDA build; `auto` takes a GPU where both are there."""
    checkpoint_rounds: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Rounds between two checkpoints at most."""
    checkpoint_seconds: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    """Seconds between two checkpoints at most."""
    checkpoint_keep: Annotated[int, Field(ge=1, le=100)] = 3
    """Newest checkpoints that are kept."""
    memory_limit_mib: Annotated[float, Field(ge=0)] = 0.0
    """Memory, MiB, above which training data stay on disk, one part file at a time; 0 takes the container's memory."""
    slices: str = ""
    """Categorical columns, separated by commas, whose values are evaluated one by one."""

    def told(self) -> dict[str, str]:
        """All of them as texts, which is how SageMaker passes them."""
        plain = {name: str(value) for name, value in self.model_dump().items()}
        return plain | {"monotone_constraints": json.dumps(self.monotone_constraints, sort_keys=True)}


class TrainingSpec(Section):
    """One SageMaker training job of a model."""

    instance_type: Annotated[str, Field(pattern=TRAINING_INSTANCE)]
    """SageMaker instance type."""
    fallback_instance_types: Annotated[
        tuple[Annotated[str, Field(pattern=TRAINING_INSTANCE)], ...], Field(max_length=4, strict=False)
    ]
    """Types to train on when AWS has no host of that one, in this order; empty lets the run fail."""
    instance_count: Annotated[int, Field(ge=1, le=16)]
    """Training hosts."""
    volume_gib: Annotated[int, Field(ge=1, le=16384)]
    """Encrypted storage volume of each host, GiB."""
    max_runtime_seconds: Annotated[int, Field(ge=60, le=432_000)]
    """The job is stopped after this time."""
    spot: bool
    """Managed spot training; SageMaker then needs checkpoints and `maxWaitSeconds`."""
    max_wait_seconds: Annotated[int, Field(ge=60, le=432_000)] | None
    """Spot only: longest time from the start to the end, waiting for capacity included."""
    input_mode: Literal["File", "FastFile"] = "File"
    """`File` copies the data to the hosts before the training starts; `FastFile` streams each file when it is read."""
    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] | None
    """How long idle hosts are kept, and paid, for the next job (a warm pool); null keeps none."""
    hyperparameters: HyperparametersSpec
    """Algorithm settings."""
    tuning: TuningSpec | None
    """A search for better ones in each run of the pipeline; null trains once."""
    algorithm: AlgorithmSpec | None
    """What trains in place of the model image; null for the model image itself."""

    @property
    def instance_types(self) -> tuple[str, ...]:
        """That of choice, then those to fall back on."""
        return (self.instance_type, *self.fallback_instance_types)


class DataSpec(Section):
    """What the data is, and what it has to keep to before anything is trained on it."""

    format: Literal["csv", "parquet", "libsvm"]
    """What the files are; their names end so. Those of libsvm name no columns: they are f0, f1, … by their index."""
    minimum_rows: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Rows to learn from, to choose by and to judge by at least: each of `train`, `validation` and `test`."""
    missing_gain: Annotated[float, Field(gt=0, le=1)]
    """By how much the share of empty cells of a column may differ at most between one file and the others together."""
    smallest_part: Annotated[float, Field(ge=0, lt=1)]
    """Rows of a file at least, as a share of the median of the other files; 0 lets any file be short."""
    label_shift: Annotated[float, Field(gt=0, le=1)]
    """How far the labels of a file may be from those of the others: 0 is alike, 1 is disjoint."""
    column_shift: Annotated[float, Field(gt=0, le=1)]
    """How far the values of each other column may be; 1 allows any."""
    moving: Annotated[tuple[Annotated[str, Field(pattern=COLUMN, max_length=64)], ...], Field(strict=False)]
    """Columns that are other ones in every file by nature, such as the month, which are not compared."""
    repeat_gain: Annotated[float, Field(gt=0, le=1)]
    """By how much the share of rows that a file holds more than once may exceed that of the others."""
    column_auc: Annotated[float, Field(gt=0.5, le=1)]
    """Area under the ROC curve that one column may reach alone, of two classes; more gives the answer away."""
    validation_share: Annotated[float, Field(gt=0, lt=1)] | None
    """Share of the rows below `train/` that are held out from training; null where `validation/` is delivered too."""
    test_share: Annotated[float, Field(gt=0, lt=1)]
    """Share of the held-out rows that judge and nothing else; the others stop trainings and choose between them."""
    split_by: Annotated[tuple[Annotated[str, Field(pattern=COLUMN, max_length=64)], ...], Field(strict=False)]
    """Columns whose values decide where a row goes, so that equal ones stay together; empty takes all but the label."""

    @property
    def delivered(self) -> tuple[str, ...]:
        """Folders below the data prefix."""
        return ("train", "validation") if self.validation_share is None else ("train",)


class PipelineSpec(Section):
    """How a model's pipeline runs, and what becomes of its result."""

    attempts: Annotated[int, Field(ge=1, le=20)]
    """How often a step that AWS itself failed is started, the first time included."""
    cache_days: Annotated[int, Field(ge=1, le=365)] | None
    """For how long a step that was run with the same inputs is not run again; null runs every step every time."""
    keep_days: Annotated[int, Field(ge=7, le=3650)]
    """Days that copies of data and checkpoints, and rows and answers of batches and asynchronous endpoints are kept."""
    approval: Literal["automatic", "manual"]
    """Whether a version that passed the gate is approved at once, or waits for a person."""


class ChampionSpec(Section):
    """What a new model has to show beside the one in service, on rows that have neither taught nor chosen one."""

    newest_files: Annotated[int, Field(ge=1, le=1000)]
    """On how many files of `test` both are compared: the last ones by name, which are the newest."""
    minimum_gain: Annotated[float, Field(ge=0, lt=1)]
    """The gate's metric has to gain more than this."""
    significance: Annotated[float, Field(gt=0, le=0.2)]
    """Largest chance, of models that are equally good, to show such a difference; two-sided."""
    slices: Annotated[tuple[Annotated[str, Field(pattern=COLUMN, max_length=64)], ...], Field(strict=False)]
    """Columns none of whose values may lose; empty looks at the whole only."""
    slice_rows: Annotated[int, Field(ge=50, le=1_000_000_000)]
    """Rows from which a value is looked at; fewer tell nothing."""
    slice_loss: Annotated[float, Field(ge=0, lt=1)]
    """What a value may lose; more than that, and hardly by chance, refuses the model."""
    collapse: Annotated[float, Field(gt=0, le=1)]
    """How far the model in service may be below its metric on older files; more refuses: bad data, or another world."""


class GateSpec(Section):
    """What a new model has to reach before it is registered."""

    metric: Literal["auc", "accuracy", "macro_f1", "weighted_f1", "r2"]
    """Metric of the evaluation, of which more is better; which ones there are depends on the objective."""
    minimum: Annotated[float, Field(gt=0, lt=1)]
    """The metric has to exceed this value."""
    champion: ChampionSpec | None
    """How the new model is held against the one in service; null asks for the minimum only."""


class ApprovedSpec(Section):
    """An approved model package as it is deployed."""

    version: Annotated[int, Field(ge=1)]
    """Version of the model package."""
    image_digest: ImageDigest
    """Digest of the model image in this environment's repository."""
    model_data: ModelData
    """`model.tar.gz` of the training job."""


class ModelSpec(Section):
    """A model: adding an entry here adds its registry, its repository and its training; no Python changes."""

    name: Name
    """Name of the model; unique in the stack."""
    dataset_prefix: Annotated[str, Field(pattern=PREFIX, max_length=128)]
    """Prefix of the model's data in the data bucket, ending in a slash."""
    label: Annotated[str, Field(pattern=COLUMN, max_length=64)]
    """Column that the model predicts."""
    card: CardSpec
    """What its versions tell about it."""
    data: DataSpec
    """What its data has to keep to."""
    processing: ProcessingSpec
    """What its data is checked on, and the trained model judged: one job each."""
    training: TrainingSpec
    """How it is trained."""
    pipeline: PipelineSpec
    """How the steps from data to a registered version run."""
    gate: GateSpec
    """What it has to reach."""
    retraining: ModelRetrainingSpec | None
    """What starts another training by itself; null for a model that only people train again."""
    drift: DriftSpec | None
    """How captured requests are held against what the model has learnt; null for a model that nobody watches."""
    serving: ServingSpec | None
    """Where the approved version answers; null for a model that is only trained."""
    approved: ApprovedSpec | None
    """The version in service; null until one is approved."""

    @property
    def pods(self) -> EksServingSpec | None:
        """The pods that serve it; nothing where the switch points elsewhere."""
        return None if self.serving is None else self.serving.pods
