"""The door of retraining on loopback: the function's own code, with a table of the sandbox's account.

    door = open_local_door(clients, settings_of(spec), clock)  # `clients` of the loop's endpoint, `spec` of its model
    deliver(door, object_created(clients.s3, bucket, key))     # from retraining.handler: what EventBridge would bring
    deliver(door, TICK_EVENT)                                  # what the clock would bring

moto brings no event to a function, so whoever puts an object tells the door itself. `clock` says what time it is: a
clock that jumps plays months in minutes.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from lifecycle.pipelines import wait_for_execution
from lifecycle.steps import LifecycleError
from retraining.decision import Verdict
from retraining.events import OURS, REQUESTED
from retraining.facts import ModelSettings, NewData
from retraining.handler import TICK_EVENT, Clients, deliver, open_door
from retraining.ledger import DOCUMENT, EXPIRES, MODEL, SETTINGS, WHAT
from sandbox.loop.spec import LoopError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from retraining.door import Door
    from sandbox.loop import loopback
    from sandbox.loop.spec import LoopSpec

TABLE: Final = "slipway-local-retraining"
ALARMS: Final = "slipway-local-"
POLL_SECONDS: Final = 0.5
TIMEOUT_SECONDS: Final = 3600.0


def settings_of(spec: LoopSpec) -> ModelSettings:
    """What the stack file says of the loop's model."""
    said = spec.model.retraining
    data = said and said.new_data
    return ModelSettings(
        name=spec.model.name,
        pipeline=spec.pipeline.name,
        package_group=spec.package_group,
        bucket=spec.data_bucket,
        prefixes=tuple(f"{spec.model.dataset_prefix}{use}/" for use in spec.model.data.delivered),
        new_data=data
        and NewData(
            quiet_seconds=data.debounce_minutes * 60,
            longest_seconds=data.longest_wait_minutes * 60,
            minimum_objects=data.minimum_objects,
        ),
        drift=said is not None and said.drift,
        daily_runs=said and said.daily_runs,
        monthly_runs=said and said.monthly_runs,
        instances=spec.model.training.instance_types,
    )


def open_local_door(clients: loopback.Clients, settings: ModelSettings, clock: Callable[[], float]) -> Door:
    """The door of one model; creates its table where there is none."""
    create_table(clients.dynamodb, TABLE)
    put_settings(clients.dynamodb, TABLE, settings)
    needed = Clients(dynamodb=clients.dynamodb, s3=clients.s3, sagemaker=clients.sagemaker)
    return open_door(needed, table=TABLE, alarms=ALARMS, clock=clock)


def create_table(dynamodb: DynamoDBClient, name: str) -> None:
    """Create the table of the ledger, as `components.retraining` declares it, unless it is there."""
    try:
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": MODEL, "KeyType": "HASH"}, {"AttributeName": WHAT, "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in (MODEL, WHAT)],
            BillingMode="PAY_PER_REQUEST",
        )
    except dynamodb.exceptions.ResourceInUseException:
        return
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES})


def put_settings(dynamodb: DynamoDBClient, table: str, settings: ModelSettings) -> None:
    """Write a model's settings where the door reads them."""
    item = {MODEL: {"S": SETTINGS}, WHAT: {"S": settings.name}, DOCUMENT: {"S": settings.document()}}
    dynamodb.put_item(TableName=table, Item=item)


def object_created(s3: S3Client, bucket: str, key: str) -> dict[str, Any]:
    """The event by which S3 announces the latest version of an object."""
    found = s3.head_object(Bucket=bucket, Key=key)
    about = {"key": key, "version-id": found.get("VersionId", ""), "size": found["ContentLength"]}
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": found["LastModified"].isoformat(),
        "detail": {"bucket": {"name": bucket}, "object": about},
    }


def ask(door: Door, clients: loopback.Clients, model: str, reason: str, note: Callable[[str], None]) -> str:
    """Ask for a training as a person does, and follow it to its end.

    Returns:
        What was decided, and what came of it.

    Raises:
        LoopError: The training failed, or the door's step did.
    """
    detail = {"model": model, "reason": reason, "requestedBy": "make retrain"}
    event = {"id": str(uuid.uuid4()), "source": OURS, "detail-type": REQUESTED, "time": "-", "detail": detail}
    found = deliver(door, event)
    if found.troubles or found.refused:
        raise LoopError("; ".join([*found.troubles.values(), *found.refused]))
    [decided] = found.outcomes
    if decided.verdict is not Verdict.START or decided.run is None:
        return f"{decided.verdict}: {'; '.join(decided.reasons)}"
    try:
        wait_for_execution(
            clients.sagemaker,
            decided.run.arn,
            on_progress=lambda steps: note(", ".join(step.get("StepName", "") for step in steps[-1:])),
            poll_seconds=POLL_SECONDS,
            timeout_seconds=TIMEOUT_SECONDS,
        )
    except LifecycleError as error:
        raise LoopError(str(error)) from error
    deliver(door, TICK_EVENT)
    return f"run {decided.run.number} because of {'; '.join(decided.reasons)}"
