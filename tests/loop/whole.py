"""One run of a model's pipeline on files of its own, to a version that is packaged and answers.

`make up` does this with flights, and asks about two classes.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lifecycle import pipelines, steps
from sandbox.console import Console
from sandbox.loop import account, image, packaging, services
from sandbox.loop.flights import Dataset
from sandbox.loop.loopback import Clients
from sandbox.loop.spec import LoopPaths
from sandbox.loop.stages import fetched

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.steps import Package
    from sandbox.loop.spec import LoopSpec

LONGEST_SECONDS = 300


class Files(Dataset):
    """Every file below the folder of a use, whatever its format."""

    def files(self, use: str) -> dict[str, Path]:
        return {path.name: path for path in sorted((self.root / use).glob("*.*"))}


@dataclass(frozen=True, slots=True)
class Served:
    """What a run left."""

    clients: Clients
    package: Package
    model_dir: Path
    url: str
    steps: tuple[str, ...]
    """Names of the steps that ran."""

    @property
    def evaluation(self) -> dict[str, Any]:
        """The report that was registered."""
        return json.loads(steps.fetch(self.clients.s3, self.package.evaluation_uri))

    @property
    def training(self) -> dict[str, Any]:
        """The training job as it is described."""
        name = self.package.properties[steps.TRAINING_JOB_PROPERTY]
        return {**self.clients.sagemaker.describe_training_job(TrainingJobName=name)}

    def read(self, channel: str) -> dict[str, bytes]:
        """Files of a channel as the training found them, or of `test` beside them, by name."""
        sources = [each["DataSource"]["S3DataSource"] for each in self.training["InputDataConfig"]]
        bucket, _, key = sources[0]["S3Uri"].removeprefix("s3://").partition("/")
        prefix = f"{key.rpartition('/')[0]}/{channel}/"
        listed = self.clients.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        keys = [each.get("Key", "") for each in listed]
        return {each.removeprefix(prefix): steps.fetch(self.clients.s3, f"s3://{bucket}/{each}") for each in keys}

    def ask(self, body: bytes, media: str = "text/csv") -> Any:
        """What the endpoint answers, as JSON; a later run puts a newer version there."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", "/invocations", body, {"Content-Type": media, "Accept": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        assert answer.status == http.client.OK, content
        return json.loads(content)["predictions"]


def run(spec: LoopSpec, data: Path) -> Served:
    """Run the pipeline on the files below `data`, and serve the newest version."""
    paths, console = LoopPaths.of(spec.state_dir), Console(io.StringIO())
    built = image.build(spec.image_source)
    clients = Clients(services.aws_api(spec, paths).ensure()[0], spec.region)
    account.declare(clients, spec)
    image.push(clients.ecr, account.repository_name(spec), built)
    account.upload(clients.s3, spec, Files(data, changed=False), lambda _: None)
    prefixes = [f"s3://{spec.data_bucket}/{spec.model.dataset_prefix}{name}/" for name in spec.model.data.delivered]
    parameters = {"DataVersion": steps.data_version(clients.s3, prefixes), "ImageDigest": built.digest}
    execution = pipelines.start_or_adopt(clients.sagemaker, spec.pipeline.name, parameters, max_attempts=1)
    found = pipelines.wait_for_execution(
        clients.sagemaker,
        execution.arn,
        on_progress=lambda _: None,
        poll_seconds=0.25,
        timeout_seconds=LONGEST_SECONDS,
    )
    package = steps.find_package(clients.sagemaker, spec.package_group, lambda each: each.status == "Approved")
    assert package is not None
    packaging.package(clients, spec, package.arn, paths.packaging(spec.model.name, package.version), console)
    model_dir = fetched(spec, paths, clients, package)
    url, _ = services.model_server(spec, paths, built, model_dir, package.version).ensure()
    return Served(clients, package, model_dir, url, tuple(each.get("StepName", "") for each in found))
