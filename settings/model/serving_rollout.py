"""How another version of a model takes over in the cluster, where a plain Deployment is not enough."""

from typing import Annotated, Literal

from pydantic import Field

from settings.model.base import LogRetentionDays, Section
from settings.model.patterns import HEADER_NAME, HEADER_VALUE

Percent = Annotated[int, Field(ge=1, le=99)]


class RolloutControllerSpec(Section):
    """Argo Rollouts, which carries out every rollout but rolling updates."""

    replicas: Annotated[int, Field(ge=1, le=3)]
    """Pods; one leads, the others wait."""
    cpu_millis: Annotated[int, Field(ge=10, le=2000)]
    """Thousandths of a processor that each pod reserves."""
    memory_mib: Annotated[int, Field(ge=128, le=8192)]
    """Memory that each pod reserves, and may use at most, MiB."""


class ReleasesSpec(Section):
    """The release step as a build of AWS CodeBuild, which an announced image starts."""

    compute_type: Literal["BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE"]
    """Size of its host; paid by the minute for as long as a rollout takes."""
    log_retention_days: LogRetentionDays
    """How long its logs are kept."""


class RolloutsSpec(Section):
    """Rollouts in the cluster."""

    controller: RolloutControllerSpec | None
    """The controller; null where every model is updated pod by pod."""
    releases: ReleasesSpec | None
    """What takes images of approved versions to their pods by itself; null where a person runs the release step."""


class VariantSpec(Section):
    """Callers of an A/B test who are sent to the new version."""

    header: Annotated[str, Field(pattern=HEADER_NAME, max_length=40)]
    """Name of a request header; `Cookie` for a cookie."""
    value: Annotated[str, Field(pattern=HEADER_VALUE, max_length=128)]
    """Its value; `*` stands for any characters, so that a cookie is found among others: `*variant=b*`."""


class JudgementSpec(Section):
    """What is borne of a new version, beside the old one."""

    min_requests: Annotated[int, Field(ge=100, le=10_000_000)]
    """Requests of each version below which no version is called good."""
    error_margin: Annotated[float, Field(gt=0, lt=1)]
    """Share of errors above the old version's that may not be missed."""
    slower: Annotated[float, Field(ge=1, le=10)]
    """How many times the old version's 95th and 99th percentile of latency is still borne."""
    shift: Annotated[float, Field(gt=0, le=1)]
    """Largest population stability index between the predictions of the two."""


class PodRolloutSpec(Section):
    """A rollout by shares of requests, which the load balancer deals out."""

    strategy: Literal["canary", "blue-green", "a-b"]
    """By rising shares; everything at once to pods that are all there; or callers that a header tells apart."""
    weights: tuple[Percent, ...] = Field(strict=False, max_length=10)
    """Canary only: shares of the new version in percent, rising; after the last one it gets everything."""
    variant: VariantSpec | None
    """A/B test only: who sees the new version."""
    step_minutes: Annotated[int, Field(ge=1, le=1440)]
    """Shortest time at each share; of an A/B test, its length."""
    patience_minutes: Annotated[int, Field(ge=1, le=1440)]
    """Longest time that a judgement may stay open after it; then the old version comes back."""
    judgement: JudgementSpec
    """When a new version is good."""
