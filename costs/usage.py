"""What a month is assumed to bring: quantities that no plan holds, each with its range and its reason."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

from costs.data import Assumption, Record, read

FOLDER: Final = Path(__file__).with_name("assumptions")

HOURS_PER_MONTH: Final = 730
"""8,760 hours of a year by twelve, as AWS's own pricing calculator counts."""

ANY: Final = "*"
"""Name under which an assumption stands for every resource that has none of its own."""


class Quantity(StrEnum):
    """Kinds of quantities, each a month's and each of one resource."""

    NAT_DATA = "natData"
    """GB through a NAT gateway, both directions."""
    ENDPOINT_DATA = "endpointData"
    """GB through an interface endpoint."""
    INTERNET_DATA = "internetData"
    """GB from the environment to the internet."""
    ZONE_DATA = "zoneData"
    """GB between zones, each direction counted."""
    BUCKET_STORAGE = "bucketStorage"
    """GB in a bucket, noncurrent versions counted."""
    BUCKET_WRITES = "bucketWrites"
    """Thousand PUT, COPY, POST and LIST requests of a bucket."""
    BUCKET_READS = "bucketReads"
    """Thousand GET and other requests of a bucket."""
    FILE_STORAGE = "fileStorage"
    """GB in a file system."""
    IMAGE_STORAGE = "imageStorage"
    """GB in an image repository."""
    LOG_INGEST = "logIngest"
    """GB that a log group takes in."""
    LOG_STORAGE = "logStorage"
    """GB, compressed, that a log group holds."""
    OBSERVATIONS = "observations"
    """Million observations that a cluster's Container Insights make."""
    KEY_REQUESTS = "keyRequests"
    """Ten thousand requests to a KMS key."""
    SECRET_REQUESTS = "secretRequests"  # noqa: S105 - a kind of quantity
    """Ten thousand requests to a secret."""
    QUEUE_REQUESTS = "queueRequests"
    """Million requests to a queue."""
    TOPIC_REQUESTS = "topicRequests"
    """Million requests to a topic."""
    FUNCTION_REQUESTS = "functionRequests"
    """Million calls of a Lambda function."""
    FUNCTION_SECONDS = "functionSeconds"
    """GB-seconds that a Lambda function runs."""
    TABLE_WRITES = "tableWrites"
    """Million write request units of a table: a kilobyte each."""
    TABLE_READS = "tableReads"
    """Million read request units of a table: four kilobytes each."""
    TABLE_STORAGE = "tableStorage"
    """GB in a table."""
    TRANSITIONS = "transitions"
    """Thousand state transitions of a state machine."""
    BUILD_MINUTES = "buildMinutes"
    """Minutes that a build project runs."""
    WEB_REQUESTS = "webRequests"
    """Million requests that a web ACL judges."""
    NODES = "nodes"
    """Nodes of a managed pool on average; its desired size where nothing is assumed."""
    ELASTIC_NODES = "elasticNodes"
    """Nodes of an elastic pool on average."""
    TRAINING_HOURS = "trainingHours"
    """Hours of all hosts of a model's training jobs together."""
    PROCESSING_HOURS = "processingHours"
    """Hours of all hosts of the processing jobs of a model's trainings together."""
    DRIFT_HOURS = "driftHours"
    """Hours of the jobs that look for drift of a model."""
    NOTEBOOK_HOURS = "notebookHours"
    """Hours of all notebooks of a Studio domain together."""
    NOTEBOOK_SPACES = "notebookSpaces"
    """Spaces of a Studio domain, each of which keeps its disk whether anybody works in it or not."""
    ENDPOINT_HOSTS = "endpointHosts"
    """Hosts of a scaled SageMaker endpoint on average."""
    SERVERLESS_SECONDS = "serverlessSeconds"
    """Seconds that a serverless SageMaker endpoint works."""
    SERVERLESS_DATA = "serverlessData"
    """GB in requests and answers of a serverless SageMaker endpoint."""
    BATCH_HOURS = "batchHours"
    """Hours of all hosts of a model's batch transform jobs together."""
    LOAD_BALANCERS = "loadBalancers"
    """Application load balancers that controllers make, which no plan shows."""
    BALANCER_LOAD = "balancerLoad"
    """Load balancer capacity units of a load balancer on average."""


class Usage(Record):
    """The assumptions of one environment."""

    quantities: dict[Quantity, dict[str, Assumption]]
    """Quantity → name of the resource, pool or model, or `*` → assumption."""

    def of(self, quantity: Quantity, name: str) -> tuple[str, Assumption] | None:
        """Return the assumption for `name`, else that for every name, with the key under which it stands."""
        entries = self.quantities.get(quantity, {})
        key = name if name in entries else ANY
        return (f"{quantity}[{key}]", entries[key]) if key in entries else None

    def get(self, key: str) -> Assumption:
        """Return the assumption of a key that `of` returned."""
        quantity, _, name = key.removesuffix("]").partition("[")
        return self.quantities[Quantity(quantity)][name]


def usage_of(environment: str) -> Usage:
    """Return the assumptions of an environment.

    Raises:
        FileNotFoundError: It has no file; the text says which to write.
    """
    file = FOLDER / f"{environment}.yaml"
    if not file.exists():
        raise FileNotFoundError(f"costs/assumptions/{file.name} does not exist: copy that of a similar environment")
    return Usage.model_validate(read(file))
