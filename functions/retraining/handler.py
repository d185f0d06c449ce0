"""What AWS Lambda calls with batches of the queue, and the same in process.

In process, with clients of any endpoint (`sandbox.loop.retraining` opens a door for the loop on loopback):

    door = open_door(Clients(dynamodb=…, s3=…, sagemaker=…), table="…", alarms="slipway-local-", clock=time.time)
    answer = deliver(door, {"source": "aws.s3", "detail-type": "Object Created", …})
    answer.outcomes     # for each model that was looked at: verdict, reasons, run
    answer.refused      # why the event goes to the dead-letter queue; empty otherwise

The tick, `TICK_EVENT`, looks at every model: it starts what has become due, and follows executions. An event whose
fact is written down is done with: whether its model's next step succeeds is the next tick's business.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import botocore.session
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from botocore.config import Config

from retraining.decision import Verdict
from retraining.door import Door, Outcome
from retraining.events import OURS, TICK, Ignored, RefusedError, Tick
from retraining.facts import VAIN, ModelSettings
from retraining.ledger import DynamoLedger
from retraining.world import AwsWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

SERVICE: Final = "retraining"
NAMESPACE: Final = "Slipway"
"""Namespace of the metrics."""
TICK_EVENT: Final[Mapping[str, Any]] = {
    "id": "tick",
    "source": OURS,
    "detail-type": TICK,
    "time": "-",
    "detail": {},
}

logger = Logger(service=SERVICE)
tracer = Tracer(service=SERVICE)
metrics = Metrics(namespace=NAMESPACE, service=SERVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """What the door needs of AWS."""

    dynamodb: DynamoDBClient
    s3: S3Client
    sagemaker: SageMakerClient


@dataclass(slots=True)
class Answer:
    """What came of a batch."""

    response: PartialItemFailureResponse = field(default_factory=lambda: {"batchItemFailures": []})
    """What Lambda hands back to the queue: messages that come again, and at last to the dead-letter queue."""
    recorded: int = 0
    """Facts that were new."""
    repeated: int = 0
    """Facts that were known."""
    ignored: list[str] = field(default_factory=list[str])
    """Why events are no reason to retrain."""
    refused: list[str] = field(default_factory=list[str])
    """Why messages come again."""
    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    """Of the models that were looked at."""
    troubles: dict[str, str] = field(default_factory=dict[str, str])
    """Model → why its next step did not succeed; the next tick tries again."""


def open_door(clients: Clients, *, table: str, alarms: str, clock: Callable[[], float]) -> Door:
    """The door of an environment whose settings and records are in `table`.

    Args:
        clients: Of the account.
        table: Name of the table.
        alarms: What the names of the environment's alarms begin with.
        clock: Seconds since 1970.
    """
    ledger = DynamoLedger(clients.dynamodb, table)
    models = {each.name: each for each in map(ModelSettings.parse, ledger.models())}
    world = AwsWorld(clients.s3, clients.sagemaker)
    return Door(models=models, ledger=ledger, world=world, clock=clock, alarms=alarms)


def deliver(door: Door, *events: Mapping[str, Any]) -> Answer:
    """Hand EventBridge events to the door in one batch, as the queue and Lambda would."""
    records = [
        {"messageId": str(index), "body": json.dumps(event), "eventSource": "aws:sqs"}
        for index, event in enumerate(events)
    ]
    return answer(door, {"Records": records})


def answer(door: Door, batch: dict[str, Any], context: LambdaContext | None = None) -> Answer:
    """Write down what a batch of messages says, then take the next step of every model that it is about."""
    result, touched = Answer(), dict[str, None]()

    def take(record: SQSRecord) -> None:
        try:
            meaning = door.read(json.loads(record.body))
        except (RefusedError, ValueError) as error:
            result.refused.append(str(error))
            raise
        if isinstance(meaning, Ignored):
            result.ignored.append(meaning.why)
        elif isinstance(meaning, Tick):
            touched.update(dict.fromkeys(door.models))
        else:
            new = door.record(meaning)
            result.recorded, result.repeated = result.recorded + new, result.repeated + (not new)
            touched[meaning.model] = None

    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    with processor(records=batch["Records"], handler=take, lambda_context=context):
        cast("Any", processor).process()
    result.response = processor.response()
    for model in touched:
        try:
            result.outcomes.append(door.advance(model))
        except Exception as error:  # noqa: BLE001 - the trouble of one model is not that of the others
            result.troubles[model] = f"{type(error).__name__}: {error}"
    return result


@cache
def lambda_door() -> Door:
    """The door of the function's environment variables, once for each process."""
    config = Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})
    session = botocore.session.get_session()
    clients = Clients(
        dynamodb=cast("DynamoDBClient", session.create_client("dynamodb", config=config)),
        s3=cast("S3Client", session.create_client("s3", config=config)),
        sagemaker=cast("SageMakerClient", session.create_client("sagemaker", config=config)),
    )
    return open_door(clients, table=os.environ["TABLE"], alarms=os.environ["ALARMS"], clock=time.time)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Answer one batch of the queue (Lambda developer guide, "Using Lambda with Amazon SQS", partial responses)."""
    found = answer(lambda_door(), event, context)
    tell(found)
    return found.response


def tell(found: Answer) -> None:
    """Write log lines and metrics about an answer: every decision with its reasons."""
    for outcome in found.outcomes:
        run = outcome.run
        level = logger.debug if outcome.verdict is Verdict.NOTHING else logger.info
        level(
            {
                "model": outcome.model,
                "verdict": outcome.verdict,
                "reasons": outcome.reasons,
                "unannounced": outcome.found,
                "run": None if run is None else {"number": run.number, "status": run.status, "execution": run.arn},
            }
        )
    for why in found.ignored:
        logger.info({"ignored": why})
    for why in found.refused:
        logger.error({"refused": why})
    for model, why in found.troubles.items():
        logger.error({"model": model, "trouble": why})
    for name, count in counts(found).items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)


def counts(found: Answer) -> dict[str, int]:
    """Metrics of an answer by name."""
    failed = [outcome.ended for outcome in found.outcomes if outcome.ended and outcome.ended.status in VAIN]
    return {
        "NewFacts": found.recorded,
        "RepeatedFacts": found.repeated,
        "UnannouncedObjects": sum(outcome.found for outcome in found.outcomes),
        "RunsStarted": sum(outcome.verdict is Verdict.START for outcome in found.outcomes),
        "RunsFailed": len(failed),
        "Refused": len(found.refused),
        "Troubles": len(found.troubles),
    }
