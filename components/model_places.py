"""Where the pipeline of a model keeps things: prefixes of the models bucket, and names of jobs.

A prefix names its content, not the run that wrote it: what is asked for twice lies where it lay, so a step that has run
with the same inputs need not run again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from components.labels import MODELS, PROJECT, ending, fingerprint

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import ModelSpec

MAX_JOB_PREFIX: Final = 38
"""Characters of a job name's prefix (SageMaker developer guide, "Customize access management for Pipelines jobs");
SageMaker appends the execution, a token and the number of failures."""


VERSION_FOLDER: Final = "version-"
"""Begins the folder of an endpoint's captures that says which version answered; the drift job reads it."""
MAX_TUNING_PREFIX: Final = 6
"""The same of a tuning job's name, which has 32 characters at most where other jobs have 63."""


class Duty(StrEnum):
    """What a role is for; every model has one role for each."""

    PIPELINE = "pipeline"
    """Starts the jobs and registers their result."""
    PROCESS = "process"
    """Checks the data and takes a copy."""
    TRAIN = "train"
    """Trains on the copy."""
    ADOPT = "adopt"
    """Makes a model of ours of what another algorithm left; no role where the model image trains."""
    EVALUATE = "evaluate"
    """Judges what was trained."""
    DRIFT = "drift"
    """Compares captured requests with what was trained on."""
    DRIFT_PIPELINE = "drift-run"
    """Starts that job."""


@dataclass(frozen=True, slots=True)
class ModelPlaces:
    """Names and prefixes of one model in one environment."""

    labels: Labels
    model: ModelSpec

    def role(self, duty: Duty) -> str:
        """Name of the role of one duty."""
        return self.labels.role(f"{self.model.name}-{duty}")

    @property
    def job_duties(self) -> tuple[Duty, ...]:
        """Duties of jobs of the pipeline from data to a version, whose roles it hands to them."""
        adopt = () if self.model.training.algorithm is None else (Duty.ADOPT,)
        return (Duty.PROCESS, Duty.TRAIN, *adopt, Duty.EVALUATE)

    @property
    def job_prefix(self) -> str:
        """First part of the name of every job of the pipeline.

        It ends in a fingerprint, so that no model's prefix is the beginning of another's, whatever they are called.
        """
        environment = self.labels.environment.name
        mark = fingerprint(environment, self.model.name)
        return ending(f"{PROJECT}-{environment}-{self.model.name}", mark, MAX_JOB_PREFIX)

    @property
    def drift_job_prefix(self) -> str:
        """The same of the job that looks for drift, which is of another pipeline."""
        environment = self.labels.environment.name
        mark = fingerprint(environment, self.model.name, Duty.DRIFT)
        return ending(f"{PROJECT}-{environment}-{self.model.name}", f"{Duty.DRIFT}-{mark}", MAX_JOB_PREFIX)

    @property
    def tuning_prefix(self) -> str:
        """First part of the names of the model's tuning jobs, and so of the trainings that they start."""
        return fingerprint(self.labels.environment.name, self.model.name)[:MAX_TUNING_PREFIX]

    @property
    def data(self) -> str:
        """Prefix of checked copies of the data."""
        return f"{self.model.name}/data/"

    @property
    def sources(self) -> str:
        """Prefix of scripts that train."""
        return f"{self.model.name}/sources/"

    @property
    def jobs(self) -> str:
        """Prefix of what training jobs write."""
        return f"{self.model.name}/jobs/"

    @property
    def promoted(self) -> str:
        """Prefix of artefacts that another environment has trained."""
        return f"{self.model.name}/promoted/"

    @property
    def champion(self) -> str:
        """Prefix of the artefact that was last made ready to serve."""
        return f"{self.model.name}/champion/"

    @property
    def checkpoints(self) -> str:
        """Prefix of what an interrupted training continues from."""
        return f"{self.model.name}/checkpoints/"

    @property
    def reports(self) -> str:
        """Prefix of what was found about data and models."""
        return f"{self.model.name}/reports/"

    @property
    def captures(self) -> str:
        """Prefix of requests and answers that an endpoint keeps."""
        return f"{self.model.name}/captures/"

    def endpoint_captures(self, version: int) -> str:
        """The same of one version: SageMaker appends endpoint, variant and hour, and does not say which answered."""
        return f"{self.captures}{VERSION_FOLDER}{version}/"

    @property
    def pod_captures(self) -> str:
        """The same of pods: below it, folders by hour. In Model Monitor's layout endpoint and variant come before."""
        return f"{self.captures}eks/main/"

    @property
    def truth(self) -> str:
        """Prefix of what has become of what was asked, as labels that are joined with captures."""
        return f"{self.model.name}/truth/"

    @property
    def drift_reports(self) -> str:
        """Prefix of what was found about captures."""
        return f"{self.model.name}/drift/reports/"

    @property
    def drift_memory(self) -> str:
        """Prefix of what one look for drift leaves to the next, by version of the model."""
        return f"{self.model.name}/drift/memory/"

    @property
    def proofs(self) -> str:
        """Prefix of the records of what was done for people who asked about their data."""
        return f"{self.model.name}/proofs/"

    @property
    def erasures(self) -> str:
        """Prefix of notes of erasures that have not ended."""
        return f"{self.model.name}/erasures/"

    @property
    def rows(self) -> str:
        """Prefix of what callers ask asynchronous endpoints and batches."""
        return f"{self.model.name}/rows/"

    @property
    def answers(self) -> str:
        """Prefix of answers of an asynchronous endpoint."""
        return f"{self.model.name}/answers/"

    @property
    def failures(self) -> str:
        """Prefix of what an asynchronous endpoint could not answer."""
        return f"{self.model.name}/failures/"

    @property
    def batches(self) -> str:
        """Prefix of what batch transform jobs write."""
        return f"{self.model.name}/batches/"

    @property
    def passing(self) -> tuple[str, ...]:
        """Prefixes of what no version needs any more once its run, or whoever asked, has read it."""
        return (self.data, self.checkpoints, self.rows, self.answers, self.failures, self.batches)

    def uri(self, prefix: str) -> str:
        """Address of a prefix of the models bucket, without the slash at its end."""
        return f"s3://{self.labels.bucket(MODELS)}/{prefix}".rstrip("/")
