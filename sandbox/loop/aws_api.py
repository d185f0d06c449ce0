"""AWS APIs on loopback: moto for S3, ECR, IAM, KMS, STS and the model registry; jobs and pipelines that really run.

`python -m sandbox.loop.aws_api --state-dir DIR --port N …` serves until SIGTERM. moto alone calls a training job
completed at once, takes a second job of the same name and cannot stop one; this process answers those operations
itself and keeps moto's own records in step, so that every other operation (Search, ListTrainingJobs, ListTags, …)
agrees. State is in memory: it ends with the process.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from moto.moto_server.werkzeug_app import (  # pyright: ignore[reportMissingTypeStubs] - typed, without __init__.py
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.sagemaker.models import sagemaker_backends
from werkzeug.serving import make_server

from sandbox.loop.container import ModelImage
from sandbox.loop.environment import Environment, Refusal
from sandbox.loop.guard import STOP_GRACE_SECONDS
from sandbox.loop.job import Job, mirror
from sandbox.loop.jobs import JobRunner
from sandbox.loop.loopback import Clients
from sandbox.loop.package_api import PackageApi
from sandbox.loop.pipeline_api import PipelineApi
from sandbox.loop.processes import LOOPBACK, end, running, this_process, write_record
from sandbox.loop.processing import ProcessingJob, ProcessingRunner
from sandbox.loop.processing_api import ProcessingApi
from sandbox.loop.refusals import Refusals
from sandbox.loop.request import TrainingRequest
from sandbox.loop.spec import HEALTH_PATH, TROUBLE_PATH, LoopPaths
from sandbox.loop.transform import TransformJob, TransformRunner
from sandbox.loop.transform_api import TransformApi
from sandbox.loop.tuning_api import TuningApi
from sandbox.loop.wire import Moto, Operations, answer, body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from moto.sagemaker.models import SageMakerModelBackend
    from mypy_boto3_s3 import S3Client

ENDED = frozenset({"Completed", "Failed", "Stopped"})


class Apis:
    """WSGI application: jobs and pipelines in front, moto behind."""

    def __init__(
        self,
        moto: WSGIApplication,
        environment: Environment,
        runner: JobRunner,
        fingerprint: str,
        others: Sequence[Operations],
    ) -> None:
        self._moto = moto
        self._environment = environment
        self._runner = runner
        self._fingerprint = fingerprint
        self._others = {name: operations for operations in others for name in operations.names}
        self._lock = threading.RLock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = str(environ.get("PATH_INFO"))
        if path == HEALTH_PATH:
            return answer(start_response, HTTPStatus.OK, {"fingerprint": self._fingerprint})
        if path == TROUBLE_PATH:
            return answer(start_response, HTTPStatus.OK, {"done": self._trouble(json.loads(body(environ)))})
        service, _, operation = str(environ.get("HTTP_X_AMZ_TARGET", "")).partition(".")
        if operation == "UpdateModelPackage":
            self._keep_unmentioned(environ)
        ours = operation in self._others or operation.endswith(("TrainingJob", "TrainingJobs"))
        if service != "SageMaker" or not ours:
            return self._moto(environ, start_response)
        with self._lock:  # a job is never seen between moto's record of it and ours
            try:
                if operation in self._others:
                    document = self._others[operation].answer(operation, environ, Moto(self._moto, environ))
                    return answer(start_response, HTTPStatus.OK, document)
                return self._training_job(operation, environ, start_response)
            except Refusal as refusal:
                document = {"__type": refusal.code, "message": str(refusal)}
                return answer(start_response, HTTPStatus.BAD_REQUEST, document)

    def _trouble(self, wanted: dict[str, str]) -> bool:
        """Bring about what AWS does without being asked: take a spot host away, or have none for the next job."""
        if "failNext" in wanted:
            self._runner.fail_next(wanted["failNext"])
            return True
        job = self._runner.get(wanted["interrupt"])
        return job is not None and self._runner.interrupt(job)

    def publish(self, job: Job) -> None:
        """Bring moto's record of a job up to date."""
        with self._lock:
            record = self._backend.training_jobs.get(job.name)
            if record is not None:
                mirror(job, record)

    def _training_job(self, operation: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if operation == "StopTrainingJob":
            self._stop(json.loads(body(environ))["TrainingJobName"])
            return answer(start_response, HTTPStatus.OK, {})
        if operation != "CreateTrainingJob":
            return self._moto(environ, start_response)
        request = TrainingRequest.parse(body(environ))
        name = request.name
        if name in self._backend.training_jobs:
            raise Refusal("ResourceInUse", f"Training job names must be unique within an account and region: {name}")
        self._environment.check(request)
        answered = list(self._moto(environ, start_response))
        record = self._backend.training_jobs.get(name)
        if record is not None:
            self._runner.submit(request, record.arn)
        return answered

    def _keep_unmentioned(self, environ: WSGIEnvironment) -> None:
        """Add to an update of a model package what it does not mention; SageMaker keeps that, moto would drop it."""
        update = json.loads(body(environ))
        package = self._backend.model_packages.get(update["ModelPackageArn"])
        if package is not None:
            present: dict[str, Any] = {
                "ModelApprovalStatus": package.model_approval_status,
                "ApprovalDescription": package.approval_description,
                "CustomerMetadataProperties": package.customer_metadata_properties or {},
            }
            update = {name: value for name, value in present.items() if value is not None} | update
        content = json.dumps(update).encode()
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(content), str(len(content))

    def _stop(self, name: str) -> None:
        job = self._runner.get(name)
        if job is None:
            raise Refusal("ValidationException", "Requested resource not found.")
        if job.status in ENDED or job.stop_asked:
            raise Refusal(
                "ValidationException", f"The request was rejected because the training job is in status {job.status}."
            )
        self._runner.stop(job)

    @property
    def _backend(self) -> SageMakerModelBackend:
        return sagemaker_backends[self._environment.account_id][self._environment.region]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.loop.aws_api", description=__doc__)
    parser.add_argument(
        "--state-dir", type=Path, required=True, help="folder for the process record, job folders and logs"
    )
    parser.add_argument("--port", type=int, required=True, help="TCP port on loopback")
    parser.add_argument("--account-id", required=True, help="account of everything that is served")
    parser.add_argument("--region", required=True, help="region of everything that is served")
    parser.add_argument("--role-arn", action="append", required=True, help="role that exists; may be repeated")
    parser.add_argument("--key-arn", required=True, help="KMS key that exists")
    parser.add_argument("--image-python", type=Path, required=True, help="interpreter of the model image")
    parser.add_argument("--image-source", type=Path, required=True, help="folder that holds the package `scoring`")
    parser.add_argument("--fingerprint", default="", help="answered by the health check")
    parser.add_argument(
        "--stop-grace-seconds", type=float, default=STOP_GRACE_SECONDS, help="between SIGTERM and SIGKILL"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM."""
    options = _options(arguments)
    record = LoopPaths.of(options.state_dir).api_record
    other = running(record)
    if other is not None and other.pid != os.getpid():
        sys.stderr.write(f"already running: process {other.pid} on port {other.port}\n")
        return
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["MOTO_ACCOUNT_ID"] = options.account_id
    jobs = LoopPaths.of(options.state_dir).jobs
    for left_over in jobs.glob("*/trainer.json"):
        end(left_over, grace_seconds=1.0)
    environment = Environment(
        account_id=options.account_id,
        region=options.region,
        partition=options.role_arn[0].split(":")[1],
        role_arns=tuple(options.role_arn),
        key_arn=options.key_arn,
    )
    serve(options, environment, jobs, record)


def serve(options: argparse.Namespace, environment: Environment, jobs: Path, record: Path) -> None:
    """Bind, record the process, answer requests."""
    endpoint = f"http://{LOOPBACK}:{options.port}"

    clients = Clients(endpoint, environment.region)

    def s3() -> S3Client:
        return clients.s3

    def publish(job: Job) -> None:
        api.publish(job)

    image, slot = ModelImage(python=options.image_python, source=options.image_source), threading.Semaphore()
    grace = options.stop_grace_seconds

    def processing(publish: Callable[[ProcessingJob], None]) -> ProcessingRunner:
        return ProcessingRunner(image=image, folder=jobs, s3=s3, publish=publish, slot=slot, grace_seconds=grace)

    def transforms(publish: Callable[[TransformJob], None]) -> TransformRunner:
        return TransformRunner(image=image, folder=jobs, s3=s3, publish=publish, slot=slot)

    runner = JobRunner(image=image, folder=jobs, s3=s3, publish=publish, slot=slot, grace_seconds=grace)
    others = (
        ProcessingApi(environment, processing),
        TransformApi(environment, transforms),
        PipelineApi(environment, clients),
        TuningApi(environment, clients),
        PackageApi(),
    )
    moto = DomainDispatcherApplication(create_backend_app)
    api = Apis(moto, environment, runner, options.fingerprint, others)
    environment.create()
    signal.signal(signal.SIGTERM, _leave)
    server = make_server(LOOPBACK, options.port, Refusals(api), threaded=True, request_handler=MotoRequestHandler)
    write_record(record, this_process(port=options.port, fingerprint=options.fingerprint))
    with server:
        server.serve_forever()


def _leave(_number: int, _frame: object) -> NoReturn:
    """End at once: nothing is on disk that needs care, and trainers die with this process."""
    raise SystemExit(0)


if __name__ == "__main__":
    main()
