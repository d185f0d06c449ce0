"""Lambda, DynamoDB and EventBridge Scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.providers.aws_kinds.shared import FUNCTION, QUEUE, ROLE, TABLE, side, uuid
from sandbox.providers.kinds import Birth, Kind, arn, joined, together

if TYPE_CHECKING:
    from sandbox.wire import Properties


def _qualified(birth: Birth, _id: str) -> Properties:
    """The ARN of the version that has not been published, and how API Gateway would call the function."""
    place = birth.place
    own = f"arn:{place.partition}:lambda:{place.region}:{place.account_id}:function:{birth.text('name')}"
    return {"qualifiedArn": f"{own}:$LATEST", "version": "$LATEST"}


KINDS: Final[dict[str, Kind]] = {
    FUNCTION: Kind(
        identify=joined("name"),
        compute=together(arn("arn:{partition}:lambda:{region}:{account}:function:{id}"), _qualified),
        immutable=frozenset({"name", "packageType"}),
        autoname="name",
        needs={"role": ROLE},
        api=("lambda", "CreateFunction", ""),
        seconds=10.0,
    ),
    "aws:lambda/eventSourceMapping:EventSourceMapping": Kind(
        identify=uuid,
        compute=together(
            arn("arn:{partition}:lambda:{region}:{account}:event-source-mapping:{id}"),
            lambda _birth, id_: {"uuid": id_},
        ),
        immutable=frozenset({"eventSourceArn"}),
        needs={"eventSourceArn": QUEUE, "functionName": FUNCTION},
        api=("lambda", "CreateEventSourceMapping", ""),
        seconds=5.0,
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": side(FUNCTION, "functionName"),
    "aws:lambda/permission:Permission": Kind(
        identify=joined("statementId"),
        immutable=frozenset({"action", "function", "principal", "sourceAccount", "sourceArn", "statementId"}),
        autoname="statementId",
        needs={"function": FUNCTION},
        api=("lambda", "AddPermission", ""),
    ),
    TABLE: Kind(
        identify=joined("name"),
        compute=arn("arn:{partition}:dynamodb:{region}:{account}:table/{id}"),
        immutable=frozenset({"name", "hashKey", "rangeKey"}),
        autoname="name",
        api=("dynamodb", "CreateTable", ""),
        seconds=10.0,
    ),
    "aws:dynamodb/tableItem:TableItem": Kind(
        identify=lambda birth: f"{birth.text('tableName')}|{birth.text('hashKey')}|{birth.hex(12, 'item')}",
        immutable=frozenset({"tableName", "hashKey", "rangeKey"}),
        needs={"tableName": TABLE},
    ),
    "aws:scheduler/schedule:Schedule": Kind(
        identify=lambda birth: f"{birth.text('groupName', 'default')}/{birth.text('name')}",
        compute=arn("arn:{partition}:scheduler:{region}:{account}:schedule/{id}"),
        immutable=frozenset({"name", "namePrefix", "groupName"}),
        autoname="name",
        api=("scheduler", "CreateSchedule", ""),
    ),
}
