"""The door of retraining on loopback: the function's own code, with a table of the sandbox's account.

    door = open_local_door(clients, settings_of(spec), clock)  # `clients` of the loop's endpoint, `spec` of its model
    deliver(door, object_created(clients.s3, bucket, key))     # from retraining.handler: what EventBridge would bring
    deliver(door, TICK_EVENT)                                  # what the clock would bring

moto brings no event to a function, so whoever puts an object tells the door itself. `clock` says what time it is: a
clock that jumps plays months in minutes.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from retraining.facts import ModelSettings, NewData
from retraining.handler import Clients, open_door
from retraining.ledger import DOCUMENT, EXPIRES, MODEL, SETTINGS, WHAT

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from retraining.door import Door
    from sandbox.loop import loopback
    from sandbox.loop.spec import LoopSpec

TABLE: Final = "slipway-local-retraining"
ALARMS: Final = "slipway-local-"


def settings_of(spec: LoopSpec) -> ModelSettings:
    """What the loop's model asks of the door: every object counts, as soon as no more has come for a minute."""
    return ModelSettings(
        name=spec.model.name,
        pipeline=spec.pipeline.name,
        package_group=spec.package_group,
        bucket=spec.data_bucket,
        prefixes=tuple(f"{spec.model.dataset_prefix}{use}/" for use in ("train", "validation")),
        new_data=NewData(quiet_seconds=60, longest_seconds=3600, minimum_objects=1),
        drift=True,
        daily_runs=None,
        monthly_runs=None,
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
    item = {MODEL: {"S": SETTINGS}, WHAT: {"S": settings.name}, DOCUMENT: {"S": model_document(settings)}}
    dynamodb.put_item(TableName=table, Item=item)


def model_document(settings: ModelSettings) -> str:
    """A model's settings as the program writes them (`components.retraining_objects`)."""
    data = settings.new_data
    return json.dumps(
        {
            "name": settings.name,
            "pipeline": settings.pipeline,
            "packageGroup": settings.package_group,
            "bucket": settings.bucket,
            "prefixes": settings.prefixes,
            "newData": data
            and {
                "quietSeconds": data.quiet_seconds,
                "longestSeconds": data.longest_seconds,
                "minimumObjects": data.minimum_objects,
            },
            "drift": settings.drift,
            "dailyRuns": settings.daily_runs,
            "monthlyRuns": settings.monthly_runs,
        }
    )


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
