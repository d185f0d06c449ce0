"""Where the approved version of a model answers: one switch, and a section for each place that it can point to."""

from enum import StrEnum

from settings.model.base import Section
from settings.model.serving_eks import EksServingSpec
from settings.model.serving_sagemaker import (
    AsynchronousSpec,
    BatchSpec,
    HostingSpec,
    RealTimeSpec,
    RequestsSpec,
    ServerlessSpec,
)


class Target(StrEnum):
    """What serves a model; the values are the words of a stack file."""

    EKS = "eks"
    REAL_TIME = "real-time"
    SERVERLESS = "serverless"
    ASYNCHRONOUS = "asynchronous"
    BATCH = "batch"


class ServingSpec(Section):
    """Where a model is served.

    Sections of other places than `target` may be filled already, and are checked, but nothing is made of them. Then the
    switch is the only line that changes in `serving`. What a target cannot do is refused beside it: only `eks` and
    `real-time` are watched for drift, so elsewhere `models[].drift` is null and `retraining.drift` false; `serverless`
    is refused where data are protected.
    """

    target: Target
    """Where the approved version answers."""
    eks: EksServingSpec | None = None
    """Pods in the cluster."""
    real_time: RealTimeSpec | None = None
    """A SageMaker endpoint that answers at once."""
    serverless: ServerlessSpec | None = None
    """A SageMaker endpoint without instances."""
    asynchronous: AsynchronousSpec | None = None
    """A SageMaker endpoint behind a queue."""
    batch: BatchSpec | None = None
    """SageMaker batch transform jobs."""
    hosting: HostingSpec | None = None
    """Several models or containers behind a real-time endpoint; null for the approved version alone."""
    requests: RequestsSpec | None = None
    """What callers send, against which the target is judged; null where nobody knows."""

    @property
    def pods(self) -> EksServingSpec | None:
        """The pods that serve the model; nothing where another target does, whatever `eks` says."""
        return self.eks if self.target is Target.EKS else None
