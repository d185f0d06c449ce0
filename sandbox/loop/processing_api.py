"""Processing jobs that really run, where moto calls each one completed at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from moto.sagemaker.models import sagemaker_backends

from sandbox.loop.environment import Environment, Refusal, check_one_host
from sandbox.loop.wire import Moto, body

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIEnvironment

    from sandbox.loop.processing import ProcessingJob, ProcessingRunner


class ProcessingApi:
    """`CreateProcessingJob` and `StopProcessingJob`; moto describes what is mirrored into its records."""

    names = frozenset({"CreateProcessingJob", "StopProcessingJob"})

    def __init__(
        self, environment: Environment, runner: Callable[[Callable[[ProcessingJob], None]], ProcessingRunner]
    ) -> None:
        self._environment = environment
        self._runner = runner(self._publish)

    def answer(self, operation: str, environ: WSGIEnvironment, moto: Moto) -> dict[str, object]:
        """Answer one request; the caller lets one in at a time."""
        request = json.loads(body(environ))
        name = request["ProcessingJobName"]
        jobs = sagemaker_backends[self._environment.account_id][self._environment.region].processing_jobs
        if operation == "StopProcessingJob":
            if name not in jobs:
                raise Refusal("ResourceNotFound", f"there is no processing job {name}")
            self._runner.stop(name)
            return {}
        if name in jobs:
            raise Refusal("ResourceInUse", f"Processing job names must be unique within an account and region: {name}")
        output = request.get("ProcessingOutputConfig", {})
        self._environment.check_job(
            role_arn=request["RoleArn"],
            image=request["AppSpecification"]["ImageUri"],
            kms_key=output.get("KmsKeyId", ""),
        )
        check_one_host(request["ProcessingResources"]["ClusterConfig"]["InstanceCount"])
        answered = moto.ask()
        if answered is None:
            raise Refusal("ValidationException", str(moto.refusal[1].get("message", moto.refusal[0])))
        self._runner.submit(request)
        return answered

    def _publish(self, job: ProcessingJob) -> None:
        """Bring moto's record of a job up to date."""
        record = sagemaker_backends[self._environment.account_id][self._environment.region].processing_jobs[job.name]
        values = {
            "processing_job_status": job.status,
            "failure_reason": job.failure,
            "exit_message": job.message or None,
            "processing_end_time": job.ended,
            "processing_resources": job.request["ProcessingResources"],
            "environment": job.request.get("Environment"),
        }
        for name, value in values.items():
            setattr(record, name, value)
