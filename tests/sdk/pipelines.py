"""The pipelines of a model as a user of the SageMaker SDK would write them, from the program's own settings.

Names, the words that containers read and the texts that people read are the program's: no SDK makes them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sagemaker.core.metadata_properties import MetadataProperties
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.shapes import ModelPackageModelCard
from sagemaker.core.workflow.conditions import ConditionGreaterThan, ConditionIn
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.core.workflow.pipeline_definition_config import PipelineDefinitionConfig
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.serve.model_builder import ModelBuilder

from components.drift_definition import pipeline_name
from components.labels import DATA
from components.model_places import Duty
from components.pipeline_metrics import GROUPS
from components.training_grants import APPROVAL
from tests.sdk.jobs import DATA_VERSION, EVALUATION, IMAGE_DIGEST, found, output, spelt
from tests.sdk.training import trained

if TYPE_CHECKING:
    from sagemaker.mlops.workflow.steps import ProcessingStep, Step

    from tests.sdk.jobs import Jobs
    from tests.sdk.training import Trained

Definition = dict[str, Any]


def arguments_of(definition: Definition, step: str) -> Any:
    """Arguments of one of the steps that the program made."""
    ends = ("IfSteps", "ElseSteps")
    inner = [each for outer in definition["Steps"] for end in ends for each in outer["Arguments"].get(end, [])]
    return next(each["Arguments"] for each in (*definition["Steps"], *inner) if each["Name"] == step)


def _words(definition: Definition, step: str) -> list[Any]:
    return arguments_of(definition, step)["AppSpecification"]["ContainerArguments"]


def _compiled(jobs: Jobs, name: str, parameters: list[ParameterString], steps: list[Step]) -> Definition:
    pipeline = Pipeline(
        name=name,
        parameters=parameters,
        pipeline_experiment_config=None,
        steps=steps,
        sagemaker_session=jobs.session,
        # Without it jobs get names that no role of ours may use.
        pipeline_definition_config=PipelineDefinitionConfig(use_custom_job_prefix=True),
    )
    return json.loads(pipeline.definition())


def model_definition(jobs: Jobs, ours: Definition) -> Definition:
    """What the SDK sends for the pipeline from data to a registered version."""
    process = _process(jobs, ours)
    training = trained(jobs, process)
    evaluate = _evaluate(jobs, ours, process, training)
    steps = [process, training.step, evaluate, *_gate(jobs, ours, process, training, evaluate)]
    parameters = [DATA_VERSION, IMAGE_DIGEST, jobs.instance_type]
    return _compiled(jobs, jobs.labels.pipeline(jobs.model.name), parameters, steps)


def drift_definition(jobs: Jobs, ours: Definition) -> Definition:
    """What the SDK sends for the pipeline that watches the model."""
    spec, places = jobs.model.drift, jobs.places
    artefact, version = ParameterString(name="ModelData"), ParameterString(name="ModelVersion")
    memory = [places.uri(places.drift_memory), version]
    execution = ExecutionVariables.PIPELINE_EXECUTION_ID
    step = jobs.processing(
        "Compare",
        Duty.DRIFT,
        spec.job,
        spelt(_words(ours, "Compare"), [version]),
        inputs={
            "captures": f"{places.uri(places.captures)}/",
            "truth": f"{places.uri(places.truth)}/",
            "memory": Join(on="/", values=[*memory, ""]),
            "model": artefact,
        },
        outputs={
            "report": Join(on="/", values=[places.uri(places.drift_reports), execution]),
            "memory": Join(on="/", values=memory),
        },
        prefix=places.drift_job_prefix,
    )
    return _compiled(jobs, pipeline_name(jobs.labels, jobs.model), [IMAGE_DIGEST, artefact, version], [step])


def _process(jobs: Jobs, ours: Definition) -> ProcessingStep:
    data, places = f"s3://{jobs.labels.bucket(DATA)}/{jobs.model.dataset_prefix}", jobs.places
    return jobs.processing(
        "Process",
        Duty.PROCESS,
        jobs.model.processing,
        spelt(_words(ours, "Process"), []),
        inputs={name: f"{data}{name}/" for name in jobs.model.data.delivered},
        outputs={name: jobs.versioned(places.data, name) for name in ("train", "validation", "test")}
        | {"report": jobs.versioned(places.reports, "data")},
        prefix=places.job_prefix,
        environment={"DATA_VERSION": DATA_VERSION},
        cache_config=jobs.cache,
    )


def _evaluate(jobs: Jobs, ours: Definition, process: ProcessingStep, training: Trained) -> ProcessingStep:
    places, champion = jobs.places, jobs.model.gate.champion
    inputs = {"model": training.artefact, "test": output(process, "test")}
    if champion is not None:
        inputs["champion"] = f"{places.uri(places.champion)}/"
    return jobs.processing(
        "Evaluate",
        Duty.EVALUATE,
        jobs.model.processing,
        spelt(_words(ours, "Evaluate"), []),
        inputs=inputs,
        outputs={"report": Join(on="/", values=[places.uri(places.reports), training.name])},
        prefix=places.job_prefix,
        environment={"DATA_VERSION": DATA_VERSION},
        property_files=[EVALUATION],
        # Beside a champion the same arguments can have another answer.
        cache_config=jobs.cache if champion is None else None,
    )


def _gate(
    jobs: Jobs, ours: Definition, process: ProcessingStep, training: Trained, evaluate: ProcessingStep
) -> list[Step]:
    gate, outcome = jobs.model.gate, found("challenge.outcome")
    group = GROUPS[jobs.model.training.hyperparameters.objective]
    enough = ConditionGreaterThan(left=found(f"{group}.{gate.metric}.value"), right=gate.minimum)
    register = _register(jobs, ours, process, training, evaluate)
    said = arguments_of(ours, "Refuse")["ErrorMessage"]["Std:Join"]["Values"]
    told = spelt(said, [found(f"lineage.{gate.metric}"), found("challenge.reason")])
    refuse = FailStep("Refuse", error_message=Join(on=" ", values=told))
    if gate.champion is None:
        return [ConditionStep("Judge", conditions=[enough], if_steps=[register], else_steps=[refuse])]
    harmless = ConditionIn(value=outcome, in_values=["first", "better", "no better"])
    ahead = ConditionIn(value=outcome, in_values=["first", "better"])
    return [
        ConditionStep("Judge", conditions=[enough, harmless], if_steps=[], else_steps=[refuse]),
        ConditionStep("Challenge", conditions=[enough, ahead], if_steps=[register], else_steps=[]),
    ]


def _register(
    jobs: Jobs, ours: Definition, process: ProcessingStep, training: Trained, evaluate: ProcessingStep
) -> ModelStep:
    gate, host = jobs.model.gate, [jobs.model.training.instance_type]
    lineage = {
        "data-version": DATA_VERSION,
        "image-digest": IMAGE_DIGEST,
        "training-job": training.name,
        "code-version": found("lineage.code_version"),
        "model-sha256": found("lineage.model_sha256"),
        f"evaluation/{gate.metric}": found(f"lineage.{gate.metric}"),
    }
    if gate.champion is not None:
        names = ("outcome", "difference", "p_value", "champion_sha256")
        lineage |= {f"champion/{name}": found(f"lineage.{name}") for name in names}
    builder = ModelBuilder(
        image_uri=jobs.image,
        s3_model_data_url=training.artefact,
        role_arn=jobs.account.role(jobs.places.role(Duty.PIPELINE)),
        sagemaker_session=jobs.session,
        # Anything else is taken for code to upload, for which the SDK would make a bucket.
        dependencies={},
    )
    registered = builder.register(
        model_package_group_name=jobs.labels.package_group(jobs.model.name),
        description=arguments_of(ours, "Register")["ModelPackageDescription"],
        content_types=["text/csv", "application/json"],
        response_types=["text/csv", "application/json"],
        inference_instances=host,
        transform_instances=host,
        model_metrics=ModelMetrics(
            model_statistics=_report(Join(on="/", values=[output(evaluate, "report"), "evaluation.json"])),
            model_data_statistics=_report(Join(on="/", values=[output(process, "report"), "data.json"])),
        ),
        metadata_properties=MetadataProperties(generated_by=training.arn, commit_id=found("lineage.code_version")),
        approval_status=APPROVAL[jobs.model.pipeline.approval],
        customer_metadata_properties=lineage,
        skip_model_validation="None",
        model_card=_card(jobs, ours, process, training, evaluate),
    )
    return ModelStep("Register", step_args=registered)


def _card(
    jobs: Jobs, ours: Definition, process: ProcessingStep, training: Trained, evaluate: ProcessingStep
) -> ModelPackageModelCard:
    texts = ("training_observations", "training_metrics", "hyper_parameters", "metric_data", "code_version")
    references = [
        *(training.artefact, training.arn, jobs.image, DATA_VERSION),
        *(evaluate.properties.ProcessingJobArn, output(process, "train"), output(process, "test")),
        *(found("lineage.model_sha256"), *(found(f"card.{name}") for name in texts)),
    ]
    content = arguments_of(ours, "Register")["ModelCard"]["ModelCardContent"]["Std:Join"]["Values"]
    status = {"automatic": "Approved", "manual": "PendingReview"}[jobs.model.pipeline.approval]
    return ModelPackageModelCard(
        model_card_content=Join(on="", values=spelt(content, references)), model_card_status=status
    )


def _report(uri: Join) -> MetricsSource:
    return MetricsSource(content_type="application/json", s3_uri=uri)
