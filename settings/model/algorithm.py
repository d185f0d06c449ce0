"""The training algorithm of a model, where it is not the model image's own: one of three, by the section that is there.

Whichever it is reads the data as numbers (CSV without a header, the label first, categories by their codes, missing
cells empty) and leaves an XGBoost model of trees in `/opt/ml/model`, which the pipeline turns into a model of ours.
"""

from typing import Annotated

from pydantic import Field

from settings.model.base import Name, Section
from settings.model.patterns import BUILT_IN_VERSION, ECR_IMAGE, PROSE, SCRIPT, SOURCE_FOLDER

Words = Annotated[tuple[Annotated[str, Field(pattern=PROSE, max_length=256)], ...], Field(strict=False, max_length=100)]
"""Words of a command line; at most as many as SageMaker takes (API reference, `AlgorithmSpecification`)."""
Told = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(pattern=PROSE, max_length=160)]],
    Field(max_length=50),
]
"""Hyperparameters by name, as text, which is how SageMaker passes them."""


class BuiltInSpec(Section):
    """An algorithm of AWS, in AWS's own image."""

    name: Name
    """Name of the algorithm, such as xgboost."""
    version: Annotated[str, Field(pattern=BUILT_IN_VERSION)]
    """Version of its image."""
    hyperparameters: Told = Field(default_factory=dict[str, str])
    """What it is told beside the `hyperparameters` of the training, in its own spelling."""


class ScriptSpec(Section):
    """A Python script of yours in AWS's XGBoost image (script mode); it finds no network, so it installs nothing."""

    version: Annotated[str, Field(pattern=BUILT_IN_VERSION)]
    """Version of the image."""
    source: Annotated[str, Field(pattern=SOURCE_FOLDER, max_length=256)]
    """Folder of this repository that goes into the job."""
    entry_point: Annotated[str, Field(pattern=SCRIPT, max_length=128)]
    """Script directly in the folder."""
    hyperparameters: Told = Field(default_factory=dict[str, str])
    """What it is told beside the `hyperparameters` of the training: `--<name> <value>` on its command line."""


class OwnSpec(Section):
    """An image of yours."""

    image: Annotated[str, Field(pattern=ECR_IMAGE, max_length=255)]
    """By digest, in the registry of the account or in one of `registry.trainingRegistries`."""
    entry_point: Words
    """Command instead of the image's own; empty starts the image with the word `train`."""
    arguments: Words
    """Words after `entryPoint`."""
    hyperparameters: Told = Field(default_factory=dict[str, str])
    """What it finds in `hyperparameters.json` beside the `hyperparameters` of the training."""


class AlgorithmSpec(Section):
    """What trains instead of the model image; exactly one of the sections."""

    built_in: BuiltInSpec | None = None
    """An algorithm of AWS."""
    script: ScriptSpec | None = None
    """A script in AWS's image."""
    own: OwnSpec | None = None
    """An image of yours."""

    @property
    def chosen(self) -> BuiltInSpec | ScriptSpec | OwnSpec:
        """The one section that is there."""
        (found,) = filter(None, (self.built_in, self.script, self.own))
        return found
