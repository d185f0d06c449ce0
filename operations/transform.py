"""Runs a batch: `python -m operations.transform --stack prod --model nightly --in s3://…/nightly/rows/ --out answers`.

Starts a batch transform job of the approved version over the objects below an address, or finds the one that runs or
has run over the same ones, and waits for it. The role of served models reads what is asked below `<model>/rows/` of the
models bucket, so that is where the objects have to lie. The caller's own credentials have to allow what the model's
batch role may do (`components/served_grants.py`), and `kms:DescribeKey` on the environment's key.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from components.batch_objects import plan
from components.labels import Labels
from components.model_places import ModelPlaces
from components.served_grants import targeted
from components.served_models import served_model
from lifecycle.steps import LifecycleError
from lifecycle.transforms import Plan, bring_answers, start_or_adopt, wait_for_transform
from settings.check import load_file
from settings.model import Target
from settings.problems import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from settings.model import Settings

ROOT = Path(__file__).resolve().parent.parent
MAX_ATTEMPTS = 3
POLL_SECONDS, TIMEOUT_SECONDS = 15.0, 24 * 3600.0
Client = Any
"""A client of botocore; each caller knows which one it asks for."""


class RefusedError(Exception):
    """What was asked for is not what the stack file says."""


def main(arguments: Sequence[str]) -> int:
    """Run one batch and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m operations.transform", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stack", required=True, help="environment")
    parser.add_argument("--model", required=True, help="name of the model")
    parser.add_argument("--in", required=True, dest="source", help="address in S3 below which the rows lie, as CSV")
    parser.add_argument("--out", default="", help="folder for the answers; without it they stay in S3")
    options = parser.parse_args(arguments)
    try:
        settings = load_file(ROOT / f"Pulumi.{options.stack}.yaml")
        session, region = get_session(), settings.environment.region

        def client(service: str) -> Client:
            return cast("Any", session.create_client(service, region_name=region))

        said = transform(settings, client, options.model, options.source, options.out)
    except (SettingsError, RefusedError, LifecycleError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{said}\n")
    return 0


def transform(settings: Settings, client: Callable[[str], Client], name: str, source: str, out: str) -> str:
    """Answer everything below an address, once.

    Raises:
        RefusedError: No batches serve such a model, or it may not read there.
        LifecycleError: There is nothing to answer, or the job failed.
    """
    key = client("kms").describe_key(KeyId=Labels(settings.environment).key_alias)["KeyMetadata"]["Arn"]
    job = planned(settings, name, source, key)
    sagemaker, s3 = client("sagemaker"), client("s3")
    found = start_or_adopt(sagemaker, s3, job, source, max_attempts=MAX_ATTEMPTS)

    def say(status: str) -> None:
        sys.stderr.write(f"{found.name}: {status}\n")

    wait_for_transform(
        sagemaker, found.name, on_progress=say, poll_seconds=POLL_SECONDS, timeout_seconds=TIMEOUT_SECONDS
    )
    files = bring_answers(s3, found.output_uri, Path(out)) if out else []
    return "\n".join([f"answers: {found.output_uri}", *map(str, files)])


def planned(settings: Settings, name: str, source: str, key_arn: str) -> Plan:
    """What the stack exports as `batchTransforms`, from its file.

    Raises:
        RefusedError: No batches serve such a model, or it may not read there.
    """
    labels = Labels(settings.environment)
    known = {model.name: model for model in targeted(settings.models, Target.BATCH) if model.approved is not None}
    model = known.get(name)
    if model is None or model.approved is None or model.serving is None or model.serving.batch is None:
        names = ", ".join(known) or "none"
        raise RefusedError(
            f"no approved version of {name} is served by batches in {labels.cluster}; there are: {names}"
        )
    places = ModelPlaces(labels, model)
    if not source.startswith(readable := f"{places.uri(places.rows)}/"):
        raise RefusedError(f"IN is {source}; jobs of {name} read below {readable}: copy the rows there, and name that")
    served = served_model(labels, model, model.approved).name
    return Plan.parse(plan(places, model.serving.batch, model_name=served, key_arn=key_arn))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
