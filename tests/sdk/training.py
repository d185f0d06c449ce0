"""The training of a model, or the search in its place, out of the SDK's classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sagemaker.core import shapes
from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter, IntegerParameter
from sagemaker.core.training.configs import Compute, Networking
from sagemaker.core.workflow.functions import Join
from sagemaker.mlops.workflow.steps import TrainingStep, TuningStep
from sagemaker.train.model_trainer import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner

from components.model_places import Duty
from components.pipeline_metrics import metric_definitions, objective_metric
from settings.model import HyperparametersSpec
from tests.sdk.jobs import output

if TYPE_CHECKING:
    from sagemaker.core.helper.pipeline_variable import PipelineVariable
    from sagemaker.mlops.workflow.steps import ProcessingStep

    from settings.model import TuningSpec
    from tests.sdk.jobs import Jobs

_CONTENT: Final = {"csv": "text/csv", "parquet": "application/x-parquet", "libsvm": "text/libsvm"}
_SCALING: Final = {
    "auto": "Auto",
    "linear": "Linear",
    "logarithmic": "Logarithmic",
    "reverse-logarithmic": "ReverseLogarithmic",
}


@dataclass(frozen=True, slots=True)
class Trained:
    """A step that trains, and the job whose model goes on."""

    step: TrainingStep | TuningStep
    name: PipelineVariable
    arn: PipelineVariable
    artefact: PipelineVariable


def trained(jobs: Jobs, process: ProcessingStep) -> Trained:
    """One training on the checked copies, or a search."""
    tuning, channels = jobs.model.training.tuning, _channels(jobs, process)
    others: dict[str, Any] = {"retry_policies": jobs.retries, "cache_config": jobs.cache}
    if tuning is None:
        step = TrainingStep("Train", step_args=_trainer(jobs).train(input_data_config=channels), **others)
        said = step.properties
        return Trained(step, said.TrainingJobName, said.TrainingJobArn, said.ModelArtifacts.S3ModelArtifacts)
    step = TuningStep("Tune", step_args=_tuner(jobs, tuning).tune(inputs=channels), **others)
    best = step.properties.BestTrainingJob
    places = jobs.places
    artefact = Join(on="/", values=[places.uri(places.jobs), best.TrainingJobName, "output/model.tar.gz"])
    return Trained(step, best.TrainingJobName, best.TrainingJobArn, artefact)


def _channels(jobs: Jobs, process: ProcessingStep) -> list[shapes.Channel]:
    return [
        shapes.Channel(
            channel_name=name,
            content_type=_CONTENT[jobs.model.data.format],
            input_mode=jobs.model.training.input_mode,
            data_source=shapes.DataSource(
                s3_data_source=shapes.S3DataSource(
                    s3_data_type="S3Prefix",
                    s3_uri=output(process, name),
                    s3_data_distribution_type="FullyReplicated",
                )
            ),
        )
        for name in ("train", "validation")
    ]


def _trainer(jobs: Jobs) -> ModelTrainer:
    spec, places = jobs.model.training, jobs.places
    waits: dict[str, Any] = {"max_wait_time_in_seconds": spec.max_wait_seconds} if spec.spot else {}
    optional: dict[str, Any] = {
        "volume_kms_key_id": jobs.volume_key(spec.instance_type),
        "keep_alive_period_in_seconds": spec.keep_alive_seconds,
    }
    settings = {"label": jobs.model.label} | spec.hyperparameters.told()
    trainer = ModelTrainer(
        sagemaker_session=jobs.session,
        role=jobs.account.role(places.role(Duty.TRAIN)),
        base_job_name=places.job_prefix,
        training_image=jobs.image,
        training_input_mode=spec.input_mode,
        compute=Compute(
            instance_type=jobs.instance_type,
            instance_count=spec.instance_count,
            volume_size_in_gb=spec.volume_gib,
            enable_managed_spot_training=spec.spot,
            **{name: value for name, value in optional.items() if value is not None},
        ),
        networking=Networking(
            subnets=list(jobs.around.subnets),
            security_group_ids=[jobs.around.security_group],
            enable_network_isolation=True,
            enable_inter_container_traffic_encryption=True,
        ),
        stopping_condition=shapes.StoppingCondition(max_runtime_in_seconds=spec.max_runtime_seconds, **waits),
        output_data_config=shapes.OutputDataConfig(
            s3_output_path=places.uri(places.jobs), kms_key_id=jobs.around.key_arn
        ),
        checkpoint_config=shapes.CheckpointConfig(s3_uri=jobs.versioned(places.checkpoints)) if spec.spot else None,
        hyperparameters={name: str(value) for name, value in settings.items()},
        tags=[shapes.Tag(key=tag["Key"], value=tag["Value"]) for tag in jobs.tags],
    )
    metrics = metric_definitions(spec.hyperparameters.objective)
    return trainer.with_metric_definitions(
        [shapes.MetricDefinition(name=name, regex=regex) for name, regex in metrics.items()]
    )


def _tuner(jobs: Jobs, tuning: TuningSpec) -> HyperparameterTuner:
    settings = jobs.model.training.hyperparameters
    objective, expression = objective_metric(jobs.model.gate.metric)
    metrics = metric_definitions(settings.objective) | {objective: expression}
    optional: dict[str, Any] = {}
    if tuning.warm_start_from:
        optional["warm_start_config"] = shapes.HyperParameterTuningJobWarmStartConfig(
            parent_hyper_parameter_tuning_jobs=[
                shapes.ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name=each)
                for each in tuning.warm_start_from
            ],
            warm_start_type="TransferLearning",
        )
    if tuning.minimum_rounds is not None:
        rounds = shapes.HyperbandStrategyConfig(min_resource=tuning.minimum_rounds, max_resource=settings.num_round)
        optional["strategy_config"] = shapes.HyperParameterTuningJobStrategyConfig(hyperband_strategy_config=rounds)
    return HyperparameterTuner(
        model_trainer=_trainer(jobs),
        objective_metric_name=objective,
        hyperparameter_ranges=_ranges(tuning),
        metric_definitions=[{"Name": name, "Regex": regex} for name, regex in metrics.items()],
        strategy=tuning.strategy.capitalize(),
        objective_type="Maximize",
        max_jobs=tuning.jobs,
        max_parallel_jobs=tuning.parallel_jobs,
        early_stopping_type="Auto" if tuning.early_stopping else "Off",
        base_tuning_job_name=jobs.places.tuning_prefix,
        random_seed=settings.seed,
        tags=jobs.tags,
        **optional,
    )


def _ranges(tuning: TuningSpec) -> dict[str, Any]:
    fields = HyperparametersSpec.model_fields
    ranges: dict[str, Any] = {}
    for each in tuning.ranges:
        kind, cast = (IntegerParameter, int) if fields[each.name].annotation is int else (ContinuousParameter, float)
        ranges[each.name] = kind(cast(each.minimum), cast(each.maximum), _SCALING[each.scaling])
    for each in tuning.choices:
        cast = int if fields[each.name].annotation is int else float
        ranges[each.name] = CategoricalParameter([cast(value) for value in each.values])
    return ranges
