"""Batch transform: the model server, asked for every object below a prefix as SageMaker would ask it.

Sources: SageMaker developer guide, "Use your own inference code with batch transform"; API reference,
`CreateTransformJob`, `TransformInput` and `TransformOutput`.
"""

from __future__ import annotations

import http.client
import shutil
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.loop.files import unpack
from sandbox.loop.processes import LOOPBACK, ProcessError, end, running
from sandbox.loop.request import split_uri
from sandbox.loop.services import OK, SERVER_SETTINGS, SERVER_START_SECONDS, STOP_SECONDS, Service, get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from sandbox.loop.container import ModelImage

MEGABYTE = 1024 * 1024
DEFAULT_PAYLOAD_MB, DEFAULT_TIMEOUT_SECONDS, DEFAULT_RETRIES = 6, 600, 3
"""What SageMaker takes for what a request leaves out."""
SERVER_ERROR = 500


class TransformError(Exception):
    """The model, or an input, makes the job fail; the message is for whoever sent the request."""


@dataclass(slots=True)
class TransformJob:
    """One batch transform job as `DescribeTransformJob` shows it; only its own worker changes it."""

    request: dict[str, Any]
    model_data: str
    """Archive of the model."""
    environment: dict[str, str]
    """Variables that the model gives its container."""
    status: str = "InProgress"
    failure: str | None = None
    ended: datetime | None = None
    stop_asked: bool = False

    @property
    def name(self) -> str:
        """Name of the job."""
        return self.request["TransformJobName"]

    def finish(self, status: str, failure: str | None = None) -> None:
        """The job has come to an end."""
        self.status, self.failure, self.ended = status, failure, datetime.now(UTC)


def payloads(content: bytes, request: dict[str, Any]) -> Iterator[bytes]:
    """The bodies that an object is sent in: whole, by lines, or as many lines as a payload holds.

    Raises:
        TransformError: A record is larger than a payload may be.
    """
    limit = request.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB) * MEGABYTE
    split = request["TransformInput"].get("SplitType", "None") == "Line"
    several = request.get("BatchStrategy", "MultiRecord") == "MultiRecord"
    held: list[bytes] = []
    size = 0
    for record in content.splitlines(keepends=True) if split else [content]:
        if len(record) > limit:
            raise TransformError(f"a record of {len(record)} bytes exceeds the maximum payload of {limit} bytes")
        if held and (not several or size + len(record) > limit):
            yield b"".join(held)
            held, size = [], 0
        held.append(record)
        size += len(record)
    if held:
        yield b"".join(held)


def assembled(answers: list[bytes], request: dict[str, Any]) -> bytes:
    """One object of the answers; with `Line`, a newline ends each."""
    if request["TransformOutput"].get("AssembleWith", "None") == "Line":
        return b"".join(answer if answer.endswith(b"\n") else answer + b"\n" for answer in answers)
    return b"".join(answers)


def told(request: dict[str, Any]) -> dict[str, str]:
    """What SageMaker itself tells a job's container; of what the request leaves out, nothing."""
    strategy = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}.get(request.get("BatchStrategy", ""))
    values = {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": request.get("MaxPayloadInMB"),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": request.get("MaxConcurrentTransforms"),
        "SAGEMAKER_BATCH_STRATEGY": strategy,
    }
    return {name: str(value) for name, value in values.items() if value is not None}


class TransformRunner:
    """Executes batch transform jobs; every change of a job is handed to `publish`."""

    def __init__(
        self,
        *,
        image: ModelImage,
        folder: Path,
        s3: Callable[[], S3Client],
        publish: Callable[[TransformJob], None],
        slot: threading.Semaphore,
    ) -> None:
        self._image, self._folder, self._s3 = image, folder, s3
        self._publish, self._slot = publish, slot
        self._jobs: dict[str, TransformJob] = {}

    def submit(self, request: dict[str, Any], model_data: str, environment: dict[str, str]) -> None:
        """Accept a job; the caller has checked that the name is new."""
        job = TransformJob(request, model_data, environment)
        self._jobs[job.name] = job
        self._publish(job)
        threading.Thread(target=self._work, args=(job,), name=f"job-{job.name}", daemon=True).start()

    def stop(self, name: str) -> None:
        """Ask a job to stop; it does after the request that it is at."""
        job = self._jobs[name]
        if job.ended is None:
            job.stop_asked, job.status = True, "Stopping"
            self._publish(job)

    def _work(self, job: TransformJob) -> None:
        with self._slot:
            try:
                self._execute(job, self._folder / job.name)
            except (TransformError, ProcessError) as error:
                job.finish("Failed", f"ClientError: {error}")
            except Exception as error:  # noqa: BLE001 - whatever else breaks becomes the job's status
                job.finish("Failed", f"InternalServerError: {type(error).__name__}: {error}")
        self._publish(job)

    def _execute(self, job: TransformJob, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        server = self._server(job, self._unpacked(job, folder), folder)
        try:
            server.ensure()
            found = running(server.record)
            if found is None:
                raise TransformError("the model server ended; see the job's log")
            done = self._transform(job, found.port)
        finally:
            end(server.record, STOP_SECONDS)
        job.finish("Completed" if done else "Stopped")

    def _unpacked(self, job: TransformJob, folder: Path) -> Path:
        bucket, key = split_uri(job.model_data)
        archive, model = folder / "model.tar.gz", folder / "model"
        archive.write_bytes(self._s3().get_object(Bucket=bucket, Key=key)["Body"].read())
        unpack(archive, model)
        return model

    def _server(self, job: TransformJob, model: Path, folder: Path) -> Service:
        environment = {**SERVER_SETTINGS, **job.environment, **job.request.get("Environment", {}), **told(job.request)}
        words = ("serve", "--model-dir", str(model), "--host", LOOPBACK, "--port")
        return Service(
            name=f"the server of {job.name}",
            command=lambda port: self._image.command(*words, str(port)),
            env=self._image.environment(folder / "home", environment),
            # The name by which what a killed run has left behind is found.
            record=folder / "trainer.json",
            log=folder / "container.log",
            health=lambda port: get(port, "/ping")[0] == OK,
            fingerprint=job.name,
            start_seconds=SERVER_START_SECONDS,
        )

    def _transform(self, job: TransformJob, port: int) -> bool:
        """Transform every object; whether all were, or somebody stopped the job before."""
        s3, request = self._s3(), job.request
        bucket, prefix = split_uri(request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"])
        into, above = split_uri(request["TransformOutput"]["S3OutputPath"])
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [key for page in pages for item in page.get("Contents", []) if (key := item.get("Key", ""))]
        if not keys:
            raise TransformError(f"no S3 objects found under s3://{bucket}/{prefix}")
        for key in keys:
            answers: list[bytes] = []
            for payload in payloads(s3.get_object(Bucket=bucket, Key=key)["Body"].read(), request):
                if job.stop_asked:
                    return False
                answers.append(_invoke(port, payload, request))
            relative = key.removeprefix(prefix.rpartition("/")[0]).lstrip("/")
            s3.put_object(
                Bucket=into,
                Key=f"{above.rstrip('/')}/{relative}.out",
                Body=assembled(answers, request),
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=request["TransformOutput"]["KmsKeyId"],
            )
        return True


def _invoke(port: int, payload: bytes, request: dict[str, Any]) -> bytes:
    """The answer to one request, asked again where the server failed and not where the request is wrong.

    Raises:
        TransformError: The server refused it, or failed as often as it may be asked.
    """
    client = request.get("ModelClientConfig", {})
    headers = {
        "Content-Type": request["TransformInput"].get("ContentType", "application/octet-stream"),
        "Accept": request["TransformOutput"].get("Accept", "*/*"),
    }
    timeout = client.get("InvocationsTimeoutInSeconds", DEFAULT_TIMEOUT_SECONDS)
    status, content = 0, b""
    for _ in range(client.get("InvocationsMaxRetries", DEFAULT_RETRIES) + 1):
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
        try:
            connection.request("POST", "/invocations", payload, headers)
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            status, content = SERVER_ERROR, str(error).encode()
        finally:
            connection.close()
        if status < SERVER_ERROR:
            break
    if status != OK:
        raise TransformError(f"/invocations answered {status}: {content[:500].decode('utf-8', 'replace')}")
    return content
