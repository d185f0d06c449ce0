"""Jobs of SageMaker: how long, how many, and whether an interruption loses everything."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.jobs import JOBS, Job, Kind, SettingFacts, judge_jobs
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, require
from guardrails.view import Known, Missing, Unknown, Value


@dataclass(frozen=True, slots=True)
class TrainingFacts(SettingFacts):
    """What a job may take."""

    longest_seconds: Annotated[int, "The longest run of a job."] = 86400
    longest_warm_seconds: Annotated[int, "The longest time that idle hosts are kept for the next job."] = 0
    most_instances: Annotated[int, "The most hosts of a job."] = 4


def _check_spot(request: Value) -> Iterator[Finding]:
    spot = request.get("enableManagedSpotTraining")
    if isinstance(spot, Unknown):
        yield Undetermined(path=spot.path)
    if not spot.flag():
        return
    checkpoints = request.get("checkpointConfig.s3Uri")
    if isinstance(checkpoints, Missing):
        yield Violation(path=checkpoints.path, found="nothing", wanted="where checkpoints survive an interruption")
    wait, run = (request.get(f"stoppingCondition.{each}") for each in ("maxWaitTimeInSeconds", "maxRuntimeInSeconds"))
    if not isinstance(run, Unknown):
        least = run.number() or 0
        enough = f"{least:.0f} or more, the run itself"
        yield from require(wait, lambda value: (value.number() or -1) >= least, enough)


def _check_time(job: Job, facts: TrainingFacts) -> Iterator[Finding]:
    run = job.request.get("stoppingCondition.maxRuntimeInSeconds")
    most = f"{facts.longest_seconds} at most"
    yield from require(run, lambda value: (value.number() or float("inf")) <= facts.longest_seconds, most)
    if job.kind is Kind.TRAINING:
        yield from _check_spot(job.request)
        warm = job.hosts.child("keepAlivePeriodInSeconds")
        idle = f"{facts.longest_warm_seconds} at most"
        yield from require(warm, lambda value: (value.number() or 0) <= facts.longest_warm_seconds, idle)


def _check_hosts(job: Job, facts: TrainingFacts) -> Iterator[Finding]:
    for counts in job.counts:
        if any(isinstance(each, Unknown) for each in counts):
            yield Undetermined(path=counts[0].path)
        else:
            total = Known(counts[0].path, sum(each.number() or 0 for each in counts))
            most = f"{facts.most_instances} hosts at most"
            yield from require(total, lambda value: (value.number() or 0) <= facts.most_instances, most)


def _check_job(job: Job, facts: TrainingFacts) -> Iterator[Finding]:
    if job.kind is Kind.MODEL:
        return
    if job.kind is not Kind.TRANSFORM:
        yield from _check_time(job, facts)
    yield from _check_hosts(job, facts)
    if job.again is not None:
        yield from require(job.again, lambda value: value.number() is not None, "how often a failed job starts again")


def _check(resource: Resource, facts: TrainingFacts) -> Iterator[Finding]:
    yield from judge_jobs(resource, lambda job: _check_job(job, facts), facts)


COST_06 = ResourceRule(
    id="COST-06",
    name="training-bounded",
    title="Jobs of SageMaker end, start again, and lose little to an interruption",
    tokens=JOBS,
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:A1.1", "soc2:A1.2"),
    why="a job that hangs is paid by the second, and one without checkpoints is paid twice",
    fix="set stoppingCondition, checkpointConfig, retryStrategy and a number of hosts within the configuration",
    facts=TrainingFacts,
    check=_check,
    traps=(
        "the wait of a spot job includes its run",
        "hosts of instance groups are added up; idle warm hosts are paid for",
        "a job that states no run time gets a day",
        "retry policies of a step that name no internal error start no failed job again, and those of a search none",
    ),
)
