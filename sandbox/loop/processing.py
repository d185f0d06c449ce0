"""Processing jobs: does on this machine what SageMaker would do with the same request.

The container finds its inputs and leaves its outputs below `SAGEMAKER_BASE_DIR`, which stands for `/opt/ml`; a `python`
in front of its command line is the image's own.
Sources: SageMaker developer guide, "Build your own processing container"; API reference, `CreateProcessingJob`.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from sandbox.loop.container import ChannelError, ModelImage, copy_prefix
from sandbox.loop.guard import Guard
from sandbox.loop.image import variables
from sandbox.loop.processes import leash_command
from sandbox.loop.request import LONGEST_RUN_SECONDS, split_uri

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

BASE = PurePosixPath("/opt/ml")
"""Folder of a container that a scratch folder stands for here."""
MESSAGE_LIMIT = 1024
"""Characters of `output/message` that SageMaker keeps."""


@dataclass(slots=True)
class ProcessingJob:
    """One processing job as `DescribeProcessingJob` shows it; only its own worker changes it."""

    request: dict[str, Any]
    status: str = "InProgress"
    failure: str | None = None
    message: str = ""
    """What the container wrote to `output/message`."""
    ended: datetime | None = None
    stop_asked: bool = False
    interrupted: bool = False
    wake: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """Name of the job."""
        return self.request["ProcessingJobName"]

    @property
    def max_runtime_seconds(self) -> int:
        """The job is stopped after this time."""
        return self.request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", LONGEST_RUN_SECONDS)

    @property
    def image(self) -> str:
        """Image by digest."""
        return self.request["AppSpecification"]["ImageUri"]

    def finish(self, status: str, failure: str | None = None) -> None:
        """The job has come to an end."""
        self.status, self.failure, self.ended = status, failure, datetime.now(UTC)


class ProcessingRunner:
    """Executes processing jobs; every change of a job is handed to `publish`."""

    def __init__(
        self,
        *,
        image: ModelImage,
        folder: Path,
        s3: Callable[[], S3Client],
        publish: Callable[[ProcessingJob], None],
        slot: threading.Semaphore,
        grace_seconds: float,
    ) -> None:
        self._image, self._folder, self._s3 = image, folder, s3
        self._publish, self._slot, self._grace_seconds = publish, slot, grace_seconds
        self._jobs: dict[str, ProcessingJob] = {}

    def submit(self, request: dict[str, Any]) -> ProcessingJob:
        """Accept a job; the caller has checked that the name is new."""
        job = ProcessingJob(request)
        self._jobs[job.name] = job
        self._publish(job)
        threading.Thread(target=self._work, args=(job,), name=f"job-{job.name}", daemon=True).start()
        return job

    def stop(self, name: str) -> None:
        """Ask a job to stop."""
        job = self._jobs[name]
        job.stop_asked, job.status = True, "Stopping"
        self._publish(job)
        job.wake.set()

    def _work(self, job: ProcessingJob) -> None:
        with self._slot:
            try:
                self._execute(job, self._folder / job.name / "opt-ml")
            except ChannelError as error:
                job.finish("Failed", f"ClientError: {error}")
            except Exception as error:  # noqa: BLE001 - whatever else breaks becomes the job's status
                job.finish("Failed", f"InternalServerError: {type(error).__name__}: {error}")
        self._publish(job)

    def _execute(self, job: ProcessingJob, base: Path) -> None:
        shutil.rmtree(base, ignore_errors=True)
        (base / "output").mkdir(parents=True)
        s3 = self._s3()
        for given in job.request.get("ProcessingInputs", []):
            source = given["S3Input"]
            if not copy_prefix(s3, source["S3Uri"], _local(base, source["LocalPath"])):
                raise ChannelError(f"input {given['InputName']!r}: no S3 objects found under {source['S3Uri']}")
        outputs = [made["S3Output"] for made in job.request["ProcessingOutputConfig"]["Outputs"]]
        for made in outputs:
            _local(base, made["LocalPath"]).mkdir(parents=True, exist_ok=True)
        verdict = self._run(job, base)
        message = base / "output/message"
        job.message = message.read_text("utf-8", "replace").strip()[:MESSAGE_LIMIT] if message.is_file() else ""
        if verdict is None:
            key = job.request["ProcessingOutputConfig"].get("KmsKeyId", "")
            for made in outputs:
                _upload(s3, _local(base, made["LocalPath"]), made["S3Uri"], key)
        job.finish(*(("Completed", None) if verdict is None else verdict))
        shutil.rmtree(base, ignore_errors=True)

    def _run(self, job: ProcessingJob, base: Path) -> tuple[str, str | None] | None:
        """Run the container; None when it ended well, else status and reason."""
        application = job.request["AppSpecification"]
        words = [*application.get("ContainerEntrypoint", []), *application.get("ContainerArguments", [])]
        command = [str(self._image.python) if word == "python" and not at else word for at, word in enumerate(words)]
        extra = variables(job.image) | job.request.get("Environment", {}) | {"SAGEMAKER_BASE_DIR": str(base)}
        log = base.with_name("container.log")
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(  # noqa: S603 - the command line that SageMaker would start, no shell
                [*leash_command("child", log.with_name("trainer.json")), *command],
                cwd=base,
                env=self._image.environment(base / "home", extra),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            guard = Guard(process, job, self._grace_seconds)
            guard.start()
            code = process.wait()
        guard.finish()
        if guard.verdict is not None:
            return ("Stopped", None) if guard.verdict == "Stopped" else ("Stopped", guard.verdict)
        return (
            None if code == 0 else ("Failed", f"AlgorithmError: See job logs for more information, exit code: {code}")
        )


def _local(base: Path, path: str) -> Path:
    """Where a folder of the container lies here.

    Raises:
        ChannelError: It is not below `/opt/ml`.
    """
    inside = PurePosixPath(path)
    if ".." in inside.parts or not inside.is_relative_to(BASE):
        raise ChannelError(f"{path} is not below {BASE}; only folders there are provided here")
    return base.joinpath(*inside.relative_to(BASE).parts)


def _upload(s3: S3Client, folder: Path, uri: str, key: str) -> None:
    bucket, prefix = split_uri(uri)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            s3.put_object(
                Bucket=bucket,
                Key=f"{prefix}/{path.relative_to(folder).as_posix()}",
                Body=path.read_bytes(),
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=key,
            )
