"""The pipeline of a model as SageMaker reads it: check the data, train, evaluate, pass the gate, register.

Pure functions from settings, names and the network's ids to the JSON of a pipeline definition. Steps refer to one
another by `Get`, which also orders them. Whoever starts an execution gives parameters: which data it is
(`DataVersion`, a digest over the objects), which image (`ImageDigest`) and, if not the first, which of the settings'
instance types to train on (`InstanceType`). All else is fixed here, so that a pull request shows it.
Arguments of a step are those of `CreateProcessingJob`, `CreateTrainingJob` and `CreateModelPackage` (SageMaker API
reference); the words between them are in `components.pipeline_words`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from components import iam
from components import pipeline_champion as champion
from components.labels import DATA
from components.model_places import Duty, ModelPlaces
from components.pipeline_algorithm import CHANNELS, algorithm_request, numbers
from components.pipeline_gate import gate_steps
from components.pipeline_jobs import JobRequests, Surroundings
from components.pipeline_tuning import ADOPT, ADOPTED, TRAIN, TUNE, Trained, tuning_request
from components.pipeline_words import EVALUATION, Step, joined, output, parameter, result, retries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.labels import Labels
    from settings.model import ModelSpec

VERSION: Final = "2020-12-01"
"""Version of the definition's schema; there is no other."""
JUDGING: Final = "test"
"""What a model is judged by; no training job reads it."""


def pipeline_definition(labels: Labels, model: ModelSpec, around: Surroundings) -> str:
    """The definition as JSON; the same arguments give the same text."""
    steps = _Steps(labels, model, around)
    adopt = [] if model.training.algorithm is None else [steps.adopt()]
    end = gate_steps(labels, model, steps.requests.image)
    definition: Step = {
        "Version": VERSION,
        "Metadata": {},
        "Parameters": _parameters(model),
        "Steps": [steps.process(), steps.train(), *adopt, steps.evaluate(), *end],
    }
    return json.dumps(definition)


def _parameters(model: ModelSpec) -> list[Step]:
    """What an execution is given; the hosts to train on are those of choice where it says nothing."""
    types = model.training.instance_types
    given = [{"Name": name, "Type": "String"} for name in ("DataVersion", "ImageDigest")]
    return [*given, {"Name": "InstanceType", "Type": "String", "DefaultValue": types[0], "EnumValues": types}]


@dataclass(frozen=True, slots=True)
class _Steps:
    labels: Labels
    model: ModelSpec
    around: Surroundings

    @property
    def _places(self) -> ModelPlaces:
        return ModelPlaces(self.labels, self.model)

    @property
    def requests(self) -> JobRequests:
        """What the requests of all jobs have in common."""
        return JobRequests(self._places, self.around)

    def process(self) -> Step:
        """Refuse data that breaks its contract, deal out what keeps it."""
        data, contract = f"s3://{self.labels.bucket(DATA)}/{self.model.dataset_prefix}", self.model.data
        arguments = ["check", *self._learnt()]
        arguments += ["--minimum-rows", str(contract.minimum_rows), "--missing-gain", str(contract.missing_gain)]
        arguments += ["--smallest-part", str(contract.smallest_part), "--label-shift", str(contract.label_shift)]
        arguments += ["--column-shift", str(contract.column_shift), "--repeat-gain", str(contract.repeat_gain)]
        arguments += ["--column-auc", str(contract.column_auc), *(f"--moving={name}" for name in contract.moving)]
        arguments += ["--test-share", str(contract.test_share)]
        if contract.validation_share is not None:
            arguments += ["--validation-share", str(contract.validation_share)]
        arguments += [word for name in contract.split_by for word in ("--split-by", name)]
        copies = {name: self._versioned(self._places.data, name) for name in (*CHANNELS, JUDGING)}
        if self.model.training.algorithm is not None:
            arguments += ["--numbers", "--num-class", str(self.model.training.hyperparameters.num_class)]
            copies |= {numbers(name): self._versioned(self._places.data, numbers(name)) for name in CHANNELS}
        return self._processing(
            "Process",
            Duty.PROCESS,
            arguments,
            inputs={name: f"{data}{name}/" for name in contract.delivered},
            outputs={**copies, "report": self._versioned(self._places.reports, "data")},
        )

    def train(self) -> Step:
        """Train on the copy: once, or as often as the search for the best hyperparameters does."""
        request, tuning = self._training(), self.model.training.tuning
        if tuning is None:
            return self._step(TRAIN, "Training", request)
        return self._step(TUNE, "Tuning", tuning_request(self._places, tuning, request))

    def _training(self) -> Step:
        """The request of a training, on spot hosts with checkpoints where the settings say so."""
        training, places = self.model.training, self._places
        algorithm = algorithm_request(iam.Account.of(self.labels.environment), places, self.requests.image)
        arguments: Step = {
            "TrainingJobName": places.job_prefix,
            "AlgorithmSpecification": algorithm.specification,
            "RoleArn": self.requests.role(Duty.TRAIN),
            "HyperParameters": algorithm.hyperparameters,
            "InputDataConfig": algorithm.channels,
            "OutputDataConfig": {"S3OutputPath": places.uri(places.jobs), "KmsKeyId": self.around.key_arn},
            "ResourceConfig": self.requests.hosts(
                training.instance_type, training.instance_count, training.volume_gib, told=parameter("InstanceType")
            ),
            "StoppingCondition": {"MaxRuntimeInSeconds": training.max_runtime_seconds},
            "VpcConfig": self.requests.network,
            "EnableNetworkIsolation": True,
            "EnableInterContainerTrafficEncryption": True,
            "EnableManagedSpotTraining": training.spot,
            "Tags": self.requests.tags,
        }
        if training.spot:
            arguments["StoppingCondition"]["MaxWaitTimeInSeconds"] = training.max_wait_seconds
            # The model image keeps those of different hyperparameters apart; another algorithm would go on from them.
            apart = [] if training.algorithm is None else [algorithm.fingerprint]
            arguments["CheckpointConfig"] = {"S3Uri": self._versioned(places.checkpoints, *apart)}
        if training.keep_alive_seconds is not None:
            arguments["ResourceConfig"]["KeepAlivePeriodInSeconds"] = training.keep_alive_seconds
        return arguments

    def adopt(self) -> Step:
        """Make a model of ours of the trees that another algorithm left, which all later steps go on with."""
        settings, algorithm = self.model.training.hyperparameters, self.model.training.algorithm
        also = {} if algorithm is None else algorithm.chosen.hyperparameters
        told = [f"--hyperparameter={name}={value}" for name, value in settings.told().items()]
        told += [f"--also={name}={value}" for name, value in also.items()]
        inputs: Step = {"model": result(TRAIN, "ModelArtifacts.S3ModelArtifacts")}
        below = [result(TRAIN, "TrainingJobName"), ADOPTED]
        return self._processing(
            ADOPT,
            Duty.ADOPT,
            ["adopt", *self._learnt(), *told],
            inputs=inputs | {name: output("Process", name) for name in CHANNELS},
            outputs={"model": joined("/", self._places.uri(self._places.jobs), *below)},
        )

    def evaluate(self) -> Step:
        """Unpack the model as a server would, and ask it about rows that no training has seen.

        With a champion, which changes while its address stays, the step is never taken from an earlier run.
        """
        settings, trained = self.model.training.hyperparameters, Trained.of(self._places)
        arguments = ["evaluate", *self._learnt(), "--num-class", str(settings.num_class), "--seed", str(settings.seed)]
        inputs: Step = {"model": trained.artefact, JUDGING: output("Process", JUDGING)}
        if self.model.gate.champion is not None:
            inputs["champion"] = f"{self._places.uri(self._places.champion)}/"
        step = self._processing(
            "Evaluate",
            Duty.EVALUATE,
            [*arguments, *champion.arguments(self.model.gate)],
            inputs=inputs,
            outputs={"report": joined("/", self._places.uri(self._places.reports), trained.name)},
        )
        if self.model.gate.champion is not None:
            step.pop("CacheConfig", None)
        return step | {
            "PropertyFiles": [
                {"PropertyFileName": EVALUATION, "OutputName": "report", "FilePath": f"{EVALUATION}.json"}
            ]
        }

    def _processing(
        self, name: str, duty: Duty, arguments: list[str], inputs: Mapping[str, object], outputs: Mapping[str, object]
    ) -> Step:
        spec = self.model.processing
        request = self.requests.processing(
            self._places.job_prefix, spec, duty, arguments, inputs=inputs, outputs=outputs
        )
        request["Environment"] = {"DATA_VERSION": parameter("DataVersion")}
        return self._step(name, "Processing", request)

    def _step(self, name: str, kind: str, arguments: Step) -> Step:
        spec = self.model.pipeline
        step: Step = {"Name": name, "Type": kind, "Arguments": arguments, **retries(spec.attempts)}
        if spec.cache_days is not None:
            step["CacheConfig"] = {"Enabled": True, "ExpireAfter": f"P{spec.cache_days}D"}
        return step

    def _learnt(self) -> list[str]:
        """What is learnt from which files, as the processing containers take it."""
        learnt = ["--label", self.model.label, "--objective", self.model.training.hyperparameters.objective]
        return [*learnt, "--format", self.model.data.format]

    def _versioned(self, prefix: str, *below: str) -> Step:
        """A place that belongs to the version of the data."""
        return joined("/", self._places.uri(prefix), parameter("DataVersion"), *below)
