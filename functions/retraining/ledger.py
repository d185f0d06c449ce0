"""What is recorded, in one DynamoDB table: a partition for each model, an item for each fact and each run.

Both kinds of writes are conditional, so that whoever repeats one, or comes second, changes nothing. Facts are told from
the facts that a run covers by reading both, which needs no write that touches several items.
Source: DynamoDB developer guide, "Condition expressions", "Using time to live".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol

from retraining.facts import ID_BYTES, OPEN, Book, Fact, Kind, Run, Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MODEL: Final = "model"
"""Partition key: name of the model."""
WHAT: Final = "what"
"""Sort key: `fact#…` or `run#…`; in partition `SETTINGS`, the name of a model."""
EXPIRES: Final = "expires"
"""Attribute after which DynamoDB removes an item, in seconds since 1970."""
SETTINGS: Final = " settings"
"""Partition of the settings, one item for each model; no model is called so."""
DOCUMENT: Final = "document"
"""Attribute of such an item: `ModelSettings` as JSON."""
DAY_SECONDS: Final = 86_400
FACT_SECONDS: Final = 400 * DAY_SECONDS
RUN_SECONDS: Final = 430 * DAY_SECONDS
"""A run outlives the facts that it covers, or they would be pending again."""
MOST_FACTS: Final = 40_000
"""Facts that one run covers: an item has at most 400 KB."""


class Ledger(Protocol):
    """Where the records are."""

    def models(self) -> list[str]:
        """`ModelSettings` of every model, as JSON."""
        ...

    def read(self, model: str) -> Book:
        """All records of a model; sees every write that was answered before."""
        ...

    def record(self, fact: Fact) -> bool:
        """Write a fact down; False when it was known."""
        ...

    def claim(self, run: Run) -> bool:
        """Write a run down; False when there is one of its number, which somebody else has decided."""
        ...

    def mark(self, run: Run, status: Status, arn: str) -> None:
        """Write down how far an open run has come; changes nothing when it has ended."""
        ...


class DynamoLedger:
    """The ledger in DynamoDB."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    def models(self) -> list[str]:
        """`ModelSettings` of every model, as JSON."""
        return [item[DOCUMENT]["S"] for item in self._items(SETTINGS)]

    def read(self, model: str) -> Book:
        """All records of a model; sees every write that was answered before."""
        items = self._items(model)
        facts = [_fact(model, item) for item in items if item[WHAT]["S"].startswith("fact#")]
        runs = [_run(model, item) for item in items if item[WHAT]["S"].startswith("run#")]
        return Book(facts, sorted(runs, key=lambda run: run.number))

    def _items(self, partition: str) -> list[dict[str, Any]]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#model = :model",
            ExpressionAttributeNames={"#model": MODEL},
            ExpressionAttributeValues={":model": {"S": partition}},
            ConsistentRead=True,
        )
        return [item for page in pages for item in page["Items"]]

    def record(self, fact: Fact) -> bool:
        """Write a fact down; False when it was known."""
        return self._add(
            {
                MODEL: {"S": fact.model},
                WHAT: {"S": f"fact#{fact.id}"},
                "kind": {"S": fact.kind},
                "at": {"N": repr(fact.at)},
                "note": {"S": fact.note},
                "image": {"S": fact.image},
                EXPIRES: {"N": str(int(fact.at) + FACT_SECONDS)},
            }
        )

    def claim(self, run: Run) -> bool:
        """Write a run down; False when there is one of its number, which somebody else has decided."""
        return self._add(
            {
                MODEL: {"S": run.model},
                WHAT: {"S": _run_key(run.number)},
                "token": {"S": run.token},
                "at": {"N": repr(run.at)},
                "covers": {"B": bytes.fromhex("".join(sorted(run.covers)))},
                "dataVersion": {"S": run.data_version},
                "image": {"S": run.image},
                "instance": {"S": run.instance},
                "reasons": {"S": json.dumps(run.reasons)},
                "status": {"S": run.status},
                "arn": {"S": run.arn},
                EXPIRES: {"N": str(int(run.at) + RUN_SECONDS)},
            }
        )

    def _add(self, item: dict[str, Any]) -> bool:
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(#what)",
                ExpressionAttributeNames={"#what": WHAT},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def mark(self, run: Run, status: Status, arn: str) -> None:
        """Write down how far an open run has come; changes nothing when it has ended."""
        before = [Status.CLAIMED] if status is Status.RUNNING else sorted(OPEN)
        names = {f":before{index}": {"S": each} for index, each in enumerate(before)}
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={MODEL: {"S": run.model}, WHAT: {"S": _run_key(run.number)}},
                UpdateExpression="SET #status = :status, #arn = :arn",
                ConditionExpression=f"#token = :token AND #status IN ({', '.join(names)})",
                ExpressionAttributeNames={"#status": "status", "#arn": "arn", "#token": "token"},
                ExpressionAttributeValues={
                    ":status": {"S": status},
                    ":arn": {"S": arn},
                    ":token": {"S": run.token},
                    **names,
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return


def _run_key(number: int) -> str:
    return f"run#{number:08d}"


def _fact(model: str, item: dict[str, Any]) -> Fact:
    return Fact(
        model=model,
        kind=Kind(item["kind"]["S"]),
        id=item[WHAT]["S"].removeprefix("fact#"),
        at=float(item["at"]["N"]),
        note=item["note"]["S"],
        image=item["image"]["S"],
    )


def _run(model: str, item: dict[str, Any]) -> Run:
    covers, digits = item["covers"]["B"].hex(), 2 * ID_BYTES
    return Run(
        model=model,
        number=int(item[WHAT]["S"].removeprefix("run#")),
        token=item["token"]["S"],
        at=float(item["at"]["N"]),
        covers=frozenset(covers[start : start + digits] for start in range(0, len(covers), digits)),
        data_version=item["dataVersion"]["S"],
        image=item["image"]["S"],
        instance=item["instance"]["S"],
        reasons=tuple(json.loads(item["reasons"]["S"])),
        status=Status(item["status"]["S"]),
        arn=item["arn"]["S"],
    )
