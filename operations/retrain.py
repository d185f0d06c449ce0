"""Asks for a training: `python -m operations.retrain --stack prod --model flight-delay --reason "new feature"`.

The request goes through the same door as every other reason and is decided there; its bounds hold for it too. With
`--redrive` it moves what lies in the dead-letter queue back to the door. The caller's own credentials have to allow
`events:PutEvents` on the environment's bus, or `sqs:StartMessageMoveTask` and what it needs on both queues.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from components import iam
from components.labels import Labels
from components.retraining_objects import DEAD, REQUESTED, SOURCE, THING
from settings.check import load_file
from settings.problems import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from settings.model import Settings

ROOT = Path(__file__).resolve().parent.parent
Client = Any
"""A client of botocore; each caller knows which one it asks for."""


class RefusedError(Exception):
    """What was asked for cannot be done; the message says why."""


def main(arguments: Sequence[str]) -> int:
    """Ask once and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m operations.retrain", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stack", required=True, help="environment")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", help="name of the model")
    what.add_argument("--redrive", action="store_true", help="move dead events back to the queue instead")
    parser.add_argument("--reason", default="", help="why; it is kept with the run")
    parser.add_argument("--image", default="", help="digest of the image to train with; that of the approved version")
    options = parser.parse_args(arguments)
    try:
        settings = load_file(ROOT / f"Pulumi.{options.stack}.yaml")
        session, region = get_session(), settings.environment.region

        def client(service: str) -> Client:
            return cast("Any", session.create_client(service, region_name=region))

        said = (
            redrive(settings, client("sqs"))
            if options.redrive
            else ask(settings, client, options.model, options.reason, options.image)
        )
    except (SettingsError, RefusedError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{said}\n")
    return 0


def ask(settings: Settings, client: Callable[[str], Client], model: str, reason: str, image: str) -> str:
    """Put a request on the environment's bus.

    Raises:
        RefusedError: There is no such model, no reason, or the bus did not take the request.
    """
    if model not in {each.name for each in settings.models}:
        known = ", ".join(each.name for each in settings.models) or "none"
        raise RefusedError(f"{settings.environment.name} has no model {model}; there are: {known}")
    if not reason:
        raise RefusedError("say why, with REASON=…: it is kept with the run")
    bus = Labels(settings.environment).event_bus
    detail = {"model": model, "reason": reason, "requestedBy": client("sts").get_caller_identity()["Arn"]}
    detail |= {"imageDigest": image} if image else {}
    entry = {"Source": SOURCE, "DetailType": REQUESTED, "EventBusName": bus, "Detail": json.dumps(detail)}
    answer = client("events").put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise RefusedError(f"the request was not taken: {answer['Entries'][0]}")
    return (
        f"asked for a training of {model}, event {answer['Entries'][0]['EventId']}: the log of the door has the answer"
    )


def redrive(settings: Settings, sqs: Client) -> str:
    """Move everything from the dead-letter queue to the queue.

    EventBridge puts there too what it could not deliver, which has no queue to return to, so the queue is named.
    Source: SQS API reference, `StartMessageMoveTask`.
    """
    labels, account = Labels(settings.environment), iam.Account.of(settings.environment)
    dead, queue = (account.arn("sqs", labels.queue(thing)) for thing in (DEAD, THING))
    sqs.start_message_move_task(SourceArn=dead, DestinationArn=queue)
    return f"moving what lies in {labels.queue(DEAD)} to {labels.queue(THING)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
