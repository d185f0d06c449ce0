"""Runs training jobs: does on this machine what SageMaker would do with the same request.

Statuses, secondary statuses and failure texts follow the Amazon SageMaker API Reference (DescribeTrainingJob). One
job runs at a time; the others wait in `Starting`. What is not imitated: instances
(every host is a process of this machine) and, with one host, network isolation (the trainer gets an environment without
credentials or endpoints, but the machine's network).
"""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.loop import hosts
from sandbox.loop.container import ChannelError, Container, ModelImage
from sandbox.loop.guard import INTERRUPTED, STOP_GRACE_SECONDS, Guard
from sandbox.loop.image import variables
from sandbox.loop.job import Job
from sandbox.loop.request import split_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from sandbox.loop.request import TrainingRequest


class MetricError(Exception):
    """A metric definition is no regular expression."""


class _Watch:
    """Finds the metrics of a job in its log."""

    def __init__(self, definitions: dict[str, str]) -> None:
        try:
            self._patterns = {name: re.compile(pattern) for name, pattern in definitions.items()}
        except re.error as error:
            raise MetricError(f"metric definition {error.pattern!r} is no regular expression: {error}") from error

    def found(self, line: str) -> dict[str, float]:
        """Numbers that the line tells; a match that is no number is skipped."""
        matches = {name: pattern.search(line) for name, pattern in self._patterns.items()}
        values: dict[str, float] = {}
        for name, match in matches.items():
            with contextlib.suppress(ValueError, IndexError):
                values |= {name: float(match[1])} if match else {}
        return values


class JobRunner:
    """Executes jobs one after the other; every change of a job is handed to `publish`."""

    def __init__(
        self,
        *,
        image: ModelImage,
        folder: Path,
        s3: Callable[[], S3Client],
        publish: Callable[[Job], None],
        slot: threading.Semaphore,
        grace_seconds: float = STOP_GRACE_SECONDS,
    ) -> None:
        self._image = image
        self._folder = folder
        self._s3 = s3
        self._publish = publish
        self._grace_seconds = grace_seconds
        self._slot = slot
        self._change = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._reasons: list[str] = []

    def submit(self, request: TrainingRequest, arn: str) -> Job:
        """Accept a job; it is `InProgress` when this returns. The caller has checked that the name is new."""
        job = Job(request, arn)
        job.enter("Starting")
        self._jobs[job.name] = job
        self._publish(job)
        threading.Thread(target=self._work, args=(job,), name=f"job-{job.name}", daemon=True).start()
        return job

    def get(self, name: str) -> Job | None:
        """The job of that name."""
        return self._jobs.get(name)

    def stop(self, job: Job) -> None:
        """Ask a running job to stop; it becomes `Stopping` now and `Stopped` when the trainer has ended."""
        with self._change:
            job.stop_asked, job.status = True, "Stopping"
            job.enter("Stopping")
        self._publish(job)
        job.wake.set()

    def interrupt(self, job: Job) -> bool:
        """Take a spot job's host away, as EC2 does; whether it had one. It goes on from its checkpoints."""
        if job.secondary != "Training" or job.request.checkpoint_uri is None:
            return False
        job.interrupted = True
        job.wake.set()
        return True

    def fail_next(self, reason: str) -> None:
        """Let the next job fail with this reason, as if SageMaker had no host for it."""
        self._reasons.append(reason)

    def log_path(self, name: str) -> Path:
        """Where the output of a job's container goes."""
        return self._folder / name / "container.log"

    def _work(self, job: Job) -> None:
        with self._slot:
            try:
                self._execute(job)
            except (ChannelError, MetricError) as error:
                self._finish(job, "Failed", f"ClientError: {error}")
            except Exception as error:  # noqa: BLE001 - whatever else breaks becomes the job's status
                self._finish(job, "Failed", f"InternalServerError: {type(error).__name__}: {error}")

    def _execute(self, job: Job) -> None:
        if self._reasons:
            self._finish(job, "Failed", self._reasons.pop())
            return
        while self._on_a_host(job) == INTERRUPTED:
            self._enter(job, INTERRUPTED)
            job.interrupted = False
            job.wake.clear()

    def _on_a_host(self, job: Job) -> str:
        """Run the job from its newest checkpoint on; the verdict."""
        request, s3 = job.request, self._s3()
        containers = self._containers(job)
        container = containers[0]
        self._enter(job, "Downloading")
        for each in containers:
            for channel in request.channels:
                each.download(s3, channel)
            if request.checkpoint_uri:
                each.restore_checkpoints(s3, request.checkpoint_uri)
        verdict = "Stopped" if job.stop_asked else self._train(job, containers)
        if verdict == "Completed":
            self._enter(job, "Uploading")
        if request.checkpoint_uri:
            files = container.checkpoints.rglob("*")
            self._upload(s3, job, files, container.checkpoints, f"{request.checkpoint_uri}/")
        if verdict == INTERRUPTED:
            return verdict
        if verdict != "Failed":
            self._save(s3, job, container)
        self._finish(job, verdict, self._reason(job, containers) if verdict == "Failed" else None)
        for each in containers:
            shutil.rmtree(each.base, ignore_errors=True)
        return verdict

    def _containers(self, job: Job) -> list[Container]:
        """The hosts of a job; the first keeps checkpoints and writes the model, as the image does it."""
        found: list[Container] = []
        for number, host in enumerate(hosts.names(job.request.instance_count), start=1):
            container = Container(self._folder / job.name / ("opt-ml" if number == 1 else f"opt-ml-{number}"))
            container.prepare(job.request, host)
            found.append(container)
        return found

    def _train(self, job: Job, containers: list[Container]) -> str:
        """Run the trainer to its end: `Completed`, `Failed`, `Stopped` or `MaxRuntimeExceeded`."""
        self._enter(job, "Training")
        watch = _Watch(job.request.metric_definitions)
        environment = variables(job.request.image) | job.request.environment
        environment |= {"TRAINING_JOB_NAME": job.name, "TRAINING_JOB_ARN": job.arn}
        log = self.log_path(job.name)
        first, *beside = containers
        command = self._image.training(job.request)
        record, streamed = log.with_name("trainer.json"), [each.name for each in job.request.channels if each.streamed]
        process = first.start(command, self._image, environment, record, beside=beside, streamed=streamed)
        guard = Guard(process, job, self._grace_seconds)
        guard.start()
        with process, log.open("a", encoding="utf-8") as file:
            for line in process.stdout or ():
                file.write(line)
                file.flush()
                if found := watch.found(line):
                    now = datetime.now(UTC)
                    job.metrics |= {name: (value, now) for name, value in found.items()}
                    self._publish(job)
        guard.finish()
        job.failure = None if process.returncode == 0 else f"exit code: {process.returncode}"
        return guard.verdict or ("Completed" if process.returncode == 0 else "Failed")

    @staticmethod
    def _reason(job: Job, containers: list[Container]) -> str:
        reasons = (container.failure() for container in containers)
        said = next(filter(None, reasons), "the container wrote no reason to output/failure; see its log")
        return f"AlgorithmError: {said}, {job.failure}"

    def _save(self, s3: S3Client, job: Job, container: Container) -> None:
        """Upload `model.tar.gz`, and `output.tar.gz` if there is output data, to where SageMaker puts them."""
        target = f"{job.request.output_uri}/{job.name}/output/"
        model = container.archive(container.model, "model.tar.gz")
        output = container.archive(container.output_data, "output.tar.gz")
        self._upload(s3, job, filter(None, (model, output)), container.base, target)
        job.artefact = f"{target}model.tar.gz" if model else None

    @staticmethod
    def _upload(s3: S3Client, job: Job, paths: Iterable[Path], base: Path, target: str) -> None:
        bucket, prefix = split_uri(target)
        for path in sorted(paths):
            if path.is_file():
                s3.put_object(
                    Bucket=bucket,
                    Key=prefix + path.relative_to(base).as_posix(),
                    Body=path.read_bytes(),
                    ServerSideEncryption="aws:kms",
                    SSEKMSKeyId=job.request.kms_key,
                )

    def _enter(self, job: Job, secondary: str) -> None:
        with self._change:
            if not job.stop_asked:
                job.enter(secondary)
        self._publish(job)

    def _finish(self, job: Job, verdict: str, failure: str | None) -> None:
        with self._change:
            job.failure = failure
            job.enter(verdict, "Stopped" if verdict == "MaxRuntimeExceeded" else verdict)
        self._publish(job)
