"""A batch transform of the served version on loopback, by the code that asks SageMaker for one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from components.batch_objects import plan
from components.model_places import Duty
from lifecycle import steps, transforms
from lifecycle.steps import LifecycleError
from sandbox.loop import flights
from sandbox.loop.files import write_bytes
from sandbox.loop.spec import LoopError, LoopPaths
from settings.model import BatchSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_sagemaker.type_defs import ContainerDefinitionTypeDef

    from components.model_places import ModelPlaces
    from sandbox.loop.loopback import Clients
    from sandbox.loop.spec import LoopSpec

SMALL: Final = BatchSpec.model_validate(
    {
        "instanceType": "ml.m5.large",
        "instances": 1,
        "payloadMb": 6,
        "concurrency": 1,
        "timeoutSeconds": 60,
        "retries": 1,
    }
)
"""Jobs of a model whose settings describe none: something else serves it."""
MAX_ATTEMPTS = 20
"""Jobs for the same rows and version; failed ones cost nothing here."""
POLL_SECONDS, TIMEOUT_SECONDS = 0.2, 3600.0


def held_out(spec: LoopSpec) -> Path:
    """The rows of the held-out month without what became of them, as a file of the loop."""
    paths = LoopPaths.of(spec.state_dir)
    [month] = flights.prepare(paths.data, spec.training_months).files("holdout").values()
    rows = [line.partition(",")[2] for line in month.read_text("utf-8").splitlines()[1:]]
    write_bytes(file := paths.root / "requests" / month.name, "".join(f"{row}\n" for row in rows).encode())
    return file


def transform(
    clients: Clients, spec: LoopSpec, places: ModelPlaces, *, rows: Path, out: Path, note: Callable[[str], None]
) -> str:
    """Answer the rows of a CSV file without header, and bring the answers to a folder.

    Returns:
        What was done, and where the answers lie.

    Raises:
        LoopError: No version is approved, or the job failed.
    """
    content = rows.read_bytes()
    prefix = f"{spec.model.name}/requests/{hashlib.sha256(content).hexdigest()[:12]}/"
    serving = spec.model.serving
    try:
        version, name = _served(clients, spec, places)
        clients.s3.put_object(Bucket=spec.models_bucket, Key=f"{prefix}{rows.name}", Body=content)
        hosts = serving.batch if serving is not None and serving.batch is not None else SMALL
        job = transforms.Plan.parse(plan(places, hosts, model_name=name, key_arn=spec.key_arn))
        found = transforms.start_or_adopt(
            clients.sagemaker, clients.s3, job, f"s3://{spec.models_bucket}/{prefix}", max_attempts=MAX_ATTEMPTS
        )
        transforms.wait_for_transform(
            clients.sagemaker, found.name, on_progress=note, poll_seconds=POLL_SECONDS, timeout_seconds=TIMEOUT_SECONDS
        )
        [file] = transforms.bring_answers(clients.s3, found.output_uri, out)
    except (LifecycleError, ClientError, BotoCoreError) as error:
        raise LoopError(str(error)) from error
    answers = file.read_bytes().count(b"\n")
    had = "" if found.created else ", which had run before"
    return f"version {version} answered {answers} rows by {found.name}{had}: {file}"


def _served(clients: Clients, spec: LoopSpec, places: ModelPlaces) -> tuple[int, str]:
    """Number of the version that serves, and the name by which SageMaker knows it then."""
    package = steps.find_package(clients.sagemaker, spec.package_group, lambda each: each.status == "Approved")
    if package is None:
        raise LoopError(f"{spec.package_group} has no approved version: make up")
    name = f"{spec.package_group}-v{package.version}"
    if not clients.sagemaker.list_models(NameContains=name)["Models"]:
        # While pods serve a model, the stack makes no role for what SageMaker serves: here, jobs run as another one.
        role = next(arn for arn in spec.role_arns if arn.endswith(f"/{places.role(Duty.EVALUATE)}"))
        container: ContainerDefinitionTypeDef = {"Image": package.image_uri, "ModelDataUrl": package.artefact_uri}
        clients.sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    return package.version, name
