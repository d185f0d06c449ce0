"""What a person sees of a pipeline's steps, while they run and when they have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import PipelineExecutionStepTypeDef

_BAD_DATA: Final = "UserError: "
"""What the model image writes where the fault is with what it was given."""


def job_of(step: PipelineExecutionStepTypeDef) -> str:
    """Name of the job that the step runs or took; empty where it has none."""
    metadata = step.get("Metadata", {})
    jobs = (metadata.get("TrainingJob", {}), metadata.get("ProcessingJob", {}), metadata.get("TuningJob", {}))
    return next((arn for job in jobs if (arn := job.get("Arn", ""))), "").rpartition("/")[2]


def log(jobs: Path, step: PipelineExecutionStepTypeDef) -> Path:
    """Where the output of a step's containers goes, below the folder of all jobs; a search has many of them."""
    job = job_of(step)
    return jobs / (f"{job}-*" if "TuningJob" in step.get("Metadata", {}) else job) / "container.log"


def line(sagemaker: SageMakerClient, step: PipelineExecutionStepTypeDef) -> str:
    """A running step in a few words: a training with its phase and latest metrics, a search with what it has found."""
    words = [step.get("StepName", "")]
    if "TrainingJob" in step.get("Metadata", {}):
        job = sagemaker.describe_training_job(TrainingJobName=job_of(step))
        words.append(job["SecondaryStatus"].lower())
        words += [
            f"{metric.get('MetricName', '').partition(':')[2]} {metric.get('Value', 0.0):.4g}"
            for metric in job.get("FinalMetricDataList", [])
        ]
    if "TuningJob" in step.get("Metadata", {}):
        search = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=job_of(step))
        words.append(f"{search['TrainingJobStatusCounters'].get('Completed', 0)} trainings")
        best = search.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric")
        words += [f"best {best['MetricName'].partition(':')[2]} {best['Value']:.4g}"] if best else []
    return " ".join(words)


def said(sagemaker: SageMakerClient, step: PipelineExecutionStepTypeDef) -> str:
    """What the container of a processing step left for a person; empty where it said nothing, or there is none."""
    if "ProcessingJob" not in step.get("Metadata", {}):
        return ""
    return sagemaker.describe_processing_job(ProcessingJobName=job_of(step)).get("ExitMessage", "")


def refuses(step: PipelineExecutionStepTypeDef) -> bool:
    """Whether a step has ended because data or model are bad, and not because something broke."""
    if step.get("StepStatus") != "Failed":
        return False
    return "Fail" in step.get("Metadata", {}) or _BAD_DATA in step.get("FailureReason", "")


def summary(step: PipelineExecutionStepTypeDef, jobs: Path) -> str:
    """A step that has ended: how, how long it took, and where its log is.

    Args:
        step: The step.
        jobs: Folder with one folder per job.
    """
    name, status = step.get("StepName", ""), step.get("StepStatus", "")
    begun, over = step.get("StartTime"), step.get("EndTime")
    took = f"{(over - begun).total_seconds():.1f} s" if begun and over else ""
    if "CacheHitResult" in step:
        took = "taken from an earlier execution"
    elif step.get("AttemptCount", 1) > 1:
        took += f", {step.get('AttemptCount')} attempts"
    place = f"  {log(jobs, step)}" if job_of(step) else ""
    return f"{name:9} {status:9} {took}{place}"
