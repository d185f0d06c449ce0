"""Batch transform jobs that really run, where moto calls each one completed at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from moto.sagemaker.models import sagemaker_backends

from sandbox.loop.environment import Environment, Refusal, check_one_host
from sandbox.loop.wire import Moto, body

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIEnvironment

    from sandbox.loop.transform import TransformJob, TransformRunner


class TransformApi:
    """`CreateTransformJob` and `StopTransformJob`; moto describes what is mirrored into its records."""

    names = frozenset({"CreateTransformJob", "StopTransformJob"})

    def __init__(
        self, environment: Environment, runner: Callable[[Callable[[TransformJob], None]], TransformRunner]
    ) -> None:
        self._environment = environment
        self._backend = sagemaker_backends[environment.account_id][environment.region]
        self._runner = runner(self._publish)

    def answer(self, operation: str, environ: WSGIEnvironment, moto: Moto) -> dict[str, object]:
        """Answer one request; the caller lets one in at a time."""
        request = json.loads(body(environ))
        name, known = request["TransformJobName"], self._backend.transform_jobs
        if operation == "StopTransformJob":
            if name not in known:
                raise Refusal("ResourceNotFound", f"there is no transform job {name}")
            self._runner.stop(name)
            return {}
        if name in known:
            raise Refusal("ResourceInUse", f"Transform job names must be unique within an account and region: {name}")
        models = {model.model_name: model for model in self._backend.list_models()}
        model = models.get(request["ModelName"])
        if model is None:
            raise Refusal("ValidationException", f"Could not find model {request['ModelName']}")
        container = model.primary_container
        self._environment.check_job(
            role_arn=model.execution_role_arn,
            image=container["Image"],
            kms_key=request["TransformOutput"].get("KmsKeyId", ""),
        )
        check_one_host(request["TransformResources"]["InstanceCount"])
        answered = moto.ask()
        if answered is None:
            raise Refusal("ValidationException", str(moto.refusal[1].get("message", moto.refusal[0])))
        self._runner.submit(request, container["ModelDataUrl"], container.get("Environment") or {})
        return answered

    def _publish(self, job: TransformJob) -> None:
        """Bring moto's record of a job up to date."""
        record = self._backend.transform_jobs[job.name]
        values = {
            "transform_job_status": job.status,
            "failure_reason": job.failure,
            "transform_end_time": job.ended,
        }
        for name, value in values.items():
            setattr(record, name, value)
