"""Promotes a version: `python -m operations.promote --model flight-delay --from staging --to prod`.

Registers an approved version of one environment in the next, with the rights of that one's promotion role. The caller's
own credentials have to be those of a role in `registry.promoterArns`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from components import iam
from components.labels import MODELS, Labels
from components.model_places import ModelPlaces
from components.promotion_policies import PROMOTION, package_arns, promotion_role
from components.training_grants import APPROVAL
from lifecycle.crane import Crane, log_in
from lifecycle.promotion import Destination, Registry, promote
from lifecycle.soak import HOUR, Soak
from lifecycle.steps import LifecycleError
from settings.check import load_file
from settings.problems import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sts import STSClient

    from settings.model import ModelSpec, Settings

ROOT = Path(__file__).resolve().parent.parent


class RefusedError(Exception):
    """What was asked for is not what the stack files say."""


def main(arguments: Sequence[str]) -> int:
    """Promote one version and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m operations.promote", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="name of the model")
    parser.add_argument("--from", required=True, dest="origin", help="environment that has approved the version")
    parser.add_argument("--to", required=True, dest="target", help="environment that gets it")
    parser.add_argument("--version", type=int, help="number of the version there; the newest approved one otherwise")
    parser.add_argument("--unsoaked", default="", help="why it may travel without the service that soakHours asks for")
    options = parser.parse_args(arguments)
    try:
        origin, target = (load_file(ROOT / f"Pulumi.{stack}.yaml") for stack in (options.origin, options.target))
        theirs, ours = check(origin, target, options.model)
        soak = soak_of(origin, target, time.time(), options.unsoaked)
        said = _promote((origin, theirs), (target, ours), options.version, soak)
    except (SettingsError, RefusedError, LifecycleError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{said}\n")
    return 0


def check(origin: Settings, target: Settings, name: str) -> tuple[ModelSpec, ModelSpec]:
    """Find the model in both environments.

    Raises:
        RefusedError: The stack files do not lead from one to the other, or one does not have the model.
    """
    source, own = origin.environment.name, target.environment.name
    before = target.registry.promotes_from
    if before is None or before.environment != source:
        allowed = "no environment" if before is None else before.environment
        raise RefusedError(f"{own} takes versions from {allowed}, not from {source} (Pulumi.{own}.yaml, promotesFrom)")
    after = origin.registry.promotes_to
    if after is None or after.account_id != target.environment.account_id:
        raise RefusedError(f"{source} lets no role of {own} read (Pulumi.{source}.yaml, promotesTo)")
    found = [{model.name: model for model in settings.models}.get(name) for settings in (origin, target)]
    for settings, model in zip((origin, target), found, strict=True):
        if model is None:
            known = ", ".join(each.name for each in settings.models) or "none"
            raise RefusedError(f"{settings.environment.name} has no model {name}; there are: {known}")
    return cast("tuple[ModelSpec, ModelSpec]", tuple(found))


def soak_of(origin: Settings, target: Settings, now: float, waived: str) -> Soak:
    """How long a version has to have served in the environment that it comes from.

    Args:
        origin: That environment.
        target: The one that asks for it.
        now: Seconds since the epoch.
        waived: Why a person does without; empty where nobody does.
    """
    before = target.registry.promotes_from
    hours = 0 if before is None else before.soak_hours
    return Soak(where=Labels(origin.environment).cluster, seconds=hours * HOUR, now=now, waived=waived.strip())


def _promote(
    before: tuple[Settings, ModelSpec], after: tuple[Settings, ModelSpec], version: int | None, soak: Soak
) -> str:
    (origin, theirs), (target, ours) = before, after
    source, own = Labels(origin.environment), Labels(target.environment)
    keys = _become(promotion_role(own), target.environment.region)

    def client(service: str, labels: Labels) -> Any:  # noqa: ANN401 - each caller knows which client it asks for
        return get_session().create_client(service, region_name=labels.environment.region, **keys)

    places, registries = (
        ModelPlaces(own, ours),
        [iam.Account.of(labels.environment).registry for labels in (source, own)],
    )
    with TemporaryDirectory() as credentials:
        crane = Crane(Path(os.environ["SLIPWAY_CRANE"]), Path(credentials))
        log_in(
            Path(credentials),
            [(host, client("ecr", each)) for host, each in zip(registries, (source, own), strict=True)],
        )
        done = promote(
            Registry(
                sagemaker=client("sagemaker", source),
                s3=client("s3", source),
                group=package_arns(source, [theirs])[0],
                repository=f"{registries[0]}/{source.repository(theirs.name)}",
            ),
            Destination(
                sagemaker=client("sagemaker", own),
                s3=client("s3", own),
                group=own.package_group(ours.name),
                repository=f"{registries[1]}/{own.repository(ours.name)}",
                prefix=f"s3://{own.bucket(MODELS)}/{places.promoted}",
                status=cast("Any", APPROVAL[ours.pipeline.approval]),
            ),
            version,
            crane.copy,
            soak,
        )
    said = "registered" if done.created else "had been registered before"
    return f"version {done.package.version} of {ours.name} {said} in {target.environment.name}: {done.package.status}"


def _become(role: str, region: str) -> dict[str, Any]:
    """Credentials of a role, as clients take them."""
    sts = cast("STSClient", get_session().create_client("sts", region_name=region))
    keys = sts.assume_role(RoleArn=role, RoleSessionName=PROMOTION)["Credentials"]
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
